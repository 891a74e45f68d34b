/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which fields a vCPU's shadow VMCS serves, as pure functions.
 *
 * Joining.  A field outside the set costs an exit per access; one inside costs a
 * little on every nested round trip.  Each field has a bucket for reads and one
 * for writes: an exit pours shadow_exit_cost in, every nested entry lets 1 leak out.
 * So the level says how much more the exits cost lately than membership would have cost,
 * in units of what membership costs per entry; at shadow_join_at() the field joins.
 * This is the ski-rental rule: what a field has cost in exits by then is at most twice
 * what an oracle would have paid.
 *
 * Fields that need fresh rare fields (shadow_needs_fresh()) share another cost:
 * a copy of 34 fields out of vmcs02 at each nested exit.  They join only while
 * their common bucket, which leaks shadow_fresh_cost per entry, is full enough.
 *
 * The default costs are ratios of instructions in the lab's emulator: some 1,100 of an
 * exit, some 300 of the copy, some 25 of membership.  A CPU's cycles have other ratios,
 * so both are module parameters.
 *
 * Leaving.  An access that is served by the shadow VMCS cannot be seen.  So from
 * time to time there is a census: all fields leave, and those that L1 still uses
 * come back.  The credit that a field takes with it lets its first exit within
 * SHADOW_CENSUS_GRACE entries suffice.  A census costs one exit or two for each field
 * in use.  The time between two censuses grows eightfold, up to SHADOW_MAX_CENSUS_PERIOD
 * nested entries.  So a field leaves at most once per census, and the cost of censuses is
 * below one instruction per entry in the long run.
 *
 * Fields that make L0 read more from vmcs02 at each nested exit cost more than the others
 * when L1 uses them no longer.  So they have a census of their own, SHADOW_COPY_CENSUS
 * nested entries after the first of them joined.  While they are in use it costs an exit
 * or two per field, which is below a tenth of what their membership costs meanwhile.
 *
 * Starting anew.  At VMXON the set becomes that of a new vCPU, if L1 has made SHADOW_RESTART
 * nested entries or more since the VMXON before.  Fewer are a switch of a hypervisor that
 * leaves VMX operation each time: its set stays, and learns.
 */
#ifndef KVM_INTEL_FAST_SHADOW_POLICY_H
#define KVM_INTEL_FAST_SHADOW_POLICY_H

#include <linux/types.h>
#include <linux/minmax.h>

#define SHADOW_EXIT_COST	44	/* default of shadow_exit_cost */
#define SHADOW_FRESH_COST	12	/* default of shadow_fresh_cost */
#define SHADOW_MIN_COST		20	/* of an exit; the policy is tested between these */
#define SHADOW_MAX_COST		400
#define SHADOW_CENSUS_GRACE	16
#define SHADOW_FIRST_CENSUS	16
#define SHADOW_CENSUS_GROWTH	8
#define SHADOW_MAX_CENSUS_PERIOD 65536
#define SHADOW_COPY_CENSUS	1000
#define SHADOW_RESTART		16

/* Module parameters, in units of what membership of a field costs per nested entry. */
extern unsigned int shadow_exit_cost;	/* of an exit of L1's VMREAD or VMWRITE */
extern unsigned int shadow_fresh_cost;	/* of the copy that fresh rare fields need */

struct shadow_bucket {
	u32 entry;	/* when the level was computed; nested entries, modulo 2^32 */
	u32 level;
};

/**
 * shadow_join_at - compute the level at which a field joins
 *
 * Return: what two exits within shadow_exit_cost * 7 / 11 nested entries reach.
 */
static inline u32 shadow_join_at(void)
{
	return shadow_exit_cost * 15 / 11;
}

/**
 * shadow_bucket_size - compute the highest level
 *
 * Return: four and a half exits, so that no field is remembered for long.
 */
static inline u32 shadow_bucket_size(void)
{
	return shadow_exit_cost * 50 / 11;
}

/**
 * shadow_bucket_level - compute what is left in a bucket
 * @bucket: the bucket
 * @now: number of nested entries so far
 * @leak: what the bucket loses per nested entry
 *
 * Return: the level.
 */
static inline u32 shadow_bucket_level(const struct shadow_bucket *bucket, u32 now, u32 leak)
{
	u64 lost = (u64)(now - bucket->entry) * leak;

	return lost < bucket->level ? bucket->level - lost : 0;
}

/**
 * shadow_bucket_pour - pour an exit into a bucket
 * @bucket: the bucket
 * @now: number of nested entries so far
 * @leak: what the bucket loses per nested entry
 */
static inline void shadow_bucket_pour(struct shadow_bucket *bucket, u32 now, u32 leak)
{
	u32 level = shadow_bucket_level(bucket, now, leak) + shadow_exit_cost;

	bucket->level = min_t(u32, level, shadow_bucket_size());
	bucket->entry = now;
}

/**
 * shadow_field_exited - count an exit for one field and direction
 * @bucket: the field's bucket for this direction
 * @now: number of nested entries so far
 *
 * Several exits between two nested entries count once, because they are what setting up
 * a VMCS looks like.
 *
 * Return: true if the field shall join.
 */
static inline bool shadow_field_exited(struct shadow_bucket *bucket, u32 now)
{
	if (bucket->entry != now || !bucket->level)
		shadow_bucket_pour(bucket, now, 1);
	return bucket->level >= shadow_join_at();
}

/**
 * shadow_field_leaves - give a field that a census takes out its credit
 * @bucket: its bucket for this direction
 * @now: number of nested entries so far
 */
static inline void shadow_field_leaves(struct shadow_bucket *bucket, u32 now)
{
	/* Dated to the entry before, so that an exit before the next entry counts. */
	bucket->entry = now - 1;
	bucket->level = shadow_join_at() - shadow_exit_cost + SHADOW_CENSUS_GRACE + 1;
}

/**
 * shadow_fresh_is_worth_it - decide whether fields that need fresh rare fields may join
 * @bucket: the common bucket of such fields
 * @now: number of nested entries so far
 *
 * Return: true if they may.
 */
static inline bool shadow_fresh_is_worth_it(const struct shadow_bucket *bucket, u32 now)
{
	return shadow_bucket_level(bucket, now, shadow_fresh_cost) >= 2 * shadow_join_at();
}

/**
 * shadow_is_due - tell whether the number of nested entries has reached another
 * @now: number of nested entries so far, modulo 2^32
 * @at: the other, less than 2^31 apart
 *
 * Return: true if it has.
 */
static inline bool shadow_is_due(u32 now, u32 at)
{
	return (s32)(now - at) >= 0;
}

/**
 * shadow_next_period - compute how many nested entries there are until the next census
 * @period: those between the last two, SHADOW_FIRST_CENSUS at the beginning
 *
 * Return: the number of nested entries.
 */
static inline u32 shadow_next_period(u32 period)
{
	return min_t(u32, period * SHADOW_CENSUS_GROWTH, SHADOW_MAX_CENSUS_PERIOD);
}

#endif /* KVM_INTEL_FAST_SHADOW_POLICY_H */
