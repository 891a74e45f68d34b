/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KVM_INTEL_FAST_USER_RETURN_H
#define KVM_INTEL_FAST_USER_RETURN_H

#include "kvm/vmx/vmx.h"
#include "vmx/cpuid.h"
#include "vmx/params.h"

extern struct user_return_slots user_return_slots;

void user_return_init(void) __init;
void user_return_verify(struct vcpu_vmx *vmx);

/**
 * user_return_has_efer - tell whether this CPU has EFER
 *
 * Return: true if vmx_find_uret_msr() would find it.
 */
static __always_inline bool user_return_has_efer(void)
{
	return user_return_slots.efer;
}

/**
 * user_return_wanted - tell whether the guest needs its value of an MSR in hardware
 * @vmx: the vCPU
 * @slot: of the MSR in vmx->guest_uret_msrs
 *
 * Return: true if the guest needs it.
 */
static __always_inline bool user_return_wanted(struct vcpu_vmx *vmx, unsigned int slot)
{
	if (fast_switch_does(FAST_SWITCH_USER_RETURN))
		return vmx->fast.user_return.wanted & BIT(slot);
	return fast_uret_is_loaded(vmx, slot);
}

/**
 * user_return_loaded - note that the MSRs that the guest needs were loaded
 * @vmx: the vCPU
 *
 * Context: preemption off, between loading them and VM entry.
 */
static __always_inline void user_return_loaded(struct vcpu_vmx *vmx)
{
	vmx->fast.user_return.in_hardware = vmx->fast.user_return.wanted;
}

/**
 * user_return_set - note that the guest's value of an MSR changed, but was not loaded
 * @vmx: the vCPU
 * @slot: of the MSR in vmx->guest_uret_msrs
 *
 * Context: the vCPU's thread.
 */
static __always_inline void user_return_set(struct vcpu_vmx *vmx, unsigned int slot)
{
	user_return_changed(&vmx->fast.user_return, slot);
}

/**
 * user_return_setup - decide which MSRs the guest needs after its EFER was written
 * @vmx: the vCPU, its new EFER in place
 * @load_efer: EFER is one of the MSRs; its value may have changed
 *
 * Context: the vCPU's thread; interrupts on.
 * Return: true if nothing is left to do; false if stock must decide, and then call
 * user_return_verify().
 */
static __always_inline bool user_return_setup(struct vcpu_vmx *vmx, bool load_efer)
{
	if (!fast_switch_does(FAST_SWITCH_USER_RETURN))
		return false;
	if (user_return_update(&vmx->fast.user_return, &user_return_slots, vmx->vcpu.arch.efer,
			       cpuid_has_tsc_aux(&vmx->vcpu), load_efer)) {
		vmx->guest_uret_msrs_loaded = false;
		vmx->fast.counters.user_return_reload++;
	} else {
		vmx->fast.counters.user_return_kept++;
	}
	return likely(!fast_verify());
}

#endif /* KVM_INTEL_FAST_USER_RETURN_H */
