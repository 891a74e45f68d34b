/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What kvm-intel-fast adds to a vCPU and to a VM: the state of each subject.
 * Stock's vmx.h includes this header, so this header must not include vmx.h.
 */
#ifndef KVM_INTEL_FAST_STATE_H
#define KVM_INTEL_FAST_STATE_H

#include "vmx/compat.h"
#include "vmx/counters.h"
#include "vmx/cpuid_state.h"
#include "vmx/gva_memo_state.h"
#include "vmx/user_return_state.h"
#include "nested/checks_state.h"
#include "nested/controls_state.h"
#include "nested/level_state_state.h"
#include "nested/mmu_roles_state.h"
#include "nested/mmu_root_state.h"
#include "nested/page_hold_state.h"
#include "nested/pages_notifier_state.h"
#include "nested/preemption_timer_state.h"
#include "nested/read_back_state.h"
#include "nested/vmcs02_state.h"

struct nested_contexts;
struct vmcs_shadow;

/*
 * Member "fast" of struct vcpu_vmx.  The vCPU's thread alone writes it, but for
 * holds.any_stale and two counters, which the MMU notifier writes too (pages_notifier.c).
 */
struct fast_vcpu {
	struct fast_counters counters;
	struct page_holds holds;
	struct nested_contexts *contexts;	/* NULL before the first nested entry */
	struct nested_context *context;		/* that of the last nested entry */
	bool debugctl_passes;			/* L1 may read it, if the MSR filter agrees */
	struct cpuid_memo cpuid;
	struct user_return_memo user_return;
	struct checks_memo checks;
	struct controls_memo controls;
	struct mmu_roles_memo mmu;
	enum mmu_root_state mmu_root_state;
	struct mmu_root_memo mmu_root;		/* verify=1 */
	struct preemption_timer preemption_timer;
	struct vmcs02_memo vmcs02;
	struct read_back_memo read_back;
	bool l1_cr3_is_in_vmcs01;		/* and KVM has it not: l1_cr3.h */
	struct level_digest level_digest;	/* verify=1 */
	bool desc_exit_left;			/* with interrupts off, to stock: desc_exits.c */
	struct gva_memo gva;
	struct vmcs_shadow *shadow;		/* NULL before the first VMXON */
};

/* Bits of struct fast_vm.flags */
#define FAST_VM_IN_DEBUGFS	0

/* Member "fast" of struct kvm_vmx. */
struct fast_vm {
	unsigned long flags;
	struct pages_notifier pages;
};

#endif /* KVM_INTEL_FAST_STATE_H */
