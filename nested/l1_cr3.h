/* SPDX-License-Identifier: GPL-2.0 */
/*
 * L1's CR3, read only when the CPU refuses to enter L2.
 *
 * From 7.2 on stock reads it at each nested entry, for the rare case that the CPU finds
 * fault with vmcs02 (VMfail), after which L1 goes on.  With EPT and unrestricted guest vmcs01
 * still has it then, and it is read there.  Without them stock reads it at each entry.
 *
 * Inputs, and how a change of each is known:
 *  - vmcs01's CR3: KVM writes it before it enters L1, and not while L2 is active.
 *  - a CR3 that vmcs01 has not yet: KVM has marked CR3 as available; stock's copy is kept.
 *
 * No test sees a wrong CR3, since L1 is entered at once, with that of vmcs01.
 * verify=1 (l1_cr3.c): stock reads it at each entry, and vmcs01 must have it after a refusal.
 */
#ifndef KVM_INTEL_FAST_L1_CR3_H
#define KVM_INTEL_FAST_L1_CR3_H

#include "kvm/vmx/vmx.h"
#include "vmx/params.h"
#include "nested/shadow.h"

unsigned long l1_cr3_after_vmfail(struct kvm_vcpu *vcpu);

/**
 * l1_cr3_is_in_vmcs01 - decide whether L1's CR3 may stay in vmcs01
 * @vcpu: the vCPU, on its way into L2; vmcs01 is its loaded_vmcs, but need not be current
 *
 * Context: the vCPU's thread.
 * Return: true if vmcs01 has it, and KVM has not.
 */
static __always_inline bool l1_cr3_is_in_vmcs01(struct kvm_vcpu *vcpu)
{
	return enable_ept && enable_unrestricted_guest && fast_switch_does(FAST_SWITCH_VMCS02) &&
	       !fast_regs_available(vcpu, BIT(FAST_REG(CR3)));
}

/**
 * l1_cr3_waits - decide whether a nested VM entry need not read L1's CR3
 * @vcpu: the vCPU, of which this entry noted whether vmcs01 has L1's CR3
 *
 * Context: the vCPU's thread.
 * Return: true if l1_cr3_after_vmfail() will read it; false where stock reads it.
 */
static __always_inline bool l1_cr3_waits(struct kvm_vcpu *vcpu)
{
	return FAST_HAS(l1_cr3) && likely(!fast_verify()) && to_vmx(vcpu)->fast.l1_cr3_is_in_vmcs01;
}

/**
 * l1_cr3_before_window - read what a nested entry must not read in the window of shadow.c
 * @vcpu: the vCPU, on its way into L2; vmcs01 is current
 *
 * Context: the vCPU's thread.
 */
static __always_inline void l1_cr3_before_window(struct kvm_vcpu *vcpu)
{
	to_vmx(vcpu)->fast.l1_cr3_is_in_vmcs01 = l1_cr3_is_in_vmcs01(vcpu);
	if (!l1_cr3_waits(vcpu))
		kvm_read_cr3(vcpu);
}

/**
 * l1_cr3_at_entry - get L1's CR3 for the case that the CPU refuses to enter L2
 * @vcpu: as for l1_cr3_is_in_vmcs01()
 *
 * Context: the vCPU's thread.
 * Return: L1's CR3, or 0 if it waits.
 */
static __always_inline unsigned long l1_cr3_at_entry(struct kvm_vcpu *vcpu)
{
	/* What was noted before the window holds: KVM may have read CR3 since. */
	if (!shadow_has_window(vcpu))
		to_vmx(vcpu)->fast.l1_cr3_is_in_vmcs01 = l1_cr3_is_in_vmcs01(vcpu);
	return l1_cr3_waits(vcpu) ? 0 : kvm_read_cr3(vcpu);
}

#endif /* KVM_INTEL_FAST_L1_CR3_H */
