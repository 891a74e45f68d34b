// SPDX-License-Identifier: GPL-2.0
/*
 * L2's registers at a nested VM entry, written to vmcs02 and to the vCPU in one go.
 *
 * The counterpart of host_state.c: stock loads each register by the function that serves every
 * other caller, too.  For a 64-bit L2 that L1 runs with EPT and unrestricted guest none of
 * what else these functions are for applies.  is_plain() says so before anything is stored;
 * otherwise stock loads the state from the beginning.  Rare fields, CR3, the MMU, RSP and RIP
 * are left to stock.
 *
 * Skipped, in the plain case:
 *  - vmx_set_efer() and what follows, if L1's EFER has the same LMA and SCE, for which the
 *    user-return MSRs are set up, and vmcs02's controls already switch it;
 *  - what vmx_set_cr0() does when paging, protection or CR3 intercepts change;
 *  - the first of two writes of the read shadows of CR0 and CR4;
 *  - breakpoints of user space, which take DR7's place;
 *  - the check of guest state for what needs emulation, which with unrestricted guest nothing
 *    does;
 *  - the product of TSC multipliers: the offset is a sum, if L1 does not scale L2's TSC.  Linux
 *    as L1 asks for scaling by a factor of one.
 *
 * Inputs: vmcs12's guest state and controls, vmcs02's controls, and of the vCPU EFER, CR0, CR4,
 * guest_debug, xfd_no_write_intercept, L1's TSC offset, what vmcs01 had of IA32_DEBUGCTL and
 * BNDCFGS, and whether it has CET: all read each time.  Module parameters and the CPU's
 * features do not change.
 *
 * verify=1: stock loads the state as well, which must change nothing.  Stock works out the TSC
 * offset.
 */
#include <asm/trapnr.h>

#include "nested/guest_state.h"
#include "nested/level_state.h"
#include "nested/vmcs02.h"

/* True if load() may load the state.  Stores nothing. */
static bool is_plain(struct kvm_vcpu *vcpu, struct vmcs12 *vmcs12)
{
	const u32 entry = vmcs12->vm_entry_controls;

	return level_state_is_plain(vcpu) && fast_nested_run_pending(vcpu) &&
	       nested_cpu_has_ept(vmcs12) &&
	       nested_cpu_has2(vmcs12, SECONDARY_EXEC_UNRESTRICTED_GUEST) &&
	       !vmcs02_tsc_is_scaled(vmcs12) &&
	       (entry & VM_ENTRY_IA32E_MODE) && (vmcs12->guest_cr0 & X86_CR0_PG) &&
	       kvm_read_cr0_bits(vcpu, X86_CR0_PG) &&
	       !((entry & VM_ENTRY_LOAD_DEBUG_CONTROLS) && upper_32_bits(vmcs12->guest_dr7));
}

/* As vmx_update_exception_bitmap(), of an L2 for which is_plain() is true. */
static __always_inline u32 exception_bitmap(struct kvm_vcpu *vcpu, struct vmcs12 *vmcs12)
{
	u32 bitmap = BIT(UD_VECTOR) | BIT(MC_VECTOR) | BIT(DB_VECTOR) | BIT(AC_VECTOR) |
		     vmcs12->exception_bitmap;

	if (IS_ENABLED(CONFIG_KVM_INTEL_PROVE_VE))
		bitmap |= BIT(X86_TRAP_VE);
	if (unlikely(enable_vmware_backdoor))
		bitmap |= BIT(GP_VECTOR);
	if (vmx_need_pf_intercept(vcpu))
		bitmap |= BIT(PF_VECTOR);
	if (vcpu->arch.xfd_no_write_intercept)
		bitmap |= BIT(NM_VECTOR);
	return bitmap;
}

/* The EFER that L2 gets. */
static __always_inline u64 guest_efer_of(struct kvm_vcpu *vcpu, struct vmcs12 *vmcs12)
{
	if (vmcs12->vm_entry_controls & VM_ENTRY_LOAD_IA32_EFER)
		return vmcs12->guest_ia32_efer;
	return vcpu->arch.efer | EFER_LMA | EFER_LME;
}

static __always_inline void load_debug_state(struct kvm_vcpu *vcpu, struct vmcs12 *vmcs12)
{
	u64 debugctl;

	if (vmcs12->vm_entry_controls & VM_ENTRY_LOAD_DEBUG_CONTROLS) {
		put_dr7(vcpu, (vmcs12->guest_dr7 & DR7_VOLATILE) | DR7_FIXED_1);
		debugctl = vmcs12->guest_ia32_debugctl;
		if (debugctl)
			debugctl &= vmx_get_supported_debugctl(vcpu, false);
	} else {
		put_dr7(vcpu, vcpu->arch.dr7);
		debugctl = to_vmx(vcpu)->nested.pre_vmenter_debugctl;
	}
	vmx_guest_debugctl_write(vcpu, debugctl);
}

static __always_inline void load_tsc(struct kvm_vcpu *vcpu, struct vmcs12 *vmcs12)
{
	if (unlikely(fast_verify()))
		vmcs02_verify_tsc(vcpu);
	vcpu->arch.tsc_offset = vmcs02_tsc_offset(vcpu, vmcs12);
	put(TSC_OFFSET, vcpu->arch.tsc_offset);
	vcpu->arch.tsc_scaling_ratio = fast_l1_tsc_ratio(vcpu);
	if (kvm_caps.has_tsc_control)
		put(TSC_MULTIPLIER, vcpu->arch.tsc_scaling_ratio);
}

static __always_inline void load(struct kvm_vcpu *vcpu, struct vmcs12 *vmcs12)
{
	const u32 entry = vmcs12->vm_entry_controls;

	load_debug_state(vcpu, vmcs12);
	if (kvm_mpx_supported() && !(entry & VM_ENTRY_LOAD_BNDCFGS))
		put(GUEST_BNDCFGS, to_vmx(vcpu)->nested.pre_vmenter_bndcfgs);
	put_rflags(vcpu, vmcs12->guest_rflags);
	vmcs_write32(EXCEPTION_BITMAP, exception_bitmap(vcpu, vmcs12));
	if (entry & VM_ENTRY_LOAD_IA32_PAT)
		vcpu->arch.pat = vmcs12->guest_ia32_pat;
	if (vmcs_config.vmentry_ctrl & VM_ENTRY_LOAD_IA32_PAT)
		put(GUEST_IA32_PAT, vcpu->arch.pat);
	load_tsc(vcpu, vmcs12);

	vcpu->arch.cr0_guest_owned_bits &= ~vmcs12->cr0_guest_host_mask;
	put(CR0_GUEST_HOST_MASK, ~vcpu->arch.cr0_guest_owned_bits);
	put_cr0(vcpu, vmcs12->guest_cr0, nested_read_cr0(vmcs12));
	put_cr4(vcpu, vmcs12->guest_cr4, nested_read_cr4(vmcs12),
		nested_cpu_has2(vmcs12, SECONDARY_EXEC_DESC));
	put_efer(vcpu, guest_efer_of(vcpu, vmcs12));
	fast_emulation_required(to_vmx(vcpu)) = false;
}

/**
 * guest_state_load - load L2's registers, but for CR3, RSP and RIP, from vmcs12's guest state
 * @vcpu: the vCPU, in guest mode; vmcs02 is current
 * @vmcs12: the current vmcs12
 *
 * Context: the vCPU's thread.
 * Return: true if they are loaded; false if stock must load all of L2's state, which with
 * verify=1 it does as well.
 */
bool guest_state_load(struct kvm_vcpu *vcpu, struct vmcs12 *vmcs12)
{
	struct fast_vcpu *fast = &to_vmx(vcpu)->fast;

	if (unlikely(!fast_switch_does(FAST_SWITCH_GUEST_STATE) || !is_plain(vcpu, vmcs12))) {
		fast->counters.guest_state_stock++;
		fast->level_digest.valid = false;
		return false;
	}
	load(vcpu, vmcs12);
	fast->counters.guest_state_loaded++;
	if (likely(!fast_verify()))
		return true;
	level_state_digest(vcpu, &fast->level_digest);
	return false;
}

/**
 * guest_state_verify - verify=1: compare what was loaded with what stock has loaded on top
 * @vcpu: the vCPU, in guest mode; vmcs02 is current
 *
 * Context: the vCPU's thread.
 */
noinline void guest_state_verify(struct kvm_vcpu *vcpu)
{
	struct fast_vcpu *fast = &to_vmx(vcpu)->fast;
	struct level_digest differs;

	if (!fast->level_digest.valid)
		return;
	fast->counters.guest_state_verify_checks++;
	if (level_state_differs(vcpu, &differs))
		FAST_MISMATCH(&fast->counters, guest_state,
			      "L2's state is not what stock loads: segments %d, control registers %d, others %d, vCPU %d",
			      differs.segments, differs.control_registers, differs.others,
			      differs.vcpu);
}
