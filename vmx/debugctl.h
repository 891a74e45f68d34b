/* SPDX-License-Identifier: GPL-2.0 */
/*
 * L1's reads of IA32_DEBUGCTL without a VM exit: the hooks.
 * See debugctl.c for what is skipped and why that is sound.
 */
#ifndef KVM_INTEL_FAST_DEBUGCTL_H
#define KVM_INTEL_FAST_DEBUGCTL_H

#include <linux/kvm_host.h>

#include "vmx/params.h"

void debugctl_vcpu_created(struct kvm_vcpu *vcpu);
void debugctl_set_intercept(struct kvm_vcpu *vcpu);
void debugctl_host_changed(struct kvm_vcpu *vcpu, bool field_is_fresh);
void debugctl_entry_skipped(struct kvm_vcpu *vcpu, u64 run_flags);
void debugctl_verify(struct kvm_vcpu *vcpu);
void debugctl_count_read(struct kvm_vcpu *vcpu, bool host_initiated);

/**
 * debugctl_before_entry - bring the intercept up to date before a VM entry
 * @vcpu: the vCPU about to enter; stock has reloaded GUEST_IA32_DEBUGCTL if necessary
 * @run_flags: kvm.ko's flags for this entry
 *
 * Context: interrupts off.
 */
static __always_inline void debugctl_before_entry(struct kvm_vcpu *vcpu,
						  u64 run_flags)
{
	if (unlikely(run_flags & KVM_RUN_LOAD_DEBUGCTL))
		debugctl_host_changed(vcpu, true);
	if (unlikely(fast_verify()))
		debugctl_verify(vcpu);
}

#endif /* KVM_INTEL_FAST_DEBUGCTL_H */
