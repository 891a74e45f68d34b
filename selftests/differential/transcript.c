// SPDX-License-Identifier: GPL-2.0
/*
 * The transcript of the differential test: see transcript.h.
 */
#include <errno.h>
#include <stdio.h>

#include "differential/transcript.h"

bool full;
uint64_t digest;

static void hash(uint64_t value)
{
	digest = (digest ^ value) * 0x9e3779b97f4a7c15ul;
	digest ^= digest >> 29;
}

void record(const char *tag, uint64_t value)
{
	const char *c;

	for (c = tag; *c; c++)
		digest = (digest ^ *c) * 0x100000001b3ul;
	hash(value);
	if (full)
		printf("    %s %#lx\n", tag, value);
}

static uint64_t bytes_digest(const void *data, size_t length)
{
	const uint64_t *words = data;
	uint64_t result = length;
	size_t i;

	for (i = 0; i < length / 8; i++)
		result = (result ^ words[i]) * 0x9e3779b97f4a7c15ul ^ result >> 31;
	for (i = length & ~7ul; i < length; i++)
		result = (result ^ ((const uint8_t *)data)[i]) * 0x100000001b3ul;
	return result;
}

void record_bytes(const char *tag, const void *data, size_t length)
{
	record(tag, bytes_digest(data, length));
}

void record_result(const char *tag, long result)
{
	record(tag, result < 0 ? -errno : result);
}
