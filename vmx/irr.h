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
 *
 * Stock also searches at a nested VM entry, for an interrupt that the vCPU would take now, and
 * works out the processor priority (PPR) first: up to 6.12 for the notification vector of L2's
 * posted interrupts, from 7.2 on at every entry.  irr_interrupt() leaves both out when nothing
 * is requested.  Here, too, nothing is remembered.
 *
 * | input | how we know | mutants |
 * |---|---|---|
 * | requested interrupts (IRR) | all eight words are read |
 *   `irr-last-word-ignored`, `irr-pending-ignored` |
 *
 * For posted interrupts PID.ON is read, as by stock, which looks at them only if it is set.  If
 * one were overlooked, vmx_sync_pir_to_irr() would find it before L2 is entered.  If the APIC is
 * off, or protected, stock finds no interrupt, either.
 *
 * The PPR is an output, too, since user space sees it in the APIC page.  With APIC
 * virtualization the CPU keeps it at each VM entry, EOI and write of the TPR; where KVM changes
 * TPR or ISR, KVM keeps it.  L1 has just run, so it is right.  Without APIC virtualization the
 * CPU may change the TPR alone, so stock does everything.
 */
#ifndef KVM_INTEL_FAST_IRR_H
#define KVM_INTEL_FAST_IRR_H

#include "kvm/lapic.h"
#include "kvm/vmx/vmx.h"
#include "vmx/params.h"

int irr_verify(struct kvm_vcpu *vcpu);

/* True if the virtual APIC has requested no interrupt. */
static __always_inline bool irr_is_empty(const struct kvm_lapic *apic)
{
	const u32 *irr = apic->regs + APIC_IRR;
	u32 any = 0;
	int i;

#pragma GCC unroll 8
	for (i = 0; i < 8; i++)
		any |= READ_ONCE(irr[i * 4]);
	return !any;
}

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

	if (fast_switch_does(FAST_SWITCH_IRR) && apic && irr_is_empty(apic))
		return -1;
	return kvm_lapic_find_highest_irr(vcpu);
}

/**
 * irr_has_nothing - decide whether kvm_apic_has_interrupt() may be left out
 * @vcpu: the vCPU
 *
 * Context: the vCPU's thread; L1 has just run.
 * Return: true if kvm_apic_has_interrupt() would find no interrupt, and change nothing.
 */
static __always_inline bool irr_has_nothing(struct kvm_vcpu *vcpu)
{
	struct kvm_lapic *apic = vcpu->arch.apic;

	return apic && fast_apicv_active(vcpu) && irr_is_empty(apic) &&
	       !pi_test_on(fast_pi_desc(vcpu));
}

/**
 * irr_interrupt - find the interrupt that the vCPU would take now
 * @vcpu: the vCPU, on its way into L2
 *
 * Context: the vCPU's thread.
 * Return: what kvm_apic_has_interrupt() would return: a vector, or -1.
 */
static __always_inline int irr_interrupt(struct kvm_vcpu *vcpu)
{
	if (!fast_switch_does(FAST_SWITCH_IRR))
		return kvm_apic_has_interrupt(vcpu);
	if (unlikely(fast_verify()))
		return irr_verify(vcpu);
	return irr_has_nothing(vcpu) ? -1 : kvm_apic_has_interrupt(vcpu);
}

/**
 * irr_pending - tell whether an interrupt is pending that the vCPU would take now
 * @vcpu: the vCPU, on its way into L2
 *
 * Context: the vCPU's thread.
 * Return: true if kvm_apic_has_interrupt() finds one; with this part of the switch off, what
 * its answer means to stock.
 */
static __always_inline bool irr_pending(struct kvm_vcpu *vcpu)
{
	if (!fast_switch_does(FAST_SWITCH_IRR))
		return kvm_apic_has_interrupt(vcpu);
	return irr_interrupt(vcpu) >= 0;
}

#endif /* KVM_INTEL_FAST_IRR_H */
