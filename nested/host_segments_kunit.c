// SPDX-License-Identifier: GPL-2.0
/* KUnit: access rights of L1's segments, against what the SDM says of each bit. */
#include <kunit/test.h>

#include "nested/host_segments.h"

/* SDM, "Guest Register State", format of access rights. */
static u32 rights(int type, int s, int dpl, int p, int l, int db, int g, int unusable)
{
	return type | s << 4 | dpl << 5 | p << 7 | l << 13 | db << 14 | g << 15 | unusable << 16;
}

/* SDM, "Loading Host Segment and Descriptor-Table Registers". */
static void as_a_vm_exit_loads_them(struct kunit *test)
{
	/* Execute/read 64-bit code, accessed; ring 0, present, limit in pages. */
	KUNIT_EXPECT_EQ(test, (u32)HOST_CODE_64, rights(11, 1, 0, 1, 1, 0, 1, 0));
	/* Read/write data, accessed; ring 0, present, 32-bit, limit in pages. */
	KUNIT_EXPECT_EQ(test, (u32)HOST_DATA, rights(3, 1, 0, 1, 0, 1, 1, 0));
	/* Busy 64-bit TSS. */
	KUNIT_EXPECT_EQ(test, (u32)HOST_TSS, rights(11, 0, 0, 1, 0, 0, 0, 0));
	KUNIT_EXPECT_EQ(test, (u32)HOST_UNUSABLE, rights(0, 0, 0, 0, 0, 0, 0, 1));
	KUNIT_EXPECT_EQ(test, (u32)HOST_TSS_LIMIT, 0x67U);
	KUNIT_EXPECT_EQ(test, (u32)HOST_FLAT_LIMIT, ~0U);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(as_a_vm_exit_loads_them),
	{}
};

static struct kunit_suite suite = {
	.name = "host_segments",
	.test_cases = cases,
};

kunit_test_suite(suite);

MODULE_LICENSE("GPL");
