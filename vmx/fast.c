// SPDX-License-Identifier: GPL-2.0
/*
 * The module's identity, its parameters, and what happens once per module, VM
 * and vCPU.
 *
 * Parameters are read-only after load: no optimisation has to cope with being
 * switched while a guest runs.
 */
#include <linux/module.h>

#include "kvm/vmx/vmx.h"
#include "vmx/debugctl.h"
#include "nested/pages_notifier.h"

MODULE_VERSION("fast-0.1");
MODULE_DESCRIPTION("KVM for Intel VMX with cheap nested virtualisation (kvm-intel-fast)");

DEFINE_STATIC_KEY_FALSE(fast_verify_key);
static bool __ro_after_init verify = FAST_UNREVIEWED;
module_param(verify, bool, 0444);
MODULE_PARM_DESC(verify, "Recompute every skipped step the stock way, compare, count and warn on a mismatch (default N; Y if built with ALLOW_UNREVIEWED=1)");

bool __ro_after_init debugctl_passthrough = true;
module_param(debugctl_passthrough, bool, 0444);
MODULE_PARM_DESC(debugctl_passthrough, "L1 reads IA32_DEBUGCTL without a VM exit while the host's FREEZE_IN_SMM bit is clear (default Y)");

bool __ro_after_init msr_bitmap_cache = true;
module_param(msr_bitmap_cache, bool, 0444);
MODULE_PARM_DESC(msr_bitmap_cache, "Merge the MSR bitmap of vmcs02 only when an input changed (default Y)");

bool __ro_after_init page_cache = true;
module_param(page_cache, bool, 0444);
MODULE_PARM_DESC(page_cache, "Hold the pages that vmcs12 names across nested VM entries (default Y)");

bool __ro_after_init shadow_copy = true;
module_param(shadow_copy, bool, 0444);
MODULE_PARM_DESC(shadow_copy, "Copy to and from the shadow VMCS only what changed, with fewer VMPTRLDs (default Y)");

bool __ro_after_init adaptive_shadow = true;
module_param(adaptive_shadow, bool, 0444);
MODULE_PARM_DESC(adaptive_shadow, "Choose per vCPU the fields of VMCS shadowing by what exits; needs shadow_copy (default Y)");

/* A number, not a flag: 2 is for a switch that stays inside the entry loop. */
static uint __ro_after_init fast_switch = 1;
module_param(fast_switch, uint, 0444);
MODULE_PARM_DESC(fast_switch, "Leave out the parts of a switch between L1 and L2 whose inputs did not change: 0 none, 1 those of fast_switch_parts (default 1)");

DEFINE_STATIC_KEY_ARRAY_TRUE(fast_switch_key, NR_FAST_SWITCH_PARTS);
static ulong __ro_after_init fast_switch_parts = BIT(NR_FAST_SWITCH_PARTS) - 1;
module_param(fast_switch_parts, ulong, 0444);
MODULE_PARM_DESC(fast_switch_parts, "Mask of these parts, see Documentation/switch.md (default all)");

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
MODULE_PARM_DESC(nested_early_check, "Let hardware check vmcs12 by a trial VM entry");

/**
 * fast_init - make the parameters consistent
 *
 * Context: module load, before any VM.
 */
void __init fast_init(void)
{
	unsigned int part;

	if (FAST_UNREVIEWED)
		pr_warn("kvm-intel-fast: nobody reviewed the stock code of this kernel that the module rests on\n");
	if (verify)
		static_branch_enable(&fast_verify_key);
	if (!fast_switch)
		fast_switch_parts = 0;
	for (part = 0; part < NR_FAST_SWITCH_PARTS; part++)
		if (!(fast_switch_parts & BIT(part)))
			static_branch_disable(&fast_switch_key[part]);
}

/**
 * fast_vm_create - set up what kvm-intel-fast keeps for a VM
 * @kvm: the VM, zeroed
 *
 * Context: process context, VM not yet visible to anyone.
 */
void fast_vm_create(struct kvm *kvm)
{
	pages_notifier_init(kvm);
}

/**
 * fast_vcpu_create - set up what kvm-intel-fast keeps for a vCPU
 * @vcpu: the vCPU, its vmcs01 allocated and stock's intercepts in place
 *
 * Cannot fail: everything set up here is optional.
 *
 * Context: process context, vCPU not yet visible to anyone.
 */
void fast_vcpu_create(struct kvm_vcpu *vcpu)
{
	fast_counters_show_in_debugfs(vcpu->kvm);
	debugctl_vcpu_create(vcpu);
}

/**
 * fast_vm_destroy - end what fast_vm_create() began
 * @kvm: the VM; nobody runs its vCPUs any more, and they still exist
 *
 * Context: process context, may sleep.
 */
void fast_vm_destroy(struct kvm *kvm)
{
	pages_notifier_stop(kvm);
}
