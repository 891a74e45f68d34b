/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The rule of the IA32_DEBUGCTL pass-through, as pure functions.
 *
 * While a guest runs, the register holds the VMCS field GUEST_IA32_DEBUGCTL:
 * VM entry loads it and VM exit saves it (SDM, "Loading Guest Control
 * Registers, Debug Registers, and MSRs" and "Saving Control Registers, Debug
 * Registers, and MSRs"); KVM requires both controls for vmcs01.  KVM answers
 * an intercepted read with that field less FREEZE_IN_SMM, a bit that belongs
 * to the host (Linux commit 6b1dd26544d0).  So hardware and KVM give the same
 * answer exactly while the field lacks that bit.
 */
#ifndef KVM_INTEL_FAST_DEBUGCTL_STATE_H
#define KVM_INTEL_FAST_DEBUGCTL_STATE_H

#include <linux/types.h>
#include <asm/msr-index.h>

/**
 * debugctl_stock_answer - compute what stock KVM returns for an intercepted read
 * @field: GUEST_IA32_DEBUGCTL of the current VMCS
 *
 * Return: the field without FREEZE_IN_SMM.
 */
static inline u64 debugctl_stock_answer(u64 field)
{
	return field & ~(u64)DEBUGCTLMSR_FREEZE_IN_SMM;
}

/**
 * debugctl_read_may_pass - decide whether L1's RDMSR may go to the hardware register
 * @host_debugctl: IA32_DEBUGCTL of the host, whose FREEZE_IN_SMM KVM puts
 *		   into the guest's field
 * @field_is_fresh: KVM has put that bit of @host_debugctl into the field
 *
 * Return: true if the hardware's answer is known to be stock's.
 */
static inline bool debugctl_read_may_pass(u64 host_debugctl, bool field_is_fresh)
{
	return field_is_fresh && !(host_debugctl & DEBUGCTLMSR_FREEZE_IN_SMM);
}

#endif /* KVM_INTEL_FAST_DEBUGCTL_STATE_H */
