/* SPDX-License-Identifier: GPL-2.0 */
/* Consistency checks of a VM entry, done when an input changed: the hooks. */
#ifndef KVM_INTEL_FAST_CHECKS_H
#define KVM_INTEL_FAST_CHECKS_H

#include <linux/kvm_host.h>

struct vmcs12;

bool nested_checks_passed(struct kvm_vcpu *vcpu, struct vmcs12 *vmcs12);
bool nested_checks_hit(struct kvm_vcpu *vcpu);
void nested_checks_done(struct kvm_vcpu *vcpu, struct vmcs12 *vmcs12, bool passed);
void nested_checks_failed(struct kvm_vcpu *vcpu);
void nested_checks_written(struct kvm_vcpu *vcpu, unsigned long field);
void nested_checks_forget(struct kvm_vcpu *vcpu);

#endif /* KVM_INTEL_FAST_CHECKS_H */
