/* SPDX-License-Identifier: GPL-2.0 */
/* One page of L1 that is held across nested VM entries: see pages.c. */
#ifndef KVM_INTEL_FAST_PAGE_HOLD_H
#define KVM_INTEL_FAST_PAGE_HOLD_H

#include <linux/kvm_host.h>

#include "nested/page_hold_state.h"

void page_hold_drop(struct kvm_vcpu *vcpu, struct page_hold *hold);
int page_hold_fill(struct kvm_vcpu *vcpu, enum held_page which, struct page_hold *hold,
		   gfn_t gfn, struct kvm_host_map *map);

#endif /* KVM_INTEL_FAST_PAGE_HOLD_H */
