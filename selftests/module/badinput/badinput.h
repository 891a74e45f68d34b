/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the cases of badinput_test share: a VM, which can be put back, and verdicts.
 */
#ifndef BADINPUT_BADINPUT_H
#define BADINPUT_BADINPUT_H

#include "kvm_util.h"
#include "processor.h"
#include "vmx.h"

#include "lib/cases.h"
#include "lib/vm.h"

#define IMAGES		300	/* spoilt ones */
#define IMAGES_PER_VM	100
#define RUNS		5	/* KVM_RUNs of each image at most */
#define PATIENCE_US	200000	/* of a KVM_RUN that does not come back */
#define COMING_AND_GOING	8
#define LEAK_ROUNDS	12	/* VMs, by which one leaked page each shows */
#define EXTRA_PAGES	32	/* for L1's EPT tables */
#define L2_STACK	64
#define COUNTER_FILES	"/sys/kernel/debug/kvm/*/kvm_intel_fast"

#define IMAGE_SIZE	(sizeof(struct kvm_nested_state) + 2 * KVM_STATE_NESTED_VMX_VMCS_SIZE)

union image {
	struct kvm_nested_state state;
	uint8_t bytes[IMAGE_SIZE];
};

extern union image image;

extern struct vmx_pages *vmx_pages;
extern int memory_fd;
extern void *memory, *memory_when_paused;
extern size_t memory_size;
extern struct kvm_x86_state *paused;	/* L2 is active */
extern uint64_t verdicts, accepted, refused, stuck;

uint64_t random_number(void);
uint64_t below(uint64_t limit);
bool one_in(uint64_t n);
void expect_sync(uint64_t who);
void create_vm(bool with_ept);
void destroy_vm(void);
int set_nested(const void *image);
void rewind_vm(void);
void begin_verdicts(void);
void print_verdicts(const char *name);
bool try_image(const void *image);
void spoil_vmcs12(void);
void valid_image(void);
int open_counters(int flags);
int references(void);

/* image_cases.c */
void valid_image_is_accepted(void);
void header_of_the_image(void);
void contents_of_the_image(void);

/* counter_cases.c */
void counter_file(void);
void counter_file_outlives_its_vm(void);
void counter_file_while_vms_come_and_go(void);

/* leak_cases.c */
void nothing_is_leaked(void);

#endif
