// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit: the table of shadowable fields against lists written down a second time,
 * and the policy of the set against what it promises.
 */
#include <kunit/test.h>
#include <linux/module.h>

#include "nested/shadow_fields.h"
#include "nested/shadow_policy.h"

unsigned int shadow_exit_cost = SHADOW_EXIT_COST;
unsigned int shadow_fresh_cost = SHADOW_FRESH_COST;

#define for_each_field(info) \
	for ((info) = shadow_info; (info) < shadow_info + NR_SHADOW_FIELDS; (info)++)

static const struct shadow_field_info *find(u16 encoding)
{
	const struct shadow_field_info *info;

	for_each_field(info)
		if (info->encoding == encoding)
			return info;
	return NULL;
}

static bool is_in(u16 encoding, const u16 *list, int count)
{
	while (count--)
		if (list[count] == encoding)
			return true;
	return false;
}

/* ---------------------------------------------------------------- table -- */

static void each_field_once(struct kunit *test)
{
	const struct shadow_field_info *info, *other;

	for_each_field(info)
		for_each_field(other) {
			if (info == other)
				continue;
			KUNIT_EXPECT_NE_MSG(test, info->encoding, other->encoding, "%s",
					    info->name);
			KUNIT_EXPECT_STRNEQ(test, info->name, other->name);
		}
}

static void encodings_are_full(struct kunit *test)
{
	const struct shadow_field_info *info;

	for_each_field(info) {
		KUNIT_EXPECT_FALSE_MSG(test, info->encoding & 1, "%s", info->name);
		KUNIT_EXPECT_LT_MSG(test, info->encoding, 0x8000, "%s", info->name);
		KUNIT_EXPECT_EQ_MSG(test, SHADOW_ENC_MASK(info->encoding),
				    SHADOW_ENC_SIZE(info->encoding) == 8 ? ~0ULL :
				    BIT_ULL(8 * SHADOW_ENC_SIZE(info->encoding)) - 1,
				    "%s", info->name);
	}
	KUNIT_EXPECT_EQ(test, SHADOW_ENC_SIZE(0x0810), 2);
	KUNIT_EXPECT_EQ(test, SHADOW_ENC_SIZE(0x2400), 8);
	KUNIT_EXPECT_EQ(test, SHADOW_ENC_SIZE(0x4402), 4);
	KUNIT_EXPECT_EQ(test, SHADOW_ENC_SIZE(0x6c16), 8);
}

/* L1's VMWRITE of these must exit: it may fail, or lose bits. */
static void never_writable(struct kunit *test)
{
	const struct shadow_field_info *info;

	for_each_field(info) {
		bool information = (info->encoding & 0xc00) == 0x400;
		bool access_rights = info->encoding >= 0x4814 && info->encoding <= 0x4822;

		if (information || access_rights)
			KUNIT_EXPECT_FALSE_MSG(test, info->kind & SHADOW_WRITABLE, "%s",
					       info->name);
		else
			KUNIT_EXPECT_TRUE_MSG(test, info->kind & SHADOW_WRITABLE, "%s",
					      info->name);
	}
}

static void not_what_l0_changes_while_emulating(struct kunit *test)
{
	KUNIT_EXPECT_PTR_EQ(test, find(0x4400), NULL);	/* VM-instruction error */
	KUNIT_EXPECT_PTR_EQ(test, find(0x2812), NULL);	/* guest IA32_BNDCFGS */
	KUNIT_EXPECT_PTR_EQ(test, find(0x202e), NULL);	/* ENCLS-exiting bitmap */
}

/* Those that KVM syncs from vmcs02 only when asked. */
static void stale_fields_are_marked(struct kunit *test)
{
	const struct shadow_field_info *info;

	for_each_field(info) {
		u16 e = info->encoding;
		bool rare = (e >= 0x0800 && e <= 0x080e) || (e >= 0x4800 && e <= 0x4812) ||
			    (e >= 0x4814 && e <= 0x4822 && e != 0x4816 && e != 0x4818) ||
			    (e >= 0x6806 && e <= 0x6818) || e == 0x6822;

		KUNIT_EXPECT_EQ_MSG(test, !!(info->kind & SHADOW_STALE), rare, "%s", info->name);
	}
}

/* What L0 uses at every nested entry; of all others a write marks vmcs12 dirty. */
static void writes_are_marked(struct kunit *test)
{
	static const u16 every_entry[] = {
		0x0810, 0x0812, 0x4000, 0x4002, 0x4004, 0x4016, 0x4018, 0x401a, 0x401c, 0x4824,
		0x482e, 0x6000, 0x6004, 0x6006, 0x6800, 0x6802, 0x6804, 0x681c, 0x681e, 0x6820,
	};
	const struct shadow_field_info *info;

	for_each_field(info) {
		bool host = (info->encoding & 0xc00) == 0xc00;

		if (!(info->kind & SHADOW_WRITABLE))
			continue;
		KUNIT_EXPECT_EQ_MSG(test, !(info->kind & SHADOW_DIRTIES), host ||
				    is_in(info->encoding, every_entry, ARRAY_SIZE(every_entry)),
				    "%s", info->name);
	}
}

/* Stock's fields, those of the talk of 2017 among them, and two more. */
static void set_at_the_start(struct kunit *test)
{
	static const u16 on[] = {
		0x0810, 0x0812, 0x0c08, 0x0c0a, 0x2400, 0x4000, 0x4002, 0x4004, 0x4016, 0x4018,
		0x401a, 0x401c, 0x4402, 0x4404, 0x4406, 0x4408, 0x440a, 0x440c, 0x4816, 0x4818,
		0x4824, 0x482e, 0x6000, 0x6004, 0x6006, 0x6400, 0x640a, 0x6800, 0x6802, 0x6804,
		0x681c, 0x681e, 0x6820, 0x6c06, 0x6c08, 0x6c14, 0x6c16,
	};
	const struct shadow_field_info *info;
	int count = 0;

	for_each_field(info) {
		KUNIT_EXPECT_EQ_MSG(test, !!(info->kind & SHADOW_ON),
				    is_in(info->encoding, on, ARRAY_SIZE(on)), "%s", info->name);
		count += !!(info->kind & SHADOW_ON);
	}
	KUNIT_EXPECT_EQ(test, count, (int)ARRAY_SIZE(on));
}

static void what_needs_fresh_rare_fields(struct kunit *test)
{
	KUNIT_EXPECT_FALSE(test, shadow_needs_fresh(SHADOW_INFO, false));
	KUNIT_EXPECT_FALSE(test, shadow_needs_fresh(SHADOW_ENTRY_ON, true));
	KUNIT_EXPECT_FALSE(test, shadow_needs_fresh(SHADOW_HOST, true));
	KUNIT_EXPECT_FALSE(test, shadow_needs_fresh(SHADOW_LAZY, false));
	KUNIT_EXPECT_TRUE(test, shadow_needs_fresh(SHADOW_LAZY, true));
	KUNIT_EXPECT_TRUE(test, shadow_needs_fresh(SHADOW_RARE, false));
	KUNIT_EXPECT_TRUE(test, shadow_needs_fresh(SHADOW_RARE, true));
	KUNIT_EXPECT_TRUE(test, shadow_needs_fresh(SHADOW_RARE_AR, false));
}

/* --------------------------------------------------------------- policy -- */

/* True if the second of two exits, "distance" nested entries apart, makes a field join. */
static bool joins_after(u32 start, u32 distance)
{
	struct shadow_bucket bucket = {};

	return !shadow_field_exited(&bucket, start) &&
	       shadow_field_exited(&bucket, start + distance);
}

static void two_exits_soon_join(struct kunit *test)
{
	u32 start;

	for (start = 0; start < 3; start++) {
		KUNIT_EXPECT_FALSE(test, joins_after(start, 0));
		KUNIT_EXPECT_TRUE(test, joins_after(start, 1));
		KUNIT_EXPECT_TRUE(test, joins_after(start, 28));
		KUNIT_EXPECT_FALSE(test, joins_after(start, 29));
		KUNIT_EXPECT_FALSE(test, joins_after(start, 1000000));
	}
	KUNIT_EXPECT_TRUE(test, joins_after(-1, 2));
	KUNIT_EXPECT_FALSE(test, joins_after(-1, 50));
}

static void a_burst_counts_once(struct kunit *test)
{
	struct shadow_bucket bucket = {};
	int i;

	for (i = 0; i < 100; i++)
		KUNIT_EXPECT_FALSE(test, shadow_field_exited(&bucket, 7));
	KUNIT_EXPECT_TRUE(test, shadow_field_exited(&bucket, 8));
}

static void a_bucket_does_not_remember_for_ever(struct kunit *test)
{
	struct shadow_bucket bucket = {};
	u32 now;

	for (now = 0; now < 1000; now++)
		shadow_field_exited(&bucket, now);
	KUNIT_EXPECT_EQ(test, shadow_bucket_level(&bucket, now, 1), shadow_bucket_size() - 1U);
	KUNIT_EXPECT_EQ(test, shadow_bucket_level(&bucket, now + shadow_bucket_size(), 1), 0U);
}

static void one_exit_brings_back_what_a_census_took(struct kunit *test)
{
	struct shadow_bucket bucket = {};
	u32 later;

	for (later = 0; later < 100; later++) {
		shadow_field_leaves(&bucket, 1000);
		KUNIT_EXPECT_EQ(test, shadow_field_exited(&bucket, 1000 + later),
				later <= SHADOW_CENSUS_GRACE);
	}
}

static void fresh_fields_must_be_worth_it(struct kunit *test)
{
	u32 period, now;

	for (period = 1; period < 20; period++) {
		struct shadow_bucket bucket = {};
		bool worth_it = false;

		for (now = 0; now < 1000; now++) {
			if (now % period == 0)
				shadow_bucket_pour(&bucket, now, shadow_fresh_cost);
			worth_it |= shadow_fresh_is_worth_it(&bucket, now);
		}
		/* An exit is worth 44, freshness costs 12 per entry. */
		KUNIT_EXPECT_EQ_MSG(test, worth_it, period < 4, "period %u", period);
	}
}

static void censuses_become_rare(struct kunit *test)
{
	u32 period = SHADOW_FIRST_CENSUS;
	int i;

	for (i = 0; i < 20; i++) {
		u32 next = shadow_next_period(period);

		KUNIT_EXPECT_TRUE(test, next > period || next == SHADOW_MAX_CENSUS_PERIOD);
		KUNIT_EXPECT_LE(test, next, (u32)SHADOW_MAX_CENSUS_PERIOD);
		period = next;
	}
	KUNIT_EXPECT_EQ(test, period, (u32)SHADOW_MAX_CENSUS_PERIOD);

	KUNIT_EXPECT_FALSE(test, shadow_is_due(15, 16));
	KUNIT_EXPECT_TRUE(test, shadow_is_due(16, 16));
	KUNIT_EXPECT_TRUE(test, shadow_is_due(17, 16));
	/* The count of nested entries wraps. */
	KUNIT_EXPECT_FALSE(test, shadow_is_due(-5, -5 + period));
	KUNIT_EXPECT_TRUE(test, shadow_is_due(-5 + period, -5 + period));
}

/*
 * A field that L1 uses once every "period" nested entries, for 100,000 of them:
 * what it costs in exits and membership, against always and never.
 */
static void play(struct kunit *test, u32 period)
{
	u32 next_census = SHADOW_FIRST_CENSUS, census_period = SHADOW_FIRST_CENSUS;
	u32 now, joins = 0, censuses = 0, exits = 0, cost = 0, always, never;
	struct shadow_bucket bucket = {};
	bool in = true;

	for (now = 0; now < 100000; now++) {
		bool join = false;

		if (now % period == 0 && !in) {
			cost += shadow_exit_cost;
			exits++;
			join = shadow_field_exited(&bucket, now);
		}
		cost += in;
		if (shadow_is_due(now, next_census)) {
			if (in)
				shadow_field_leaves(&bucket, now);
			in = false;
			census_period = shadow_next_period(census_period);
			next_census = now + census_period;
			censuses++;
		} else if (join) {
			in = true;
			joins++;
		}
	}
	always = now;
	never = DIV_ROUND_UP(now, period) * shadow_exit_cost;
	KUNIT_EXPECT_LE_MSG(test, joins, censuses, "period %u", period);
	KUNIT_EXPECT_LE_MSG(test, cost, 2 * min(always, never) + 10 * shadow_exit_cost,
			    "period %u", period);
	if (period <= SHADOW_CENSUS_GRACE)
		KUNIT_EXPECT_LE_MSG(test, exits, 2 * censuses, "period %u", period);
}

/* Whatever ratio of costs a CPU has. */
static void costs_little_more_than_the_best(struct kunit *test)
{
	static const unsigned int costs[] = { SHADOW_MIN_COST, 100, SHADOW_MAX_COST };
	u32 period;
	int c;

	for (period = 1; period < 300; period++)
		play(test, period);
	for (c = 0; c < ARRAY_SIZE(costs); c++) {
		shadow_exit_cost = costs[c];
		for (period = 1; period < 300; period += 13)
			play(test, period);
	}
	shadow_exit_cost = SHADOW_EXIT_COST;
}

static struct kunit_case shadow_cases[] = {
	KUNIT_CASE(each_field_once),
	KUNIT_CASE(encodings_are_full),
	KUNIT_CASE(never_writable),
	KUNIT_CASE(not_what_l0_changes_while_emulating),
	KUNIT_CASE(stale_fields_are_marked),
	KUNIT_CASE(writes_are_marked),
	KUNIT_CASE(set_at_the_start),
	KUNIT_CASE(what_needs_fresh_rare_fields),
	KUNIT_CASE(two_exits_soon_join),
	KUNIT_CASE(a_burst_counts_once),
	KUNIT_CASE(a_bucket_does_not_remember_for_ever),
	KUNIT_CASE(one_exit_brings_back_what_a_census_took),
	KUNIT_CASE(fresh_fields_must_be_worth_it),
	KUNIT_CASE(censuses_become_rare),
	KUNIT_CASE(costs_little_more_than_the_best),
	{}
};

static struct kunit_suite shadow_suite = {
	.name = "shadow",
	.test_cases = shadow_cases,
};

kunit_test_suite(shadow_suite);

MODULE_LICENSE("GPL");
