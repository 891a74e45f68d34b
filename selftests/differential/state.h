/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The vCPU's state as a VMM reads and writes it.
 */
#ifndef DIFFERENTIAL_STATE_H
#define DIFFERENTIAL_STATE_H

#include "differential/layout.h"

union nested_image {
	struct kvm_nested_state state;
	uint8_t bytes[sizeof(struct kvm_nested_state) + 2 * PAGE_BYTES];
};

extern union nested_image nested;	/* what was read last */

int msr_get(uint32_t index, uint64_t *value);
int msr_set(uint32_t index, uint64_t value);
void events_get(struct kvm_vcpu_events *events);
long nested_read(void);

void user_regs(void);
void user_nested_same(void);
/* A valid image with a change somewhere, then the valid one again. */
void user_nested_hostile(uint64_t where, uint64_t bits, uint64_t what);
void user_nested_new_vm(void);

#endif
