/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the cases of entry_test share: code of L2 and L1, and how user space runs it.
 */
#ifndef ENTRY_ENTRY_H
#define ENTRY_ENTRY_H

#include "kvm_util.h"
#include "processor.h"
#include "vmx.h"

#include "lib/cases.h"
#include "lib/vm.h"

#define WARM_UP		4
#define ROUNDS		20
#define UNREAD		60		/* entries after which a field is out of the set */
#define FAILED		0x100		/* + VM-instruction error */
#define CONTROL		(FAILED + 7)	/* SDM, "VM-Instruction Error Numbers" */
#define HOST		(FAILED + 8)
#define GUEST		0x80000021	/* VM-entry failure, invalid guest state */
#define VMCALL		18
#define PREEMPTION_TIMER 52
#define TICKS_PER_UNIT	32	/* of the VMX-preemption timer, as KVM emulates it */
#define NOT_CANONICAL	BIT_ULL(60)
#define EFER_BITS	(EFER_LME | EFER_LMA)
#define RFLAGS_ZF	BIT_ULL(6)
#define CR3_PWT		BIT_ULL(3)
#define AR_UNUSABLE	BIT_ULL(16)
#define EPTP_AD		BIT_ULL(6)	/* accessed and dirty flags */

/* What L1 saw. */
extern uint64_t result[16];
extern uint64_t msr_bitmap_gpa;
extern struct vmx_pages *vmx_hva;
extern bool launched;

/* What L2 does. */
void l2_calls(void);
void l2_spins(void);
void l2_works(void);
void l2_stops(void);
void l2_is_undefined(void);
void l2_null_ss(void);
void l2_data_ss(void);

uint64_t enter_at(void *rip);
uint64_t enter(void);
void warm_up(void);
void set_bits(uint64_t field, uint64_t bits);
void prepare(struct vmx_pages *vmx);
void begin(struct vmx_pages *vmx);
void start(void *guest_code);
uint64_t run(void);
void finish(void);
bool fast(void);
bool quiet_hits(void);

/* checks_cases.c */
void invalid_values_are_refused(void);
void memory_is_checked_each_time(void);
void another_vmcs_is_checked(void);
void restored_state_is_checked(void);
void l1s_mode_is_checked(void);

/* switch_cases.c */
void syscall_msrs_are_l1s(void);
void tsc_aux_is_l1s(void);
void paging_may_change(void);
void pmu_refresh_is_noticed(void);

/* late_cases.c */
void preemption_timer_exits_in_time(void);
void vmx_operation_starts_anew(void);
void segments_are_read_late(void);
void verify_found_nothing(void);

#endif
