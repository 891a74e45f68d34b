// SPDX-License-Identifier: GPL-2.0
/* KUnit: L2's preemption timer is neither early nor late, nor on another CPU. */
#include <kunit/test.h>

#include "nested/preemption_timer_state.h"

/* Around each bit of a time that a machine can reach in a hundred years. */
#define TIME_BITS	61

static void at(struct kunit *test, ktime_t now, ktime_t deadline)
{
	KUNIT_ASSERT_EQ_MSG(test, (int)preemption_timer_does(false, now, deadline),
			    (int)PREEMPTION_TIMER_NOTHING, "%lld, %lld", now, deadline);
	KUNIT_ASSERT_EQ_MSG(test, (int)preemption_timer_does(true, now, deadline),
			    (int)(now >= deadline ? PREEMPTION_TIMER_EXPIRE :
						    PREEMPTION_TIMER_REARM),
			    "%lld, %lld", now, deadline);
	KUNIT_ASSERT_EQ_MSG(test, preemption_timer_serves(3, 3, now, deadline),
			    now <= deadline, "%lld, %lld", now, deadline);
	KUNIT_ASSERT_FALSE_MSG(test, preemption_timer_serves(3, 2, now, deadline),
			       "%lld, %lld", now, deadline);
}

static void neither_early_nor_late(struct kunit *test)
{
	static const ktime_t deadlines[] = { 0, 1, 1000000007, BIT_ULL(TIME_BITS) - 1 };
	int d, bit;

	for (d = 0; d < ARRAY_SIZE(deadlines); d++) {
		at(test, deadlines[d], deadlines[d]);
		at(test, deadlines[d] + 1, deadlines[d]);
		at(test, deadlines[d], deadlines[d] + 1);
		for (bit = 0; bit < TIME_BITS; bit++)
			at(test, deadlines[d] ^ BIT_ULL(bit), deadlines[d]);
	}
}

static void each_bit_of_the_cpu_matters(struct kunit *test)
{
	int bit;

	for (bit = 0; bit < 31; bit++) {
		KUNIT_ASSERT_FALSE(test, preemption_timer_serves(BIT(bit), 0, 1, 1));
		KUNIT_ASSERT_FALSE(test, preemption_timer_serves(0, BIT(bit), 1, 1));
		KUNIT_ASSERT_TRUE(test, preemption_timer_serves(BIT(bit), BIT(bit), 1, 1));
	}
}

static void divide(struct kunit *test, struct preemption_timer *ours, u64 n, u32 khz)
{
	KUNIT_ASSERT_EQ_MSG(test, preemption_timer_quotient(ours, n, khz), div_u64(n, khz),
			    "%llu / %u", n, khz);
}

static void divides_as_stock(struct kunit *test)
{
	static const u32 khz[] = { 1, 2, 3, 7, 1000, 65535, 65536, 1000000, 2100000, 2399997,
				   5000001, 0x7fffffff, 0x80000000, U32_MAX - 1, U32_MAX };
	struct preemption_timer ours = {};
	int k, bit;
	u64 n;

	for (k = 0; k < ARRAY_SIZE(khz); k++) {
		divide(test, &ours, 0, khz[k]);
		divide(test, &ours, U64_MAX, khz[k]);
		for (bit = 0; bit < 64; bit++) {
			n = BIT_ULL(bit);
			divide(test, &ours, n - 1, khz[k]);
			divide(test, &ours, n, khz[k]);
			divide(test, &ours, n + 1, khz[k]);
			/* Around a multiple. */
			n -= n % khz[k];
			divide(test, &ours, n - 1, khz[k]);
			divide(test, &ours, n, khz[k]);
			divide(test, &ours, n + 1, khz[k]);
		}
	}
}

static struct kunit_case cases[] = {
	KUNIT_CASE(neither_early_nor_late),
	KUNIT_CASE(each_bit_of_the_cpu_matters),
	KUNIT_CASE(divides_as_stock),
	{}
};

static struct kunit_suite suite = {
	.name = "preemption_timer",
	.test_cases = cases,
};

kunit_test_suite(suite);

MODULE_LICENSE("GPL");
