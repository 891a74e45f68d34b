/* SPDX-License-Identifier: GPL-2.0 */
/* Exits of descriptor-table accesses, without the instruction emulator: see desc_exits.c. */
#ifndef KVM_INTEL_FAST_DESC_EXITS_H
#define KVM_INTEL_FAST_DESC_EXITS_H

#include "kvm/vmx/vmx.h"
#include "vmx/params.h"

bool desc_exit_handled(struct kvm_vcpu *vcpu);
int desc_exit_handle(struct kvm_vcpu *vcpu);

#endif /* KVM_INTEL_FAST_DESC_EXITS_H */
