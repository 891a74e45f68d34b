/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KVM_INTEL_FAST_CPUID_RUNTIME_H
#define KVM_INTEL_FAST_CPUID_RUNTIME_H

struct kvm_vcpu;

void cpuid_memo_forget(struct kvm_vcpu *vcpu);
void cpuid_runtime_update(struct kvm_vcpu *vcpu);
bool cpuid_has_spec_ctrl(struct kvm_vcpu *vcpu);
bool cpuid_has_tsc_aux(struct kvm_vcpu *vcpu);

#endif /* KVM_INTEL_FAST_CPUID_RUNTIME_H */
