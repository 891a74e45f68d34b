/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What guest and user space of the differential test share: the pages that L1
 * hands over to L0, each in a memslot of its own, and the mailbox.
 */
#ifndef DIFFERENTIAL_LAYOUT_H
#define DIFFERENTIAL_LAYOUT_H

#include "processor.h"

#include "differential/program.h"

enum handed_page {
	PAGE_VMCS0, PAGE_VMCS1, PAGE_VMCS2, PAGE_VMXON,
	PAGE_MSR_BITMAP0, PAGE_MSR_BITMAP1, PAGE_IO_BITMAP_A, PAGE_IO_BITMAP_B,
	PAGE_VIRTUAL_APIC0, PAGE_VIRTUAL_APIC1, PAGE_APIC_ACCESS, PAGE_POSTED,
	PAGE_ENTRY_LOAD, PAGE_EXIT_STORE, PAGE_EXIT_LOAD, PAGE_SHADOW_VMCS,
	PAGE_VMREAD_BITMAP, PAGE_VMWRITE_BITMAP,
	PAGE_EPT4, PAGE_EPT3, PAGE_EPT2, PAGE_EPT1, PAGE_PML, PAGE_EPTP_LIST,
	PAGE_DATA0, PAGE_DATA1,
	PAGES,
	PAGE_NONE,		/* no memslot there: MMIO */
};

#define VMCSS		3
#define PAGES_GPA	0x10000000ul	/* mapped 1:1 */
#define PAGE_STRIDE	0x10000ul
#define MOVED		0x8000ul	/* where a moved memslot goes, from its place */
#define PAGE_GPA(page)	(PAGES_GPA + (page) * PAGE_STRIDE)
#define SMRAM_GPA	0x0fff0000ul
#define PAGE_BYTES	4096

#define PORT_L1		0x1001	/* L1 waits for its next operation */
#define PORT_L2		0x1002
#define PORT_DIED	0x1003	/* an exception that nobody expected */

/* How a vmcs12 is to be set up. */
enum {
	CFG_EPT, CFG_VPID, CFG_UNRESTRICTED, CFG_MSR_BITMAP, CFG_IO_BITMAP,
	CFG_TPR_SHADOW, CFG_X2APIC, CFG_APIC_REGISTERS, CFG_INTR_DELIVERY,
	CFG_POSTED, CFG_APIC_ACCESS, CFG_SHADOW, CFG_EXT_INTR, CFG_NMI,
	CFG_VIRTUAL_NMI, CFG_HLT, CFG_CR3, CFG_CR8, CFG_DR, CFG_IO, CFG_MTF,
	CFG_DEBUG_CONTROLS, CFG_PAT_EFER, CFG_ACK, CFG_PML, CFG_INVPCID,
	CFG_XSAVES, CFG_DESCRIPTOR, CFG_LISTS, CFG_TIMER_ZERO, CFG_TIMER_FAR,
	CFG_EXCEPTIONS, CFG_CR_MASKS, CFG_VMFUNC, CFG_INTERRUPTIBLE, CFG_INVLPG,
	CFG_PAUSING, CFG_EPT_AD, CFG_WINDOWS, CFG_ALL_MSRS, CFG_LEGACY_DEFAULTS,
	CFG_BITS,
};

/* How to enter L2; the rest of the word is of user space, see l1_step(). */
enum {
	HOW_WRONG = 3,		/* 1: VMLAUNCH, 2: VMRESUME, whatever is right */
	HOW_LONG = 1 << 4,
	HOW_DIGEST = 1 << 5,
	HOW_QUIET = 1 << 6,	/* one digest of all exits */
};

#define QUEUE		32
#define LOG_ENTRIES	1024

struct guest_operation {
	uint64_t operation;
	uint64_t arg[STEP_ARGS];
};

/* Tags are string constants of the program, the same in guest and user space. */
struct log_entry {
	const char *tag;
	uint64_t value;
};

struct mailbox {
	struct guest_operation l1;
	struct guest_operation l2[QUEUE];
	uint64_t l2_first, l2_count;	/* of the queue: taken, filled */
	uint64_t stop;			/* L1 shall report at L2's next exit */
	uint64_t in_l2;
	uint64_t l2_died;
	uint64_t has_evmcs;
	uint64_t verbose;		/* each value, not a digest of many */
	uint64_t stormed;		/* a thread on another CPU has changed memslots */
	uint64_t mark;			/* open or close the counters' window */
	uint64_t logged;
	struct log_entry log[LOG_ENTRIES];
};

/* The guest's, by which user space starts and finds it. */
extern struct mailbox box;
void l1_code(void);
void on_exception(struct ex_regs *regs);

#endif
