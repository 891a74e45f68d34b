/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Pages of L1 that L0 maps for vmcs02, held across nested VM entries: what is remembered,
 * and, as pure functions, when a held page may be used and when it must be given up.
 * See pages.c for what is skipped and why that is sound.
 */
#ifndef KVM_INTEL_FAST_PAGE_HOLD_STATE_H
#define KVM_INTEL_FAST_PAGE_HOLD_STATE_H

#include <linux/kvm_host.h>
#include <linux/mm.h>
#include <linux/rbtree.h>
#include <linux/types.h>

/* The pages that a vmcs12 names and stock maps on every nested VM entry. */
enum held_page {
	HELD_MSR_BITMAP,
	HELD_APIC_ACCESS,
	HELD_VIRTUAL_APIC,
	HELD_PI_DESC,
	NR_HELD_PAGES
};

/* Which held pages the vCPU may be using. */
enum pages_in_use {
	PAGES_UNUSED,
	PAGES_OF_L2,		/* in L2: all but the MSR bitmap, which is merged by then */
	PAGES_OF_ENTRY,		/* during a nested entry: all */
};

/* The fields of vmcs12 that decide which pages vmcs02 is given, and how. */
struct held_pages_key {
	u64 apic_access_addr;
	u64 virtual_apic_page_addr;
	u64 posted_intr_desc_addr;
	u64 msr_bitmap;
	u32 pin_based, cpu_based, secondary;
};

/* What page_hold_find() says of one page that an entry needs. */
enum page_hold_found {
	PAGE_HOLD_HIT,
	PAGE_HOLD_EMPTY,
	PAGE_HOLD_OTHER_GFN,
};

/**
 * held_pages_unchanged - compare the pages that vmcs12 names with those that vmcs02 was given
 * @was: vmcs12 then
 * @is: vmcs12 now
 *
 * Return: true if vmcs12 names the same pages, for the same use.
 */
static __always_inline bool held_pages_unchanged(const struct held_pages_key *was,
						 const struct held_pages_key *is)
{
	return was->pin_based == is->pin_based &&
	       was->cpu_based == is->cpu_based &&
	       was->secondary == is->secondary &&
	       was->msr_bitmap == is->msr_bitmap &&
	       was->apic_access_addr == is->apic_access_addr &&
	       was->virtual_apic_page_addr == is->virtual_apic_page_addr &&
	       was->posted_intr_desc_addr == is->posted_intr_desc_addr;
}

/**
 * held_pages_valid - decide whether the holds are what stock would find
 * @any_stale: the MMU notifier marked a hold since the vCPU last looked
 * @was: generation of the memslots that led to the pages
 * @is: generation of the memslots now
 *
 * Return: true if they are: no hold was invalidated, and the memslots are the same.
 */
static __always_inline bool held_pages_valid(bool any_stale, u64 was, u64 is)
{
	return !any_stale && was == is;
}

/**
 * page_hold_find - decide whether a hold serves an entry that needs a page
 * @held: the hold has a page
 * @held_gfn: the page that the hold has
 * @gfn: the page that vmcs12 names
 *
 * Return: PAGE_HOLD_HIT if it serves; otherwise the reason why it does not.
 */
static __always_inline enum page_hold_found page_hold_find(bool held, u64 held_gfn, u64 gfn)
{
	if (!held)
		return PAGE_HOLD_EMPTY;
	return held_gfn == gfn ? PAGE_HOLD_HIT : PAGE_HOLD_OTHER_GFN;
}

/**
 * page_hold_is_below - tell whether a page lies below a range of user space's memory
 * @uhva: the page's address in user space
 * @start: first address of the range
 *
 * Return: true if the page ends at @start or before.
 */
static __always_inline bool page_hold_is_below(unsigned long uhva, unsigned long start)
{
	return uhva + PAGE_SIZE <= start;
}

/**
 * page_hold_is_above - tell whether a page lies above a range of user space's memory
 * @uhva: the page's address in user space
 * @end: address after the last one of the range
 *
 * An invalidation of the range concerns a page that is neither below nor above the range.
 *
 * Return: true if the page begins at @end or later.
 */
static __always_inline bool page_hold_is_above(unsigned long uhva, unsigned long end)
{
	return uhva >= end;
}

/**
 * page_hold_may_be_used - tell whether the vCPU may be using a page
 * @in_use: which held pages the vCPU may be using
 * @which: what the page is for
 *
 * Return: false if the page needs no reference, whatever happens to its mapping.
 */
static __always_inline bool page_hold_may_be_used(enum pages_in_use in_use,
						  enum held_page which)
{
	switch (in_use) {
	case PAGES_UNUSED:
		return false;
	case PAGES_OF_L2:
		return which != HELD_MSR_BITMAP;
	default:
		return true;
	}
}

/*
 * One word counts invalidations: the low half those under way, the high half those that
 * ended.  A start adds INVALIDATION_STARTS.  An end adds INVALIDATION_ENDS, which turns
 * one that is under way into one that ended.
 */
#define INVALIDATION_STARTS	1ull
#define INVALIDATION_ENDS	((1ull << 32) - INVALIDATION_STARTS)

/**
 * page_hold_filled_late - tell whether an invalidation overlapped with filling a hold
 * @was: the invalidations before the page was looked up
 * @is: the invalidations now that the hold can be found
 *
 * Return: true if the page may be one that is mapped no more.
 */
static __always_inline bool page_hold_filled_late(u64 was, u64 is)
{
	return (u32)is || was != is;
}

struct nested_context;

struct page_hold {
	struct kvm_host_map map;	/* map.hva is NULL while nothing is held */
	struct kvm_vcpu *vcpu;
	enum held_page which;
	unsigned long uhva;		/* its user-space address */
	const unsigned long *flags;	/* of the page, with PG_dirty; NULL: not known */
	u64 entries;			/* with its vmcs12, up to when reclaim asked last */
	bool counted;			/* stock counts references to this page */
	/* While it is watched, under pages_notifier.lock: */
	struct rb_node node;		/* in pages_notifier.holds; empty: stale */
	bool stale;			/* it was invalidated */
	bool referenced;		/* kvm_vcpu_unmap() gives the page back */
};

/* What one vCPU knows of its holds. */
struct page_holds {
	enum pages_in_use in_use;
	bool any_stale;
	/* From pages_begin() to pages_settle(): the context in use, or NULL. */
	struct nested_context *ready;
	/*
	 * The context whose pages vmcs02 names, all of them held, whose merge
	 * is vmcs02's MSR bitmap, and whose maps nested_vmx's maps copy while
	 * in use.  NULL: there is none.  The settled context is fast.context, too.
	 */
	struct nested_context *settled;
	/*
	 * The generation of the vCPU's memslots, SMM's or not, in which no page
	 * of the settled context is in a slot with dirty logging; 0: not known.
	 */
	u64 not_logged_generation;
	/* The hold that each of nested_vmx's maps copies, or NULL; while nothing is settled. */
	struct page_hold *borrowed[NR_HELD_PAGES];
};

#endif /* KVM_INTEL_FAST_PAGE_HOLD_STATE_H */
