// SPDX-License-Identifier: GPL-2.0
/*
 * L1's reads of IA32_DEBUGCTL without a VM exit.
 *
 * Skipped: the RDMSR exit of L1, and KVM's answer to it.
 *
 * Inputs of the skipped answer, and who changes them:
 *  - GUEST_IA32_DEBUGCTL of vmcs01.  The register holds it while L1 runs, and
 *    L1's writes still exit, so that hardware answers with the field itself.
 *  - The host's FREEZE_IN_SMM, which KVM puts into the field and hides from the
 *    guest.  It is the only bit by which the two answers differ.  Another CPU may
 *    flip it at any time by IPI.  kvm.ko reads the register with interrupts off
 *    before each entry and announces a change by KVM_RUN_LOAD_DEBUGCTL, after
 *    which interrupts stay off until the guest runs.
 *  - User space's MSR filter.  vmx_disable_intercept_for_msr() honours the filter.  When
 *    the filter changes, stock decides anew: is_valid_passthrough_msr() knows this MSR, or
 *    from 7.2 on vmx_recalc_msr_intercepts() calls debugctl_set_intercept().
 *
 * Invariant: vmcs01 lets the read pass only while its field is known to lack
 * FREEZE_IN_SMM.  vmcs02 always intercepts the read, because its field does not
 * hold vmcs12's value.
 *
 * kvm.ko announces each change by KVM_RUN_LOAD_DEBUGCTL once.  When KVM emulates
 * instead of entering, stock does not reload the field; the read is then
 * intercepted until the next change.
 */
#include "kvm/vmx/vmx.h"
#include "vmx/debugctl.h"
#include "vmx/debugctl_state.h"
#include "kvm/x86.h"

/* The filter of user space has the last word. */
static void pass_through(struct kvm_vcpu *vcpu, bool pass)
{
	to_vmx(vcpu)->fast.debugctl_passes = pass;
	if (pass)
		vmx_disable_intercept_for_msr(vcpu, MSR_IA32_DEBUGCTLMSR, MSR_TYPE_R);
	else
		vmx_enable_intercept_for_msr(vcpu, MSR_IA32_DEBUGCTLMSR, MSR_TYPE_R);
}

/**
 * debugctl_vcpu_created - let the new vCPU's L1 read IA32_DEBUGCTL
 * @vcpu: the vCPU; its last seen host_debugctl is 0, so that kvm.ko announces
 *	  a set FREEZE_IN_SMM before the first entry
 *
 * Context: process context, vCPU not yet visible to anyone.
 */
void debugctl_vcpu_created(struct kvm_vcpu *vcpu)
{
	if (!debugctl_passthrough)
		return;
	pass_through(vcpu, true);
	to_vmx(vcpu)->fast.counters.debugctl_pass_through++;
}

/**
 * debugctl_set_intercept - decide anew whether L1's read exits, after the MSR filter changed
 * @vcpu: the vCPU
 *
 * From 7.2 on.  Before, stock remembers for each MSR in its list whether it may pass.
 *
 * Context: the vCPU's thread.
 */
void debugctl_set_intercept(struct kvm_vcpu *vcpu)
{
	if (debugctl_passthrough)
		pass_through(vcpu, to_vmx(vcpu)->fast.debugctl_passes);
}

/**
 * debugctl_host_changed - set the intercept after the host's FREEZE_IN_SMM flipped
 * @vcpu: the vCPU, its host_debugctl holding the new value
 * @field_is_fresh: the current VMCS was given the new bit
 *
 * Changes the intercept in vmcs01 even while L2 runs, because stock writes vmcs01's
 * field again on every nested VM exit, so the field is fresh before L1 runs.
 *
 * Context: interrupts off.
 */
void debugctl_host_changed(struct kvm_vcpu *vcpu, bool field_is_fresh)
{
	struct fast_counters *counters = &to_vmx(vcpu)->fast.counters;

	if (!debugctl_passthrough)
		return;

	if (debugctl_read_may_pass(vcpu->arch.host_debugctl, field_is_fresh)) {
		pass_through(vcpu, true);
		counters->debugctl_pass_through++;
		return;
	}

	pass_through(vcpu, false);
	if (field_is_fresh)
		counters->debugctl_intercept_freeze++;
	else
		counters->debugctl_intercept_missed++;
}

/**
 * debugctl_entry_skipped - note that KVM emulates instead of entering the guest
 * @vcpu: the vCPU whose VM entry is skipped
 * @run_flags: kvm.ko's flags for this entry; stock loses KVM_RUN_LOAD_DEBUGCTL
 *
 * The function is out of line, because inlined it would cost two instructions on each
 * entry that is not skipped.
 *
 * Context: interrupts off.
 */
void debugctl_entry_skipped(struct kvm_vcpu *vcpu, u64 run_flags)
{
	if (run_flags & KVM_RUN_LOAD_DEBUGCTL)
		debugctl_host_changed(vcpu, false);
}

/**
 * debugctl_verify - verify=1: compare the hardware's answer with stock's
 * @vcpu: the vCPU about to enter
 *
 * Compares before the entry, not after the exit.  L1's writes exit, so a read can
 * return only what the field holds now, and a wrong answer is prevented rather than
 * reported.  On a mismatch the read is intercepted.
 *
 * Context: interrupts off.
 */
void debugctl_verify(struct kvm_vcpu *vcpu)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);
	u64 field;

	if (is_guest_mode(vcpu) || !cpu_has_vmx_msr_bitmap() ||
	    vmx_test_msr_bitmap_read(vmx->vmcs01.msr_bitmap, MSR_IA32_DEBUGCTLMSR))
		return;

	vmx->fast.counters.debugctl_verify_checks++;
	field = vmcs_read64(GUEST_IA32_DEBUGCTL);
	if (likely(field == debugctl_stock_answer(field) &&
		   kvm_msr_allowed(vcpu, MSR_IA32_DEBUGCTLMSR, KVM_MSR_FILTER_READ)))
		return;

	pass_through(vcpu, false);
	FAST_MISMATCH(&vmx->fast.counters, debugctl,
		      "L1 could read IA32_DEBUGCTL %#llx, host %#llx, against stock's rule",
		      field, vcpu->arch.host_debugctl);
}

/**
 * debugctl_count_read - count a read of IA32_DEBUGCTL that KVM answers
 * @vcpu: the vCPU that reads
 * @host_initiated: user space reads (KVM_GET_MSRS), which is no exit and is not counted
 *
 * Context: any in which KVM emulates RDMSR.
 */
void debugctl_count_read(struct kvm_vcpu *vcpu, bool host_initiated)
{
	struct fast_counters *counters = &to_vmx(vcpu)->fast.counters;

	if (host_initiated)
		return;
	if (is_guest_mode(vcpu))
		counters->debugctl_exit_l2++;
	else if (vcpu->arch.host_debugctl & DEBUGCTLMSR_FREEZE_IN_SMM)
		counters->debugctl_exit_l1_freeze++;
	else
		counters->debugctl_exit_l1_other++;
}
