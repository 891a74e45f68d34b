/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The transcript of the differential test: what the parties see, tag by tag.
 * Invariant: nothing that depends on time or on the host's memory is in it.
 */
#ifndef DIFFERENTIAL_TRANSCRIPT_H
#define DIFFERENTIAL_TRANSCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern bool full;		/* print it, not only its digest */
extern uint64_t digest;

void record(const char *tag, uint64_t value);
void record_bytes(const char *tag, const void *data, size_t length);
/* What an ioctl returned: errno, negative, when it failed. */
void record_result(const char *tag, long result);

#endif
