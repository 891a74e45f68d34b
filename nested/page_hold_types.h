/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Pages of L1 that L0 maps for vmcs02, held across nested VM entries: the types.
 * See page_hold.c for what is skipped and why that is sound.
 */
#ifndef KVM_INTEL_FAST_PAGE_HOLD_TYPES_H
#define KVM_INTEL_FAST_PAGE_HOLD_TYPES_H

#include <linux/kvm_host.h>
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/rbtree.h>
#include <linux/spinlock.h>

#include "nested/page_hold_rule.h"

struct nested_context;

struct page_hold {
	struct kvm_host_map map;	/* map.hva is NULL while nothing is held */
	struct kvm_vcpu *vcpu;
	enum held_page which;
	unsigned long uhva;		/* its user-space address */
	const unsigned long *flags;	/* with its PG_dirty; NULL: not known */
	u64 entries;			/* with its vmcs12, when reclaim asked last */
	bool counted;			/* stock counts references to this page */
	/* While it is watched, under pages_notifier.lock: */
	struct rb_node node;		/* in pages_notifier.holds; empty: stale */
	bool stale;			/* invalidated */
	bool referenced;		/* kvm_vcpu_unmap() gives it back */
};

/* Of one vCPU. */
struct page_holds {
	enum pages_in_use in_use;
	bool any_stale;
	/* During page_holds_begin() .. _settle(): the context in use, or NULL. */
	struct nested_context *ready;
	/*
	 * The context whose pages vmcs02 names, all of them held, whose merge
	 * is vmcs02's MSR bitmap, and whose maps nested_vmx's maps copy while
	 * in use; NULL: none.  It is fast.context, too.
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

/* Of one VM: see pages_notifier.c. */
struct pages_notifier {
	struct mmu_notifier notifier;
	struct mutex registering;	/* one vCPU at a time */
	bool registered;
	atomic64_t invalidations;	/* under way, and ended: INVALIDATION_STARTS */
	spinlock_t lock;		/* of what follows */
	struct rb_root holds;		/* of all vCPUs, by user-space address */
};

#endif /* KVM_INTEL_FAST_PAGE_HOLD_TYPES_H */
