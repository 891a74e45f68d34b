// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit: the merge of the MSR bitmaps, word by word, against the plain one, MSR
 * by MSR, with each input bit flipped by itself; and that no bit outside the
 * listed words is an input or an output.
 */
#include <kunit/test.h>
#include <linux/slab.h>

#include "nested/msr_bitmap_state.h"

#define PAGE_WORDS 512

struct pages {
	u64 l1[PAGE_WORDS], l01[PAGE_WORDS], expected[PAGE_WORDS], actual[PAGE_WORDS];
};

/* The same merge, MSR by MSR over whole pages: slow and plain. */
static void reference(const u64 *l1, const u64 *l01, u64 controls, u64 *page)
{
	static const struct {
		u32 msr;
		u16 part;
		u32 from;	/* the first kernel line that merges it */
		u8 more;	/* as many MSRs after it, too */
	} l01_bits[] = {
		{ 0x48, READ_LOW }, { 0x48, WRITE_LOW }, { 0x49, WRITE_LOW },
		{ 0xc0000100, READ_HIGH }, { 0xc0000100, WRITE_HIGH },
		{ 0xc0000101, READ_HIGH }, { 0xc0000101, WRITE_HIGH },
		{ 0xc0000102, READ_HIGH }, { 0xc0000102, WRITE_HIGH },
		{ 0x10b, WRITE_LOW, FAST_LINE_6_12 },
		/* MPERF, APERF; U_CET, S_CET, PL0_SSP to PL3_SSP */
		{ 0xe7, READ_LOW, FAST_LINE_7_2, 1 },
		{ 0x6a0, READ_LOW, FAST_LINE_7_2 }, { 0x6a0, WRITE_LOW, FAST_LINE_7_2 },
		{ 0x6a2, READ_LOW, FAST_LINE_7_2 }, { 0x6a2, WRITE_LOW, FAST_LINE_7_2 },
		{ 0x6a4, READ_LOW, FAST_LINE_7_2, 3 }, { 0x6a4, WRITE_LOW, FAST_LINE_7_2, 3 },
		/* The PMU: counters, their aliases, fixed counters, control and status */
		{ 0xc1, READ_LOW, FAST_LINE_7_2, 7 }, { 0xc1, WRITE_LOW, FAST_LINE_7_2, 7 },
		{ 0x4c1, READ_LOW, FAST_LINE_7_2, 7 }, { 0x4c1, WRITE_LOW, FAST_LINE_7_2, 7 },
		{ 0x309, READ_LOW, FAST_LINE_7_2, 2 }, { 0x309, WRITE_LOW, FAST_LINE_7_2, 2 },
		{ 0x38e, READ_LOW, FAST_LINE_7_2, 1 }, { 0x38f, WRITE_LOW, FAST_LINE_7_2, 1 },
	};
	bool x2apic = controls & MSR_BITMAP_VIRT_X2APIC;
	bool reg_virt = controls & MSR_BITMAP_APIC_REG_VIRT;
	bool vid = controls & MSR_BITMAP_VID;
	u32 msr, i;

	memset(page, 0xff, 4096);
	for (msr = 0x800; msr <= 0x8ff; msr++) {
		u32 read = MSR_BITMAP_WORD(READ_LOW, msr);
		u32 write = MSR_BITMAP_WORD(WRITE_LOW, msr);
		u64 bit = BIT_ULL(msr & 63);
		bool writable = msr == 0x808 || (vid && (msr == 0x80b || msr == 0x83f));

		if (x2apic && (reg_virt || msr == 0x808) && !(l1[read] & bit))
			page[read] &= ~bit;
		if (x2apic && writable && !(l1[write] & bit))
			page[write] &= ~bit;
	}
	for (i = 0; i < ARRAY_SIZE(l01_bits); i++) {
		for (msr = l01_bits[i].msr; msr <= l01_bits[i].msr + l01_bits[i].more; msr++) {
			u32 word = MSR_BITMAP_WORD(l01_bits[i].part, msr);
			u64 bit = BIT_ULL(msr & 63);

			if (l01_bits[i].from <= FAST_LINE && !((l1[word] | l01[word]) & bit))
				page[word] &= ~bit;
		}
	}
}

static void merge_pages(struct pages *p, u64 controls)
{
	struct msr_bitmap_inputs in = { .controls = controls };
	u64 merged[MSR_BITMAP_WORDS];
	int i;

	for (i = 0; i < MSR_BITMAP_WORDS; i++)
		in.l1[i] = p->l1[msr_bitmap_word[i]];
	for (i = 0; i < MSR_BITMAP_L01_WORDS; i++)
		in.l01[i] = p->l01[msr_bitmap_word[MSR_BITMAP_X2APIC_WORDS + i]];
	msr_bitmap_merge(&in, merged);
	memset(p->actual, 0xff, sizeof(p->actual));
	for (i = 0; i < MSR_BITMAP_WORDS; i++)
		p->actual[msr_bitmap_word[i]] = merged[i];
	reference(p->l1, p->l01, controls, p->expected);
}

static struct pages *new_pages(struct kunit *test)
{
	struct pages *p = kunit_kzalloc(test, sizeof(*p), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, p);
	return p;
}

/* Each bit of @page flipped alone, under all controls. */
static void flip_each_bit(struct kunit *test, struct pages *p, u64 *page)
{
	static const u64 all_controls[] = {
		0, MSR_BITMAP_VIRT_X2APIC, MSR_BITMAP_APIC_REG_VIRT, MSR_BITMAP_VID,
		MSR_BITMAP_VIRT_X2APIC | MSR_BITMAP_APIC_REG_VIRT,
		MSR_BITMAP_VIRT_X2APIC | MSR_BITMAP_VID,
		MSR_BITMAP_APIC_REG_VIRT | MSR_BITMAP_VID, MSR_BITMAP_CONTROLS,
	};
	int c, word, bit;

	for (c = 0; c < ARRAY_SIZE(all_controls); c++) {
		for (word = 0; word < PAGE_WORDS; word++) {
			/* All bits near the listed words; elsewhere one of a word. */
			int step = 64, i;

			for (i = 0; i < MSR_BITMAP_WORDS; i++)
				if (abs(word - msr_bitmap_word[i]) <= 1)
					step = 1;
			for (bit = 0; bit < 64; bit += step) {
				page[word] ^= BIT_ULL(bit);
				merge_pages(p, all_controls[c]);
				KUNIT_ASSERT_EQ(test, 0, memcmp(p->actual, p->expected,
								sizeof(p->actual)));
				page[word] ^= BIT_ULL(bit);
			}
		}
	}
}

static void l1_bits_over_open_pages(struct kunit *test)
{
	struct pages *p = new_pages(test);

	flip_each_bit(test, p, p->l1);
}

static void l1_bits_over_closed_pages(struct kunit *test)
{
	struct pages *p = new_pages(test);

	memset(p->l1, 0xff, sizeof(p->l1));
	flip_each_bit(test, p, p->l1);
}

static void vmcs01_bits_over_open_pages(struct kunit *test)
{
	struct pages *p = new_pages(test);

	flip_each_bit(test, p, p->l01);
}

static void vmcs01_bits_over_closed_pages(struct kunit *test)
{
	struct pages *p = new_pages(test);

	memset(p->l01, 0xff, sizeof(p->l01));
	flip_each_bit(test, p, p->l01);
}

/* What must be intercepted whatever L1 says: spot checks by number. */
static void never_opened(struct kunit *test)
{
	static const u32 msrs[] = { 0x10, 0x1b, 0x1d9, 0x802, 0x80f, 0x830, 0x8ff };
	struct pages *p = new_pages(test);
	int i;

	merge_pages(p, MSR_BITMAP_CONTROLS);
	for (i = 0; i < ARRAY_SIZE(msrs); i++)
		KUNIT_EXPECT_TRUE(test, p->actual[MSR_BITMAP_WORD(WRITE_LOW, msrs[i])] &
				  BIT_ULL(msrs[i] & 63));
	KUNIT_EXPECT_TRUE(test, p->actual[MSR_BITMAP_WORD(READ_LOW, 0x1d9)] &
			  BIT_ULL(0x1d9 & 63));
	KUNIT_EXPECT_TRUE(test, p->actual[MSR_BITMAP_WORD(READ_LOW, 0x49)] &
			  BIT_ULL(0x49 & 63));
}

static struct kunit_case msr_bitmap_cases[] = {
	KUNIT_CASE(l1_bits_over_open_pages),
	KUNIT_CASE(l1_bits_over_closed_pages),
	KUNIT_CASE(vmcs01_bits_over_open_pages),
	KUNIT_CASE(vmcs01_bits_over_closed_pages),
	KUNIT_CASE(never_opened),
	{}
};

static struct kunit_suite msr_bitmap_suite = {
	.name = "msr_bitmap",
	.test_cases = msr_bitmap_cases,
};

kunit_test_suite(msr_bitmap_suite);

MODULE_LICENSE("GPL");
