/* SPDX-License-Identifier: GPL-2.0 */
/*
 * User space of the differential test: what a VMM does while L1 or L2 waits.
 * Invariant: every ioctl may fail, and its result is part of the transcript;
 * nothing that depends on time or on the host's memory is.
 */
#ifndef DIFFERENTIAL_USER_H
#define DIFFERENTIAL_USER_H

#include "differential/layout.h"
#include "lib/vm.h"

extern struct mailbox *mail;		/* in the guest's memory */
extern enum party waiting;
extern bool ended;			/* the VM cannot go on */
extern bool stuck;			/* a guest loops: its state depends on time */
extern unsigned int single_steps;	/* for the next run */
extern bool immediate_next;
extern bool signal_next;

void user_debug(uint32_t control, uint64_t address);
void user_cpu(unsigned int cpu);
void user_statistics(void);
void user_step(const struct step *step);

#endif
