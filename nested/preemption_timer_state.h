/* SPDX-License-Identifier: GPL-2.0 */
/* L2's preemption timer, its types and rules: see preemption_timer.c. */
#ifndef KVM_INTEL_FAST_PREEMPTION_TIMER_STATE_H
#define KVM_INTEL_FAST_PREEMPTION_TIMER_STATE_H

#include <linux/ktime.h>
#include <linux/math64.h>

struct preemption_timer {
	bool running;		/* L2 is in guest mode, and its timer counts */
	ktime_t deadline;	/* of the last start */
	u32 khz;		/* frequency of L1's TSC at the last start, or 0 */
	u64 reciprocal;		/* U64_MAX / khz */
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

/**
 * preemption_timer_quotient - divide by the frequency of L1's TSC
 * @ours: of the vCPU, with the reciprocal of the last frequency
 * @n: the dividend
 * @khz: the frequency, not 0
 *
 * The reciprocal is less than one below 2^64 / @khz.  So the product is less than two below the
 * quotient, and two steps at most are left.
 *
 * Return: @n / @khz, rounded down.
 */
static __always_inline u64 preemption_timer_quotient(struct preemption_timer *ours, u64 n, u32 khz)
{
	u64 quotient;

	if (unlikely(ours->khz != khz)) {
		ours->khz = khz;
		ours->reciprocal = div_u64(U64_MAX, khz);
	}
	quotient = mul_u64_u64_shr(n, ours->reciprocal, 64);
	while (n - quotient * khz >= khz)
		quotient++;
	return quotient;
}

#endif /* KVM_INTEL_FAST_PREEMPTION_TIMER_STATE_H */
