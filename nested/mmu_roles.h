/* SPDX-License-Identifier: GPL-2.0 */
/* The MMU on a switch between L1 and L2: the hooks, see mmu_roles.c. */
#ifndef KVM_INTEL_FAST_MMU_ROLES_H
#define KVM_INTEL_FAST_MMU_ROLES_H

#include <linux/kvm_host.h>

void mmu_roles_init(struct kvm_vcpu *vcpu);
void mmu_roles_init_ept(struct kvm_vcpu *vcpu, bool execonly, int lpage_level,
			bool ad, gpa_t eptp);

#endif /* KVM_INTEL_FAST_MMU_ROLES_H */
