// SPDX-License-Identifier: GPL-2.0
/*
 * Programs of the differential test from a seed: random scenes, one after the other.
 */
#include "vmx.h"

#include "differential/generator.h"
#include "differential/scenes.h"
#include "differential/values.h"

#define LEAST_STEPS	30
#define MOST_STEPS	60

/* Of SHARES scenes so many are of this kind, on average. */
static const struct {
	unsigned int share;
	void (*scene)(struct program *p);
} scenes[] = {
	{ 8, scene_l2 },
	{ 2, scene_perturb },
	{ 2, scene_mend },
	{ 3, scene_bitmap },
	{ 1, scene_io },
	{ 2, scene_filter },
	{ 3, scene_slot },
	{ 2, scene_memory },
	{ 2, scene_nested_state },
	{ 1, scene_switch },
	{ 1, scene_inject },
	{ 2, scene_user },
	{ 1, scene_l1 },
	{ 1, scene_vmcs_access },
	{ 1, scene_list },
	{ 1, scene_ept },
	{ 1, scene_wrong_entry },
	{ 1, scene_vectoring },
	{ 1, scene_dirty },
	{ 1, scene_posted },
	{ 1, scene_hammer },
	{ 1, scene_storm },
	{ 1, scene_legacy },
	{ 1, scene_apic_controls },
};

#define SHARES	41	/* their sum; another one is another program for each seed */

void emit(struct program *p, uint8_t party, uint8_t operation,
	  uint64_t a, uint64_t b, uint64_t c)
{
	if (p->count < MAX_STEPS)
		p->step[p->count++] = (struct step){ party, operation, { a, b, c } };
}

static void scene(struct program *p)
{
	unsigned int i, share = below(SHARES);

	for (i = 0; share >= scenes[i].share; i++)
		share -= scenes[i].share;
	scenes[i].scene(p);
	if (one_in(12))
		USER(regs);
	if (one_in(24))
		USER(lapic);
	if (one_in(10))
		L1(enter, 1 + below(4), (uint64_t)(one_in(2) ? L2_cpuid : L2_vmcall) << 16 |
		   (one_in(4) ? HOW_LONG : 0));
}

void generate(struct program *p, uint64_t seed)
{
	unsigned int count;

	random_state = seed * 0x2545f4914f6cdd1dul + 1;
	p->count = 0;
	count = LEAST_STEPS + below(MOST_STEPS - LEAST_STEPS);
	L1(setup, 0, some_config());
	if (one_in(3))
		L1(setup, 1, some_config());
	L1(enter, 3, (uint64_t)L2_cpuid << 16 | HOW_LONG);
	while (p->count < count)
		scene(p);
	scene_desc(p);
}
