/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A row of the bench: what one measured loop does, and the marks around it.
 *
 * A row is measured in a VM of its own: WARM_UP round trips that nobody counts,
 * a mark, row->iterations round trips, a mark.  With several vCPUs all of them
 * are warm before the first mark and done before the second one; vCPU 0 marks.
 *
 * Functions are inline here, and in patterns.h, where the loop that is measured calls
 * them: a call would be counted.
 */
#ifndef EXIT_BENCH_MEASURE_H
#define EXIT_BENCH_MEASURE_H

#include "kvm_util.h"
#include "processor.h"
#include "vmx.h"
#include "apic.h"

#define WARM_UP		50
#define MAX_VCPUS	2
#define MAX_VMCS	32

struct l1;
struct pattern;

#define ROW_NAME	32	/* bytes of a row's name, NUL and all: four registers */

struct row {
	char name[ROW_NAME];
	unsigned int iterations;
	unsigned int warm_up;		/* 0: WARM_UP */
	unsigned int vcpus;		/* 0: one */
	bool holders;			/* of the host's rows: the vCPUs entered an L2 */
	void (*execute)(void);		/* one operation of the measured guest */
	void (*prepare)(void);		/* in the measured guest, or the tiny L1, before */
	void (*arm)(struct kvm_vm *vm);	/* in user space, before */

	/* Of the tiny L1 only: the exit that it expects, and what it does then. */
	void (*l2)(void);		/* all that L2 does, when it is not "execute" in a loop */
	uint32_t reason;
	void (*handle)(struct l1 *l1);
	uint32_t pin, primary, secondary, vm_exit;	/* controls to set */
	uint32_t read_msr, write_msr;	/* to intercept */
	unsigned int vmcs12s;		/* 0: one, and no VMPTRLD */
	bool launches;			/* enters L2 by VMLAUNCH */
	const struct pattern *pattern[2];
	bool no_ept;
};

/* The row being measured; user space copies it into the guest. */
extern const struct row *row;
/* The guest's: vCPUs that are warm, and done; the TSC at the first mark. */
extern unsigned int arrived[2];
extern uint64_t first_tsc;

static inline unsigned int row_vcpus(void)
{
	return row->vcpus ?: 1;
}

static inline unsigned int row_warm_up(void)
{
	return row->warm_up ?: WARM_UP;
}

/* Runs natively in a guest, exits nowhere, changes nothing: the emulator's cue. */
static inline void mark(void)
{
	asm volatile("xchg %%bx, %%bx" : : : "memory");
}

/* The first mark of a row: the emulator reads from R8 to R11 what the counters are called. */
static inline void mark_begin(void)
{
	const uint64_t *name = (const uint64_t *)row->name;

	register uint64_t r8 asm("r8") = name[0];
	register uint64_t r9 asm("r9") = name[1];
	register uint64_t r10 asm("r10") = name[2];
	register uint64_t r11 asm("r11") = name[3];

	asm volatile("xchg %%bx, %%bx" : : "r"(r8), "r"(r9), "r"(r10), "r"(r11) : "memory");
}

static inline void wait_for_all(unsigned int *count)
{
	__atomic_add_fetch(count, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(count, __ATOMIC_SEQ_CST) % row_vcpus())
		;
}

/* Called by each vCPU after its warm-up. */
static inline void begin(unsigned int vcpu_index)
{
	if (!vcpu_index) {
		/* The others run on when this one has opened the window. */
		while (__atomic_load_n(&arrived[0], __ATOMIC_SEQ_CST) != row_vcpus() - 1)
			;
		mark_begin();
		first_tsc = rdtsc();
	}
	wait_for_all(&arrived[0]);
}

/* Called by each vCPU after its last round trip. */
static inline void end(unsigned int vcpu_index)
{
	uint64_t ticks;

	wait_for_all(&arrived[1]);
	if (vcpu_index)
		return;
	ticks = rdtsc() - first_tsc;
	mark();
	GUEST_SYNC(ticks / row->iterations);
}

#endif
