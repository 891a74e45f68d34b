/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What guest, user space and cases of page_hold_test share.
 */
#ifndef PAGES_PAGES_H
#define PAGES_PAGES_H

#include <pthread.h>

#include "kvm_util.h"
#include "processor.h"
#include "vmx.h"

#include "lib/cases.h"
#include "lib/mailbox.h"
#include "lib/mailbox.h"
#include "lib/vm.h"

#define PAGE		4096ul
#define SLOT		10	/* the pages under test */
#define FIXED_SLOT	11	/* VMCSs */
#define SLOT_GPA	0x10000000ul
#define MOVED_GPA	0x14000000ul
#define FIXED_GPA	0x18000000ul
#define VMCSS		36	/* more than the module keeps */
#define KEPT_VMCSS	32
#define TURNS		10	/* of all VMCSs */
#define MANY		1000
#define READS		200
#define FEW		100	/* exits for other reasons meanwhile: timer ticks */
#define MIGRATIONS	40
#define TRIES		20
#define KILLED		20
#define GONE_VMS	9
#define NEW_VMS		5
#define KSM_ROUNDS	200	/* of 10 ms, until pages must have been merged */
#define OTHERS		256	/* pages, more than a CPU keeps at hand */
#define FILLER		(16ul << 20)
#define NV		0xf2	/* posted-interrupt notification vector of L2 */
#define POSTED_VECTOR	0x41
#define L2_STACK	512
#define MSR_TPR		0x808
#define TPR		0x80	/* offsets in an APIC page */
#define VIRR		0x200

/* Pages of the slot. */
enum {
	BITMAP,			/* one for each VMCS */
	ACCESS = BITMAP + VMCSS,
	VAPIC,
	PI,
	OTHER_BITMAP,
	OTHER_ACCESS,
	OTHER_VAPIC,
	OTHER_PI,
	SLOT_PAGES
};

enum operation {
	L1_SELECT,	/* make VMCS "vmcs" current */
	L1_BIT,		/* set bit "bit" of L1's bitmap at "gpa" to "value" by a store */
	L1_VMWRITE,	/* field "bit" = "value" */
	L1_MODE,	/* virtualise xAPIC, x2APIC or nothing: "value" */
	L1_ENTER,	/* enter L2 "count" times, until it executes VMCALL */
	L1_ALTERNATE,	/* L1_ENTER of "value" VMCSs in turn */
	L1_CLEAR,	/* VMCLEAR and start VMCS "vmcs" anew */
	L1_RESTART,	/* VMXOFF, VMXON, and VMCS "vmcs" anew */
	L1_LEAVE,	/* VMCLEAR "vmcs", VMXOFF, VMXON; no VMCS is current */
};

enum mode { XAPIC, X2APIC, NO_APIC };

enum l2_operation {
	L2_NOTHING,
	L2_RDMSR,	/* "msr", "reads" times */
	L2_WRMSR,
	L2_TPR,		/* read it by CR8 and by MMIO */
	L2_PAUSE,	/* stop in user space, then L2_TPR */
};

struct request {
	uint64_t operation, vmcs, gpa, bit, value, count;
	uint64_t l2_operation, msr, reads, tpr, mmio;
};

struct answer {
	uint64_t value;		/* of L2's last RDMSR */
	uint64_t exits;		/* to L1, other than VMCALL */
	uint64_t reason;	/* the last such exit's */
	uint64_t cr8, mmio;
	uint64_t wrong;		/* TPRs other than request.tpr */
	uint64_t failed;	/* VM entries */
};

struct features {
	uint64_t started, access, vid, pi, reg_virt, x2apic;
};

/* The guest's: user space writes the request and reads the others. */
extern struct request request;
extern struct answer answer;
extern struct features features;
extern uint64_t bitmap_gpa[VMCSS];
extern uint64_t slot_gpa;
void l1_guest_code(struct vmx_pages *vmx);

/* User space's. */
extern uint8_t *memory, *fixed;
extern bool holds, merges;	/* are the optimisations on in this module? */
/* Where VMCS 0 has its pages: for the cases that change it. */
extern int now_bitmap, now_access, now_vapic, now_pi;
/* Those that a vmcs12 names. */
extern const int all_pages[4];

#define expect_pages_in_use() __expect_pages_in_use(__LINE__)
#define expect_unreferenced(number) __expect_unreferenced(number, __LINE__)

uint64_t page_misses(void);
uint64_t merge_misses(void);
void set_slot(uint32_t slot, uint32_t flags, uint64_t gpa, uint64_t size, void *hva);
void set_test_slot(uint32_t flags);
void delete_test_slot(void);
uint8_t *map_anonymous(void *where, uint64_t size);
uint8_t *page(int number);
uint64_t page_gpa(int number);
uint64_t bitmap_bit(uint32_t msr, bool write);
void set_bit_in(uint8_t *bitmap, uint64_t bit, bool value);
int run_to_answer(void);
void create_vm(void);
void new_vm(void);
void expect_msr(uint64_t vmcs, uint32_t msr, bool write, bool intercepted, int line);
void expect_tpr(uint8_t tpr, int line);
uint64_t mmio(void);
void pause_in_l2(uint8_t tpr);
void post(void);
void expect_posted(int line);
void __expect_pages_in_use(int line);
bool has_two_nodes(void);
bool two_nodes(void);
int move_page(int number, int node);
void __expect_unreferenced(int number, int line);
void name_pages(bool others);
void write_page_fields(void);
bool start_round_trips(pthread_t *thread);
void wait_for_round_trips(void);
void stop_round_trips(pthread_t thread);

/* The MSR bitmap and the fields that name pages. */
void steady_state(void);
void l1_stores_to_its_bitmap(void);
void l1_stores_to_its_bitmap_of_speculation_controls(void);
void user_space_filters_an_msr(void);
void user_space_filters_speculation_controls(void);
void l1_stores_under_x2apic(void);
void as_many_vmcss_as_are_kept(void);
void more_vmcss_than_are_kept(void);
void fields_name_other_pages(void);

/* Memslots and mappings. */
void slot_over_other_memory(void);
void slot_moves(void);
void slot_is_made_read_only(void);
void dirty_log_while_l1_runs(void);
void dirty_log_while_l2_runs(void);
void dirty_log_read_while_l2_runs(void);
void mapping_replaced(void);
void mapping_replaced_while_l2_runs(void);
void memory_given_back(void);
void forked(void);

/* What the host does to memory. */
void pages_migrate_while_l1_runs(void);
void pages_migrate_after_l2_ran(void);
void pages_of_another_vmcs12_migrate_while_l2_runs(void);
void held_whatever_was_under_way(void);
void pages_migrate_meanwhile(void);
void compaction_meanwhile(void);
void protection_meanwhile(void);
void slots_change_meanwhile(void);
void merged_by_ksm(void);
void merged_by_ksm_meanwhile(void);
void memory_unplugged(void);

/* VMCSs and VMs come and go. */
void cleared_and_restarted(void);
void left_and_entered(void);
void access_page_missing(void);
void entry_fails_in_hardware(void);
void state_restored_in_new_vm(void);
void state_restored_in_place(void);
void killed_while_l2_runs(void);
void destroyed_in_l2(void);
void memory_is_freed(void);

#endif
