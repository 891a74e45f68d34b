// SPDX-License-Identifier: GPL-2.0
/* One page of L1: how it comes to be held, and how it is given up.  See pages.c. */
#include "kvm/vmx/vmx.h"
#include "nested/page_hold.h"
#include "nested/pages_notifier.h"

/**
 * page_hold_drop - give up one hold
 * @vcpu: its vCPU, not in L2
 * @hold: the hold; nothing happens if it is empty
 *
 * Context: the vCPU's thread, may sleep.
 */
void page_hold_drop(struct kvm_vcpu *vcpu, struct page_hold *hold)
{
	if (!hold->map.hva)
		return;
	pages_notifier_forget(vcpu, hold);
	/* Unmapped as clean, because the page was marked dirty when it was written to. */
	if (hold->referenced)
		fast_vcpu_unmap(vcpu, &hold->map, false);
	memset(hold, 0, sizeof(*hold));
}

/**
 * page_hold_fill - map a page as stock does, and hold it
 * @vcpu: its vCPU, in a nested VM entry, page_holds.in_use being PAGES_OF_ENTRY
 * @which: what the page is for
 * @hold: the hold, empty; of a context that is fast.context
 * @gfn: the page, in L1's physical address space
 * @map: set to the page
 *
 * Context: the vCPU's thread, under kvm->srcu, may sleep.
 * Return: 0, or the error of kvm_vcpu_map().
 */
int page_hold_fill(struct kvm_vcpu *vcpu, enum held_page which, struct page_hold *hold,
		   gfn_t gfn, struct kvm_host_map *map)
{
	u64 invalidations = pages_notifier_invalidations(vcpu->kvm);
	int ret;

	ret = fast_vcpu_map(vcpu, gfn, map, which != HELD_MSR_BITMAP);
	if (ret)
		return ret;
	*hold = (struct page_hold) {
		.map = *map,
		.vcpu = vcpu,
		.which = which,
		.uhva = gfn_to_hva(vcpu->kvm, gfn),
		.entries = fast_nested_entries(vcpu),
		.referenced = true,
	};
	RB_CLEAR_NODE(&hold->node);
	hold->counted = fast_map_is_counted(map);
	/* A page loses its mapping before it is split, which makes the hold stale. */
	if (fast_map_has_struct_page(map) && !PageReserved(map->page) &&
	    !is_zone_device_page(map->page))
		hold->flags = fast_flags_of(map->page);
	if (pages_notifier_watch(vcpu, hold, invalidations))
		fast_map_uncount(vcpu, map);	/* marks the page accessed */
	return 0;
}
