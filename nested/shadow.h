/* SPDX-License-Identifier: GPL-2.0 */
/* VMCS shadowing: the fields of a vCPU's set, copied only when they changed.  See shadow.c. */
#ifndef KVM_INTEL_FAST_SHADOW_H
#define KVM_INTEL_FAST_SHADOW_H

#include "kvm/vmx/vmx.h"
#include "nested/shadow_set.h"

/* The slow halves of the inline functions below, for a vCPU that has a set. */
void shadow_do_fall_behind(struct kvm_vcpu *vcpu);
bool shadow_do_copy_in(struct kvm_vcpu *vcpu);
bool shadow_do_copy_in_for_entry(struct kvm_vcpu *vcpu);
bool shadow_do_copy_out(struct kvm_vcpu *vcpu);
void shadow_do_copy_out_early(struct kvm_vcpu *vcpu, u32 vm_exit_reason);
void shadow_do_clear(struct kvm_vcpu *vcpu);
void shadow_do_write_exited(struct kvm_vcpu *vcpu, unsigned long encoding);

/**
 * shadow_has_window - tell whether neither vmcs01 nor vmcs02 is current: see shadow.c
 * @vcpu: the vCPU
 *
 * Context: the vCPU's thread.
 * Return: true if it is.
 */
static __always_inline bool shadow_has_window(struct kvm_vcpu *vcpu)
{
	struct vmcs_shadow *shadow = shadow_of(vcpu);

	return shadow && shadow->window;
}

/**
 * shadow_window_end - end the window, because the CPU has a current VMCS again
 * @vcpu: the vCPU; vmx_switch_vmcs() has just loaded its loaded_vmcs
 *
 * Context: the vCPU's thread.
 */
static __always_inline void shadow_window_end(struct kvm_vcpu *vcpu)
{
	if (shadow_has_window(vcpu)) {
		shadow_of(vcpu)->window = false;
		preempt_enable();
	}
}

/**
 * shadow_window_reload - load vmcs01 again, because the nested entry fails inside the window
 * @vcpu: the vCPU
 *
 * Context: the vCPU's thread.
 */
static __always_inline void shadow_window_reload(struct kvm_vcpu *vcpu)
{
	if (unlikely(shadow_has_window(vcpu))) {
		vmcs_load(to_vmx(vcpu)->loaded_vmcs->vmcs);
		to_vmx(vcpu)->fast.counters.shadow_window_reloads++;
		shadow_window_end(vcpu);
	}
}

/**
 * shadow_rvi - get vmx_get_rvi() of vmcs01, also inside the window
 * @vcpu: the vCPU, on its way into L2
 *
 * Return: the vector.
 */
static __always_inline u8 shadow_rvi(struct kvm_vcpu *vcpu)
{
	return shadow_has_window(vcpu) ? shadow_of(vcpu)->rvi : vmx_get_rvi();
}

/**
 * shadow_guest_debugctl - get GUEST_IA32_DEBUGCTL of vmcs01, also inside the window
 * @vcpu: the vCPU, on its way into L2
 *
 * Return: the field's value.
 */
static __always_inline u64 shadow_guest_debugctl(struct kvm_vcpu *vcpu)
{
	return shadow_has_window(vcpu) ? shadow_of(vcpu)->debugctl : fast_guest_debugctl();
}

/**
 * shadow_guest_bndcfgs - get GUEST_BNDCFGS of vmcs01, also inside the window
 * @vcpu: the vCPU, on its way into L2, on a CPU with MPX
 *
 * Return: the field's value.
 */
static __always_inline u64 shadow_guest_bndcfgs(struct kvm_vcpu *vcpu)
{
	return shadow_has_window(vcpu) ? shadow_of(vcpu)->bndcfgs : vmcs_read64(GUEST_BNDCFGS);
}

/**
 * shadow_wants_rare - decide whether this nested exit must copy the rare fields to vmcs12
 * @vcpu: the vCPU
 *
 * Return: true if it must.
 */
static __always_inline bool shadow_wants_rare(struct kvm_vcpu *vcpu)
{
	struct vmcs_shadow *shadow = shadow_of(vcpu);

	return shadow && shadow->wants_rare;
}

/**
 * shadow_wants_late - decide whether this nested exit must read back the fields that can wait
 * @vcpu: the vCPU
 *
 * Return: true if L1 reads one of them without an exit, or may do so.  Stock's set has them.
 */
static __always_inline bool shadow_wants_late(struct kvm_vcpu *vcpu)
{
	struct vmcs_shadow *shadow = shadow_of(vcpu);

	if (shadow)
		return shadow->wants_late;
	return to_vmx(vcpu)->vmcs01.shadow_vmcs;
}

/**
 * shadow_copy_in - bring vmcs12 up to date with what L1 wrote
 * @vcpu: the vCPU, its vmcs01 loaded
 *
 * Context: the vCPU's thread.
 * Return: true if that is done; false if stock must do it.
 */
static __always_inline bool shadow_copy_in(struct kvm_vcpu *vcpu)
{
	return shadow_of(vcpu) && shadow_do_copy_in(vcpu);
}

/**
 * shadow_copy_in_for_entry - do shadow_copy_in() at L1's VMLAUNCH or VMRESUME
 * @vcpu: the vCPU, its vmcs01 loaded
 *
 * Leaves the window open, where that is allowed.
 *
 * Context: the vCPU's thread; returns with preemption disabled if the window is
 *	    open.
 * Return: as shadow_copy_in().
 */
static __always_inline bool shadow_copy_in_for_entry(struct kvm_vcpu *vcpu)
{
	return shadow_of(vcpu) && shadow_do_copy_in_for_entry(vcpu);
}

/**
 * shadow_falls_behind - note that vmcs12 is about to be updated, but not for L1 to see
 * @vcpu: the vCPU, in L2: leaves it for SMM, or user space saves its state
 *
 * Context: the vCPU's thread.
 */
static __always_inline void shadow_falls_behind(struct kvm_vcpu *vcpu)
{
	if (shadow_of(vcpu))
		shadow_do_fall_behind(vcpu);
}

/**
 * shadow_copy_out - bring the shadow VMCS up to date, as nested_sync_vmcs12_to_shadow() does
 * @vcpu: the vCPU about to enter L1, or L2 after KVM_SET_NESTED_STATE
 *
 * Context: preemption disabled.
 * Return: true if that is done; false if stock must do it.
 */
static __always_inline bool shadow_copy_out(struct kvm_vcpu *vcpu)
{
	return shadow_of(vcpu) && shadow_do_copy_out(vcpu);
}

/**
 * shadow_before_entry - make the shadow VMCS what L1 shall find, and note that L1 may write it
 * @vcpu: the vCPU about to enter L1 or L2
 *
 * An entry after an exit from L1 that does not concern VMX costs one test of both flags.
 *
 * Context: preemption disabled.
 * Return: true if stock must copy vmcs12 to the shadow VMCS.
 */
static __always_inline bool shadow_before_entry(struct kvm_vcpu *vcpu)
{
	struct nested_vmx *nested = &to_vmx(vcpu)->nested;
	bool stock;

	if (likely(!nested->shadow_entry_work))
		return false;
	stock = nested->need_vmcs12_to_shadow_sync && !shadow_copy_out(vcpu);
	if (!is_guest_mode(vcpu)) {
		nested->shadow_written_known = false;
		if (shadow_of(vcpu) && unlikely(shadow_of(vcpu)->active))
			shadow_do_clear(vcpu);
	}
	return stock;
}

/**
 * shadow_copy_out_early - do shadow_copy_out() before the switch to vmcs01
 * @vcpu: the vCPU, leaving L2, vmcs12 made up but for what comes late
 * @vm_exit_reason: what L1 will read; -1 if L1 will read none
 *
 * This only saves the VMPTRLDs: shadow_copy_out() follows in any case, and finds what
 * has changed since.
 *
 * Context: the vCPU's thread; returns with preemption disabled if it opened the
 *	    window, and vmx_switch_vmcs() must follow.
 */
static __always_inline void shadow_copy_out_early(struct kvm_vcpu *vcpu, u32 vm_exit_reason)
{
	if (shadow_of(vcpu))
		shadow_do_copy_out_early(vcpu, vm_exit_reason);
}

/**
 * shadow_vmxoff - note that stock clears and frees the shadow VMCS
 * @vcpu: the vCPU, which leaves VMX operation
 *
 * Context: the vCPU's thread, or the thread that destroys the VM.
 */
static __always_inline void shadow_vmxoff(struct kvm_vcpu *vcpu)
{
	if (shadow_of(vcpu))
		shadow_of(vcpu)->active = false;
}

/**
 * shadow_made_current - note that another vmcs12 is current, or the same one with other contents
 * @vcpu: the vCPU
 *
 * Context: the vCPU's thread.
 */
static __always_inline void shadow_made_current(struct kvm_vcpu *vcpu)
{
	if (shadow_of(vcpu))
		shadow_of(vcpu)->copied_out = false;
}

/**
 * shadow_read_exited - count an exit of L1's VMREAD
 * @vcpu: the vCPU, in L1
 * @encoding: of a field that vmcs12 has
 *
 * Context: the vCPU's thread.
 */
static __always_inline void shadow_read_exited(struct kvm_vcpu *vcpu, unsigned long encoding)
{
	if (!shadow_of(vcpu) || is_guest_mode(vcpu))
		return;
	to_vmx(vcpu)->fast.counters.shadow_exit_vmread++;
	shadow_set_count_exit(vcpu, encoding, false);
}

/**
 * shadow_write_exited - count an exit of L1's VMWRITE, and follow it in the shadow VMCS
 * @vcpu: the vCPU, in L1, vmcs12 holding the new value
 * @encoding: of a field that vmcs12 has
 *
 * If L1 reads the field from the shadow VMCS, the shadow VMCS gets the new value now.
 *
 * Context: the vCPU's thread, vmcs01 loaded.
 */
static __always_inline void shadow_write_exited(struct kvm_vcpu *vcpu, unsigned long encoding)
{
	if (shadow_of(vcpu) && !is_guest_mode(vcpu))
		shadow_do_write_exited(vcpu, encoding);
}

#endif /* KVM_INTEL_FAST_SHADOW_H */
