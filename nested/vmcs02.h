/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fields of vmcs02 that stock writes twice on a nested VM entry, written once.
 *
 * CR0 and CR4 read shadows: vmx_set_cr0() and vmx_set_cr4() write the guest's value,
 * and prepare_vmcs02() what L2 shall read right after.  The first one is left out.
 * Nothing looks at it in between: only the code for guests that need their real mode
 * emulated reads a read shadow there, so without unrestricted guest stock does both.
 *
 * CR3: prepare_vmcs02() writes it, and marks it as to be written, so that the load of
 * the MMU's root writes it again.  With the mark taken off it does not; whatever changes
 * CR3 after that sets the mark.  Where the root's load would write another value
 * (paging off without unrestricted guest) the mark stays.
 *
 * No input can change in between: each is within one function, before L2 runs.
 */
#ifndef KVM_INTEL_FAST_VMCS02_H
#define KVM_INTEL_FAST_VMCS02_H

#include <linux/kvm_host.h>

#include "vmx/vmx.h"

/**
 * vmcs02_read_shadows_follow - prepare_vmcs02() is about to set CR0 and CR4, or has
 * @vcpu: the vCPU, vmcs02 current
 * @follow: whether it will write their read shadows itself
 *
 * Context: the vCPU's thread.
 */
static __always_inline void vmcs02_read_shadows_follow(struct kvm_vcpu *vcpu, bool follow)
{
	to_vmx(vcpu)->fast.read_shadow_follows = follow && enable_unrestricted_guest &&
						 fast_switch_does(FAST_SWITCH_VMCS02);
}

/**
 * vmcs02_read_shadow_follows - may the write of a read shadow be left out?
 * @vcpu: the vCPU
 *
 * Context: the vCPU's thread.
 * Return: true if prepare_vmcs02() writes it next.
 */
static __always_inline bool vmcs02_read_shadow_follows(struct kvm_vcpu *vcpu)
{
	return to_vmx(vcpu)->fast.read_shadow_follows;
}

/**
 * vmcs02_cr3_written - vmcs02 has L2's CR3
 * @vcpu: the vCPU, with EPT
 *
 * verify=1: the mark stays, and the value is written again.
 *
 * Context: the vCPU's thread.
 */
static __always_inline void vmcs02_cr3_written(struct kvm_vcpu *vcpu)
{
	if (fast_switch_does(FAST_SWITCH_VMCS02) && !fast_verify &&
	    (enable_unrestricted_guest || is_paging(vcpu)))
		__clear_bit(VCPU_EXREG_CR3, (unsigned long *)&vcpu->arch.regs_dirty);
}

#endif /* KVM_INTEL_FAST_VMCS02_H */
