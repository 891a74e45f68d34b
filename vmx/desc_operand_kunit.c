// SPDX-License-Identifier: GPL-2.0
/* KUnit: operands of descriptor-table instructions, and pages whose translation is remembered. */
#include <kunit/test.h>

#include "vmx/desc_operand.h"
#include "vmx/gva_memo_state.h"

/* Little endian, as in memory. */
#define INSN(first, second, third, fourth, fifth)					\
	((u64)(first) | (u64)(second) << 8 | (u64)(third) << 16 | (u64)(fourth) << 24 |	\
	 (u64)(fifth) << 32 | 0xccccccull << 40)

static void operand_size_is_in_the_prefixes(struct kunit *test)
{
	static const struct {
		u64 insn;
		unsigned int size;
	} cases[] = {
		{ INSN(0x0f, 0x00, 0xc0, 0xcc, 0xcc), 4 },
		{ INSN(0x66, 0x0f, 0x00, 0xc0, 0xcc), 2 },
		{ INSN(0x48, 0x0f, 0x00, 0xc0, 0xcc), 8 },
		{ INSN(0x41, 0x0f, 0x00, 0xc0, 0xcc), 4 },
		{ INSN(0x66, 0x41, 0x0f, 0x00, 0xc0), 2 },
		{ INSN(0x66, 0x49, 0x0f, 0x00, 0xc0), 8 },
		{ INSN(0x2e, 0x67, 0x66, 0x0f, 0x00), 2 },
		{ INSN(0x66, 0x66, 0xf3, 0x0f, 0x00), 2 },
		{ INSN(0x48, 0x66, 0x0f, 0x00, 0xc0), 0 },	/* REX is without effect */
		{ INSN(0x48, 0x48, 0x0f, 0x00, 0xc0), 0 },
		{ INSN(0x0f, 0x01, 0xc0, 0xcc, 0xcc), 0 },	/* another instruction */
		{ INSN(0x48, 0x0f, 0x01, 0xc0, 0xcc), 0 },
		{ INSN(0x90, 0x0f, 0x00, 0xc0, 0xcc), 0 },
		{ 0x6666666666666666ull, 0 },
		{ 0x0f66666666666666ull, 0 },	/* the second byte is not seen */
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		KUNIT_EXPECT_EQ_MSG(test, desc_operand_size(cases[i].insn), cases[i].size,
				    "%#llx", cases[i].insn);
}

static void register_keeps_what_is_not_written(struct kunit *test)
{
	const u64 old = 0x1122334455667788ull;

	KUNIT_EXPECT_EQ(test, desc_register(old, 0xabcd, 2), 0x112233445566abcdull);
	KUNIT_EXPECT_EQ(test, desc_register(old, 0xabcd, 4), 0xabcdull);
	KUNIT_EXPECT_EQ(test, desc_register(old, 0xabcd, 8), 0xabcdull);
}

static void offset_is_a_sum(struct kunit *test)
{
	const u32 bits_64 = 2 << 7, bits_32 = 1 << 7;

	KUNIT_EXPECT_EQ(test, desc_offset(bits_64, -0x10, 0x5000, 0), 0x4ff0ull);
	KUNIT_EXPECT_EQ(test, desc_offset(bits_64 | 3, 1, 0x5000, 0x20), 0x5101ull);
	KUNIT_EXPECT_EQ(test, desc_offset(bits_64, 0, -0x8000ull, 0), -0x8000ull);
	KUNIT_EXPECT_EQ(test, desc_offset(bits_32, -0x10, 0x1100000008ull, 0), 0xfffffff8ull);
}

static void canonical_by_48_bits(struct kunit *test)
{
	KUNIT_EXPECT_TRUE(test, desc_is_canonical(0x00007fffffffffffull));
	KUNIT_EXPECT_FALSE(test, desc_is_canonical(0x0000800000000000ull));
	KUNIT_EXPECT_TRUE(test, desc_is_canonical(0xffff800000000000ull));
	KUNIT_EXPECT_FALSE(test, desc_is_canonical(0xffff7fffffffffffull));
	KUNIT_EXPECT_FALSE(test, desc_is_canonical(0xff00000000000000ull));
}

static void frame_of_a_large_page(struct kunit *test)
{
	const u64 gva = 0x7fc0123456789abcull;

	KUNIT_EXPECT_EQ(test, gva_gfn_of(0x8000000012345063ull, 1, gva), 0x12345ull);
	KUNIT_EXPECT_EQ(test, gva_gfn_of(0x80000000122010e3ull, 2, gva), 0x12200ull | 0x189);
	KUNIT_EXPECT_EQ(test, gva_gfn_of(0x00000000c00010e3ull, 3, gva),
			0xc0000ull | (gva >> 12 & 0x3ffff));
	KUNIT_EXPECT_TRUE(test, gva_entry_is_last(GVA_LARGE, 2));
	KUNIT_EXPECT_TRUE(test, gva_entry_is_last(GVA_LARGE, 3));
	KUNIT_EXPECT_FALSE(test, gva_entry_is_last(GVA_LARGE, 4));
	KUNIT_EXPECT_FALSE(test, gva_entry_is_last(0, 2));
	KUNIT_EXPECT_TRUE(test, gva_entry_is_last(0, 1));
}

static void protection_is_not_in_the_way(struct kunit *test)
{
	const u64 all = GVA_PRESENT | GVA_WRITABLE | GVA_ACCESSED | GVA_DIRTY;

	KUNIT_EXPECT_TRUE(test, gva_entries_allow(all, true));
	KUNIT_EXPECT_TRUE(test, gva_entries_allow(all & ~(GVA_WRITABLE | GVA_DIRTY), false));
	KUNIT_EXPECT_FALSE(test, gva_entries_allow(all & ~GVA_WRITABLE, true));
	KUNIT_EXPECT_FALSE(test, gva_entries_allow(all & ~GVA_DIRTY, true));
	KUNIT_EXPECT_FALSE(test, gva_entries_allow(all & ~GVA_ACCESSED, false));
	KUNIT_EXPECT_FALSE(test, gva_entries_allow(all & ~GVA_PRESENT, false));
	KUNIT_EXPECT_FALSE(test, gva_entries_allow(all | GVA_USER, false));
}

static struct kunit_case cases[] = {
	KUNIT_CASE(operand_size_is_in_the_prefixes),
	KUNIT_CASE(register_keeps_what_is_not_written),
	KUNIT_CASE(offset_is_a_sum),
	KUNIT_CASE(canonical_by_48_bits),
	KUNIT_CASE(frame_of_a_large_page),
	KUNIT_CASE(protection_is_not_in_the_way),
	{ }
};

static struct kunit_suite suite = { .name = "desc_operand", .test_cases = cases };
kunit_test_suite(suite);

MODULE_LICENSE("GPL");
