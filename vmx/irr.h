/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The search for the highest interrupt that the virtual APIC has requested, when
 * there is none.
 *
 * With APIC virtualization stock searches at every VM entry, byte by byte from the
 * top, and nearly never finds an interrupt.  irr_highest() first reads the eight
 * words at once.
 *
 * Skipped: the search, when all eight words are zero.  Nothing is remembered.
 */
#ifndef KVM_INTEL_FAST_IRR_H
#define KVM_INTEL_FAST_IRR_H

#include "kvm/lapic.h"
#include "kvm/vmx/vmx.h"
#include "vmx/params.h"

/**
 * irr_highest - find the highest requested interrupt
 * @vcpu: the vCPU
 *
 * Context: any.
 * Return: what kvm_lapic_find_highest_irr() would return: a vector, or -1.
 */
static __always_inline int irr_highest(struct kvm_vcpu *vcpu)
{
	struct kvm_lapic *apic = vcpu->arch.apic;
	const u32 *irr;
	u32 any = 0;
	int i;

	if (fast_switch_does(FAST_SWITCH_IRR) && apic) {
		irr = apic->regs + APIC_IRR;
#pragma GCC unroll 8
		for (i = 0; i < 8; i++)
			any |= READ_ONCE(irr[i * 4]);
		if (!any)
			return -1;
	}
	return kvm_lapic_find_highest_irr(vcpu);
}

/**
 * irr_pending - tell whether an interrupt is pending that the vCPU would take now
 * @vcpu: the vCPU
 *
 * Context: the vCPU's thread.
 * Return: true if kvm_apic_has_interrupt() finds one; with this part of the switch off, what
 * its answer means to stock.
 */
static __always_inline bool irr_pending(struct kvm_vcpu *vcpu)
{
	int vector = kvm_apic_has_interrupt(vcpu);

	return fast_switch_does(FAST_SWITCH_IRR) ? vector >= 0 : vector;
}

#endif /* KVM_INTEL_FAST_IRR_H */
