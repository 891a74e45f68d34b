// SPDX-License-Identifier: GPL-2.0
/* KUnit: access rights of L1's segments, against what the SDM says of each bit. */
#include <kunit/test.h>

#include "nested/host_segments_state.h"

/* SDM, "Guest Register State", format of access rights. */
static u32 rights(int type, int s, int dpl, int p, int l, int db, int g, int unusable)
{
	return type | s << 4 | dpl << 5 | p << 7 | l << 13 | db << 14 | g << 15 | unusable << 16;
}

/* SDM, "Loading Host Segment and Descriptor-Table Registers". */
static void as_a_vm_exit_loads_them(struct kunit *test)
{
	/* Read/write data, accessed; ring 0, present, 32-bit, limit in pages. */
	KUNIT_EXPECT_EQ(test, (u32)HOST_DATA, rights(3, 1, 0, 1, 0, 1, 1, 0));
	/* Busy 64-bit TSS. */
	KUNIT_EXPECT_EQ(test, (u32)HOST_TSS, rights(11, 0, 0, 1, 0, 0, 0, 0));
	KUNIT_EXPECT_EQ(test, (u32)HOST_UNUSABLE, rights(0, 0, 0, 0, 0, 0, 0, 1));
	KUNIT_EXPECT_EQ(test, (u32)HOST_TSS_LIMIT, 0x67U);
	KUNIT_EXPECT_EQ(test, (u32)HOST_FLAT_LIMIT, ~0U);
}

/* Execute/read code, accessed: L if "host address-space size" (bit 9), else D. */
static void cs_depends_on_one_control(struct kunit *test)
{
	const u32 code_64 = rights(11, 1, 0, 1, 1, 0, 1, 0);
	const u32 code_32 = rights(11, 1, 0, 1, 0, 1, 1, 0);
	int bit;

	for (bit = 0; bit < 32; bit++) {
		KUNIT_ASSERT_EQ_MSG(test, host_cs_access_rights(BIT(bit)),
				    bit == 9 ? code_64 : code_32, "bit %d", bit);
		KUNIT_ASSERT_EQ_MSG(test, host_cs_access_rights(~BIT(bit)),
				    bit == 9 ? code_32 : code_64, "bit %d", bit);
	}
}

static struct kunit_case cases[] = {
	KUNIT_CASE(as_a_vm_exit_loads_them),
	KUNIT_CASE(cs_depends_on_one_control),
	{}
};

static struct kunit_suite suite = {
	.name = "host_segments",
	.test_cases = cases,
};

kunit_test_suite(suite);

MODULE_LICENSE("GPL");
