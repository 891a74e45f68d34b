/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the optimisations did, counted per vCPU and shown per VM.
 *
 * One X-macro list names every counter once.  Only the thread that runs the
 * vCPU writes its counters; readers sum over the vCPUs without a lock and may
 * miss the newest increments, as with KVM's own statistics.
 */
#ifndef KVM_INTEL_FAST_COUNTERS_H
#define KVM_INTEL_FAST_COUNTERS_H

#include <linux/types.h>

/*
 * debugctl_pass_through	intercept of L1's RDMSR removed
 * debugctl_intercept_freeze	intercept restored: host set FREEZE_IN_SMM
 * debugctl_intercept_missed	intercept restored: KVM emulated instead of
 *				entering, so the VMCS field was not reloaded
 * debugctl_exit_l1_freeze	read by L1 that exited, host has FREEZE_IN_SMM
 * debugctl_exit_l1_other	read by L1 that exited for another reason:
 *				parameter off, missed reload, emulated RDMSR
 * debugctl_exit_l2		read by L2 that exited: always, by design
 * debugctl_verify_checks	entries at which verify=1 compared
 * debugctl_verify_mismatches	of these, entries that differed from stock
 * page_hold_reused		nested entries with all the pages of the previous one
 * page_hold_hits		pages that another nested entry found held
 * page_hold_miss_empty		pages not held: first use, or dropped
 * page_hold_miss_gfn		pages not held: vmcs12 names another
 * page_hold_miss_memslots	pages not held: memslots changed
 * page_hold_invalidated	holds invalidated by the MMU notifier
 * page_hold_referenced		of these, pages that L2 was using: these two are
 *				written by the notifier, under pages_notifier.lock
 * page_hold_verify_checks	hits that verify=1 compared
 * page_hold_verify_mismatches	of these, hits that differed from stock
 * nested_context_evictions	vmcs12s that gave way to another one
 * msr_bitmap_hits		nested entries whose merge was unchanged
 * msr_bitmap_miss_new		merges: first of this vmcs12
 * msr_bitmap_miss_controls	merges: controls of vmcs12 changed
 * msr_bitmap_miss_vmcs01	merges: vmcs01's bitmap changed
 * msr_bitmap_miss_l1		merges: L1 changed its bitmap
 * msr_bitmap_verify_checks	bitmaps that verify=1 compared
 * msr_bitmap_verify_mismatches	of these, bitmaps that differed from stock
 * cpuid_updates_direct		CR4 changes whose CPUID bits were written directly
 * cpuid_miss_entries		updates by stock: CPUID entries are new
 * cpuid_miss_xcr0		updates by stock: XCR0 changed
 * cpuid_verify_checks		updates and features that verify=1 compared
 * cpuid_verify_mismatches	of these, those that differed from stock
 * user_return_kept		EFER writes that left all MSRs as loaded
 * user_return_reload		EFER writes after which MSRs are loaded again
 * user_return_verify_checks	MSRs for which verify=1 asked stock
 * user_return_verify_mismatches of these, MSRs that differed from stock
 * host_segments_written	nested exits that wrote the segments directly
 * host_segments_stock		nested exits that left them to stock
 * host_segments_verify_checks	nested exits that verify=1 compared
 * host_segments_verify_mismatches of these, exits that differed from stock
 * vmwrites_unchanged		VMWRITEs left out: the field has the value
 * known_fields_verify_checks	fields that verify=1 read
 * known_fields_verify_mismatches of these, fields with another value
 * preemption_timer_kept	nested entries that found L2's timer armed
 * preemption_timer_started	nested entries that started it
 * preemption_timer_verify_checks timers that verify=1 looked at
 * preemption_timer_verify_mismatches of these, timers armed too late
 * shadow_copies_in		reads of the shadow VMCS into vmcs12
 * shadow_changed_in		fields that L1 had changed without an exit
 * shadow_copies_out		copies to the shadow VMCS, without those that
 *				found all fields as they should be
 * shadow_written_out		fields that these wrote
 * shadow_window_reloads	nested entries that failed with no current VMCS
 * shadow_exit_vmread		L1's VMREADs that exited
 * shadow_exit_vmwrite		L1's VMWRITEs that exited
 * shadow_joins			fields that joined a vCPU's set
 * shadow_censuses		times that a vCPU's set was emptied
 * shadow_verify_checks		copies that verify=1 compared
 * shadow_verify_mismatches	fields that differed from stock in these
 * checks_hits			nested entries without consistency checks
 * checks_miss_forgotten	checked: L1 or user space changed something
 * checks_miss_changed		checked: a compared input differs
 * checks_verify_checks		hits that verify=1 had checked by stock
 * checks_verify_mismatches	of these, checks that failed
 * mmu_roles_hits		switches whose MMU role was not computed
 * mmu_roles_misses		switches whose MMU role stock computed
 * mmu_roles_verify_checks	hits that verify=1 let stock compute
 * mmu_roles_verify_mismatches	of these, roles that were another
 * vmcs02_shadows_skipped	nested entries that wrote the read shadows once
 * vmcs02_shadows_done		nested entries that wrote them twice
 * vmcs02_cr3_skipped		nested entries that wrote L2's CR3 once
 * vmcs02_cr3_done		nested entries that left that to stock
 * vmcs02_verify_checks		fields that verify=1 read
 * vmcs02_verify_mismatches	of these, fields with another value
 * read_back_left_out		nested exits that left two fields in vmcs02
 * read_back_late		of these, those after which someone asked for them
 * read_back_done		nested exits that read them back
 * read_back_verify_checks	late reads that verify=1 compared
 * read_back_verify_mismatches	of these, reads that differed from stock
 */
#define FAST_COUNTERS(COUNTER)			\
	COUNTER(debugctl_pass_through)		\
	COUNTER(debugctl_intercept_freeze)	\
	COUNTER(debugctl_intercept_missed)	\
	COUNTER(debugctl_exit_l1_freeze)	\
	COUNTER(debugctl_exit_l1_other)		\
	COUNTER(debugctl_exit_l2)		\
	COUNTER(debugctl_verify_checks)		\
	COUNTER(debugctl_verify_mismatches)	\
	COUNTER(page_hold_reused)		\
	COUNTER(page_hold_hits)			\
	COUNTER(page_hold_miss_empty)		\
	COUNTER(page_hold_miss_gfn)		\
	COUNTER(page_hold_miss_memslots)	\
	COUNTER(page_hold_invalidated)		\
	COUNTER(page_hold_referenced)		\
	COUNTER(page_hold_verify_checks)	\
	COUNTER(page_hold_verify_mismatches)	\
	COUNTER(nested_context_evictions)	\
	COUNTER(msr_bitmap_hits)		\
	COUNTER(msr_bitmap_miss_new)		\
	COUNTER(msr_bitmap_miss_controls)	\
	COUNTER(msr_bitmap_miss_vmcs01)		\
	COUNTER(msr_bitmap_miss_l1)		\
	COUNTER(msr_bitmap_verify_checks)	\
	COUNTER(msr_bitmap_verify_mismatches)	\
	COUNTER(cpuid_updates_direct)		\
	COUNTER(cpuid_miss_entries)		\
	COUNTER(cpuid_miss_xcr0)		\
	COUNTER(cpuid_verify_checks)		\
	COUNTER(cpuid_verify_mismatches)	\
	COUNTER(user_return_kept)		\
	COUNTER(user_return_reload)		\
	COUNTER(user_return_verify_checks)	\
	COUNTER(user_return_verify_mismatches)	\
	COUNTER(host_segments_written)		\
	COUNTER(host_segments_stock)		\
	COUNTER(host_segments_verify_checks)	\
	COUNTER(host_segments_verify_mismatches)\
	COUNTER(vmwrites_unchanged)		\
	COUNTER(known_fields_verify_checks)	\
	COUNTER(known_fields_verify_mismatches)	\
	COUNTER(preemption_timer_kept)		\
	COUNTER(preemption_timer_started)	\
	COUNTER(preemption_timer_verify_checks)	\
	COUNTER(preemption_timer_verify_mismatches)\
	COUNTER(shadow_copies_in)		\
	COUNTER(shadow_changed_in)		\
	COUNTER(shadow_copies_out)		\
	COUNTER(shadow_written_out)		\
	COUNTER(shadow_window_reloads)		\
	COUNTER(shadow_exit_vmread)		\
	COUNTER(shadow_exit_vmwrite)		\
	COUNTER(shadow_joins)			\
	COUNTER(shadow_censuses)		\
	COUNTER(shadow_verify_checks)		\
	COUNTER(shadow_verify_mismatches)	\
	COUNTER(checks_hits)			\
	COUNTER(checks_miss_forgotten)		\
	COUNTER(checks_miss_changed)		\
	COUNTER(checks_verify_checks)		\
	COUNTER(checks_verify_mismatches)	\
	COUNTER(mmu_roles_hits)			\
	COUNTER(mmu_roles_misses)		\
	COUNTER(mmu_roles_verify_checks)	\
	COUNTER(mmu_roles_verify_mismatches)	\
	COUNTER(vmcs02_shadows_skipped)		\
	COUNTER(vmcs02_shadows_done)		\
	COUNTER(vmcs02_cr3_skipped)		\
	COUNTER(vmcs02_cr3_done)		\
	COUNTER(vmcs02_verify_checks)		\
	COUNTER(vmcs02_verify_mismatches)	\
	COUNTER(read_back_left_out)		\
	COUNTER(read_back_late)			\
	COUNTER(read_back_done)			\
	COUNTER(read_back_verify_checks)	\
	COUNTER(read_back_verify_mismatches)

struct fast_counters {
#define COUNTER(name) u64 name;
	FAST_COUNTERS(COUNTER)
#undef COUNTER
};

struct kvm;

/*
 * For readers of debugfs.  While no vCPU is online, kvm_for_each_vcpu() of 6.1 goes on to
 * one whose creation may yet fail, and which is freed then.
 */
#define fast_for_each_online_vcpu(i, vcpu, kvm)			\
	for (i = 0; ((vcpu) = kvm_get_vcpu(kvm, i)); i++)

void fast_counters_show_in_debugfs(struct kvm *kvm);

#endif /* KVM_INTEL_FAST_COUNTERS_H */
