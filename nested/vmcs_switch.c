// SPDX-License-Identifier: GPL-2.0
/* From vmcs01 to vmcs02 and back: what verify=1 asks the CPU.  See vmcs_switch.h. */
#include "nested/vmcs_switch.h"

/**
 * vmcs_switch_verify - verify=1: ask the CPU whether the vCPU's VMCS is current
 * @vcpu: the vCPU
 *
 * Context: the vCPU's thread, preemption off.
 */
noinline void vmcs_switch_verify(struct kvm_vcpu *vcpu)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);
	u64 expected = __pa(vmx->loaded_vmcs->vmcs), current_one;

	asm volatile("vmptrst %0" : "=m"(current_one) : : "cc");
	vmx->fast.counters.vmcs_switch_verify_checks++;
	if (current_one != expected)
		FAST_MISMATCH(&vmx->fast.counters, vmcs_switch,
			      "current VMCS %#llx, under stock %#llx", current_one, expected);
}
