/* SPDX-License-Identifier: GPL-2.0 */
/* Pages of guest memory whose translation is remembered: see gva_memo.c. */
#ifndef KVM_INTEL_FAST_GVA_MEMO_STATE_H
#define KVM_INTEL_FAST_GVA_MEMO_STATE_H

#include <linux/bits.h>
#include <linux/types.h>

#define GVA_MEMO_PAGES		4
#define GVA_MEMO_LEVELS		4

/* SDM, "4-Level Paging" */
#define GVA_PRESENT		BIT_ULL(0)
#define GVA_WRITABLE		BIT_ULL(1)
#define GVA_USER		BIT_ULL(2)
#define GVA_ACCESSED		BIT_ULL(5)
#define GVA_DIRTY		BIT_ULL(6)
#define GVA_LARGE		BIT_ULL(7)
#define GVA_FRAME		GENMASK_ULL(51, 12)

/* One page, by its linear address.  Without a large page all entries are of different levels. */
struct gva_page {
	u64 page;			/* linear address */
	u64 root;			/* the guest's CR3, without its low bits */
	u64 role;			/* of the MMU; 0: nothing is remembered */
	u64 generation;			/* of the memslots */
	u64 __user *entry[GVA_MEMO_LEVELS];	/* with a large page, its own several times */
	u64 value[GVA_MEMO_LEVELS];	/* what they held */
	u8 __user *memory;		/* the page itself */
	u64 gfn;
	bool writable;
	bool logged;			/* writes of it, by its memslot */
};

struct gva_memo {
	struct gva_page pages[GVA_MEMO_PAGES];
};

/**
 * gva_entry_is_last - tell whether a paging-structure entry maps a page
 * @entry: the entry
 * @level: its level, 4 to 1
 *
 * Return: true if it does; false if it names the table of the next level.
 */
static __always_inline bool gva_entry_is_last(u64 entry, int level)
{
	return level == 1 || (level <= 3 && (entry & GVA_LARGE));
}

/**
 * gva_gfn_of - work out which guest frame an entry maps
 * @entry: an entry that maps a page
 * @level: its level, 3 to 1
 * @gva: an address in the page
 *
 * Return: the frame of 4 KiB that @gva is in.
 */
static __always_inline u64 gva_gfn_of(u64 entry, int level, u64 gva)
{
	u64 inside = (1ull << (12 + 9 * (level - 1))) - 1;

	return ((entry & GVA_FRAME & ~inside) | (gva & inside)) >> 12;
}

/**
 * gva_entries_allow - tell whether entries let the supervisor access a page of its own
 * @all: AND of the entries, but with GVA_DIRTY of the last one alone
 * @write: the access is a write
 *
 * Return: true if no protection can be in the way: neither that of user pages (SMAP), nor a
 * write that CR0.WP decides, nor an accessed or dirty flag that must be set first.
 */
static __always_inline bool gva_entries_allow(u64 all, bool write)
{
	u64 needed = GVA_PRESENT | GVA_ACCESSED | (write ? GVA_WRITABLE | GVA_DIRTY : 0);

	return (all & needed) == needed && !(all & GVA_USER);
}

#endif /* KVM_INTEL_FAST_GVA_MEMO_STATE_H */
