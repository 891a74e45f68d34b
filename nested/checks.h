/* SPDX-License-Identifier: GPL-2.0 */
/* Consistency checks of a VM entry, done when an input changed: see checks.c. */
#ifndef KVM_INTEL_FAST_CHECKS_H
#define KVM_INTEL_FAST_CHECKS_H

#include "kvm/vmx/vmx.h"

struct vmcs12;

bool checks_passed(struct kvm_vcpu *vcpu, struct vmcs12 *vmcs12);
void checks_done(struct kvm_vcpu *vcpu, struct vmcs12 *vmcs12);
void checks_given_up(struct kvm_vcpu *vcpu);
void checks_failed(struct kvm_vcpu *vcpu);
void checks_failed_at_entry(struct kvm_vcpu *vcpu, const struct vmcs12 *vmcs12);
void checks_written(struct kvm_vcpu *vcpu, unsigned long field);
void checks_forget(struct kvm_vcpu *vcpu);

/**
 * checks_hit - decide whether the checks of guest state may be left out
 * @vcpu: the vCPU, in the VM entry for which checks_passed() was asked
 *
 * Context: the vCPU's thread.
 * Return: true if they would pass.
 */
static __always_inline bool checks_hit(struct kvm_vcpu *vcpu)
{
	return to_vmx(vcpu)->fast.checks.hit;
}

#endif /* KVM_INTEL_FAST_CHECKS_H */
