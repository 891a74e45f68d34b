/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Notifications: stock tells what happened, and what was remembered may be wrong from then on.
 *
 * The first sections of hooks.h, which says what holds for all.  They ask FAST_HAS(), since
 * a subject may be left out of the build, with the patch that calls it.  To section 4 belongs
 * known_fields.h, too, which vmx_ops.h calls: the headers that this one needs cannot include
 * it.
 */
#ifndef KVM_INTEL_FAST_NOTIFICATIONS_H
#define KVM_INTEL_FAST_NOTIFICATIONS_H

#include "kvm/vmx/nested.h"
#include "vmx/cpuid.h"
#include "vmx/debugctl.h"
#include "nested/checks.h"
#include "nested/mmu_roles.h"
#include "nested/pages.h"
#include "nested/read_back.h"
#include "nested/shadow.h"

/* 1. Life.  module.c has these functions. */

void fast_init(void) __init;
void fast_vm_created(struct kvm *kvm);
void fast_vcpu_created(struct kvm_vcpu *vcpu);
void fast_vmxon(struct kvm_vcpu *vcpu);
void fast_vmxoff(struct kvm_vcpu *vcpu);
void fast_vcpu_freed(struct kvm_vcpu *vcpu);
void fast_vm_destroyed(struct kvm *kvm);

/* 2. What L1 says.  vmcs12 is the current one, L1 runs. */

/* VMPTRLD and KVM_SET_NESTED_STATE make another vmcs12, or none, current. */
static __always_inline void fast_vmcs12_made_current(struct kvm_vcpu *vcpu)
{
	if (FAST_HAS(checks))
		checks_forget(vcpu);
	if (FAST_HAS(read_back))
		read_back_forget(vcpu);
	if (FAST_HAS(shadow))
		shadow_made_current(vcpu);
}

/* After VMCLEAR L1 may use the memory of the vmcs12 at @vmptr for another purpose. */
static __always_inline void fast_vmcs12_cleared(struct kvm_vcpu *vcpu, gpa_t vmptr)
{
	if (FAST_HAS(context))
		nested_context_forget(vcpu, vmptr);
}

/* A VMREAD exited; @field is one that vmcs12 has, and that is up to date. */
static __always_inline void fast_vmcs12_read(struct kvm_vcpu *vcpu, unsigned long field)
{
	if (FAST_HAS(shadow))
		shadow_read_exited(vcpu, field);
}

/* A VMWRITE exited; vmcs12 holds the new value. */
static __always_inline void fast_vmcs12_written(struct kvm_vcpu *vcpu, unsigned long field)
{
	if (FAST_HAS(checks) && !is_guest_mode(vcpu))
		checks_written(vcpu, field);
	if (FAST_HAS(shadow))
		shadow_write_exited(vcpu, field);
}

/* A VMX instruction fails (VMfail): stock needs vmcs01 as the current VMCS. */
static __always_inline void fast_vmfail(struct kvm_vcpu *vcpu)
{
	if (FAST_HAS(shadow))
		shadow_window_reload(vcpu);
	if (FAST_HAS(checks))
		checks_failed(vcpu);
}

/* A nested entry is given up before the checks of guest state: L2 did not run. */
static __always_inline void fast_entry_given_up(struct kvm_vcpu *vcpu)
{
	if (FAST_HAS(pages))
		pages_put(vcpu, false);
	if (FAST_HAS(checks))
		checks_given_up(vcpu);
}

/* A nested entry fails, which L1 sees as an exit.  The order of checks and pages is free. */
static __always_inline void fast_entry_failed(struct kvm_vcpu *vcpu, const struct vmcs12 *vmcs12)
{
	if (FAST_HAS(pages))
		pages_put(vcpu, true);
	if (FAST_HAS(checks))
		checks_failed_at_entry(vcpu, vmcs12);
}

/* 3. What the world says. */

/* KVM_SET_CPUID* has replaced the CPUID entries, and freed the old ones. */
static __always_inline void fast_cpuid_changed(struct kvm_vcpu *vcpu)
{
	if (FAST_HAS(cpuid))
		cpuid_forget(vcpu);
	if (FAST_HAS(mmu_walks))
		mmu_walks_forget(vcpu);
	if (FAST_HAS(checks))
		checks_forget(vcpu);
}

/* The PMU that the guest sees is set up anew, or its VMX capability MSRs are set. */
static __always_inline void fast_capabilities_changed(struct kvm_vcpu *vcpu)
{
	if (FAST_HAS(checks))
		checks_forget(vcpu);
}

/* Stock decides anew which MSRs L1 may access, by CPUID and user space's filter.  From 7.2 on. */
static __always_inline void fast_msr_intercepts_set(struct kvm_vcpu *vcpu)
{
	debugctl_set_intercept(vcpu);
}

/* SMM interrupts, or KVM_GET_NESTED_STATE saves: from L2, stock brings vmcs12 up to date. */
static __always_inline void fast_state_saved(struct kvm_vcpu *vcpu)
{
	if (FAST_HAS(shadow) && is_guest_mode(vcpu))
		shadow_falls_behind(vcpu);
}

/* 4. The current VMCS. */

/* A VMCS is new, or stock reads and prints all fields; remembered values must not serve. */
static __always_inline void fast_vmcs_unknown(struct loaded_vmcs *loaded_vmcs)
{
	if (FAST_HAS(known_fields))
		known_fields_forget(&loaded_vmcs->known);
}

/* Preemption off: @vcpu's loaded_vmcs becomes current. */
static __always_inline void fast_vmcs_loaded(struct kvm_vcpu *vcpu)
{
	if (FAST_HAS(known_fields))
		known_fields_load(&to_vmx(vcpu)->loaded_vmcs->known, &to_vmx(vcpu)->fast.counters);
}

#endif /* KVM_INTEL_FAST_NOTIFICATIONS_H */
