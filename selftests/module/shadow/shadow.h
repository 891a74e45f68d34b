/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What guest, user space and cases of shadow_test share.
 */
#ifndef SHADOW_SHADOW_H
#define SHADOW_SHADOW_H

#include "kvm_util.h"
#include "processor.h"
#include "vmx.h"

#include "lib/cases.h"
#include "lib/mailbox.h"
#include "lib/vm.h"

#define MANY		300	/* nested round trips */
#define FEW		60	/* exits for other reasons meanwhile */
#define QUIET		1300	/* round trips after which the next census is far */
#define LEAVES_AFTER	1100	/* round trips that a rare field out of use stays at most */
#define WALKS		40	/* round trips until all fields are shadowed */
#define TURNS		64
#define CROWDED		3000	/* round trips beside a thread that preempts */
#define SLOW_NS		5000000	/* of a round trip: the debug kernel, where fewer do */
#define L2_STACK	512
#define MAX_FIELDS	256
#define VMCSS		2
#define SLOT		10	/* pages that L2's page tables map and L1's EPT does not */
#define SLOT_GPA	0x20000000ul
#define TOUCHED_GVA	0x30000000ul
#define TOUCHED		4
#define VECTOR		0x40
#define MSR_SYSENTER_ESP 0x175
#define VALID		BIT(31)
#define FAILED_ENTRY	BIT(31)
#define SMRAM		0x1000000
#define SMRAM_SIZE	0x10000
#define SMRAM_SLOT	(BIT(16) | 11)	/* of the address space that SMM sees */
#define SEGMENT_REGISTERS 8
#define AR_BITS		0x1f0ffu /* those that are not reserved */
#define AR_IN_VMCS12	880	/* where vmcs12 has the first segment's */
#define SMI_PORT	0x0e	/* where the SMI handler stops */

enum operation {
	L1_ROUNDS,	/* "count" round trips, accessing "field" as "how" says in each */
	L1_WALK,	/* "count" round trips, reading and writing back every field */
	L1_SELECT,	/* make VMCS "vmcs" current */
	L1_RELOAD,	/* VMCLEAR and VMPTRLD of the current VMCS */
	L1_WRITE_ALL,	/* a pattern made of "value" into every field, and read it */
	L1_READ_ALL,	/* is it there? */
	L1_READ_RIGHTS,	/* all access rights; "how" READ: are they as before, but for AR_BITS? */
	L1_PUT_BACK,	/* what was there before the pattern */
	L1_TOUCH,	/* EPT violations */
	L1_ACKNOWLEDGE,	/* external interrupts, acknowledged on exit */
	L1_FAIL,	/* entries that fail by a VM exit */
	L1_VMFAIL,	/* entries that fail without */
	L1_REFUSED,	/* one entry, which fails the checks of controls */
	L1_SEGMENTS,	/* L2 changes a segment, L1 "field"; "how": does L1 look at the segment */
	L1_SYSENTER,	/* L1 changes what L0 gives vmcs02 only if vmcs12 is dirty */
	L1_ALTERNATE,	/* two VMCSs in turn */
	L1_PAUSE,	/* one round trip in which L2 stops in user space */
	L1_RESTART,	/* VMXOFF, VMXON, VMCSs anew */
	L1_LEAVE,	/* "count" times: "field" written, a round trip, VMCLEAR, VMXOFF, VMXON */
	L1_SMI,		/* fields written, a stop in user space ("how": of L2) for an SMI */
	L1_BOTH_WAYS,	/* "count" round trips; each value of L1 and of L2 another, and checked */
};

enum how { NOT, READ, WRITE };
enum l2_operation { L2_NOTHING, L2_LOAD, L2_SEGMENT, L2_RDMSR, L2_PAUSE, L2_PUSH };

struct request {
	uint64_t operation, count, field, how, value, vmcs;
};

/* The guest's: user space writes them. */
extern struct request request;
extern struct vmx_pages *vmx[VMCSS];
void l1_guest_code(void);

/* What L1 writes before an SMI, and shall read after it; stock shadows the first. */
#define WRITTEN_BEFORE_SMI	6
#define SHADOWED_IN_STOCK	3
extern const uint64_t written_before_smi[WRITTEN_BEFORE_SMI];
extern uint64_t expected_after_smi[WRITTEN_BEFORE_SMI];

/* User space's. */
extern bool fast;	/* do our set and our copying serve this module's vCPUs? */
extern bool adaptive;

/* The vCPU's line of a field in debugfs. */
struct line {
	char set[4];
	uint64_t reads, writes;
};

uint64_t pattern(uint64_t field, uint64_t salt);
void run_to_answer(void);
bool left_out(const char *name);
struct line debugfs_line(const char *name);
uint64_t exits_of(struct request what);
void expect_exits(const char *name, uint64_t field, enum how how);
void walk_all(void);
void create_smram(void);
void create_vm(void);

/* The set of fields, and what they hold. */
void pml_index(void);
void interrupt_status(void);
void preemption_timer(void);
void host_rsp_and_rip(void);
void fields_join_and_leave(void);
void rare_fields_leave_soon(void);
void a_field_comes_back_as_zero(void);
void every_field_without_exits(void);
void every_field_keeps_its_value(void);
void state_saved_and_restored(void);
void reserved_bits_of_access_rights(void);
void two_vmcss_alternate(void);
void vmxoff_and_on(void);
void vmxoff_at_each_switch(void);
void state_restored_in_new_vm(void);

/* Exits of several kinds; CPUs. */
void ept_violations(void);
void acknowledged_interrupts(void);
void failed_entries(void);
void refused_entries(void);
void segments_of_l2(void);
void a_write_marks_vmcs12_dirty(void);
void saved_on_each_cpu(void);
void moved_while_l2_runs(void);

/* SMM. */
void smi_while_l1_runs(void);
void smi_while_l2_runs(void);
void capabilities_set_in_smm(void);

/* Preemption. */
void preempted_all_the_time(void);

#endif
