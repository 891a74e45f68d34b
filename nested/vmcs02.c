// SPDX-License-Identifier: GPL-2.0
/* Fields of vmcs02 that are written once: what verify=1 compares.  See vmcs02.h. */
#include "kvm/vmx/vmx.h"
#include "kvm/vmx/nested.h"
#include "kvm/vmx/vmx_ops.h"
#include "nested/vmcs02.h"

static void compare(struct kvm_vcpu *vcpu, const char *field, unsigned long is,
		    unsigned long should_be)
{
	struct fast_counters *counters = &to_vmx(vcpu)->fast.counters;

	counters->vmcs02_verify_checks++;
	if (is == should_be)
		return;
	FAST_MISMATCH(counters, vmcs02, "vmcs02: %s is %#lx, under stock %#lx",
		      field, is, should_be);
}

/**
 * vmcs02_verify - verify=1: compare the read shadows when CR0, CR3 and CR4 are set
 * @vcpu: the vCPU, vmcs02 current, in guest mode
 *
 * prepare_vmcs02() has set CR0, CR3 and CR4.  CR3 is remembered for vmcs02_verify_cr3().
 *
 * Context: the vCPU's thread.
 */
noinline void vmcs02_verify(struct kvm_vcpu *vcpu)
{
	struct vmcs02_memo *memo = &to_vmx(vcpu)->fast.vmcs02;
	struct vmcs12 *vmcs12 = get_vmcs12(vcpu);

	if (enable_unrestricted_guest) {
		compare(vcpu, "CR0's read shadow", vmcs_readl(CR0_READ_SHADOW),
			nested_read_cr0(vmcs12));
		compare(vcpu, "CR4's read shadow", vmcs_readl(CR4_READ_SHADOW),
			nested_read_cr4(vmcs12));
	}
	memo->cr3 = vmcs12->guest_cr3;
	memo->compare_cr3 = true;
}

/**
 * vmcs02_verify_cr3 - verify=1: compare CR3 when stock writes it
 * @vcpu: the vCPU
 * @cr3: the value that stock writes
 *
 * If it is the value that prepare_vmcs02() wrote, vmcs02 must hold it.
 *
 * Context: the vCPU's thread, which loads the root of the page tables.
 */
noinline void vmcs02_verify_cr3(struct kvm_vcpu *vcpu, unsigned long cr3)
{
	struct vmcs02_memo *memo = &to_vmx(vcpu)->fast.vmcs02;

	if (memo->compare_cr3 && is_guest_mode(vcpu) && cr3 == memo->cr3)
		compare(vcpu, "CR3", vmcs_readl(GUEST_CR3), cr3);
	memo->compare_cr3 = false;
}

/**
 * vmcs02_verify_tsc - verify=1: compare L2's TSC offset and multiplier with stock's
 * @vcpu: the vCPU, in guest mode; L1 does not scale L2's TSC
 *
 * In one step, because a thread that is scheduled in again writes the offset.
 *
 * Context: the vCPU's thread.
 */
noinline void vmcs02_verify_tsc(struct kvm_vcpu *vcpu)
{
	u64 by_l1 = vmx_get_l2_tsc_multiplier(vcpu);

	preempt_disable();
	compare(vcpu, "L2's TSC offset", vmcs02_tsc_offset(vcpu, get_vmcs12(vcpu)),
		kvm_calc_nested_tsc_offset(vcpu->arch.l1_tsc_offset, vmx_get_l2_tsc_offset(vcpu),
					   by_l1));
	compare(vcpu, "L2's TSC multiplier", fast_l1_tsc_ratio(vcpu),
		kvm_calc_nested_tsc_multiplier(vcpu->arch.l1_tsc_scaling_ratio, by_l1));
	preempt_enable();
}
