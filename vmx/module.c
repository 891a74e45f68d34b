// SPDX-License-Identifier: GPL-2.0
/*
 * The module's identity, what stock's parameters mean, and what happens once per
 * module, VM and vCPU.
 */
#include <linux/module.h>
#include <asm/msr.h>
#include <asm/vmx.h>

#include "vmx/hooks.h"
#include "nested/pages_notifier.h"

#define FAST_VERSION	"fast-0.1"

MODULE_VERSION(FAST_VERSION);
MODULE_DESCRIPTION("KVM for Intel VMX with cheap nested virtualisation (kvm-intel-fast)");

/* The stock parameters carry no description of their own. */
MODULE_PARM_DESC(vpid, "Use VPID to keep TLB entries across VM entries and exits");
MODULE_PARM_DESC(vnmi, "Use virtual NMIs");
MODULE_PARM_DESC(flexpriority, "Use virtualize APIC accesses and the TPR shadow");
MODULE_PARM_DESC(ept, "Use EPT (extended page tables)");
MODULE_PARM_DESC(unrestricted_guest, "Let guests run in real mode and without paging");
MODULE_PARM_DESC(eptad, "Use accessed and dirty flags for EPT");
MODULE_PARM_DESC(emulate_invalid_guest_state, "Emulate while guest state does not meet VM-entry checks");
MODULE_PARM_DESC(fasteoi, "Do not decode the instruction of an APIC EOI write");
MODULE_PARM_DESC(enable_apicv, "Use virtual-interrupt delivery and posted interrupts");
MODULE_PARM_DESC(enable_ipiv, "Use IPI virtualization");
MODULE_PARM_DESC(nested, "Offer VMX to guests");
MODULE_PARM_DESC(pml, "Use PML (page-modification logging) for dirty logging");
MODULE_PARM_DESC(error_on_inconsistent_vmcs_config, "Refuse to load when entry and exit controls do not come in pairs");
MODULE_PARM_DESC(dump_invalid_vmcs, "Print the VMCS when a VM entry fails");
MODULE_PARM_DESC(preemption_timer, "Use the VMX-preemption timer for the guest's TSC deadline");
MODULE_PARM_DESC(allow_smaller_maxphyaddr, "Allow a guest MAXPHYADDR below the host's");
MODULE_PARM_DESC(ple_gap, "PAUSE-loop exiting: longest gap within a loop, in TSC cycles (0 turns it off)");
MODULE_PARM_DESC(ple_window, "PAUSE-loop exiting: first window, in TSC cycles");
MODULE_PARM_DESC(ple_window_grow, "PAUSE-loop exiting: how the window grows");
MODULE_PARM_DESC(ple_window_shrink, "PAUSE-loop exiting: how the window shrinks");
MODULE_PARM_DESC(ple_window_max, "PAUSE-loop exiting: largest window, in TSC cycles");
MODULE_PARM_DESC(pt_mode, "Intel Processor Trace: 0 system, 1 host and guest");
MODULE_PARM_DESC(vmentry_l1d_flush, "L1 data cache flush on VM entry: never, cond or always");
MODULE_PARM_DESC(enable_shadow_vmcs, "Use VMCS shadowing for nested guests");
MODULE_PARM_DESC(sgx, "Offer SGX to guests");
MODULE_PARM_DESC(enlightened_vmcs, "Use the enlightened VMCS when running on Hyper-V");
#define DESC(name, text) MODULE_PARM_DESC(name, text);
FAST_PARAMS_OF_LINE(DESC)
#undef DESC

/* What an optimisation, or a cheap L2, needs of the CPU. */
static const struct {
	const char *name;
	u32 controls;
} wanted[] = {
	{ "VMCS shadowing", SECONDARY_EXEC_SHADOW_VMCS },
	{ "APICv", SECONDARY_EXEC_APIC_REGISTER_VIRT | SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY },
	{ "EPT", SECONDARY_EXEC_ENABLE_EPT },
	{ "unrestricted guest", SECONDARY_EXEC_UNRESTRICTED_GUEST },
	{ "VPID", SECONDARY_EXEC_ENABLE_VPID },
};

/* One line: the version, the parameters in force, and what the CPU lacks. */
static void __init say_loaded(void)
{
	u64 controls = 0;
	char lacks[80];
	size_t n = 0;
	int i;

	/* Stock has yet to read it.  The upper half has the controls that may be 1. */
	fast_rdmsr_safe(MSR_IA32_VMX_PROCBASED_CTLS2, &controls);
	for (i = 0; i < ARRAY_SIZE(wanted); i++)
		if (((controls >> 32) & wanted[i].controls) != wanted[i].controls)
			n += scnprintf(lacks + n, sizeof(lacks) - n, "%s%s", n ? ", " : "",
				       wanted[i].name);
	if (!boot_cpu_has(X86_FEATURE_UMIP))
		n += scnprintf(lacks + n, sizeof(lacks) - n, "%sUMIP", n ? ", " : "");

	pr_info("kvm-intel-fast: %s, verify=%d debugctl_passthrough=%d msr_bitmap_cache=%d page_cache=%d shadow_copy=%d adaptive_shadow=%d fast_switch_parts=%#lx; the CPU lacks: %s\n",
		FAST_VERSION, fast_verify(), debugctl_passthrough, msr_bitmap_cache, page_cache,
		shadow_copy, adaptive_shadow, fast_switch_mask(), n ? lacks : "nothing");
}

/**
 * fast_init - set up the module when it is loaded
 *
 * Context: before any VM, after stock has registered the user-return MSRs.
 */
void __init fast_init(void)
{
	if (FAST_UNREVIEWED)
		pr_warn("kvm-intel-fast: nobody reviewed the stock code of this kernel that the module rests on\n");
	fast_params_init();
	say_loaded();
	if (FAST_HAS(user_return))
		user_return_init();
	if (FAST_HAS(mmu_root))
		mmu_root_init();
}

/**
 * fast_vm_created - set up what kvm-intel-fast keeps for a VM
 * @kvm: the VM, zeroed
 *
 * Context: process context, VM not yet visible to anyone.
 */
void fast_vm_created(struct kvm *kvm)
{
	if (FAST_HAS(pages))
		pages_notifier_init(kvm);
}

/**
 * fast_vcpu_created - set up what kvm-intel-fast keeps for a vCPU
 * @vcpu: the vCPU, its vmcs01 allocated and stock's intercepts in place
 *
 * It cannot fail, because everything that it sets up is optional.
 *
 * Context: process context, vCPU not yet visible to anyone.
 */
void fast_vcpu_created(struct kvm_vcpu *vcpu)
{
	if (fast_counters_show_in_debugfs(vcpu->kvm) && FAST_HAS(shadow))
		shadow_show_in_debugfs(vcpu->kvm);
	if (FAST_HAS(debugctl))
		debugctl_vcpu_created(vcpu);
}

/**
 * fast_vmxon - set up what kvm-intel-fast keeps while L1 is in VMX operation
 * @vcpu: the vCPU, vmcs01 current; stock has set up all that it keeps for nested guests
 *
 * Context: the vCPU's thread, may sleep.
 */
void fast_vmxon(struct kvm_vcpu *vcpu)
{
	if (FAST_HAS(preemption_timer))
		preemption_timer_init(vcpu);
	if (FAST_HAS(shadow))
		shadow_vmxon(vcpu);
}

/**
 * fast_vmxoff - end what fast_vmxon() and nested entries began
 * @vcpu: the vCPU, not in L2; stock has yet to free what it keeps for nested guests
 *
 * Called when L1 leaves VMX operation, or stock ends VMX operation for L1.  The pages are
 * put before the contexts are emptied, because the contexts hold the pages.
 *
 * Context: the vCPU's thread, or the thread that destroys the VM; may sleep.
 */
void fast_vmxoff(struct kvm_vcpu *vcpu)
{
	if (FAST_HAS(preemption_timer))
		preemption_timer_free(vcpu);
	if (FAST_HAS(pages))
		pages_put(vcpu, true);
	if (FAST_HAS(context))
		nested_contexts_forget(vcpu);
	if (FAST_HAS(checks))
		checks_forget(vcpu);
	if (FAST_HAS(shadow))
		shadow_vmxoff(vcpu);
}

/**
 * fast_vcpu_freed - free what kvm-intel-fast keeps for a vCPU
 * @vcpu: the vCPU, its nested state freed
 *
 * Context: the thread that destroys the vCPU.
 */
void fast_vcpu_freed(struct kvm_vcpu *vcpu)
{
	if (FAST_HAS(shadow))
		shadow_vcpu_free(vcpu);
	if (FAST_HAS(context))
		nested_contexts_free(vcpu);
}

/**
 * fast_vm_destroyed - end what fast_vm_created() began
 * @kvm: the VM; nobody runs its vCPUs any more, and they still exist
 *
 * Context: process context, may sleep.
 */
void fast_vm_destroyed(struct kvm *kvm)
{
	if (FAST_HAS(pages))
		pages_notifier_stop(kvm);
}
