/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KVM_INTEL_FAST_USER_RETURN_H
#define KVM_INTEL_FAST_USER_RETURN_H

#include "vmx/vmx.h"

void user_return_init(void) __init;
void user_return_setup(struct vcpu_vmx *vmx, bool load_efer);
bool user_return_has_efer(void);

/**
 * user_return_loaded - the MSRs that the guest needs were loaded
 * @vmx: the vCPU
 *
 * Context: preemption off, between loading them and VM entry.
 */
static __always_inline void user_return_loaded(struct vcpu_vmx *vmx)
{
	vmx->fast.user_return.in_hardware = vmx->fast.user_return.wanted;
}

/**
 * user_return_set - the guest's value of an MSR changed, but was not loaded
 * @vmx: the vCPU
 * @slot: of the MSR in vmx->guest_uret_msrs
 *
 * Context: the vCPU's thread.
 */
static __always_inline void user_return_set(struct vcpu_vmx *vmx, unsigned int slot)
{
	vmx->fast.user_return.in_hardware &= ~BIT(slot);
}

#endif /* KVM_INTEL_FAST_USER_RETURN_H */
