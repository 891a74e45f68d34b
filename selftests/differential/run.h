/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Drives L1 and L2 of the differential test.  After every run one of them waits
 * for user space, or the program has ended; who waits is known ("waiting").
 */
#ifndef DIFFERENTIAL_RUN_H
#define DIFFERENTIAL_RUN_H

#include "differential/program.h"

extern unsigned int slowness;		/* of this kernel */

/* Of SIGALRM: a run has taken too long. */
void on_alarm(int signal);
/* Run until L1 or L2 waits. */
void run_guests(void);
void l1_step(const struct step *step);
void l2_step(const struct step *step);

#endif
