/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What kvm-intel-fast adds to a vCPU and to a VM, its parameters, and its
 * life-cycle hooks.  Included by the stock vmx.h, so it may not include it.
 */
#ifndef KVM_INTEL_FAST_H
#define KVM_INTEL_FAST_H

#include <linux/jump_label.h>

#include "vmx/compat.h"
#include "vmx/counters.h"
#include "vmx/cpuid_state.h"
#include "vmx/user_return_state.h"
#include "nested/checks_state.h"
#include "nested/mmu_roles_state.h"
#include "nested/page_hold_state.h"
#include "nested/pages_notifier_state.h"
#include "nested/preemption_timer_state.h"
#include "nested/read_back_state.h"
#include "nested/vmcs02_state.h"

struct nested_contexts;
struct vmcs_shadow;

/* Member "fast" of struct vcpu_vmx: touched by the vCPU's thread alone. */
struct fast_vcpu {
	struct fast_counters counters;
	struct page_holds holds;
	struct nested_contexts *contexts;	/* NULL outside VMX operation */
	struct nested_context *context;		/* of the last nested entry */
	struct cpuid_memo cpuid;
	struct user_return_memo user_return;
	struct checks_memo checks;
	struct mmu_roles_memo mmu;
	struct preemption_timer preemption_timer;
	struct vmcs02_memo vmcs02;
	struct read_back_memo read_back;
	u32 host_segments_digest;		/* verify=1 */
	struct vmcs_shadow *shadow;		/* NULL before the first VMXON */
};

/* Bits of struct fast_vm.flags */
#define FAST_VM_IN_DEBUGFS	0

/* Member "fast" of struct kvm_vmx. */
struct fast_vm {
	unsigned long flags;
	struct pages_notifier pages;
};

/* Module parameters, fixed once the module is loaded. */
extern bool debugctl_passthrough;
extern bool msr_bitmap_cache;
extern bool page_cache;
extern bool shadow_copy;
extern bool adaptive_shadow;

/*
 * The parts of the world switch between L1 and L2 that can be left out while
 * their inputs are what they were; bit numbers of fast_switch_parts.
 */
enum fast_switch_part {
	FAST_SWITCH_CPUID,		/* vmx/cpuid.c */
	FAST_SWITCH_USER_RETURN,	/* vmx/user_return.c */
	FAST_SWITCH_HOST_SEGMENTS,	/* nested/host_segments.c */
	FAST_SWITCH_IRR,		/* vmx/irr.h */
	FAST_SWITCH_KNOWN_FIELDS,	/* vmx/known_fields.h */
	FAST_SWITCH_PREEMPTION_TIMER,	/* nested/preemption_timer.c */
	FAST_SWITCH_CHECKS,		/* nested/checks.c */
	FAST_SWITCH_MMU_ROLES,		/* nested/mmu_roles.c */
	FAST_SWITCH_VMCS02,		/* nested/vmcs02.h */
	FAST_SWITCH_READ_BACK,		/* nested/read_back.h */
	NR_FAST_SWITCH_PARTS
};

/*
 * Parameters verify and fast_switch_parts.  Static keys: the hot paths ask for each
 * some thirty times per L2 exit, and what is switched off shall cost nothing.
 */
DECLARE_STATIC_KEY_FALSE(fast_verify_key);
extern struct static_key_true fast_switch_key[NR_FAST_SWITCH_PARTS];

static __always_inline bool fast_verify(void)
{
	return static_branch_unlikely(&fast_verify_key);
}

static __always_inline bool fast_switch_does(enum fast_switch_part part)
{
	return static_branch_likely(&fast_switch_key[part]);
}

void fast_init(void) __init;
void fast_vm_create(struct kvm *kvm);
void fast_vcpu_create(struct kvm_vcpu *vcpu);
void fast_vm_destroy(struct kvm *kvm);

#endif /* KVM_INTEL_FAST_H */
