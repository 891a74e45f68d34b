/* SPDX-License-Identifier: GPL-2.0 */
/* What is remembered of the user-return MSRs of a vCPU: see user_return.c. */
#ifndef KVM_INTEL_FAST_USER_RETURN_TYPES_H
#define KVM_INTEL_FAST_USER_RETURN_TYPES_H

#include <linux/types.h>

/* Bit n is slot n of vmx->guest_uret_msrs. */
struct user_return_memo {
	u8 wanted;	/* the guest needs its value: stock's load_into_hardware */
	/*
	 * The MSR has the guest's value, if vmx->guest_uret_msrs_loaded; without
	 * meaning otherwise.
	 */
	u8 in_hardware;
};

#endif /* KVM_INTEL_FAST_USER_RETURN_TYPES_H */
