/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KVM_INTEL_FAST_HOST_SEGMENTS_H
#define KVM_INTEL_FAST_HOST_SEGMENTS_H

struct kvm_vcpu;
struct vmcs12;

bool host_segments_load(struct kvm_vcpu *vcpu, struct vmcs12 *vmcs12);
void host_segments_verify(struct kvm_vcpu *vcpu);

#endif /* KVM_INTEL_FAST_HOST_SEGMENTS_H */
