// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit: the rule of the IA32_DEBUGCTL pass-through, against the definition:
 * a read may pass if and only if hardware would answer as stock KVM does.
 */
#include <kunit/test.h>

#include "vmx/debugctl_state.h"

/* The field that VM entry loads: the guest's bits, the host's FREEZE_IN_SMM. */
static u64 field_in_vmcs(u64 guest, u64 host)
{
	return (guest & ~BIT_ULL(14)) | (host & BIT_ULL(14));
}

static void answers_agree_when_passed(struct kunit *test)
{
	int g, h;

	for (g = 0; g < 64; g++) {
		for (h = 0; h < 64; h++) {
			u64 host = BIT_ULL(h);
			u64 field = field_in_vmcs(BIT_ULL(g), host);
			bool same = debugctl_stock_answer(field) == field;

			KUNIT_EXPECT_EQ(test, debugctl_read_may_pass(host, true), same);
		}
	}
}

static void other_host_bits_do_not_matter(struct kunit *test)
{
	KUNIT_EXPECT_TRUE(test, debugctl_read_may_pass(0, true));
	KUNIT_EXPECT_TRUE(test, debugctl_read_may_pass(~BIT_ULL(14), true));
	KUNIT_EXPECT_FALSE(test, debugctl_read_may_pass(~0ULL, true));
}

static void stale_field_never_passes(struct kunit *test)
{
	int h;

	KUNIT_EXPECT_FALSE(test, debugctl_read_may_pass(0, false));
	for (h = 0; h < 64; h++)
		KUNIT_EXPECT_FALSE(test, debugctl_read_may_pass(BIT_ULL(h), false));
}

static void stock_answer_hides_one_bit(struct kunit *test)
{
	int bit;

	for (bit = 0; bit < 64; bit++)
		KUNIT_EXPECT_EQ(test, debugctl_stock_answer(BIT_ULL(bit)),
				bit == 14 ? 0 : BIT_ULL(bit));
}

static struct kunit_case debugctl_cases[] = {
	KUNIT_CASE(answers_agree_when_passed),
	KUNIT_CASE(other_host_bits_do_not_matter),
	KUNIT_CASE(stale_field_never_passes),
	KUNIT_CASE(stock_answer_hides_one_bit),
	{}
};

static struct kunit_suite debugctl_suite = {
	.name = "debugctl",
	.test_cases = debugctl_cases,
};

kunit_test_suite(debugctl_suite);

MODULE_LICENSE("GPL");
