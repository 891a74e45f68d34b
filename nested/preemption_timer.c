// SPDX-License-Identifier: GPL-2.0
/*
 * The VMX-preemption timer that L1 gives L2, kept armed across nested exits.
 *
 * Stock emulates it by an hrtimer, started at each nested VM entry and cancelled
 * at each nested VM exit.  Linux as L1 arms it on nearly every entry: for its guest's
 * TSC deadline, or, when there is none, with the maximum value.
 *
 * Skipped: cancelling the hrtimer at a nested exit, and starting it at a nested
 * entry whose deadline is not before the time for which it is armed.  When the hrtimer
 * fires before the deadline, the callback arms it again; when it fires while L1 runs,
 * nothing happens.  L2 exits at its deadline, as under stock.
 *
 * Skipped, too: the division by L1's TSC frequency, of 64 bits, which takes 35 to 90 cycles
 * before Ice Lake.  It is a multiplication by the reciprocal of the frequency.
 *
 * | input | how we know | mutants |
 * |---|---|---|
 * | the deadline | given at each nested entry | `preemption-timer-early` |
 * | what the hrtimer is armed for | read from the hrtimer | `preemption-timer-late` |
 * | the hrtimer's CPU | read from the hrtimer: kvm.ko moves it with the vCPU |
 *   `preemption-timer-cpu-ignored` |
 * | the frequency of L1's TSC | compared with that of the reciprocal |
 *   `preemption-timer-old-frequency` |
 * | the end of VMX operation | free_nested() cancels it | `preemption-timer-outlives-vm` |
 *
 * The vCPU's thread writes deadline and running, and then looks whether the hrtimer is
 * queued on the thread's CPU.  If it is, the callback will interrupt this CPU, hence sees what
 * the thread wrote: no barrier of the CPU is necessary.  (A thread that is moved between writing
 * and looking passes those of the scheduler.)  If it is not, the callback may be running
 * elsewhere, and the thread waits for its end (hrtimer_cancel()).  So the callback can rely on
 * being alone with the hrtimer when it arms it again.  The hrtimer's base changes only when
 * the thread starts the hrtimer, and when a CPU goes offline, while the hrtimer is queued.
 *
 * What can be seen from outside: up to one timer interrupt per deadline that stock would
 * not have had.
 */
#include "kvm/vmx/vmx.h"
#include "kvm/vmx/nested.h"
#include "vmx/params.h"
#include "nested/preemption_timer.h"

static enum hrtimer_restart fired(struct hrtimer *timer)
{
	struct vcpu_vmx *vmx = container_of(timer, struct vcpu_vmx, nested.preemption_timer);
	struct preemption_timer *ours = &vmx->fast.preemption_timer;
	ktime_t deadline;
	bool running;

	running = READ_ONCE(ours->running);
	/* Pairs with preemption_timer_start(), which writes deadline first. */
	smp_rmb();
	deadline = READ_ONCE(ours->deadline);
	switch (preemption_timer_does(running, ktime_get(), deadline)) {
	case PREEMPTION_TIMER_NOTHING:
		return HRTIMER_NORESTART;
	case PREEMPTION_TIMER_REARM:
		hrtimer_set_expires(timer, deadline);
		return HRTIMER_RESTART;
	case PREEMPTION_TIMER_EXPIRE:
		break;
	}

	vmx->nested.preemption_timer_expired = true;
	kvm_make_request(KVM_REQ_EVENT, &vmx->vcpu);
	kvm_vcpu_kick(&vmx->vcpu);
	return HRTIMER_NORESTART;
}

/* The CPU on which the hrtimer was started. */
static int started_on(const struct hrtimer *timer)
{
	return READ_ONCE(timer->base)->cpu_base->cpu;
}

/**
 * preemption_timer_init - replace the callback of stock's hrtimer
 * @vcpu: the vCPU, entering VMX operation; stock has initialised the hrtimer
 *
 * Context: the vCPU's thread.
 */
void preemption_timer_init(struct kvm_vcpu *vcpu)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);

	vmx->fast.preemption_timer = (struct preemption_timer) {};
	if (fast_switch_does(FAST_SWITCH_PREEMPTION_TIMER))
		fast_hrtimer_set_function(&vmx->nested.preemption_timer, fired);
}

static bool armed_in_time(struct vcpu_vmx *vmx, ktime_t deadline)
{
	struct hrtimer *timer = &vmx->nested.preemption_timer;

	return hrtimer_is_queued(timer) &&
	       preemption_timer_serves(started_on(timer), vmx->vcpu.cpu,
				       hrtimer_get_expires(timer), deadline);
}

/* verify=1: an hrtimer that is left alone must not be armed for too late a time. */
static noinline void verify(struct vcpu_vmx *vmx)
{
	struct fast_counters *counters = &vmx->fast.counters;

	counters->preemption_timer_verify_checks++;
	if (ktime_after(hrtimer_get_expires(&vmx->nested.preemption_timer),
			vmx->fast.preemption_timer.deadline))
		FAST_MISMATCH(counters, preemption_timer, "L2's preemption timer would be late");
}

/* verify=1: stock's division must give the same time, which is then used. */
static noinline u64 verify_ns(struct vcpu_vmx *vmx, u64 ns, u64 by_stock)
{
	do_div(by_stock, vmx->vcpu.arch.virtual_tsc_khz);
	if (ns != by_stock)
		FAST_MISMATCH(&vmx->fast.counters, preemption_timer,
			      "L2's preemption timer would take another time");
	return by_stock;
}

/* How long L2's timer takes, in nanoseconds. */
static u64 timer_ns(struct vcpu_vmx *vmx, u64 ticks)
{
	u32 khz = vmx->vcpu.arch.virtual_tsc_khz;
	u64 ns = ticks;

	if (!fast_switch_does(FAST_SWITCH_PREEMPTION_TIMER)) {
		do_div(ns, khz);
		return ns;
	}
	ns = preemption_timer_quotient(&vmx->fast.preemption_timer, ticks, khz);
	return unlikely(fast_verify()) ? verify_ns(vmx, ns, ticks) : ns;
}

/**
 * preemption_timer_start - let L2's preemption timer count
 * @vcpu: the vCPU, in guest mode; the frequency of L1's TSC is not 0
 * @ticks: when L2 must exit, in ticks of L1's TSC from now, times 1,000,000
 *
 * Context: the vCPU's thread, preemption may be on.
 */
void preemption_timer_start(struct kvm_vcpu *vcpu, u64 ticks)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);
	ktime_t deadline = ktime_add_ns(ktime_get(), timer_ns(vmx, ticks));
	struct hrtimer *timer = &vmx->nested.preemption_timer;
	struct preemption_timer *ours = &vmx->fast.preemption_timer;

	WRITE_ONCE(ours->deadline, deadline);
	/* Pairs with the smp_rmb() of fired(). */
	smp_wmb();
	WRITE_ONCE(ours->running, true);
	if (fast_switch_does(FAST_SWITCH_PREEMPTION_TIMER)) {
		/* Written before the look at the timer: see the head of this file. */
		barrier();
		if (armed_in_time(vmx, deadline)) {
			vmx->fast.counters.preemption_timer_kept++;
			if (fast_verify())
				verify(vmx);
			return;
		}
		hrtimer_cancel(timer);
	}
	vmx->fast.counters.preemption_timer_started++;
	hrtimer_start(timer, deadline, HRTIMER_MODE_ABS_PINNED);
}

/**
 * preemption_timer_stop - stop L2's preemption timer, because L2 exits to L1
 * @vcpu: the vCPU
 *
 * When this returns, L2's timer does nothing any more.
 *
 * Context: the vCPU's thread; may wait for the hrtimer's callback.
 */
void preemption_timer_stop(struct kvm_vcpu *vcpu)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);
	struct hrtimer *timer = &vmx->nested.preemption_timer;

	WRITE_ONCE(vmx->fast.preemption_timer.running, false);
	/* Written before the look at the timer: see the head of this file. */
	barrier();
	if (!fast_switch_does(FAST_SWITCH_PREEMPTION_TIMER) || !hrtimer_is_queued(timer) ||
	    started_on(timer) != vcpu->cpu)
		hrtimer_cancel(timer);
}

/**
 * preemption_timer_remaining - compute how long L2 has left
 * @vcpu: the vCPU
 *
 * Return: what hrtimer_get_remaining() would return under stock.
 */
ktime_t preemption_timer_remaining(struct kvm_vcpu *vcpu)
{
	return ktime_sub(to_vmx(vcpu)->fast.preemption_timer.deadline, ktime_get());
}

/**
 * preemption_timer_free - cancel the hrtimer, because VMX operation ends
 * @vcpu: the vCPU, not in L2
 *
 * Context: the vCPU's thread, or the one that destroys the VM.
 */
void preemption_timer_free(struct kvm_vcpu *vcpu)
{
	hrtimer_cancel(&to_vmx(vcpu)->nested.preemption_timer);
}
