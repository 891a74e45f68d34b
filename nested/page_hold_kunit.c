// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit: when held pages may be used and when they have to go, with every input flipped
 * one bit at a time, against what stock's own look-up would give.
 */
#include <kunit/test.h>

#include "nested/page_hold_state.h"

static const u64 backgrounds[] = { 0, ~0ULL, 0x5555555555555555ULL, 0x0123456789abcdefULL };

/* Stock reads all of these on each entry: another value of any may mean another page. */
static void any_bit_of_the_key_matters(struct kunit *test)
{
	struct held_pages_key was, is;
	u8 *byte = (u8 *)&is;
	int b, bit;

	for (b = 0; b < ARRAY_SIZE(backgrounds); b++) {
		memset(&was, 0, sizeof(was));
		was.apic_access_addr = backgrounds[b];
		was.virtual_apic_page_addr = backgrounds[b];
		was.posted_intr_desc_addr = backgrounds[b];
		was.msr_bitmap = backgrounds[b];
		was.pin_based = backgrounds[b];
		was.cpu_based = backgrounds[b];
		was.secondary = backgrounds[b];
		is = was;
		KUNIT_ASSERT_TRUE(test, held_pages_unchanged(&was, &is));
		/* What follows the last member is padding. */
		for (bit = 0; bit < 8 * offsetofend(struct held_pages_key, secondary); bit++) {
			byte[bit / 8] ^= 1 << bit % 8;
			KUNIT_ASSERT_FALSE_MSG(test, held_pages_unchanged(&was, &is),
					       "bit %d", bit);
			byte[bit / 8] ^= 1 << bit % 8;
		}
	}
}

static void any_change_of_memslots_matters(struct kunit *test)
{
	int b, bit;

	for (b = 0; b < ARRAY_SIZE(backgrounds); b++) {
		KUNIT_ASSERT_TRUE(test, held_pages_valid(false, backgrounds[b], backgrounds[b]));
		KUNIT_ASSERT_FALSE(test, held_pages_valid(true, backgrounds[b], backgrounds[b]));
		for (bit = 0; bit < 64; bit++)
			KUNIT_ASSERT_FALSE_MSG(test,
					       held_pages_valid(false, backgrounds[b],
								backgrounds[b] ^ BIT_ULL(bit)),
					       "bit %d", bit);
	}
}

static void a_hold_serves_its_page_alone(struct kunit *test)
{
	int b, bit;
	u64 gfn;

	for (b = 0; b < ARRAY_SIZE(backgrounds); b++) {
		gfn = backgrounds[b];
		KUNIT_ASSERT_EQ(test, (int)page_hold_find(true, gfn, gfn), (int)PAGE_HOLD_HIT);
		KUNIT_ASSERT_EQ(test, (int)page_hold_find(false, gfn, gfn), (int)PAGE_HOLD_EMPTY);
		for (bit = 0; bit < 64; bit++) {
			KUNIT_ASSERT_EQ_MSG(test,
					    (int)page_hold_find(true, gfn ^ BIT_ULL(bit), gfn),
					    (int)PAGE_HOLD_OTHER_GFN, "bit %d", bit);
			KUNIT_ASSERT_EQ_MSG(test,
					    (int)page_hold_find(false, gfn ^ BIT_ULL(bit), gfn),
					    (int)PAGE_HOLD_EMPTY, "bit %d", bit);
		}
	}
}

/* The reference: true if one of the page's bytes is in the range.  The ends decide. */
static bool byte_in_range(unsigned long uhva, unsigned long start, unsigned long end)
{
	unsigned long byte;

	for (byte = uhva; byte < uhva + PAGE_SIZE; byte++)
		if (byte >= start && byte < end)
			return true;
	return false;
}

static void range(struct kunit *test, unsigned long uhva, unsigned long start,
		  unsigned long end)
{
	bool hit;

	if (start >= end)	/* the kernel invalidates no empty range */
		return;
	hit = byte_in_range(uhva, start, end);
	KUNIT_ASSERT_EQ_MSG(test, page_hold_is_below(uhva, start), !hit && uhva < start,
			    "page %#lx, %#lx to %#lx", uhva, start, end);
	KUNIT_ASSERT_EQ_MSG(test, page_hold_is_above(uhva, end), !hit && uhva > start,
			    "page %#lx, %#lx to %#lx", uhva, start, end);
}

static void a_range_hits_the_pages_in_it(struct kunit *test)
{
	static const unsigned long pages[] = { 0, 0x1000, 0x7f0123455000, 0x7ffffffff000 };
	static const long offset[] = {
		-0x200000, -0x1001, -0x1000, -1, 0, 1, 0xfff, 0x1000, 0x1001, 0x200000
	};
	unsigned long uhva;
	int p, s, e, bit;

	for (p = 0; p < ARRAY_SIZE(pages); p++) {
		uhva = pages[p];
		for (s = 0; s < ARRAY_SIZE(offset); s++)
			for (e = s + 1; e < ARRAY_SIZE(offset); e++)
				if (uhva || offset[s] >= 0)
					range(test, uhva, uhva + offset[s], uhva + offset[e]);
		for (bit = 0; bit < 47; bit++) {
			range(test, uhva, uhva ^ BIT(bit), (uhva ^ BIT(bit)) + PAGE_SIZE);
			range(test, uhva, uhva ^ BIT(bit), uhva + PAGE_SIZE);
			range(test, uhva, uhva, uhva ^ BIT(bit));
		}
		range(test, uhva, 0, ULONG_MAX);	/* the address space ends */
	}
}

/* As in stock: L2 uses all but the bitmap, an entry uses all. */
static void what_is_used_gets_a_reference(struct kunit *test)
{
	static const bool used[][NR_HELD_PAGES] = {
		[PAGES_UNUSED] = {},
		[PAGES_OF_L2] = {
			[HELD_APIC_ACCESS] = true, [HELD_VIRTUAL_APIC] = true,
			[HELD_PI_DESC] = true,
		},
		[PAGES_OF_ENTRY] = { true, true, true, true },
	};
	int in_use, which;

	for (in_use = 0; in_use < ARRAY_SIZE(used); in_use++)
		for (which = 0; which < NR_HELD_PAGES; which++)
			KUNIT_ASSERT_EQ_MSG(test, page_hold_may_be_used(in_use, which),
					    used[in_use][which], "%d, page %d", in_use, which);
}

static void an_overlapping_invalidation_is_seen(struct kunit *test)
{
	static const u64 ended[] = { 0, U32_MAX, INT_MAX, 0x12345 };
	u64 was, is;
	int e, bit;

	for (e = 0; e < ARRAY_SIZE(ended); e++) {
		was = ended[e] << 32;
		KUNIT_ASSERT_FALSE(test, page_hold_filled_late(was, was));
		for (bit = 0; bit < 64; bit++)
			KUNIT_ASSERT_TRUE_MSG(test, page_hold_filled_late(was, was ^ BIT_ULL(bit)),
					      "bit %d", bit);
		/* One that began before and has not ended; ended since; began and ended. */
		is = was + INVALIDATION_STARTS;
		KUNIT_ASSERT_TRUE(test, page_hold_filled_late(is, is));
		is += INVALIDATION_ENDS;
		KUNIT_ASSERT_TRUE(test, page_hold_filled_late(was + INVALIDATION_STARTS, is));
		KUNIT_ASSERT_TRUE(test, page_hold_filled_late(was, is));
		/* And from then on no other. */
		KUNIT_ASSERT_FALSE(test, page_hold_filled_late(is, is));
	}
}

static struct kunit_case cases[] = {
	KUNIT_CASE(any_bit_of_the_key_matters),
	KUNIT_CASE(any_change_of_memslots_matters),
	KUNIT_CASE(a_hold_serves_its_page_alone),
	KUNIT_CASE(a_range_hits_the_pages_in_it),
	KUNIT_CASE(what_is_used_gets_a_reference),
	KUNIT_CASE(an_overlapping_invalidation_is_seen),
	{}
};

static struct kunit_suite suite = {
	.name = "page_hold",
	.test_cases = cases,
};

kunit_test_suite(suite);

MODULE_LICENSE("GPL");
