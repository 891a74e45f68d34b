/* SPDX-License-Identifier: GPL-2.0 */
/* vmcs02's controls, made when an input changed: see controls.c. */
#ifndef KVM_INTEL_FAST_CONTROLS_H
#define KVM_INTEL_FAST_CONTROLS_H

struct kvm_vcpu;
struct vmcs12;

bool controls_reuse(struct kvm_vcpu *vcpu, const struct vmcs12 *vmcs12);
void controls_made(struct kvm_vcpu *vcpu, const struct vmcs12 *vmcs12);

#endif /* KVM_INTEL_FAST_CONTROLS_H */
