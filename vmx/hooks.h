/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The seam between stock and kvm-intel-fast, in the order of a round trip.
 *
 * Stock calls these functions and no others; this header is all that a patch includes.
 * Each says what stock does there, and what is left out.  What a skip rests on stands at
 * the head of its subject's file, and patches/<line>/hooks says where each function is
 * called ("scripts/check-hooks --show LINE" prints it in this order).
 *
 * Sections 1 to 4 only notify: notifications.h.
 * Context, unless stated otherwise: the vCPU's thread, interrupts and preemption on.
 */
#ifndef KVM_INTEL_FAST_HOOKS_H
#define KVM_INTEL_FAST_HOOKS_H

#include "kvm/vmx/nested.h"
#include "vmx/cpuid.h"
#include "vmx/debugctl.h"
#include "vmx/desc_exits.h"
#include "vmx/irr.h"
#include "vmx/notifications.h"
#include "vmx/user_return.h"
#include "nested/checks.h"
#include "nested/controls.h"
#include "nested/guest_state.h"
#include "nested/host_state.h"
#include "nested/l1_cr3.h"
#include "nested/mmu_roles.h"
#include "nested/mmu_root.h"
#include "nested/pages.h"
#include "nested/preemption_timer.h"
#include "nested/read_back.h"
#include "nested/shadow.h"
#include "nested/vmcs02.h"
#include "nested/vmcs_switch.h"

/* 5. VMRESUME and VMLAUNCH, in the order of stock's path. */

/* Stock copies the shadow VMCS to vmcs12.  True if vmcs12 is up to date without that. */
static __always_inline bool fast_entry_copy_in(struct kvm_vcpu *vcpu)
{
	return shadow_copy_in_for_entry(vcpu);
}

/* Stock checks controls and host state, after the copy-in.  True if they passed before. */
static __always_inline bool fast_entry_checks(struct kvm_vcpu *vcpu, struct vmcs12 *vmcs12)
{
	return checks_passed(vcpu, vmcs12);
}

/* Stock reads these three of vmcs01.  If vmcs01 is not current, they were read before. */
static __always_inline u8 fast_entry_rvi(struct kvm_vcpu *vcpu)
{
	return shadow_rvi(vcpu);
}

static __always_inline u64 fast_entry_debugctl(struct kvm_vcpu *vcpu)
{
	return shadow_guest_debugctl(vcpu);
}

static __always_inline u64 fast_entry_bndcfgs(struct kvm_vcpu *vcpu)
{
	return shadow_guest_bndcfgs(vcpu);
}

/* Preemption off.  Stock loads the other of vmcs01 and vmcs02.  True if it is current. */
static __always_inline bool fast_vmcs_switch(struct kvm_vcpu *vcpu, int cpu,
					     struct loaded_vmcs *prev)
{
	return vmcs_switch(vcpu, cpu, prev);
}

/* Stock has loaded a VMCS and made it current, whatever was current before. */
static __always_inline void fast_vmcs_switched(struct kvm_vcpu *vcpu)
{
	shadow_window_end(vcpu);
}

/* Stock makes vmcs02's controls, and writes L1's event.  True if the controls are as they were. */
static __always_inline bool fast_entry_controls(struct kvm_vcpu *vcpu, struct vmcs12 *vmcs12)
{
	return controls_reuse(vcpu, vmcs12);
}

/* Stock has made them. */
static __always_inline void fast_entry_controls_made(struct kvm_vcpu *vcpu, struct vmcs12 *vmcs12)
{
	controls_made(vcpu, vmcs12);
}

/*
 * Stock maps the pages that vmcs12 names, and merges the MSR bitmap.  True if vmcs02 has
 * both already; with verify=1 stock merges the MSR bitmap nevertheless.
 */
static __always_inline bool fast_entry_pages(struct kvm_vcpu *vcpu, struct vmcs12 *vmcs12)
{
	if (pages_reuse(vcpu, vmcs12))
		return true;
	pages_begin(vcpu);
	return false;
}

/* Stock maps one page by kvm_vcpu_map().  If it is held, walk and reference are left out. */
static __always_inline int fast_entry_map(struct kvm_vcpu *vcpu, enum held_page which, gfn_t gfn,
					  struct kvm_host_map *map)
{
	return pages_map(vcpu, which, gfn, map);
}

/* Stock gives L1's MSR bitmap back by kvm_vcpu_unmap(). */
static __always_inline void fast_entry_unmap(struct kvm_vcpu *vcpu, enum held_page which,
					     struct kvm_host_map *map)
{
	pages_unmap(vcpu, which, map, false);
}

/* Stock merges @l1 into @l0.  True if vmcs02's bitmap is up to date without that. */
static __always_inline bool fast_entry_msr_bitmap(struct kvm_vcpu *vcpu, struct vmcs12 *vmcs12,
						  unsigned long **l1, unsigned long **l0)
{
	return msr_bitmap_update(vcpu, vmcs12, l1, l0);
}

/* Stock has merged, with verify=1 on top of our merge. */
static __always_inline void fast_entry_merged(struct kvm_vcpu *vcpu, unsigned long *l1,
					      unsigned long *l0)
{
	msr_bitmap_verify(vcpu, l1, l0);
}

/* Stock has mapped all pages. */
static __always_inline void fast_entry_pages_mapped(struct kvm_vcpu *vcpu, struct vmcs12 *vmcs12)
{
	pages_settle(vcpu, vmcs12);
}

/*
 * Stock checks guest state.  True if only the check of what is in guest memory is left;
 * @code is then the failure code of that check.
 */
static __always_inline bool fast_entry_guest_checks(struct kvm_vcpu *vcpu,
						    enum vm_entry_failure_code *code)
{
	if (!checks_hit(vcpu))
		return false;
	*code = ENTRY_FAIL_VMCS_LINK_PTR;
	return true;
}

/* All checks passed; stock did them, or they were left out. */
static __always_inline void fast_entry_checked(struct kvm_vcpu *vcpu, struct vmcs12 *vmcs12)
{
	if (!checks_hit(vcpu))
		checks_done(vcpu, vmcs12);
}

/*
 * From 7.2 on stock looks for events to deliver before L2 runs, if an interrupt is pending.
 * It takes the answer "none", -1, for one, too.
 */
static __always_inline bool fast_entry_has_interrupt(struct kvm_vcpu *vcpu)
{
	return irr_pending(vcpu);
}

/*
 * Up to 6.12 stock looks whether the interrupt that the vCPU would take now is L2's notification
 * vector: one that L1 has posted for L2 before the entry.
 */
static __always_inline int fast_entry_interrupt(struct kvm_vcpu *vcpu)
{
	return irr_interrupt(vcpu);
}

/* Stock loads L2's state register by register.  True if all but CR3, RSP and RIP is loaded. */
static __always_inline bool fast_entry_guest_state(struct kvm_vcpu *vcpu, struct vmcs12 *vmcs12)
{
	return guest_state_load(vcpu, vmcs12);
}

/* Stock has loaded L2's state, with verify=1 on top of what we loaded. */
static __always_inline void fast_entry_guest_state_loaded(struct kvm_vcpu *vcpu)
{
	if (unlikely(fast_verify()))
		guest_state_verify(vcpu);
}

/* Called before prepare_vmcs02() sets CR0, CR4 and their read shadows (@follow), and after. */
static __always_inline void fast_entry_read_shadows(struct kvm_vcpu *vcpu, bool follow)
{
	vmcs02_read_shadows_follow(vcpu, follow);
}

/* Stock writes a read shadow with CR0 or CR4.  True if prepare_vmcs02() writes it next. */
static __always_inline bool fast_entry_read_shadow_follows(struct kvm_vcpu *vcpu)
{
	return vmcs02_read_shadow_follows(vcpu);
}

/* Stock sets up the MMU for the other level's paging by kvm_init_mmu(). */
static __always_inline void fast_init_mmu(struct kvm_vcpu *vcpu)
{
	mmu_roles_init(vcpu);
}

/* Stock sets up the MMU for L1's EPT by kvm_init_shadow_ept_mmu(); @mbec is false before 7.2. */
static __always_inline void fast_init_ept_mmu(struct kvm_vcpu *vcpu, bool execonly, int lpage_level,
					      bool ad, bool mbec, gpa_t eptp)
{
	mmu_roles_init_ept(vcpu, execonly, lpage_level, ad, mbec, eptp);
}

/* prepare_vmcs02() has written L2's CR3, which stock writes again with the MMU's root. */
static __always_inline void fast_entry_cr3(struct kvm_vcpu *vcpu)
{
	vmcs02_cr3_written(vcpu);
}

/* Stock writes CR3 with the MMU's root. */
static __always_inline void fast_cr3_written_again(struct kvm_vcpu *vcpu, unsigned long cr3)
{
	vmcs02_cr3_again(vcpu, cr3);
}

/* Stock keeps L1's CR3 for the case that the CPU refuses to enter L2.  From 7.2 on. */
static __always_inline unsigned long fast_entry_l1_cr3(struct kvm_vcpu *vcpu)
{
	return l1_cr3_at_entry(vcpu);
}

/* Stock works out TSC offset and multiplier of L2.  True if both are set. */
static __always_inline bool fast_entry_tsc(struct kvm_vcpu *vcpu, struct vmcs12 *vmcs12)
{
	return vmcs02_tsc(vcpu, vmcs12);
}

/*
 * Stock divides @ticks, times 1,000,000, of L2's preemption timer by the frequency of L1's TSC,
 * and starts the timer by hrtimer_start().
 */
static __always_inline void fast_entry_timer(struct kvm_vcpu *vcpu, u64 ticks)
{
	preemption_timer_start(vcpu, ticks);
}

/* 6. Any entry, L1's or L2's; and what a write of EFER or CR4 changes for it. */

/* Stock lets kvm_mmu_new_pgd() find the root for the other level's page tables. */
static __always_inline void fast_new_pgd(struct kvm_vcpu *vcpu, gpa_t pgd, mmu_root_loader load)
{
	mmu_root_new_pgd(vcpu, pgd, load);
}

/* A nested entry begins, after which fast_load_mmu_root() is called. */
static __always_inline void fast_root_may_wait(struct kvm_vcpu *vcpu)
{
	mmu_root_may_wait(vcpu);
}

/* L1 or L2 has its state.  kvm.ko looks for a request to load the MMU's root, by @load. */
static __always_inline void fast_load_mmu_root(struct kvm_vcpu *vcpu, mmu_root_loader load)
{
	mmu_root_load(vcpu, load);
}

/* Stock searches which user-return MSRs the guest needs.  True if we know them. */
static __always_inline bool fast_setup_uret_msrs(struct vcpu_vmx *vmx, bool load_efer)
{
	return user_return_setup(vmx, load_efer);
}

/* Stock has searched, because of verify=1 or because this part is off. */
static __always_inline void fast_uret_msrs_set_up(struct vcpu_vmx *vmx)
{
	user_return_verify(vmx);
}

static __always_inline bool fast_has_efer(void)
{
	return user_return_has_efer();
}

/* The guest's value of a user-return MSR changed.  True if hardware needs it now. */
static __always_inline bool fast_uret_msr_changed(struct vcpu_vmx *vmx, unsigned int slot)
{
	if (user_return_wanted(vmx, slot))
		return true;
	user_return_set(vmx, slot);
	return false;
}

/* Preemption off.  Stock loads the user-return MSRs for which this is true. */
static __always_inline bool fast_uret_msr_wanted(struct vcpu_vmx *vmx, unsigned int slot)
{
	return user_return_wanted(vmx, slot);
}

static __always_inline void fast_uret_msrs_loaded(struct vcpu_vmx *vmx)
{
	user_return_loaded(vmx);
}

/* Stock brings CPUID up to date after a write of CR4 by kvm_update_cpuid_runtime(). */
static __always_inline void fast_update_cpuid(struct kvm_vcpu *vcpu)
{
	cpuid_update(vcpu);
}

/* Preemption off.  Stock copies vmcs12 to the shadow VMCS.  True if stock must. */
static __always_inline bool fast_shadow_is_behind(struct kvm_vcpu *vcpu)
{
	return shadow_before_entry(vcpu);
}

/* Stock searches for the highest requested interrupt. */
static __always_inline int fast_highest_irr(struct kvm_vcpu *vcpu)
{
	return irr_highest(vcpu);
}

/* Interrupts off.  kvm.ko has loaded the MMU's root, with verify=1 on top of what we loaded. */
static __always_inline void fast_mmu_root_loaded(struct kvm_vcpu *vcpu)
{
	if (unlikely(fast_verify()))
		mmu_root_verify(vcpu);
}

/* Interrupts off.  Stock has reloaded IA32_DEBUGCTL, if the host's changed. */
static __always_inline void fast_before_entry(struct kvm_vcpu *vcpu, u64 run_flags)
{
	debugctl_before_entry(vcpu, run_flags);
}

/* Interrupts off.  Stock emulates instead of entering, and loses @run_flags. */
static __always_inline void fast_entry_emulated(struct kvm_vcpu *vcpu, u64 run_flags)
{
	debugctl_entry_skipped(vcpu, run_flags);
}

/* A read of IA32_DEBUGCTL is answered by stock. */
static __always_inline void fast_debugctl_read(struct kvm_vcpu *vcpu, bool host_initiated)
{
	debugctl_count_read(vcpu, host_initiated);
}

/* Interrupts off.  Stock leaves each access to a descriptor-table register for later. */
static __always_inline fastpath_t fast_desc_fastpath(struct kvm_vcpu *vcpu)
{
	return desc_exit_handled(vcpu) ? EXIT_FASTPATH_REENTER_GUEST : EXIT_FASTPATH_NONE;
}

/* Stock emulates the access by kvm_emulate_instruction(). */
static __always_inline int fast_desc_exit(struct kvm_vcpu *vcpu)
{
	bool *left = &to_vmx(vcpu)->fast.desc_exit_left;

	if (likely(!*left))
		return desc_exit_handle(vcpu);
	*left = false;
	return kvm_emulate_instruction(vcpu, 0);
}

/* 7. L2 exits to L1, in the order of stock's path. */

/* Stock cancels L2's preemption timer by hrtimer_cancel(). */
static __always_inline void fast_exit_timer(struct kvm_vcpu *vcpu)
{
	preemption_timer_stop(vcpu);
}

/* Stock asks the hrtimer what L2 has left of its preemption timer. */
static __always_inline ktime_t fast_timer_remaining(struct kvm_vcpu *vcpu)
{
	return preemption_timer_remaining(vcpu);
}

/* Stock leaves the rare fields in vmcs02.  True if L1 can read one without an exit. */
static __always_inline bool fast_exit_wants_rare(struct kvm_vcpu *vcpu)
{
	return shadow_wants_rare(vcpu);
}

/* Stock reads back the access rights of CS and SS.  This waits until someone looks. */
static __always_inline void fast_exit_read_back(struct kvm_vcpu *vcpu, struct vmcs12 *vmcs12)
{
	read_back_at_exit(vcpu, vmcs12);
}

/* Stock syncs the rare fields, since someone looks; the access rights of CS and SS follow. */
static __always_inline void fast_read_back_now(struct kvm_vcpu *vcpu, struct vmcs12 *vmcs12)
{
	read_back_now(vcpu, vmcs12);
}

static __always_inline bool fast_read_back_waits_for(struct kvm_vcpu *vcpu, unsigned long field)
{
	return read_back_waits_for(vcpu, field);
}

/* Stock copies vmcs12 to the shadow VMCS before it enters L1.  Here vmcs01 is not loaded yet. */
static __always_inline void fast_exit_copy_out(struct kvm_vcpu *vcpu, u32 vm_exit_reason)
{
	shadow_copy_out_early(vcpu, vm_exit_reason);
}

/* Stock searches CPUID for IA32_SPEC_CTRL, on which an IBPB depends. */
static __always_inline bool fast_has_spec_ctrl(struct kvm_vcpu *vcpu)
{
	return cpuid_has_spec_ctrl(vcpu);
}

/* Stock loads L1's state register by register.  True if all but CR3 is loaded. */
static __always_inline bool fast_exit_host_state(struct kvm_vcpu *vcpu, struct vmcs12 *vmcs12)
{
	return host_state_load(vcpu, vmcs12);
}

/* Stock has loaded all of L1's state, with verify=1 on top of what we loaded. */
static __always_inline void fast_exit_host_state_loaded(struct kvm_vcpu *vcpu)
{
	if (unlikely(fast_verify()))
		host_state_verify(vcpu);
}

/* Stock marks the pages that L2 used in the log of dirty pages.  True if nothing logs. */
static __always_inline bool fast_exit_logs_nothing(struct kvm_vcpu *vcpu)
{
	return pages_log_nothing(vcpu);
}

/* The CPU refused to enter L2: stock takes the CR3 that L1 had.  From 7.2 on. */
static __always_inline unsigned long fast_vmfail_l1_cr3(struct kvm_vcpu *vcpu)
{
	return l1_cr3_after_vmfail(vcpu);
}

/* Stock gives the pages back that L2 used. */
static __always_inline void fast_exit_pages(struct kvm_vcpu *vcpu)
{
	pages_put(vcpu, true);
}

/* Stock copies the shadow VMCS to vmcs12 where L1 or user space needs it.  True if done. */
static __always_inline bool fast_copy_in(struct kvm_vcpu *vcpu)
{
	return shadow_copy_in(vcpu);
}

/* Stock writes a read-only field to the shadow VMCS.  True if fast_vmcs12_written() did. */
static __always_inline bool fast_has_shadow(struct kvm_vcpu *vcpu)
{
	return shadow_of(vcpu);
}

#endif /* KVM_INTEL_FAST_HOOKS_H */
