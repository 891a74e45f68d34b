/* SPDX-License-Identifier: GPL-2.0 */
/* The vCPU's CPUID entries, looked up once: see cpuid.c. */
#ifndef KVM_INTEL_FAST_CPUID_H
#define KVM_INTEL_FAST_CPUID_H

#include "kvm/cpuid.h"
#include "kvm/vmx/vmx.h"
#include "vmx/params.h"

void cpuid_memo_look_up(struct kvm_vcpu *vcpu, struct cpuid_memo *memo);
void cpuid_forget(struct kvm_vcpu *vcpu);
void cpuid_update(struct kvm_vcpu *vcpu);
bool cpuid_verify(struct kvm_vcpu *vcpu, bool ours, bool stocks);

static __always_inline struct cpuid_memo *cpuid_memo(struct kvm_vcpu *vcpu)
{
	struct cpuid_memo *memo = &to_vmx(vcpu)->fast.cpuid;

	if (unlikely(!memo->valid))
		cpuid_memo_look_up(vcpu, memo);
	return memo;
}

/**
 * cpuid_has_spec_ctrl - tell whether the guest has IA32_SPEC_CTRL and IBRS
 * @vcpu: the vCPU
 *
 * The answer decides whether a nested exit issues the barrier, so it must be right
 * every time: see the head of cpuid.c.
 *
 * Context: the vCPU's thread, interrupts on.
 * Return: what guest_cpuid_has() would return.
 */
static __always_inline bool cpuid_has_spec_ctrl(struct kvm_vcpu *vcpu)
{
	bool has;

	if (!fast_switch_does(FAST_SWITCH_CPUID))
		return fast_guest_has(vcpu, X86_FEATURE_SPEC_CTRL);
	has = cpuid_memo(vcpu)->spec_ctrl;
	if (fast_verify())
		has = cpuid_verify(vcpu, has, fast_guest_has(vcpu, X86_FEATURE_SPEC_CTRL));
	return has;
}

/* Searches the entries, without the memo. */
static inline bool cpuid_find_tsc_aux(struct kvm_vcpu *vcpu)
{
	return fast_guest_has(vcpu, X86_FEATURE_RDTSCP) ||
	       fast_guest_has(vcpu, X86_FEATURE_RDPID);
}

/**
 * cpuid_has_tsc_aux - tell whether the guest has an instruction that reads IA32_TSC_AUX
 * @vcpu: the vCPU
 *
 * Context: the vCPU's thread, interrupts on.
 * Return: true if guest_cpuid_has() would find RDTSCP or RDPID.
 */
static __always_inline bool cpuid_has_tsc_aux(struct kvm_vcpu *vcpu)
{
	bool has;

	if (!FAST_HAS(cpuid) || !fast_switch_does(FAST_SWITCH_CPUID))
		return cpuid_find_tsc_aux(vcpu);
	has = cpuid_memo(vcpu)->tsc_aux;
	if (fast_verify())
		has = cpuid_verify(vcpu, has, cpuid_find_tsc_aux(vcpu));
	return has;
}

#endif /* KVM_INTEL_FAST_CPUID_H */
