/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fields of vmcs02 that stock writes twice on a nested VM entry, written once.
 *
 * CR0 and CR4 read shadows: vmx_set_cr0() and vmx_set_cr4() write the guest's value,
 * and right after that prepare_vmcs02() writes what L2 shall read.  The first write is
 * left out.  Only the code for guests that need their real mode emulated reads a read
 * shadow in between, so without unrestricted guest stock does both writes.
 *
 * CR3: prepare_vmcs02() writes CR3, and marks it as to be written, so that the load of
 * the MMU's root writes it again.  Once the mark is taken off, the load does not; whatever
 * changes CR3 after that sets the mark.  Where the root's load would write another value
 * (paging off without unrestricted guest) the mark stays.
 *
 * No input can change in between, because both writes are within one function, before L2
 * runs.
 *
 * TSC offset and multiplier of L2 (from 7.2 on): if L1 does not scale L2's TSC, one is a sum, the
 * other is L1's.  They are worked out here, without five calls.  All inputs are read each time:
 * L1's offset and multiplier, two controls of vmcs12, and its offset.
 *
 * verify=1 (vmcs02.c): the read shadows must have their values when prepare_vmcs02() is
 * done, and CR3 when the root is loaded, unless something gave L2 another CR3 meanwhile.
 * Stock works out offset and multiplier.
 */
#ifndef KVM_INTEL_FAST_VMCS02_H
#define KVM_INTEL_FAST_VMCS02_H

#include <linux/kvm_host.h>

#include "kvm/vmx/vmx.h"
#include "kvm/vmx/nested.h"
#include "vmx/params.h"

void vmcs02_verify(struct kvm_vcpu *vcpu);
void vmcs02_verify_cr3(struct kvm_vcpu *vcpu, unsigned long cr3);
void vmcs02_verify_tsc(struct kvm_vcpu *vcpu);

/**
 * vmcs02_read_shadows_follow - note that prepare_vmcs02() sets CR0 and CR4 next, or has set them
 * @vcpu: the vCPU, vmcs02 current
 * @follow: prepare_vmcs02() sets them next, and then writes their read shadows itself
 *
 * Context: the vCPU's thread.
 */
static __always_inline void vmcs02_read_shadows_follow(struct kvm_vcpu *vcpu, bool follow)
{
	struct fast_vcpu *fast = &to_vmx(vcpu)->fast;

	fast->vmcs02.read_shadow_follows = follow && enable_unrestricted_guest &&
					   fast_switch_does(FAST_SWITCH_VMCS02);
	if (!follow)
		return;
	if (likely(fast->vmcs02.read_shadow_follows))
		fast->counters.vmcs02_shadows_skipped++;
	else
		fast->counters.vmcs02_shadows_done++;
}

/**
 * vmcs02_read_shadow_follows - decide whether the write of a read shadow may be left out
 * @vcpu: the vCPU
 *
 * Context: the vCPU's thread.
 * Return: true if prepare_vmcs02() writes it next.
 */
static __always_inline bool vmcs02_read_shadow_follows(struct kvm_vcpu *vcpu)
{
	return to_vmx(vcpu)->fast.vmcs02.read_shadow_follows;
}

/**
 * vmcs02_cr3_written - take off the mark by which stock writes L2's CR3 again
 * @vcpu: the vCPU, with EPT; vmcs02 has L2's CR3 and read shadows
 *
 * verify=1: the mark stays, and CR3 is compared and written again.
 *
 * Context: the vCPU's thread.
 */
static __always_inline void vmcs02_cr3_written(struct kvm_vcpu *vcpu)
{
	struct fast_vcpu *fast = &to_vmx(vcpu)->fast;

	if (!fast_switch_does(FAST_SWITCH_VMCS02) ||
	    !(enable_unrestricted_guest || is_paging(vcpu))) {
		fast->counters.vmcs02_cr3_done++;
	} else if (unlikely(fast_verify())) {
		vmcs02_verify(vcpu);
	} else {
		__clear_bit(FAST_REG(CR3), (unsigned long *)&vcpu->arch.regs_dirty);
		fast->counters.vmcs02_cr3_skipped++;
	}
}

/**
 * vmcs02_cr3_again - verify=1: compare CR3 before stock writes it, because it is marked
 * @vcpu: the vCPU
 * @cr3: the value that stock writes
 *
 * Context: the vCPU's thread, which loads the root of the page tables.
 */
static __always_inline void vmcs02_cr3_again(struct kvm_vcpu *vcpu, unsigned long cr3)
{
	if (unlikely(fast_verify()))
		vmcs02_verify_cr3(vcpu, cr3);
}

/**
 * vmcs02_tsc_is_scaled - decide whether L1 scales L2's TSC
 * @vmcs12: the vCPU's current vmcs12
 *
 * Return: true if it does; by a factor of one, as Linux as L1 asks for, is no scaling.
 */
static __always_inline bool vmcs02_tsc_is_scaled(struct vmcs12 *vmcs12)
{
	return nested_cpu_has2(vmcs12, SECONDARY_EXEC_TSC_SCALING) && !fast_l2_tsc_is_one(vmcs12);
}

/**
 * vmcs02_tsc_offset - add up the TSC offset of an L2 whose TSC L1 does not scale
 * @vcpu: the vCPU
 * @vmcs12: its current vmcs12
 *
 * Return: the offset.
 */
static __always_inline u64 vmcs02_tsc_offset(struct kvm_vcpu *vcpu, struct vmcs12 *vmcs12)
{
	u64 offset = vcpu->arch.l1_tsc_offset;

	if (nested_cpu_has(vmcs12, CPU_BASED_USE_TSC_OFFSETTING))
		offset += vmcs12->tsc_offset;
	return offset;
}

/**
 * vmcs02_tsc - set TSC offset and multiplier of L2, if L1 does not scale L2's TSC
 * @vcpu: the vCPU, in guest mode
 * @vmcs12: its current vmcs12
 *
 * Context: the vCPU's thread.
 * Return: true if they are set; false if stock must set them, which with verify=1 it does.
 */
static __always_inline bool vmcs02_tsc(struct kvm_vcpu *vcpu, struct vmcs12 *vmcs12)
{
	if (!fast_switch_does(FAST_SWITCH_VMCS02) || unlikely(vmcs02_tsc_is_scaled(vmcs12)))
		return false;
	if (unlikely(fast_verify())) {
		vmcs02_verify_tsc(vcpu);
		return false;
	}
	vcpu->arch.tsc_offset = vmcs02_tsc_offset(vcpu, vmcs12);
	vcpu->arch.tsc_scaling_ratio = fast_l1_tsc_ratio(vcpu);
	return true;
}

#endif /* KVM_INTEL_FAST_VMCS02_H */
