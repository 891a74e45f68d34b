/* SPDX-License-Identifier: GPL-2.0 */
/* L2's preemption timer: see preemption_timer.c. */
#ifndef KVM_INTEL_FAST_PREEMPTION_TIMER_TYPES_H
#define KVM_INTEL_FAST_PREEMPTION_TIMER_TYPES_H

#include <linux/ktime.h>

struct preemption_timer {
	bool running;		/* L2 is in guest mode, and counts */
	ktime_t deadline;	/* of the last start */
	int cpu;		/* on which the hrtimer was started */
};

#endif /* KVM_INTEL_FAST_PREEMPTION_TIMER_TYPES_H */
