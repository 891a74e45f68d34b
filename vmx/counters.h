/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the optimisations did, counted per vCPU and shown per VM.
 *
 * One X-macro list names every counter once.  The thread that runs the vCPU writes
 * the vCPU's counters; the MMU notifier writes two of them.  Readers sum over the
 * vCPUs without a lock and may miss the newest increments, as with KVM's own
 * statistics.
 */
#ifndef KVM_INTEL_FAST_COUNTERS_H
#define KVM_INTEL_FAST_COUNTERS_H

#include <linux/bug.h>
#include <linux/types.h>

/*
 * Each line has a counter's name in debugfs, and says what it counts.  The MMU notifier writes
 * page_hold_invalidated and page_hold_referenced, under pages_notifier.lock.
 */
#define FAST_COUNTERS(COUNTER) \
	COUNTER(debugctl_pass_through, "intercept of L1's RDMSR removed") \
	COUNTER(debugctl_intercept_freeze, "intercept restored: host set FREEZE_IN_SMM") \
	COUNTER(debugctl_intercept_missed, \
		"intercept restored: KVM emulated, so the VMCS field was not reloaded") \
	COUNTER(debugctl_exit_l1_freeze, "read by L1 that exited, host has FREEZE_IN_SMM") \
	COUNTER(debugctl_exit_l1_other, \
		"read by L1 that exited otherwise: parameter off, missed reload, emulated RDMSR") \
	COUNTER(debugctl_exit_l2, "read by L2 that exited: always, by design") \
	COUNTER(debugctl_verify_checks, "entries at which verify=1 compared") \
	COUNTER(debugctl_verify_mismatches, "of these, entries that differed from stock") \
	COUNTER(page_hold_reused, "nested entries with all the pages of the previous one") \
	COUNTER(page_hold_hits, "pages that another nested entry found held") \
	COUNTER(page_hold_miss_empty, "pages not held: first use, or dropped") \
	COUNTER(page_hold_miss_gfn, "pages not held: vmcs12 names another") \
	COUNTER(page_hold_miss_memslots, "pages not held: memslots changed") \
	COUNTER(page_hold_invalidated, "holds invalidated by the MMU notifier") \
	COUNTER(page_hold_referenced, "of these, pages that L2 was using") \
	COUNTER(page_hold_verify_checks, "hits that verify=1 compared") \
	COUNTER(page_hold_verify_mismatches, "of these, hits that differed from stock") \
	COUNTER(nested_context_evictions, "vmcs12s that gave way to another one") \
	COUNTER(msr_bitmap_hits, "nested entries whose merge was unchanged") \
	COUNTER(msr_bitmap_miss_new, "merges: first of this vmcs12") \
	COUNTER(msr_bitmap_miss_controls, "merges: controls of vmcs12 changed") \
	COUNTER(msr_bitmap_miss_vmcs01, "merges: vmcs01's bitmap changed") \
	COUNTER(msr_bitmap_miss_l1, "merges: L1 changed its bitmap") \
	COUNTER(msr_bitmap_verify_checks, "bitmaps that verify=1 compared") \
	COUNTER(msr_bitmap_verify_mismatches, "of these, bitmaps that differed from stock") \
	COUNTER(cpuid_updates_direct, "CR4 changes whose CPUID bits were written directly") \
	COUNTER(cpuid_miss_entries, "updates by stock: CPUID entries are new") \
	COUNTER(cpuid_miss_xcr0, "updates by stock: XCR0 changed") \
	COUNTER(cpuid_verify_checks, "updates and features that verify=1 compared") \
	COUNTER(cpuid_verify_mismatches, "of these, those that differed from stock") \
	COUNTER(user_return_kept, "EFER writes that left all MSRs as loaded") \
	COUNTER(user_return_reload, "EFER writes after which MSRs are loaded again") \
	COUNTER(user_return_verify_checks, "MSRs for which verify=1 asked stock") \
	COUNTER(user_return_verify_mismatches, "of these, MSRs that differed from stock") \
	COUNTER(host_state_loaded, "nested exits that loaded L1's state in one go") \
	COUNTER(host_state_stock, "nested exits that left that to stock") \
	COUNTER(host_state_verify_checks, "nested exits that verify=1 compared") \
	COUNTER(host_state_verify_mismatches, "of these, exits that differed from stock") \
	COUNTER(guest_state_loaded, "nested entries that loaded L2's state in one go") \
	COUNTER(guest_state_stock, "nested entries that left that to stock") \
	COUNTER(guest_state_verify_checks, "nested entries that verify=1 compared") \
	COUNTER(guest_state_verify_mismatches, "of these, entries that differed from stock") \
	COUNTER(vmcs_switch_short, "switches between vmcs01 and vmcs02 by VMPTRLD alone") \
	COUNTER(vmcs_switch_stock, "switches that were left to stock") \
	COUNTER(vmcs_switch_verify_checks, "switches after which verify=1 asked the CPU") \
	COUNTER(vmcs_switch_verify_mismatches, "of these, switches to another VMCS") \
	COUNTER(vmwrites_unchanged, "VMWRITEs left out: the field has the value") \
	COUNTER(l1_cr3_verify_checks, "refused entries after which verify=1 compared L1's CR3") \
	COUNTER(l1_cr3_verify_mismatches, "of these, those that differed from stock") \
	COUNTER(irr_verify_checks, "nested entries at which verify=1 let stock search") \
	COUNTER(irr_verify_mismatches, "of these, those at which it found one, or set the PPR") \
	COUNTER(known_fields_verify_checks, "fields that verify=1 read") \
	COUNTER(known_fields_verify_mismatches, "of these, fields with another value") \
	COUNTER(controls_reused, "nested entries that found vmcs02's controls made") \
	COUNTER(controls_made, "nested entries for which stock made them") \
	COUNTER(controls_verify_checks, "controls that verify=1 looked at") \
	COUNTER(controls_verify_mismatches, "of these, controls that stock makes otherwise") \
	COUNTER(preemption_timer_kept, "nested entries that found L2's timer armed") \
	COUNTER(preemption_timer_started, "nested entries that started it") \
	COUNTER(preemption_timer_verify_checks, "timers that verify=1 looked at") \
	COUNTER(preemption_timer_verify_mismatches, "of these, timers armed too late") \
	COUNTER(shadow_copies_in, "reads of the shadow VMCS into vmcs12") \
	COUNTER(shadow_changed_in, "fields that L1 had changed without an exit") \
	COUNTER(shadow_copies_out, \
		"copies to the shadow VMCS, but for those that had nothing to write") \
	COUNTER(shadow_written_out, "fields that these wrote") \
	COUNTER(shadow_window_reloads, "nested entries that failed with no current VMCS") \
	COUNTER(shadow_exit_vmread, "L1's VMREADs that exited") \
	COUNTER(shadow_exit_vmwrite, "L1's VMWRITEs that exited") \
	COUNTER(shadow_joins, "fields that joined a vCPU's set") \
	COUNTER(shadow_censuses, "times that a vCPU's set was emptied") \
	COUNTER(shadow_verify_checks, "copies that verify=1 compared") \
	COUNTER(shadow_verify_mismatches, "fields that differed from stock in these") \
	COUNTER(checks_hits, "nested entries without consistency checks") \
	COUNTER(checks_miss_forgotten, "checked: L1 or user space changed something") \
	COUNTER(checks_miss_changed, "checked: a compared input differs") \
	COUNTER(checks_verify_checks, "hits that verify=1 had checked by stock") \
	COUNTER(checks_verify_mismatches, "of these, checks that failed") \
	COUNTER(mmu_roles_hits, "switches whose MMU role was not computed") \
	COUNTER(mmu_roles_misses, "switches whose MMU role stock computed") \
	COUNTER(mmu_roles_verify_checks, "hits that verify=1 let stock compute") \
	COUNTER(mmu_roles_verify_mismatches, "of these, roles that were another") \
	COUNTER(mmu_root_loaded, "MMU roots loaded without kvm.ko's search for requests") \
	COUNTER(mmu_root_stock, "MMU roots left to kvm.ko, with other requests") \
	COUNTER(mmu_root_verify_checks, "MMU roots that verify=1 let kvm.ko load again") \
	COUNTER(mmu_root_verify_mismatches, "of these, roots that were another") \
	COUNTER(vmcs02_shadows_skipped, "nested entries that wrote the read shadows once") \
	COUNTER(vmcs02_shadows_done, "nested entries that wrote them twice") \
	COUNTER(vmcs02_cr3_skipped, "nested entries that wrote L2's CR3 once") \
	COUNTER(vmcs02_cr3_done, "nested entries that left that to stock") \
	COUNTER(vmcs02_verify_checks, "fields that verify=1 read") \
	COUNTER(vmcs02_verify_mismatches, "of these, fields with another value") \
	COUNTER(desc_exits_fast, "descriptor-table accesses without the emulator") \
	COUNTER(desc_exits_stock_mode, "those left to it: not in 64-bit mode at CPL 0") \
	COUNTER(desc_exits_stock_l2, "the same: by L2") \
	COUNTER(desc_exits_stock_debug, "the same: breakpoints, single-stepping") \
	COUNTER(desc_exits_stock_address, "the same: the operand's address, or RIP") \
	COUNTER(desc_exits_stock_operand, "the same: prefixes of SLDT or STR") \
	COUNTER(desc_exits_stock_memory, "the same: the operand's page, or that of RIP") \
	COUNTER(desc_exits_stock_descriptor, "the same: what is loaded") \
	COUNTER(desc_exits_verify_checks, "accesses that verify=1 let the emulator execute, too") \
	COUNTER(desc_exits_verify_mismatches, "of these, accesses that differed from it") \
	COUNTER(read_back_left_out, "nested exits that left two fields in vmcs02") \
	COUNTER(read_back_late, "of these, those after which someone asked for them") \
	COUNTER(read_back_done, "nested exits that read them back") \
	COUNTER(read_back_verify_checks, "late reads that verify=1 compared") \
	COUNTER(read_back_verify_mismatches, "of these, reads that differed from stock")

struct fast_counters {
#define COUNTER(name, text) u64 name;
	FAST_COUNTERS(COUNTER)
#undef COUNTER
};

/**
 * FAST_MISMATCH - count and report a difference from stock that verify=1 found
 * @counters: the vCPU's counters
 * @subject: first words of the counter <subject>_verify_mismatches
 * @fmt: what differs, without an end of line, and its arguments
 *
 * Context: any.
 */
#define FAST_MISMATCH(counters, subject, fmt, ...) do {				\
	(counters)->subject##_verify_mismatches++;				\
	WARN_ONCE(1, "kvm-intel-fast: " fmt "\n", ##__VA_ARGS__);		\
} while (0)

struct kvm;

/*
 * The loop for readers of debugfs.  While no vCPU is online, kvm_for_each_vcpu() of 6.1
 * visits a vCPU whose creation may still fail, and which KVM then frees.
 */
#define fast_for_each_online_vcpu(i, vcpu, kvm)			\
	for (i = 0; i < atomic_read(&(kvm)->online_vcpus) &&	\
	     ((vcpu) = kvm_get_vcpu(kvm, i)); i++)

bool fast_counters_show_in_debugfs(struct kvm *kvm);

#endif /* KVM_INTEL_FAST_COUNTERS_H */
