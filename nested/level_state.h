/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What host_state.c, which loads L1's state, and guest_state.c, which loads L2's, share: the
 * parts of the VMCS's guest state that both write alike, and what verify=1 compares.
 *
 * Everything here is for a vCPU whose guest has paging and protection on, and whose real mode
 * need not be emulated: the predicates of both files say so before anything is stored.
 */
#ifndef KVM_INTEL_FAST_LEVEL_STATE_H
#define KVM_INTEL_FAST_LEVEL_STATE_H

#include <asm/tlbflush.h>

#include "kvm/vmx/vmx.h"
#include "kvm/vmx/nested.h"
#include "kvm/vmx/vmx_ops.h"
#include "vmx/cpuid.h"
#include "vmx/params.h"
#include "vmx/user_return.h"
#include "nested/shadow_fields.h"

/* What vmx_set_cr0() and vmx_set_cr4() change for hardware, with unrestricted guest. */
#define CR0_ALWAYS_OFF	(X86_CR0_NW | X86_CR0_CD)
#define CR0_ALWAYS_ON	X86_CR0_NE
#define CR4_ALWAYS_ON	X86_CR4_VMXE

void level_state_digest(struct kvm_vcpu *vcpu, struct level_digest *to);
bool level_state_differs(struct kvm_vcpu *vcpu, struct level_digest *differs);

/* As stock's functions, but that those of no known field ask for an enlightened VMCS each time. */
static __always_inline void put(unsigned long field, u64 value)
{
	if (known_field(field) == NR_KNOWN_FIELDS)
		__vmcs_writel(field, value);
	else if (SHADOW_ENC_IS_64BIT(field))
		vmcs_write64(field, value);
	else
		vmcs_writel(field, value);
}

/* True if nothing of this CPU, this VM or user space is in the way.  Stores nothing. */
static __always_inline bool level_state_is_plain(struct kvm_vcpu *vcpu)
{
	return !fast_uses_evmcs() && enable_ept && enable_unrestricted_guest &&
	       cpu_has_load_ia32_efer() && !to_vmx(vcpu)->rmode.vm86_active &&
	       !vcpu->guest_debug && !fast_has_cet(vcpu);
}

static __always_inline void put_rflags(struct kvm_vcpu *vcpu, unsigned long rflags)
{
	kvm_register_mark_available(vcpu, FAST_REG(RFLAGS));
	to_vmx(vcpu)->rflags = rflags;
	put(GUEST_RFLAGS, rflags);
}

/* kvm_set_dr(), of a valid value and without breakpoints of user space */
static __always_inline void put_dr7(struct kvm_vcpu *vcpu, unsigned long dr7)
{
	vcpu->arch.dr7 = dr7;
	put(GUEST_DR7, dr7);
	vcpu->arch.switch_db_regs &= ~KVM_DEBUGREG_BP_ENABLED;
	if (unlikely(dr7 & DR7_BP_EN_MASK))
		vcpu->arch.switch_db_regs |= KVM_DEBUGREG_BP_ENABLED;
}

static __always_inline void put_cr0(struct kvm_vcpu *vcpu, unsigned long cr0,
				    unsigned long read_shadow)
{
	vcpu->arch.cr0 = cr0;
	kvm_register_mark_available(vcpu, FAST_REG(CR0));
	put(CR0_READ_SHADOW, read_shadow);
	put(GUEST_CR0, (cr0 & ~CR0_ALWAYS_OFF) | CR0_ALWAYS_ON);
}

/* @desc: the guest's accesses to descriptor-table registers exit, also where UMIP is clear. */
static __always_inline void put_cr4(struct kvm_vcpu *vcpu, unsigned long cr4,
				    unsigned long read_shadow, bool desc)
{
	unsigned long changed = cr4 ^ vcpu->arch.cr4, hw_cr4;
	struct vcpu_vmx *vmx = to_vmx(vcpu);

	hw_cr4 = (cr4_read_shadow() & X86_CR4_MCE) | (cr4 & ~X86_CR4_MCE) | CR4_ALWAYS_ON;
	if (!boot_cpu_has(X86_FEATURE_UMIP) && vmx_umip_emulated()) {
		if (cr4 & X86_CR4_UMIP)
			secondary_exec_controls_setbit(vmx, SECONDARY_EXEC_DESC);
		else if (!desc)
			secondary_exec_controls_clearbit(vmx, SECONDARY_EXEC_DESC);
		hw_cr4 &= ~X86_CR4_UMIP;
	}
	vcpu->arch.cr4 = cr4;
	kvm_register_mark_available(vcpu, FAST_REG(CR4));
	put(CR4_READ_SHADOW, read_shadow);
	put(GUEST_CR4, hw_cr4);
	if (changed & (X86_CR4_OSXSAVE | X86_CR4_PKE))
		fast_cpuid_bits_changed(vcpu);
}

/* True if the VMCS's controls switch EFER as update_transition_efer() demands. */
static __always_inline bool controls_switch_efer(struct vcpu_vmx *vmx, u64 efer)
{
	const u32 entry = vm_entry_controls_get(vmx), exit = vm_exit_controls_get(vmx);
	const bool switched = efer != fast_host_efer;

	return (entry & VM_ENTRY_IA32E_MODE) &&
	       !!(entry & VM_ENTRY_LOAD_IA32_EFER) == switched &&
	       !!(exit & VM_EXIT_LOAD_IA32_EFER) == switched;
}

/*
 * vmx_set_efer() of an EFER with LMA set.  The user-return MSRs depend on LMA and SCE: they are
 * set up for the EFER that the vCPU has.
 */
static __always_inline void put_efer(struct kvm_vcpu *vcpu, u64 efer)
{
	const u64 changed = efer ^ vcpu->arch.efer;
	struct vcpu_vmx *vmx = to_vmx(vcpu);

	vcpu->arch.efer = efer;
	if (unlikely(!(efer & EFER_LMA) || !controls_switch_efer(vmx, efer)) ||
	    ((changed & (EFER_LMA | EFER_SCE)) &&
	     !(FAST_HAS(user_return) && user_return_setup(vmx, false))))
		vmx_set_efer(vcpu, efer);
	else if (efer != fast_host_efer)
		put(GUEST_IA32_EFER, efer);
}

#endif /* KVM_INTEL_FAST_LEVEL_STATE_H */
