/* SPDX-License-Identifier: GPL-2.0 */
/* L2's preemption timer, its types and rules: see preemption_timer.c. */
#ifndef KVM_INTEL_FAST_PREEMPTION_TIMER_STATE_H
#define KVM_INTEL_FAST_PREEMPTION_TIMER_STATE_H

#include <linux/ktime.h>

struct preemption_timer {
	bool running;		/* L2 is in guest mode, and its timer counts */
	ktime_t deadline;	/* of the last start */
};

/* What the hrtimer's callback has to do. */
enum preemption_timer_does {
	PREEMPTION_TIMER_NOTHING,	/* L2 does not run */
	PREEMPTION_TIMER_REARM,		/* L2 has time left */
	PREEMPTION_TIMER_EXPIRE,
};

/**
 * preemption_timer_does - decide what the hrtimer's callback has to do
 * @running: L2 is in guest mode, and its timer counts
 * @now: the time, in nanoseconds of CLOCK_MONOTONIC, as all times here
 * @deadline: when L2 has to exit
 *
 * Return: what to do.
 */
static __always_inline enum preemption_timer_does
preemption_timer_does(bool running, ktime_t now, ktime_t deadline)
{
	if (!running)
		return PREEMPTION_TIMER_NOTHING;
	return ktime_before(now, deadline) ? PREEMPTION_TIMER_REARM : PREEMPTION_TIMER_EXPIRE;
}

/**
 * preemption_timer_serves - decide whether an armed hrtimer may be left alone
 * @armed_on: the CPU on which the hrtimer was started
 * @cpu: the CPU on which L2 will run
 * @armed_for: when the hrtimer fires
 * @deadline: when L2 has to exit
 *
 * Return: true if it fires on @cpu, and not after @deadline.
 */
static __always_inline bool preemption_timer_serves(int armed_on, int cpu, ktime_t armed_for,
						    ktime_t deadline)
{
	return armed_on == cpu && !ktime_after(armed_for, deadline);
}

#endif /* KVM_INTEL_FAST_PREEMPTION_TIMER_STATE_H */
