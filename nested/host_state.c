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
 *  - vmx_set_efer() and what follows, if EFER is that of L2, for which the user-return MSRs are
 *    set up, and vmcs01's controls already switch it as this value demands;
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
#include <linux/jhash.h>

#include <asm/tlbflush.h>

#include "kvm/vmx/vmx.h"
#include "kvm/vmx/nested.h"
#include "kvm/vmx/vmx_ops.h"
#include "vmx/cpuid.h"
#include "vmx/params.h"
#include "nested/host_segments.h"
#include "nested/host_state.h"
#include "nested/shadow_fields.h"

/* What vmx_set_cr0() and vmx_set_cr4() change for hardware, with unrestricted guest. */
#define CR0_ALWAYS_OFF	(X86_CR0_NW | X86_CR0_CD)
#define CR0_ALWAYS_ON	X86_CR0_NE
#define CR4_ALWAYS_ON	X86_CR4_VMXE
/* SDM, "Loading Host Control Registers, Debug Registers, MSRs" */
#define HOST_DR7	0x400ul

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

static bool emulates_umip(void)
{
	return !boot_cpu_has(X86_FEATURE_UMIP) && vmx_umip_emulated();
}

/* True if EFER does not change, and vmcs01 switches it as update_transition_efer() demands. */
static bool efer_is_set(struct kvm_vcpu *vcpu, u64 efer)
{
	u32 entry = vm_entry_controls_get(to_vmx(vcpu)), exit = vm_exit_controls_get(to_vmx(vcpu));
	bool switched = efer != fast_host_efer;

	return cpu_has_load_ia32_efer() && efer == vcpu->arch.efer && (efer & EFER_LMA) &&
	       (entry & VM_ENTRY_IA32E_MODE) &&
	       !!(entry & VM_ENTRY_LOAD_IA32_EFER) == switched &&
	       !!(exit & VM_EXIT_LOAD_IA32_EFER) == switched;
}

/* True if load() may load the state.  Stores nothing. */
static bool is_plain(struct kvm_vcpu *vcpu, struct vmcs12 *vmcs12)
{
	const u32 controls = vmcs12->vm_exit_controls;

	return !fast_uses_evmcs() && enable_ept && enable_unrestricted_guest &&
	       !to_vmx(vcpu)->rmode.vm86_active && !vcpu->guest_debug && !fast_has_cet(vcpu) &&
	       (controls & VM_EXIT_HOST_ADDR_SPACE_SIZE) &&
	       !(controls & VM_EXIT_LOAD_IA32_PERF_GLOBAL_CTRL) &&
	       !vmcs12->vm_exit_msr_load_count;
}

static __always_inline void load_registers(struct kvm_vcpu *vcpu, struct vmcs12 *vmcs12)
{
	u32 blocking;

	kvm_rsp_write(vcpu, vmcs12->host_rsp);
	kvm_rip_write(vcpu, vmcs12->host_rip);
	kvm_register_mark_available(vcpu, FAST_REG(RFLAGS));
	to_vmx(vcpu)->rflags = X86_EFLAGS_FIXED;
	put(GUEST_RFLAGS, X86_EFLAGS_FIXED);

	blocking = vmcs_read32(GUEST_INTERRUPTIBILITY_INFO);
	if (unlikely(blocking & (GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS)))
		put(GUEST_INTERRUPTIBILITY_INFO,
		    blocking & ~(GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS));

	vcpu->arch.dr7 = HOST_DR7;
	put(GUEST_DR7, HOST_DR7);
	vcpu->arch.switch_db_regs &= ~KVM_DEBUGREG_BP_ENABLED;
	vmx_guest_debugctl_write(vcpu, 0);
}

static __always_inline void load_control_registers(struct kvm_vcpu *vcpu, struct vmcs12 *vmcs12)
{
	const unsigned long cr0 = vmcs12->host_cr0, cr4 = vmcs12->host_cr4;
	unsigned long changed = cr4 ^ vcpu->arch.cr4, hw_cr4;
	struct vcpu_vmx *vmx = to_vmx(vcpu);

	vcpu->arch.cr0_guest_owned_bits = vmx_l1_guest_owned_cr0_bits();
	vcpu->arch.cr0 = cr0;
	kvm_register_mark_available(vcpu, FAST_REG(CR0));
	put(CR0_READ_SHADOW, cr0);
	put(GUEST_CR0, (cr0 & ~CR0_ALWAYS_OFF) | CR0_ALWAYS_ON);

	hw_cr4 = (cr4_read_shadow() & X86_CR4_MCE) | (cr4 & ~X86_CR4_MCE) | CR4_ALWAYS_ON;
	if (emulates_umip()) {
		if (cr4 & X86_CR4_UMIP)
			secondary_exec_controls_setbit(vmx, SECONDARY_EXEC_DESC);
		else
			secondary_exec_controls_clearbit(vmx, SECONDARY_EXEC_DESC);
		hw_cr4 &= ~X86_CR4_UMIP;
	}
	vcpu->arch.cr4_guest_owned_bits = ~vmcs_readl(CR4_GUEST_HOST_MASK);
	vcpu->arch.cr4 = cr4;
	kvm_register_mark_available(vcpu, FAST_REG(CR4));
	put(CR4_READ_SHADOW, cr4);
	put(GUEST_CR4, hw_cr4);
	if (changed & (X86_CR4_OSXSAVE | X86_CR4_PKE))
		fast_cpuid_bits_changed(vcpu);
}

static __always_inline void load(struct kvm_vcpu *vcpu, struct vmcs12 *vmcs12)
{
	const u32 controls = vmcs12->vm_exit_controls;
	const u64 efer = host_efer_of(vcpu, vmcs12);
	struct vcpu_vmx *vmx = to_vmx(vcpu);

	if (!efer_is_set(vcpu, efer))
		vmx_set_efer(vcpu, efer);
	else if (efer != fast_host_efer)
		put(GUEST_IA32_EFER, efer);
	load_control_registers(vcpu, vmcs12);
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

#define READ_SEGMENT(NAME)						\
	vmcs_read16(GUEST_##NAME##_SELECTOR), vmcs_readl(GUEST_##NAME##_BASE), \
	vmcs_read32(GUEST_##NAME##_LIMIT), vmcs_read32(GUEST_##NAME##_AR_BYTES)

#define DIGEST(...) ({							\
	const u64 values[] = { __VA_ARGS__ };				\
									\
	jhash(values, sizeof(values), 0);				\
})

/* Of all that stock loads, but for CR3 and the MMU.  Inlined, it costs the caller a frame. */
static noinline void digest(struct kvm_vcpu *vcpu, struct host_state_digest *to)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);
	struct kvm_vcpu_arch *arch = &vcpu->arch;

	*to = (struct host_state_digest){
		.valid = true,
		.segments = DIGEST(READ_SEGMENT(CS), READ_SEGMENT(DS), READ_SEGMENT(ES),
				   READ_SEGMENT(SS), READ_SEGMENT(FS), READ_SEGMENT(GS),
				   READ_SEGMENT(TR), READ_SEGMENT(LDTR)),
		.control_registers = DIGEST(__vmcs_readl(GUEST_CR0), __vmcs_readl(CR0_READ_SHADOW),
					    __vmcs_readl(GUEST_CR4), __vmcs_readl(CR4_READ_SHADOW),
					    secondary_exec_controls_get(vmx),
					    vm_entry_controls_get(vmx), vm_exit_controls_get(vmx)),
		.others = DIGEST(vmcs_readl(GUEST_IDTR_BASE), vmcs_read32(GUEST_IDTR_LIMIT),
				 vmcs_readl(GUEST_GDTR_BASE), vmcs_read32(GUEST_GDTR_LIMIT),
				 vmcs_readl(GUEST_SYSENTER_ESP), vmcs_readl(GUEST_SYSENTER_EIP),
				 vmcs_read32(GUEST_SYSENTER_CS), vmcs_readl(GUEST_DR7),
				 vmcs_readl(GUEST_RFLAGS), vmcs_read32(GUEST_INTERRUPTIBILITY_INFO),
				 vmcs_read64(GUEST_IA32_DEBUGCTL),
				 kvm_mpx_supported() ? vmcs_read64(GUEST_BNDCFGS) : 0,
				 cpu_has_load_ia32_efer() ? __vmcs_readl(GUEST_IA32_EFER) : 0,
				 vmcs_config.vmentry_ctrl & VM_ENTRY_LOAD_IA32_PAT ?
				 __vmcs_readl(GUEST_IA32_PAT) : 0),
		.vcpu = DIGEST(arch->efer, arch->cr0, arch->cr0_guest_owned_bits, arch->cr4,
			       arch->cr4_guest_owned_bits, arch->pat, arch->dr7,
			       arch->switch_db_regs, kvm_rsp_read(vcpu), kvm_rip_read(vcpu),
			       vmx->rflags, fast_emulation_required(vmx)),
	};
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
		fast->host_state_digest.valid = false;
		return false;
	}
	load(vcpu, vmcs12);
	fast->counters.host_state_loaded++;
	if (likely(!fast_verify()))
		return true;
	digest(vcpu, &fast->host_state_digest);
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
	const struct host_state_digest *was = &fast->host_state_digest;
	struct host_state_digest is;

	if (!was->valid)
		return;
	fast->counters.host_state_verify_checks++;
	digest(vcpu, &is);
	if (memcmp(was, &is, sizeof(is)))
		FAST_MISMATCH(&fast->counters, host_state,
			      "L1's state is not what stock loads: segments %d, control registers %d, others %d, vCPU %d",
			      was->segments != is.segments,
			      was->control_registers != is.control_registers,
			      was->others != is.others, was->vcpu != is.vcpu);
}
