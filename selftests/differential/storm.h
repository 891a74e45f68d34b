/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A storm of the differential test: while L2 exits again and again, another thread
 * of user space does what L0 has to notice and the guests must not.
 * Invariant: whenever the storm ends, everything is as before it, and nothing that
 * it does is seen by a guest that touches no MSR meanwhile; so the transcript does
 * not depend on when it does it.  What it does show is verify=1's matter, and that
 * of the kernel's checkers; and the steps that follow find what L0 has kept.
 */
#ifndef DIFFERENTIAL_STORM_H
#define DIFFERENTIAL_STORM_H

#include <pthread.h>
#include <stdbool.h>

enum {
	STORM_FLIP = 1,		/* a bit of an MSR bitmap, there and back */
	STORM_REMAP = 2,	/* another page with the same content */
	STORM_SLOT = 4,		/* a memslot that nobody uses comes and goes */
	STORM_FILTER = 8,	/* an MSR filter is set and taken away */
	STORM_CPU = 16,		/* the vCPU's thread moves */
	STORM_KINDS = 32,
};

struct storm {
	bool next, stop, ran, blows;
	unsigned int kinds, page, bit;
	pthread_t thread;
	pid_t vcpu_thread;
};

extern struct storm storm;

void storm_begin(void);
void storm_end(void);

#endif
