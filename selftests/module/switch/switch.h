/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the guest of switch_test and its cases share.
 */
#ifndef SWITCH_SWITCH_H
#define SWITCH_SWITCH_H

#include "kvm_util.h"
#include "processor.h"
#include "vmx.h"
#include "apic.h"

#include "lib/guest.h"

#define ROUNDS		20
#define DATA_SELECTOR	0x10
#define FIRST_VECTOR	0x31
#define VECTOR_STEP	0x13	/* so that each word of the IRR has its turn */
#define SEGMENT_BASE(n) (0x123450000ul * (n))

/* Where the VM stopped. */
enum { IN_L1 = 1, IN_L2, FINISHED };

enum part { PART_CPUID, PART_SYSCALL, PART_SEGMENTS, PART_INTERRUPTS, PART_TIMER,
	    PART_TIMER_LEFT, PART_RESTART, PART_EVENTS, PART_MANY, PART_HOST_STATE,
	    PART_BREAKPOINT, PART_GUEST_STATE, PART_POSTED, PART_ROOT, PART_CONTROLS };

struct request {
	uint64_t part, tsc_khz, list_gpa, has_umip;
};

/* Of the timer; times are in microseconds, SLOWNESS times as long. */
struct answer {
	uint64_t reason, elapsed;
};

/* SDM, "VM-Exit Controls for MSRs" */
struct msr_entry {
	uint32_t index, reserved;
	uint64_t value;
} __attribute__((aligned(16)));

/* The guest's. */
extern struct request request;
extern struct answer answer[8];
extern struct msr_entry exit_load_list[1];
void l1_guest_code(struct vmx_pages *vmx);
void note_vector(struct ex_regs *regs);
void note_breakpoint(struct ex_regs *regs);
void here(void);	/* where L1 comes by after each exit of L2 */

#endif
