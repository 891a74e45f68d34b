/* SPDX-License-Identifier: GPL-2.0 */
/* What is remembered of the user-return MSRs of a vCPU, and the rule: see user_return.c. */
#ifndef KVM_INTEL_FAST_USER_RETURN_STATE_H
#define KVM_INTEL_FAST_USER_RETURN_STATE_H

#include <linux/types.h>

#include <asm/msr-index.h>

/* Each member is a mask of slots; 0 if this CPU has none of its MSRs. */
struct user_return_slots {
	u8 syscall;	/* STAR, LSTAR, SYSCALL_MASK */
	u8 efer;
	u8 tsc_aux;
	u8 always;	/* TSX_CTRL, on CPUs with RTM */
};

/* Bit n is slot n of vmx->guest_uret_msrs. */
struct user_return_memo {
	u8 wanted;	/* the guest needs its value: stock's load_into_hardware */
	/*
	 * The MSR holds the guest's value.  Without meaning unless
	 * vmx->guest_uret_msrs_loaded is set.
	 */
	u8 in_hardware;
};

/**
 * user_return_changed - note that the guest's value of an MSR changed, but was not loaded
 * @memo: the vCPU's memo
 * @slot: of the MSR
 */
static __always_inline void user_return_changed(struct user_return_memo *memo, unsigned int slot)
{
	memo->in_hardware &= ~BIT(slot);
}

/**
 * user_return_update - decide which MSRs the guest needs after its EFER was written
 * @memo: the vCPU's memo
 * @slots: the slots of this CPU's MSRs
 * @efer: the guest's new value
 * @has_tsc_aux: the guest has RDTSCP or RDPID
 * @load_efer: EFER is one of the MSRs; its value may have changed
 *
 * Return: true if an MSR that the guest needs may hold another value than the guest's.
 */
static __always_inline bool user_return_update(struct user_return_memo *memo,
					       const struct user_return_slots *slots, u64 efer,
					       bool has_tsc_aux, bool load_efer)
{
	u8 wanted = slots->always;

	if ((efer & (EFER_LMA | EFER_SCE)) == (EFER_LMA | EFER_SCE))
		wanted |= slots->syscall;
	if (has_tsc_aux)
		wanted |= slots->tsc_aux;
	if (load_efer) {
		wanted |= slots->efer;
		memo->in_hardware &= ~slots->efer;
	}
	memo->wanted = wanted;
	return wanted & ~memo->in_hardware;
}

#endif /* KVM_INTEL_FAST_USER_RETURN_STATE_H */
