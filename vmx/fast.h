/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What kvm-intel-fast adds to a vCPU and to a VM, its parameters, and its
 * life-cycle hooks.  Included by the stock vmx.h, so it may not include it.
 */
#ifndef KVM_INTEL_FAST_H
#define KVM_INTEL_FAST_H

#include "vmx/compat.h"
#include "vmx/counters.h"

struct kvm_vcpu;

/* Member "fast" of struct vcpu_vmx: touched by the vCPU's thread alone. */
struct fast_vcpu {
	struct fast_counters counters;
};

/* Bits of struct fast_vm.flags */
#define FAST_VM_IN_DEBUGFS	0

/* Member "fast" of struct kvm_vmx. */
struct fast_vm {
	unsigned long flags;
};

/* Module parameters, fixed once the module is loaded. */
extern bool fast_verify;
extern bool debugctl_passthrough;

void fast_vcpu_create(struct kvm_vcpu *vcpu);

#endif /* KVM_INTEL_FAST_H */
