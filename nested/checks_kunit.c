// SPDX-License-Identifier: GPL-2.0
/* KUnit: which trapped VMWRITEs of L1 make the consistency checks necessary. */
#include <kunit/test.h>

#include "nested/checks_state.h"

/* SDM, "Field Encoding in VMCS": a field of each type that is, or is not, checked. */
static void writes_that_matter(struct kunit *test)
{
	static const u16 matter[] = {
		0x0000,	/* virtual-processor identifier */
		0x0c02,	/* host CS selector */
		0x2004,	/* address of MSR bitmaps */
		0x2008,	/* VM-exit MSR-load address */
		0x2c00,	/* host IA32_PAT */
		0x400a,	/* CR3-target count */
		0x400c,	/* VM-exit controls */
		0x4c00,	/* host IA32_SYSENTER_CS */
		0x6c00,	/* host CR0 */
		0x6c10,	/* host IA32_SYSENTER_ESP */
	};
	static const u16 do_not[] = {
		0x0800,	/* guest ES selector */
		0x2400,	/* guest-physical address */
		0x4402,	/* exit reason */
		0x6400,	/* exit qualification */
		0x6800,	/* guest CR0, which is compared */
		0x681e,	/* guest RIP */
		0x6c14,	/* host RSP, which is not checked */
		0x6c16,	/* host RIP, which is compared */
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(matter); i++)
		KUNIT_EXPECT_TRUE_MSG(test, checks_depend_on(matter[i]), "field %#x", matter[i]);
	for (i = 0; i < ARRAY_SIZE(do_not); i++)
		KUNIT_EXPECT_FALSE_MSG(test, checks_depend_on(do_not[i]), "field %#x", do_not[i]);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(writes_that_matter),
	{}
};

static struct kunit_suite suite = {
	.name = "checks",
	.test_cases = cases,
};

kunit_test_suite(suite);

MODULE_LICENSE("GPL");
