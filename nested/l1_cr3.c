// SPDX-License-Identifier: GPL-2.0
/* L1's CR3 after an entry to L2 that the CPU refused: see l1_cr3.h. */
#include "kvm/vmx/vmx.h"
#include "kvm/vmx/vmx_ops.h"
#include "nested/l1_cr3.h"

/**
 * l1_cr3_after_vmfail - get the CR3 that L1 had at VMLAUNCH or VMRESUME
 * @vcpu: the vCPU, whose nested entry the CPU refused; vmcs01 is current
 *
 * Context: the vCPU's thread.
 * Return: L1's CR3.
 */
unsigned long l1_cr3_after_vmfail(struct kvm_vcpu *vcpu)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);
	unsigned long kept = vmx->nested.pre_vmenter_cr3, cr3;

	if (!vmx->fast.l1_cr3_is_in_vmcs01)
		return kept;
	cr3 = vmcs_readl(GUEST_CR3);
	if (!fast_verify())
		return cr3;
	vmx->fast.counters.l1_cr3_verify_checks++;
	if (cr3 != kept)
		FAST_MISMATCH(&vmx->fast.counters, l1_cr3, "L1's CR3 is %#lx, under stock %#lx",
			      cr3, kept);
	return kept;
}
