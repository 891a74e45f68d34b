/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What guest and user space of field_walk_test share.
 */
#ifndef FIELDS_FIELDS_H
#define FIELDS_FIELDS_H

#include "kvm_util.h"
#include "vmx.h"

#define MAX_FIELDS	320
#define STEPS		24	/* exits after which all fields are printed */
#define HOT_STEPS	160	/* exits after which all are read, and summed up */
#define RANDOM_STEPS	1500

struct field {
	uint32_t number;
	bool writable;
};

/* What user space reads when the guest is done. */
struct walk {
	struct field fields[MAX_FIELDS];
	uint32_t count, write_error;
	uint64_t cleared[MAX_FIELDS], seen[STEPS][MAX_FIELDS], sums[HOT_STEPS];
	uint64_t random_sum[RANDOM_STEPS / 100];
	/* Failed checks: how many, and the first field. */
	uint32_t wrong[8], first_wrong[8];
};

extern struct walk walk;

enum check { WRITTEN, HALVES, UNKNOWN, REPEATED, KEPT, SWITCHED, RANDOM, VMXOFF };

/* L1's entry; @other: the page of a VMCS beside those of @vmx. */
void l1_code(struct vmx_pages *vmx, uint32_t *other, uint64_t other_gpa);

#endif
