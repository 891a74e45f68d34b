// SPDX-License-Identifier: GPL-2.0
/*
 * Copying between vmcs12 and the shadow VMCS, from which hardware serves L1's
 * VMREAD and VMWRITE without an exit.
 *
 * Skipped:
 *  - fields that the vCPU's set (shadow_set.c) does not have;
 *  - VMWRITEs of a value that the shadow VMCS holds, and the VMPTRLDs and the
 *    VMCLEAR around them when there is no other;
 *  - of the six VMPTRLDs of a nested round trip, the two that load vmcs01 between
 *    the shadow VMCS and vmcs02;
 *  - of the two VMCLEARs of the shadow VMCS, the one at the nested entry;
 *  - the second comparison of all fields, before L1 runs, after an exit that is complete
 *    when it is copied out early (is_final()).
 *
 * Copy-out (vmcs12 to shadow) compares every field with "held", which is what the shadow
 * VMCS was last given or found to hold.  Who else changes the shadow VMCS:
 *  - L1, by VMWRITE without an exit, to entries of the set that it may write.
 *    Known by: nested_vmx.shadow_written_known, which falls when L1 is entered and rises
 *    when a copy-in has read all these entries.  L2 may be entered without a copy-in, by
 *    RSM; then everything is written, as in stock.
 *  - L0, at an exit of L1's VMWRITE to a field that L1 may only read: "held" follows.
 *  - a change of the set, and VMXON (a new shadow VMCS): info_known falls.
 * L0 changes vmcs12 as it likes.  Copy-out compares vmcs12 as it is, so a late
 * change (the address of an EPT violation, the vector of an acknowledged
 * interrupt, the reason of a failed entry) is copied like any other.
 *
 * Copy-in (shadow to vmcs12) reads every entry that L1 may write, and compares
 * with vmcs12, not with what was remembered, so that its result is stock's in every case.
 * Before the first copy-out after VMXON the shadow VMCS has nothing of L1's, and stock
 * does the copy-in.  KVM_GET_NESTED_STATE of an enlightened VMCS that is not mapped yet
 * is such a case.
 *
 * The window: until VMPTRLD of the VMCS that comes next, the CPU has no current VMCS at a nested
 * exit, and the shadow VMCS as the current one at a nested entry.  Rules:
 *  - preemption is off, since vcpu_load() would believe the per-CPU current_vmcs,
 *    which keeps naming the VMCS before (never NULL, never the shadow VMCS, because both
 *    would cost a barrier, and a warning, at the next switch);
 *  - what the nested entry reads of vmcs01 is read before the window (rvi, debugctl,
 *    bndcfgs, RIP, which is cached, and from 7.2 on CR3, likewise, unless it waits:
 *    l1_cr3.h), and a failing entry reloads vmcs01 (nested_vmx_fail());
 *  - there is no window without EPT, since stock writes vmcs01's CR3 in it, nor if stock
 *    reads L1's CET state there (7.2);
 *  - vmx_switch_vmcs() ends the window.
 *
 * Active: at a nested entry the shadow VMCS is not cleared after the copy-in.  Nobody accesses
 * it while L2 runs (vmcs02's link pointer names none), and the copy-out after the exit loads it
 * again.  It is cleared before L1 is entered, whose link pointer names it, and on the CPU where it
 * is active, as the SDM demands:
 *  - a copy-out ends with VMCLEAR, or does it alone if it has nothing to write;
 *  - an entry of L1 without a copy-out (a failed entry, SMM) does it: shadow_before_entry();
 *  - when vmcs01 moves to another CPU, or its CPU goes offline, stock clears both, if vmcs01 was
 *    entered since it was loaded (loaded_vmcs.launched): asked for.  If it was not, because
 *    the thread moved after L1's exit, the copy-in clears as stock does;
 *  - VMXOFF and the destruction of the vCPU come after an exit to L1; stock clears it then.
 * A VMCLEAR that comes on top of stock's does nothing.
 *
 * After the early copy-out of an exit that is_final(), L0 changes no field of vmcs12 that the set
 * has before L1 runs, but for KVM_SET_NESTED_STATE, which makes a vmcs12 current; and the set
 * may want to change.  Both are asked for.
 *
 * The early copy-out of a nested exit is only done while vmcs01 is active on this
 * CPU.  If vmcs01 is not, vmx_switch_vmcs() clears it and the shadow VMCS on the other
 * CPU first, and the shadow VMCS may still hold L1's writes of an SMM handler there.
 *
 * Behind: when L2 is left for SMM, and when user space saves the state of L2, stock
 * updates vmcs12 but not the shadow VMCS.  KVM_GET_NESTED_STATE in SMM then copies all
 * the fields that stock shadows from the shadow VMCS, so that they have the values again
 * with which L2 was entered.  User space sees the same here: of these fields, those that
 * are not in the set are kept in "stale"; the set's others are not copied in.
 */
#include "nested/checks.h"
#include "nested/l1_cr3.h"
#include "nested/shadow.h"
#include "kvm/vmx/nested.h"

static __always_inline u64 value_in(const struct vmcs12 *vmcs12,
				    const struct shadow_entry *entry)
{
	return get_unaligned((const u64 *)((const char *)vmcs12 + entry->offset)) & entry->mask;
}

/* The bits that every CPU keeps on VMWRITE; some CPUs drop others. */
static u64 kept_bits(unsigned int encoding)
{
	return encoding >= GUEST_ES_AR_BYTES && encoding <= GUEST_TR_AR_BYTES ? 0x1f0ff : ~0ull;
}

/*
 * verify=1, after either copy, the shadow VMCS being current: every field that
 * the hardware serves from it, by the bitmap that the hardware looks at, must have
 * the value in vmcs12; nothing else may be served.
 */
static void verify(struct vcpu_vmx *vmx, const unsigned long *bitmap, bool in)
{
	struct fast_counters *counters = &vmx->fast.counters;
	struct vmcs12 *vmcs12 = get_vmcs12(&vmx->vcpu);
	unsigned int encoding;
	u64 held, value;
	short offset;

	counters->shadow_verify_checks++;
	for_each_clear_bit(encoding, bitmap, BIT(15)) {
		if (encoding & 1)
			continue;
		offset = get_vmcs12_field_offset(encoding);
		held = __vmcs_readl(encoding);
		value = offset < 0 ? ~held : vmcs12_read_any(vmcs12, encoding, offset);
		if (!((held ^ value) & kept_bits(encoding)))
			continue;
		FAST_MISMATCH(counters, shadow,
			      "field %#x is %#llx in the shadow VMCS, %#llx in vmcs12, after copying %s",
			      encoding, held, value, in ? "in" : "out");
		if (offset < 0)
			continue;
		if (in)
			vmcs12_write_any(vmcs12, encoding, offset, held);
		else
			__vmcs_writel(encoding, value);
	}
	/* A dirty vmcs12 with stale rare fields would undo what L2 did. */
	if (vmx->fast.shadow->wants_rare && in && vmx->nested.dirty_vmcs12 &&
	    vmx->nested.need_sync_vmcs02_to_vmcs12_rare)
		FAST_MISMATCH(counters, shadow, "vmcs12 is dirty and its rare fields are stale");
}

/* True if stock shadows the field, and lets L1 write it. */
static bool written_in_stock(unsigned int field)
{
	const u8 both = SHADOW_ON | SHADOW_WRITABLE;

	return (shadow_info[field].kind & both) == both;
}

void shadow_do_fall_behind(struct kvm_vcpu *vcpu)
{
	struct vmcs_shadow *shadow = shadow_of(vcpu);
	unsigned int field;

	if (shadow->behind)
		return;
	for_each_set_bit(field, shadow->present, NR_SHADOW_FIELDS)
		if (written_in_stock(field))
			shadow->stale[field] = vmcs12_read_any(get_vmcs12(vcpu),
							       shadow_info[field].encoding,
							       shadow_offset[field]);
	shadow->behind = true;
}

/* Copies in what stock would copy in, but for the fields that L1 may write in the set. */
static noinline void copy_in_stale(struct vcpu_vmx *vmx, struct vmcs_shadow *shadow)
{
	unsigned int field;

	for_each_set_bit(field, shadow->present, NR_SHADOW_FIELDS) {
		u16 encoding = shadow_info[field].encoding;

		if (!written_in_stock(field) || test_bit(field, shadow->in_write))
			continue;
		vmcs12_write_any(get_vmcs12(&vmx->vcpu), encoding, shadow_offset[field],
				 shadow->stale[field]);
		checks_written(&vmx->vcpu, encoding);
	}
}

static noinline void changed_by_l1(struct vcpu_vmx *vmx, struct shadow_entry *entry, u64 value)
{
	if (vmx->fast.shadow->behind && !written_in_stock(entry->field))
		return;
	vmcs12_write_any(get_vmcs12(&vmx->vcpu), entry->encoding, entry->offset, value);
	if (entry->dirties)
		vmx->nested.dirty_vmcs12 = true;
	checks_written(&vmx->vcpu, entry->encoding);
	vmx->fast.counters.shadow_changed_in++;
}

void shadow_do_clear(struct kvm_vcpu *vcpu)
{
	vmcs_clear(to_vmx(vcpu)->vmcs01.shadow_vmcs);
	shadow_of(vcpu)->active = false;
}

/* Loads the shadow VMCS and reads it.  It stays current, or is cleared: then none is current. */
static __always_inline void copy_in(struct vcpu_vmx *vmx, struct vmcs_shadow *shadow,
				    bool stays_active)
{
	struct vmcs *vmcs = vmx->vmcs01.shadow_vmcs;
	struct vmcs12 *vmcs12 = get_vmcs12(&vmx->vcpu);
	struct shadow_entry *entry = shadow->entry;
	struct shadow_entry *end = entry + shadow->nr_written;

	vmcs_load(vmcs);
	for (; entry < end; entry++) {
		entry->held = __vmcs_readl(entry->encoding);
		if (entry->held != value_in(vmcs12, entry))
			changed_by_l1(vmx, entry, entry->held);
	}
	if (unlikely(shadow->behind))
		copy_in_stale(vmx, shadow);
	else if (unlikely(fast_verify()))
		verify(vmx, shadow->write_bitmap, true);
	if (likely(stays_active))
		shadow->active = true;
	else
		shadow_do_clear(&vmx->vcpu);
	vmx->nested.shadow_written_known = true;
	vmx->fast.counters.shadow_copies_in++;
}

/* Writes everything, for when nothing is known of what the shadow VMCS holds. */
static noinline void copy_out_all(struct vcpu_vmx *vmx, struct vmcs_shadow *shadow)
{
	struct vmcs12 *vmcs12 = get_vmcs12(&vmx->vcpu);
	struct shadow_entry *entry = shadow->entry;
	struct shadow_entry *end = entry + shadow->nr_entries;

	for (; entry < end; entry++) {
		entry->held = value_in(vmcs12, entry);
		__vmcs_writel(entry->encoding, entry->held);
	}
	vmx->fast.counters.shadow_written_out += shadow->nr_entries;
}

/* Returns true if the shadow VMCS was loaded, so that there is no current VMCS now. */
static __always_inline bool copy_out(struct vcpu_vmx *vmx, struct vmcs_shadow *shadow)
{
	struct vmcs *vmcs = vmx->vmcs01.shadow_vmcs;
	struct vmcs12 *vmcs12 = get_vmcs12(&vmx->vcpu);
	struct shadow_entry *entry = shadow->entry;
	struct shadow_entry *end = entry + shadow->nr_entries;
	bool loaded = false;
	u64 value;

	if (unlikely(!shadow->info_known || !vmx->nested.shadow_written_known)) {
		vmcs_load(vmcs);
		loaded = true;
		copy_out_all(vmx, shadow);
		shadow->info_known = true;
		vmx->nested.shadow_written_known = true;
	}
	for (; entry < end; entry++) {
		value = value_in(vmcs12, entry);
		if (value == entry->held)
			continue;
		if (!loaded) {
			vmcs_load(vmcs);
			loaded = true;
		}
		__vmcs_writel(entry->encoding, value);
		entry->held = value;
		vmx->fast.counters.shadow_written_out++;
	}
	if (unlikely(fast_verify())) {
		if (!loaded)
			vmcs_load(vmcs);
		loaded = true;
		verify(vmx, shadow->read_bitmap, false);
	}
	if (loaded || shadow->active)
		shadow_do_clear(&vmx->vcpu);
	if (!loaded)
		return false;
	vmx->fast.counters.shadow_copies_out++;
	return true;
}

bool shadow_do_copy_in(struct kvm_vcpu *vcpu)
{
	struct vmcs_shadow *shadow = shadow_of(vcpu);
	struct vcpu_vmx *vmx = to_vmx(vcpu);

	if (!shadow->info_known)
		return false;
	preempt_disable();
	copy_in(vmx, shadow, false);
	vmcs_load(vmx->loaded_vmcs->vmcs);
	preempt_enable();
	return true;
}

bool shadow_do_copy_in_for_entry(struct kvm_vcpu *vcpu)
{
	struct vmcs_shadow *shadow = shadow_of(vcpu);
	struct vcpu_vmx *vmx = to_vmx(vcpu);

	if (!shadow->info_known)
		return false;
	shadow->entries++;
	if (!enable_ept)
		return shadow_do_copy_in(vcpu);

	kvm_rip_read(vcpu);
	if (FAST_ENTRY_READS_CR3)
		l1_cr3_before_window(vcpu);
	shadow->debugctl = fast_guest_debugctl();
	if (FAST_ENTRY_READS_RVI && kvm_vcpu_apicv_active(vcpu))
		shadow->rvi = vmx_get_rvi();
	if (kvm_mpx_supported())
		shadow->bndcfgs = vmcs_read64(GUEST_BNDCFGS);

	preempt_disable();
	copy_in(vmx, shadow, vmx->vmcs01.launched);
	if (likely(!fast_entry_reads_more(vcpu))) {
		shadow->window = true;
	} else {
		vmcs_load(vmx->loaded_vmcs->vmcs);
		preempt_enable();
	}
	return true;
}

/* The copy-out after an early one that did all. */
static noinline void verify_copied_out(struct vcpu_vmx *vmx, struct vmcs_shadow *shadow)
{
	u64 written = vmx->fast.counters.shadow_written_out;

	if (copy_out(vmx, shadow))
		vmcs_load(vmx->loaded_vmcs->vmcs);
	if (written != vmx->fast.counters.shadow_written_out)
		FAST_MISMATCH(&vmx->fast.counters, shadow,
			      "vmcs12 changed after the copy to the shadow VMCS, exit reason %u",
			      get_vmcs12(&vmx->vcpu)->vm_exit_reason);
}

bool shadow_do_copy_out(struct kvm_vcpu *vcpu)
{
	struct vmcs_shadow *shadow = shadow_of(vcpu);
	struct vcpu_vmx *vmx = to_vmx(vcpu);
	bool copied_out = shadow->copied_out;

	if (unlikely(fast_has_evmcs12(vmx)))
		return false;
	if (unlikely(shadow->pending ||
		     (adaptive_shadow && shadow_is_due(shadow->entries, shadow->census_at))) &&
	    !is_guest_mode(vcpu)) {
		shadow_set_update(vcpu);
		copied_out = false;
	}
	shadow->copied_out = false;
	if (!copied_out && copy_out(vmx, shadow))
		vmcs_load(vmx->loaded_vmcs->vmcs);
	if (copied_out && unlikely(fast_verify()))
		verify_copied_out(vmx, shadow);
	vmx->nested.need_vmcs12_to_shadow_sync = false;
	shadow->behind = false;
	return true;
}

/* True for exit reasons with which L0 still writes fields after the switch to vmcs01. */
static __always_inline bool completed_late(u32 vm_exit_reason)
{
	switch ((u16)vm_exit_reason) {
	case EXIT_REASON_EXTERNAL_INTERRUPT:	/* acknowledged: vector */
	case EXIT_REASON_EPT_VIOLATION:		/* guest physical address */
	case EXIT_REASON_EPT_MISCONFIG:
		return true;
	default:
		return false;
	}
}

/*
 * True for exit reasons with which L0 changes nothing in vmcs12 once it has left L2: L2 executed
 * an instruction that L1 wants to see, or a window opened that L1 waits for.
 */
static __always_inline bool is_final(u32 vm_exit_reason)
{
	const u64 final = BIT_ULL(EXIT_REASON_INTERRUPT_WINDOW) | BIT_ULL(EXIT_REASON_NMI_WINDOW) |
		BIT_ULL(EXIT_REASON_CPUID) | BIT_ULL(EXIT_REASON_HLT) |
		BIT_ULL(EXIT_REASON_INVLPG) | BIT_ULL(EXIT_REASON_RDPMC) |
		BIT_ULL(EXIT_REASON_RDTSC) | BIT_ULL(EXIT_REASON_VMCALL) |
		BIT_ULL(EXIT_REASON_CR_ACCESS) | BIT_ULL(EXIT_REASON_DR_ACCESS) |
		BIT_ULL(EXIT_REASON_IO_INSTRUCTION) | BIT_ULL(EXIT_REASON_MSR_READ) |
		BIT_ULL(EXIT_REASON_MSR_WRITE) | BIT_ULL(EXIT_REASON_MWAIT_INSTRUCTION) |
		BIT_ULL(EXIT_REASON_PAUSE_INSTRUCTION) | BIT_ULL(EXIT_REASON_GDTR_IDTR) |
		BIT_ULL(EXIT_REASON_LDTR_TR) | BIT_ULL(EXIT_REASON_RDTSCP) |
		BIT_ULL(EXIT_REASON_PREEMPTION_TIMER) | BIT_ULL(EXIT_REASON_WBINVD) |
		BIT_ULL(EXIT_REASON_XSETBV);

	return vm_exit_reason < 64 && (final >> vm_exit_reason) & 1;
}

void shadow_do_copy_out_early(struct kvm_vcpu *vcpu, u32 vm_exit_reason)
{
	struct vmcs_shadow *shadow = shadow_of(vcpu);
	struct vcpu_vmx *vmx = to_vmx(vcpu);

	if (vmx->fail || vm_exit_reason == -1 || completed_late(vm_exit_reason))
		return;
	if (!shadow->info_known || !vmx->nested.shadow_written_known || shadow->pending ||
	    vmx->nested.current_vmptr == INVALID_GPA ||
	    fast_has_evmcs12(vmx))
		return;

	preempt_disable();
	if (vmx->vmcs01.cpu != smp_processor_id()) {
		preempt_enable();
		return;
	}
	shadow->copied_out = is_final(vm_exit_reason);
	if (copy_out(vmx, shadow))
		shadow->window = true;
	else
		preempt_enable();
}

void shadow_do_write_exited(struct kvm_vcpu *vcpu, unsigned long encoding)
{
	struct vmcs_shadow *shadow = shadow_of(vcpu);
	struct vcpu_vmx *vmx = to_vmx(vcpu);
	struct shadow_entry *entry;

	vmx->fast.counters.shadow_exit_vmwrite++;
	if (!shadow_set_count_exit(vcpu, encoding, true))
		return;
	for (entry = shadow->entry; entry->encoding != (encoding & ~1ul); entry++)
		;
	entry->held = value_in(get_vmcs12(vcpu), entry);

	preempt_disable();
	vmcs_load(vmx->vmcs01.shadow_vmcs);
	__vmcs_writel(entry->encoding, entry->held);
	vmcs_clear(vmx->vmcs01.shadow_vmcs);
	vmcs_load(vmx->loaded_vmcs->vmcs);
	preempt_enable();
}
