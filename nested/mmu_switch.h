/* SPDX-License-Identifier: GPL-2.0 */
/* The MMU on a switch between L1 and L2: the hooks, see mmu_switch.c. */
#ifndef KVM_INTEL_FAST_MMU_SWITCH_H
#define KVM_INTEL_FAST_MMU_SWITCH_H

#include <linux/kvm_host.h>

void mmu_switch_init(struct kvm_vcpu *vcpu);
void mmu_switch_init_ept(struct kvm_vcpu *vcpu, bool execonly, int lpage_level,
			 bool ad, gpa_t eptp);

#endif /* KVM_INTEL_FAST_MMU_SWITCH_H */
