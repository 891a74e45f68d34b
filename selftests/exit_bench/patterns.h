/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which VMCS fields an L1 reads and writes at each L2 exit.
 *
 * How many is published for KVM (6-10 VMREADs and 2-6 VMWRITEs) and HAXM (32-33
 * and 21-23), in intel/haxm pull request 130 of 2018.  Which ones is our choice:
 * for KVM those that 6.1 executes for an L2 CPUID and for an injected interrupt,
 * for HAXM what a hypervisor touches that copies the guest's segments, control
 * registers and exit information at each exit and writes its own state back.
 *
 * Written is what the field holds, so a pattern changes nothing.
 */
#ifndef EXIT_BENCH_PATTERNS_H
#define EXIT_BENCH_PATTERNS_H

#include "exit_bench/measure.h"
#include "lib/tiny_hypervisor.h"

#define MAX_FIELDS	256
#define ALTERNATE	64	/* L2 exits from one pattern to the other */

struct pattern {
	const uint32_t *reads, *writes;
};

/* Lists end with this; no field has the number. */
#define END		0xffffffffu

extern const struct pattern rewrites_host_stack, as_kvm, as_haxm, rewrites_host;
extern const struct pattern walks;	/* of the fields that find_every_field() found */

/* Find the fields that VMREAD knows; full ones, no high halves. */
void find_every_field(void);

/* What the fields of a list hold: at most MAX_FIELDS values. */
void remember(const uint32_t *fields, uint64_t *values);

/* Read and write as the pattern says; @values: of what it writes, from remember(). */
static inline void follow(const struct pattern *pattern, const uint64_t *values)
{
	const uint32_t *field;

	for (field = pattern->reads; *field != END; field++)
		read_field(*field);
	for (field = pattern->writes; *field != END; field++)
		write_field(*field, *values++);
}

#endif
