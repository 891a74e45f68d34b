/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KVM_INTEL_FAST_GUEST_STATE_H
#define KVM_INTEL_FAST_GUEST_STATE_H

#include <linux/types.h>

struct kvm_vcpu;
struct vmcs12;

bool guest_state_load(struct kvm_vcpu *vcpu, struct vmcs12 *vmcs12);
void guest_state_verify(struct kvm_vcpu *vcpu);

#endif /* KVM_INTEL_FAST_GUEST_STATE_H */
