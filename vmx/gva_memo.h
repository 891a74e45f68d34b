/* SPDX-License-Identifier: GPL-2.0 */
/* Small accesses to memory of the guest's kernel, by linear address: see gva_memo.c. */
#ifndef KVM_INTEL_FAST_GVA_MEMO_H
#define KVM_INTEL_FAST_GVA_MEMO_H

#include "kvm/vmx/vmx.h"
#include "vmx/params.h"

bool gva_read(struct kvm_vcpu *vcpu, u64 gva, void *data, unsigned int size, bool may_sleep);
bool gva_write(struct kvm_vcpu *vcpu, u64 gva, const void *data, unsigned int size,
	       bool may_sleep, u64 *gfn);

#endif /* KVM_INTEL_FAST_GVA_MEMO_H */
