/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Pages of L1 that L0 maps for vmcs02, held across nested VM entries: the types.
 * See page_hold.c for what is skipped and why that is sound.
 */
#ifndef KVM_INTEL_FAST_PAGE_HOLD_TYPES_H
#define KVM_INTEL_FAST_PAGE_HOLD_TYPES_H

#include <linux/kvm_host.h>
#include <linux/mmu_notifier.h>
#include <linux/spinlock.h>

#include "nested/page_hold_rule.h"

struct nested_context;

struct page_hold {
	struct kvm_host_map map;	/* map.hva is NULL while nothing is held */
	unsigned long uhva;		/* its user-space address */
	const unsigned long *flags;	/* with its PG_dirty; NULL: not known */
	bool stale;			/* invalidated; under page_holds.lock */
};

/* Of one vCPU. */
struct page_holds {
	/*
	 * Held by whoever fills or drops a hold: the vCPU on a miss, and the MMU
	 * notifier.  A hit takes no lock.
	 */
	spinlock_t lock;
	enum pages_in_use in_use;
	bool any_stale;
	/* During page_holds_begin() .. _settle(): the context in use, or NULL. */
	struct nested_context *ready;
	/*
	 * The context whose pages vmcs02 names, all of them held, whose merge
	 * is vmcs02's MSR bitmap, and whose maps nested_vmx's maps copy while
	 * in use; NULL: none.
	 */
	struct nested_context *settled;
	/*
	 * Generation of the vCPU's memslots, SMM's or not, in which no page of
	 * the settled context is in a slot with dirty logging; 0: not known.
	 */
	u64 not_logged_generation;
	/* The hold that each of nested_vmx's maps copies, or NULL; not settled. */
	struct page_hold *borrowed[NR_HELD_PAGES];
};

/* Of one VM. */
struct page_hold_notifier {
	struct mmu_notifier notifier;
	bool registered;
	atomic_t held;			/* pages, over all vCPUs */
	atomic_t active;		/* invalidations under way */
	atomic_t sequence;		/* invalidations that ended */
};

#endif /* KVM_INTEL_FAST_PAGE_HOLD_TYPES_H */
