/* SPDX-License-Identifier: GPL-2.0 */
/* The MMU on a switch between L1 and L2: the hooks, see mmu_roles.c. */
#ifndef KVM_INTEL_FAST_MMU_ROLES_H
#define KVM_INTEL_FAST_MMU_ROLES_H

#include "kvm/vmx/vmx.h"

void mmu_roles_init(struct kvm_vcpu *vcpu);
void mmu_roles_init_ept(struct kvm_vcpu *vcpu, bool execonly, int lpage_level,
			bool ad, bool mbec, gpa_t eptp);

/**
 * mmu_walks_forget - forget what follows from the guest's CPUID, which was replaced
 * @vcpu: the vCPU
 *
 * Context: the vCPU's thread.
 */
static inline void mmu_walks_forget(struct kvm_vcpu *vcpu)
{
	to_vmx(vcpu)->fast.mmu.walk_l1.valid = false;
	to_vmx(vcpu)->fast.mmu.walk_l2.valid = false;
}

#endif /* KVM_INTEL_FAST_MMU_ROLES_H */
