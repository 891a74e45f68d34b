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

#define SCENE(share, name)	{ share, #name, scene_##name }

/* Of SHARES scenes so many are of this kind, on average. */
static const struct {
	unsigned int share;
	const char *name;
	void (*scene)(struct program *p);
} scenes[] = {
	SCENE(8, l2),
	SCENE(2, perturb),
	SCENE(2, mend),
	SCENE(3, bitmap),
	SCENE(1, io),
	SCENE(2, filter),
	SCENE(3, slot),
	SCENE(2, memory),
	SCENE(2, nested_state),
	SCENE(1, switch),
	SCENE(1, inject),
	SCENE(2, user),
	SCENE(1, l1),
	SCENE(1, vmcs_access),
	SCENE(1, list),
	SCENE(1, ept),
	SCENE(1, wrong_entry),
	SCENE(1, vectoring),
	SCENE(1, dirty),
	SCENE(1, posted),
	SCENE(1, hammer),
	SCENE(1, storm),
	SCENE(1, legacy),
	SCENE(1, apic_controls),
	SCENE(0, desc),		/* one at the end of each program */
};

#define SHARES	41	/* their sum; another one is another program for each seed */

static void (*favourite)(struct program *p);

bool favour(const char *name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(scenes); i++)
		if (!strcmp(scenes[i].name, name))
			favourite = scenes[i].scene;
	return favourite;
}

void emit(struct program *p, uint8_t party, uint8_t operation,
	  uint64_t a, uint64_t b, uint64_t c)
{
	if (p->count < MAX_STEPS)
		p->step[p->count++] = (struct step){ party, operation, { a, b, c } };
}

static void scene(struct program *p)
{
	unsigned int i, share = below(SHARES);

	if (favourite && one_in(2)) {
		favourite(p);
		return;
	}
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
