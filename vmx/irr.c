// SPDX-License-Identifier: GPL-2.0
/* The search for an interrupt at a nested VM entry: what verify=1 compares.  See irr.h. */
#include "vmx/irr.h"

/**
 * irr_verify - verify=1: let stock search, and compare with what would have been left out
 * @vcpu: the vCPU, on its way into L2
 *
 * Stock moves what is posted meanwhile to the IRR, so that the IRR is read again after stock.
 * Only the vCPU's thread writes the PPR.
 *
 * Context: the vCPU's thread.
 * Return: what kvm_apic_has_interrupt() returns: a vector, or -1.
 */
noinline int irr_verify(struct kvm_vcpu *vcpu)
{
	struct fast_counters *counters = &to_vmx(vcpu)->fast.counters;
	struct kvm_lapic *apic = vcpu->arch.apic;
	bool nothing = irr_has_nothing(vcpu);
	u32 ppr = nothing ? kvm_lapic_get_reg(apic, APIC_PROCPRI) : 0;
	int vector = kvm_apic_has_interrupt(vcpu);

	if (!nothing)
		return vector;
	counters->irr_verify_checks++;
	if (vector >= 0 && irr_is_empty(apic))
		FAST_MISMATCH(counters, irr, "interrupt %#x is pending, and would be overlooked",
			      vector);
	if (kvm_lapic_get_reg(apic, APIC_PROCPRI) != ppr)
		FAST_MISMATCH(counters, irr, "PPR is %#x, under stock %#x", ppr,
			      kvm_lapic_get_reg(apic, APIC_PROCPRI));
	return vector;
}
