/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Scenes, of which the programs of the differential test are made: one to four steps
 * each.  Most keep L2 going, some break a state and mend it.
 * Invariant: no step reads the time or starts a timer.
 */
#ifndef DIFFERENTIAL_SCENES_H
#define DIFFERENTIAL_SCENES_H

#include "differential/layout.h"

#define CONFIG(bit)	(1ul << CFG_##bit)

/* Append a step: its party's operation, and up to three arguments. */
#define L1(op, ...)	emit4(p, PARTY_L1, L1_##op, ##__VA_ARGS__, 0, 0, 0)
#define L2(op, ...)	emit4(p, PARTY_L2, L2_##op, ##__VA_ARGS__, 0, 0, 0)
#define USER(op, ...)	emit4(p, PARTY_USER, USER_##op, ##__VA_ARGS__, 0, 0, 0)
#define emit4(p, party, op, ...)	emit_first3(p, party, op, __VA_ARGS__)
#define emit_first3(p, party, op, a, b, c, ...)	emit(p, party, op, a, b, c)
void emit(struct program *p, uint8_t party, uint8_t operation,
	  uint64_t a, uint64_t b, uint64_t c);

/* Of L1 and L2. */
void scene_msr_access(struct program *p, uint32_t msr);
void scene_l2(struct program *p);
void scene_perturb(struct program *p);
void scene_mend(struct program *p);
void scene_bitmap(struct program *p);
void scene_io(struct program *p);
void scene_switch(struct program *p);
void scene_inject(struct program *p);
void scene_l1(struct program *p);
void scene_legacy(struct program *p);
void scene_desc(struct program *p);
void scene_vmcs_access(struct program *p);
void scene_list(struct program *p);
void scene_ept(struct program *p);
void scene_wrong_entry(struct program *p);
void scene_vectoring(struct program *p);
void scene_apic_controls(struct program *p);
void scene_hammer(struct program *p);

/* With user space. */
void scene_filter(struct program *p);
void scene_slot(struct program *p);
void scene_memory(struct program *p);
void scene_nested_state(struct program *p);
void scene_user(struct program *p);
void scene_posted(struct program *p);
void scene_storm(struct program *p);
void scene_dirty(struct program *p);

#endif
