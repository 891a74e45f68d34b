// SPDX-License-Identifier: GPL-2.0
/* KUnit: what an MMU role is made of, against the bits that the SDM and KVM name. */
#include <kunit/test.h>

#include "nested/mmu_roles_state.h"

static void flip(struct kunit *test, int which, u64 matter, u64 background)
{
	u64 in[4] = { background, background, background, background };
	u64 before = mmu_role_inputs(in[0], in[1], in[2], in[3]), after;
	int bit;

	for (bit = 0; bit < 64; bit++) {
		in[which] = background ^ BIT_ULL(bit);
		after = mmu_role_inputs(in[0], in[1], in[2], in[3]);
		KUNIT_ASSERT_EQ_MSG(test, before != after, (bool)(matter & BIT_ULL(bit)),
				    "input %d, bit %d", which, bit);
	}
}

static void each_bit_matters_or_does_not(struct kunit *test)
{
	const u64 matter[] = {
		BIT_ULL(31) | BIT_ULL(16),	/* CR0: PG, WP */
		BIT_ULL(4) | BIT_ULL(5) | BIT_ULL(12) | BIT_ULL(20) | BIT_ULL(21) | BIT_ULL(22),
		BIT_ULL(10) | BIT_ULL(11),	/* EFER: LMA, NX */
		HF_GUEST_MASK | HF_SMM_MASK,
	};
	int which;

	for (which = 0; which < 4; which++) {
		flip(test, which, matter[which], 0);
		flip(test, which, matter[which], ~0ULL);
	}
}

/* Two inputs that swap a value must not cancel. */
static void inputs_share_no_bit(struct kunit *test)
{
	int a, b;

	for (a = 0; a < 4; a++) {
		for (b = 0; b < a; b++) {
			u64 in[4] = {}, alone;

			in[a] = ~0ULL;
			alone = mmu_role_inputs(in[0], in[1], in[2], in[3]);
			in[a] = 0;
			in[b] = ~0ULL;
			KUNIT_EXPECT_EQ(test, alone &
					mmu_role_inputs(in[0], in[1], in[2], in[3]), 0ULL);
		}
	}
}

static struct kunit_case cases[] = {
	KUNIT_CASE(each_bit_matters_or_does_not),
	KUNIT_CASE(inputs_share_no_bit),
	{}
};

static struct kunit_suite suite = {
	.name = "mmu_roles",
	.test_cases = cases,
};

kunit_test_suite(suite);

MODULE_LICENSE("GPL");
