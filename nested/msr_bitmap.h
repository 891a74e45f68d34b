/* SPDX-License-Identifier: GPL-2.0 */
/* vmcs02's MSR bitmap, merged only when an input changed: the hook. */
#ifndef KVM_INTEL_FAST_MSR_BITMAP_H
#define KVM_INTEL_FAST_MSR_BITMAP_H

#include <linux/kvm_host.h>

struct vmcs12;

bool msr_bitmap_update(struct kvm_vcpu *vcpu, struct vmcs12 *vmcs12, const u64 *l1);

#endif /* KVM_INTEL_FAST_MSR_BITMAP_H */
