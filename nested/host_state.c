// SPDX-License-Identifier: GPL-2.0
/*
 * L1's registers after a nested VM exit, written to vmcs01 and to the vCPU in one go.
 *
 * Stock loads each register by the function that serves every other caller, too: real mode,
 * shadow paging, breakpoints of user space.  For a 64-bit L1 none of that applies as a rule.
 * is_plain() says so before anything is stored; otherwise stock loads the state from the
 * beginning.  CR3 and the MMU are left to stock.
 *
 * Skipped, in the plain case:
 *  - vmx_set_efer() and what follows, if L2's EFER has the same LMA and SCE, for which the
 *    user-return MSRs are set up, and vmcs01's controls already switch it;
 *  - what vmx_set_cr0() does when paging, protection or CR3 intercepts change;
 *  - breakpoints of user space, which take DR7's place;
 *  - the description of each segment in a struct kvm_segment, of which the SDM, "Loading Host
 *    Segment and Descriptor-Table Registers", makes all but selectors and three bases constants;
 *  - the empty MSR list.
 *
 * Nothing that L1 can change without a VM exit is left out: each field of that kind costs a
 * VMREAD to compare or a VMWRITE, and is written.
 *
 * Inputs: vmcs12's host state and exit controls, vmcs01's controls, and of the vCPU EFER, CR4,
 * guest_debug and whether it has CET: all read each time.  Module parameters and the CPU's
 * features do not change.
 *
 * verify=1: stock loads the state as well, which must change nothing.
 */
#include "nested/host_segments.h"
#include "nested/host_state.h"
#include "nested/level_state.h"

/* SDM, "Loading Host Control Registers, Debug Registers, MSRs" */
#define HOST_DR7	0x400ul

#define PUT_SEGMENT(NAME, SELECTOR, BASE, LIMIT, RIGHTS) do {		\
	put(GUEST_##NAME##_SELECTOR, SELECTOR);				\
	put(GUEST_##NAME##_BASE, BASE);					\
	put(GUEST_##NAME##_LIMIT, LIMIT);				\
	put(GUEST_##NAME##_AR_BYTES, RIGHTS);				\
} while (0)

/* The EFER that L1 gets. */
static u64 host_efer_of(struct kvm_vcpu *vcpu, struct vmcs12 *vmcs12)
{
	if (vmcs12->vm_exit_controls & VM_EXIT_LOAD_IA32_EFER)
		return vmcs12->host_ia32_efer;
	return vcpu->arch.efer | EFER_LMA | EFER_LME;
}

/* True if load() may load the state.  Stores nothing. */
static bool is_plain(struct kvm_vcpu *vcpu, struct vmcs12 *vmcs12)
{
	const u32 controls = vmcs12->vm_exit_controls;

	return level_state_is_plain(vcpu) && (controls & VM_EXIT_HOST_ADDR_SPACE_SIZE) &&
	       !(controls & VM_EXIT_LOAD_IA32_PERF_GLOBAL_CTRL) &&
	       !vmcs12->vm_exit_msr_load_count;
}

static __always_inline void load_registers(struct kvm_vcpu *vcpu, struct vmcs12 *vmcs12)
{
	u32 blocking;

	kvm_rsp_write(vcpu, vmcs12->host_rsp);
	kvm_rip_write(vcpu, vmcs12->host_rip);
	put_rflags(vcpu, X86_EFLAGS_FIXED);

	blocking = vmcs_read32(GUEST_INTERRUPTIBILITY_INFO);
	if (unlikely(blocking & (GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS)))
		put(GUEST_INTERRUPTIBILITY_INFO,
		    blocking & ~(GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS));

	put_dr7(vcpu, HOST_DR7);
	vmx_guest_debugctl_write(vcpu, 0);
}

static __always_inline void load(struct kvm_vcpu *vcpu, struct vmcs12 *vmcs12)
{
	const u32 controls = vmcs12->vm_exit_controls;
	struct vcpu_vmx *vmx = to_vmx(vcpu);

	put_efer(vcpu, host_efer_of(vcpu, vmcs12));
	vcpu->arch.cr0_guest_owned_bits = vmx_l1_guest_owned_cr0_bits();
	put_cr0(vcpu, vmcs12->host_cr0, vmcs12->host_cr0);
	vcpu->arch.cr4_guest_owned_bits = ~vmcs_readl(CR4_GUEST_HOST_MASK);
	put_cr4(vcpu, vmcs12->host_cr4, vmcs12->host_cr4, false);
	load_registers(vcpu, vmcs12);

	put(GUEST_SYSENTER_CS, vmcs12->host_ia32_sysenter_cs);
	put(GUEST_SYSENTER_ESP, vmcs12->host_ia32_sysenter_esp);
	put(GUEST_SYSENTER_EIP, vmcs12->host_ia32_sysenter_eip);
	put(GUEST_IDTR_BASE, vmcs12->host_idtr_base);
	put(GUEST_GDTR_BASE, vmcs12->host_gdtr_base);
	put(GUEST_IDTR_LIMIT, 0xffff);
	put(GUEST_GDTR_LIMIT, 0xffff);
	if (controls & VM_EXIT_CLEAR_BNDCFGS)
		put(GUEST_BNDCFGS, 0);
	if (controls & VM_EXIT_LOAD_IA32_PAT) {
		put(GUEST_IA32_PAT, vmcs12->host_ia32_pat);
		vcpu->arch.pat = vmcs12->host_ia32_pat;
	}

	PUT_SEGMENT(CS, vmcs12->host_cs_selector, 0, HOST_FLAT_LIMIT, HOST_CODE_64);
	PUT_SEGMENT(DS, vmcs12->host_ds_selector, 0, HOST_FLAT_LIMIT, HOST_DATA);
	PUT_SEGMENT(ES, vmcs12->host_es_selector, 0, HOST_FLAT_LIMIT, HOST_DATA);
	PUT_SEGMENT(SS, vmcs12->host_ss_selector, 0, HOST_FLAT_LIMIT, HOST_DATA);
	PUT_SEGMENT(FS, vmcs12->host_fs_selector, vmcs12->host_fs_base, HOST_FLAT_LIMIT, HOST_DATA);
	PUT_SEGMENT(GS, vmcs12->host_gs_selector, vmcs12->host_gs_base, HOST_FLAT_LIMIT, HOST_DATA);
	PUT_SEGMENT(TR, vmcs12->host_tr_selector, vmcs12->host_tr_base, HOST_TSS_LIMIT, HOST_TSS);
	PUT_SEGMENT(LDTR, 0, 0, 0, HOST_UNUSABLE);
	/*
	 * The cache is emptied after the writes, because a thread that is preempted
	 * between them reads the CPL, and so caches the old access rights of SS.
	 */
	vmx->segment_cache.bitmask = 0;
	fast_emulation_required(vmx) = false;
}

/**
 * host_state_load - load L1's registers, but for CR3, from vmcs12's host state
 * @vcpu: the vCPU; vmcs01 is current
 * @vmcs12: the current vmcs12
 *
 * Context: the vCPU's thread.
 * Return: true if they are loaded; false if stock must load all of L1's state, which with
 * verify=1 it does as well.
 */
bool host_state_load(struct kvm_vcpu *vcpu, struct vmcs12 *vmcs12)
{
	struct fast_vcpu *fast = &to_vmx(vcpu)->fast;

	if (unlikely(!fast_switch_does(FAST_SWITCH_HOST_STATE) || !is_plain(vcpu, vmcs12))) {
		fast->counters.host_state_stock++;
		fast->level_digest.valid = false;
		return false;
	}
	load(vcpu, vmcs12);
	fast->counters.host_state_loaded++;
	if (likely(!fast_verify()))
		return true;
	level_state_digest(vcpu, &fast->level_digest);
	return false;
}

/**
 * host_state_verify - verify=1: compare what was loaded with what stock has loaded on top
 * @vcpu: the vCPU; vmcs01 is current
 *
 * Context: the vCPU's thread.
 */
noinline void host_state_verify(struct kvm_vcpu *vcpu)
{
	struct fast_vcpu *fast = &to_vmx(vcpu)->fast;
	struct level_digest differs;

	if (!fast->level_digest.valid)
		return;
	fast->counters.host_state_verify_checks++;
	if (level_state_differs(vcpu, &differs))
		FAST_MISMATCH(&fast->counters, host_state,
			      "L1's state is not what stock loads: segments %d, control registers %d, others %d, vCPU %d",
			      differs.segments, differs.control_registers, differs.others,
			      differs.vcpu);
}
