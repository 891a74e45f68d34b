/* SPDX-License-Identifier: GPL-2.0 */
/* vmcs02's controls, made when an input changed: see controls.c. */
#ifndef KVM_INTEL_FAST_CONTROLS_H
#define KVM_INTEL_FAST_CONTROLS_H

#include "vmx/params.h"

struct kvm_vcpu;
struct vmcs12;

bool controls_do_reuse(struct kvm_vcpu *vcpu, const struct vmcs12 *vmcs12);
void controls_remember(struct kvm_vcpu *vcpu, const struct vmcs12 *vmcs12);

/**
 * controls_reuse - enter with the controls that vmcs02 has, if they are those that stock makes
 * @vcpu: the vCPU, in a nested VM entry, vmcs02 current
 * @vmcs12: the current vmcs12
 *
 * On success all that prepare_vmcs02_early() does is done.
 *
 * Context: the vCPU's thread.
 * Return: true on success; false if stock must do it, after which controls_made() is called.
 * With verify=1 stock does it each time.
 */
static __always_inline bool controls_reuse(struct kvm_vcpu *vcpu, const struct vmcs12 *vmcs12)
{
	return fast_switch_does(FAST_SWITCH_VMCS02) && controls_do_reuse(vcpu, vmcs12);
}

/**
 * controls_made - remember what stock has made vmcs02's controls from
 * @vcpu: the vCPU, in a nested VM entry, vmcs02 current
 * @vmcs12: the current vmcs12
 *
 * Context: the vCPU's thread.
 */
static __always_inline void controls_made(struct kvm_vcpu *vcpu, const struct vmcs12 *vmcs12)
{
	if (fast_switch_does(FAST_SWITCH_VMCS02))
		controls_remember(vcpu, vmcs12);
}

#endif /* KVM_INTEL_FAST_CONTROLS_H */
