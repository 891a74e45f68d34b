// SPDX-License-Identifier: GPL-2.0
/*
 * L1's pages held across nested VM entries.
 *
 * Skipped: on a nested VM entry, the look-up of the memslot, the walk of user
 * space's page tables and the page reference for the MSR bitmap, APIC-access,
 * virtual-APIC and posted-interrupt pages of vmcs12; on the exit, giving them
 * back.
 *
 * Inputs, and how a change of each is known:
 *  - the gfn in vmcs12, and the controls that say how it is used: compared.
 *  - the memslot, hence the user-space address: the generation of the memslots,
 *    compared (a deletion, move or change of flags raises it; the two address
 *    spaces of SMM never have the same one).
 *  - user space's page tables, hence the page: an MMU notifier of our own on
 *    kvm->mm, see pages_notifier.c.  It sees what KVM's own sees: migration, swapping,
 *    KSM, NUMA balancing, MADV_DONTNEED, munmap, fork, hot-unplug.
 *
 * A hold is no reference.  The notifier takes a reference if it makes a hold stale that
 * L2 uses, and the vCPU gives this reference back at its nested exit.  (The MSR bitmap is
 * used during the entry only, by stock and here.)
 *
 * vmcs02 is one VMCS for all vmcs12s.  When an entry ends with all its pages held,
 * their context becomes the settled one, whose pages vmcs02 names.  The next entry
 * of the same vmcs12, with the same key, has nothing to write.  Nobody else writes
 * these fields of vmcs02 (KVM reloads vmcs01's APIC-access page with vmcs01
 * current), and every drop of a hold ends the settled state.
 *
 * Dirty marking is stock's: the virtual-APIC and posted-interrupt pages, and from 7.2 on
 * the APIC-access page, are dirty after each nested exit, in the page flags and in the
 * memslot's log.
 */
#include "kvm/vmx/nested.h"
#include "nested/page_hold.h"
#include "nested/pages.h"
#include "nested/pages_notifier.h"

static struct page_holds *holds_of(struct kvm_vcpu *vcpu)
{
	return &to_vmx(vcpu)->fast.holds;
}

static void count_mismatch(struct kvm_vcpu *vcpu, struct nested_context *context)
{
	FAST_MISMATCH(&to_vmx(vcpu)->fast.counters, page_hold,
		      "vmcs12 %#llx: held pages are not those that stock finds", context->vmptr);
}

/* verify=1: stock's look-up must lead to the same pages. */
static bool verify_holds(struct kvm_vcpu *vcpu, struct nested_context *context)
{
	struct kvm_host_map fresh = {};
	bool all_same = true, same;
	struct page_hold *hold;
	int p;

	for (p = 0; p < NR_HELD_PAGES; p++) {
		hold = &context->page[p];
		if (!hold->map.hva)
			continue;
		to_vmx(vcpu)->fast.counters.page_hold_verify_checks++;
		same = !fast_vcpu_map(vcpu, hold->map.gfn, &fresh, p != HELD_MSR_BITMAP);
		if (same) {
			same = fresh.pfn == hold->map.pfn;
			fast_vcpu_unmap(vcpu, &fresh, false);
		}
		/* Invalidated meanwhile: stock would have used the old page as well. */
		if (same || READ_ONCE(hold->stale))
			continue;
		all_same = false;
		count_mismatch(vcpu, context);
		page_hold_drop(vcpu, hold);
	}
	return all_same;
}

/* True if the field of vmcs02 names the held page, or no page is held. */
static bool is_in_vmcs02(unsigned long field, const struct page_hold *hold, u64 offset)
{
	return !hold->map.hva || vmcs_read64(field) == pfn_to_hpa(hold->map.pfn) + offset;
}

/**
 * pages_verify - verify=1: compare a settled context with stock's way
 * @vcpu: the vCPU, vmcs02 current, its pages in use
 * @context: the settled context
 *
 * Context: the vCPU's thread, under kvm->srcu, may sleep.
 * Return: false on a mismatch that no invalidation meanwhile explains.
 */
bool pages_verify(struct kvm_vcpu *vcpu, struct nested_context *context)
{
	const struct page_hold *page = context->page;

	if (!is_in_vmcs02(APIC_ACCESS_ADDR, &page[HELD_APIC_ACCESS], 0) ||
	    !is_in_vmcs02(VIRTUAL_APIC_PAGE_ADDR, &page[HELD_VIRTUAL_APIC], 0) ||
	    !is_in_vmcs02(POSTED_INTR_DESC_ADDR, &page[HELD_PI_DESC],
			  offset_in_page(context->key.posted_intr_desc_addr)) ||
	    !page[HELD_MSR_BITMAP].map.hva !=
	    !(exec_controls_get(to_vmx(vcpu)) & CPU_BASED_USE_MSR_BITMAPS)) {
		count_mismatch(vcpu, context);
		return false;
	}
	return verify_holds(vcpu, context);
}

/**
 * pages_begin - look up which of the pages that vmcs12 names are held, at a nested VM entry
 * @vcpu: the vCPU
 *
 * Context: the vCPU's thread, under kvm->srcu, may sleep.
 */
void pages_begin(struct kvm_vcpu *vcpu)
{
	u64 generation = kvm_memslots(vcpu->kvm)->generation;
	struct page_holds *holds = holds_of(vcpu);
	struct nested_context *context = NULL;
	int p;

	holds->ready = NULL;
	holds->settled = NULL;
	holds->not_logged_generation = 0;
	memset(holds->borrowed, 0, sizeof(holds->borrowed));
	if (page_cache && pages_notifier_listen(vcpu->kvm))
		context = nested_context_get(vcpu);	/* fast.context is this now */
	smp_store_release(&holds->in_use, PAGES_OF_ENTRY);
	/* Pairs with the MMU notifier: see the head of pages_notifier.c. */
	smp_mb();
	if (READ_ONCE(holds->any_stale))
		nested_contexts_drop_stale(vcpu);

	if (!context)
		return;
	if (context->generation != generation) {
		for (p = 0; p < NR_HELD_PAGES; p++) {
			if (context->page[p].map.hva)
				to_vmx(vcpu)->fast.counters.page_hold_miss_memslots++;
			page_hold_drop(vcpu, &context->page[p]);
		}
		context->generation = generation;
	}
	if (fast_verify())
		verify_holds(vcpu, context);
	holds->ready = context;
}

/**
 * pages_map - map a page that vmcs12 names: by its hold, or by kvm_vcpu_map()
 * @vcpu: the vCPU, after pages_begin()
 * @which: what the page is for
 * @gfn: the page, in L1's physical address space
 * @map: its hva and pfn are set; pages_unmap() unmaps it
 *
 * Context: the vCPU's thread, under kvm->srcu, may sleep.
 * Return: 0, or the error of kvm_vcpu_map().
 */
int pages_map(struct kvm_vcpu *vcpu, enum held_page which, gfn_t gfn,
	      struct kvm_host_map *map)
{
	struct fast_counters *counters = &to_vmx(vcpu)->fast.counters;
	struct page_holds *holds = holds_of(vcpu);
	enum page_hold_found found;
	struct page_hold *hold;
	int ret;

	/* With verify=1 stock merges the MSR bitmap even after pages_reuse(). */
	if (holds->settled) {
		*map = holds->settled->page[which].map;
		return 0;
	}
	if (!holds->ready)
		return fast_vcpu_map(vcpu, gfn, map, which != HELD_MSR_BITMAP);

	hold = &holds->ready->page[which];
	found = page_hold_find(hold->map.hva, hold->map.gfn, gfn);
	if (found == PAGE_HOLD_HIT) {
		*map = hold->map;
		counters->page_hold_hits++;
	} else {
		if (found == PAGE_HOLD_EMPTY)
			counters->page_hold_miss_empty++;
		else
			counters->page_hold_miss_gfn++;
		page_hold_drop(vcpu, hold);
		ret = page_hold_fill(vcpu, which, hold, gfn, map);
		if (ret) {
			holds->ready = NULL;	/* stock for the rest of this entry */
			return ret;
		}
	}
	holds->borrowed[which] = hold;
	return 0;
}

/**
 * pages_unmap - unmap what pages_map() mapped, as kvm_vcpu_unmap() does
 * @vcpu: the vCPU
 * @which: what the page is for
 * @map: the map; nothing happens if it is not mapped
 * @dirty: the page was written to
 *
 * Context: the vCPU's thread, or the thread that destroys the VM; may sleep.
 */
void pages_unmap(struct kvm_vcpu *vcpu, enum held_page which, struct kvm_host_map *map,
		 bool dirty)
{
	struct page_holds *holds = holds_of(vcpu);
	struct page_hold *hold = holds->settled ? &holds->settled->page[which] :
						  holds->borrowed[which];

	if (!map->hva)
		return;
	if (!hold) {
		fast_vcpu_unmap(vcpu, map, dirty);
		return;
	}
	if (dirty && hold->map.hva) {
		if (!pages_log_nothing(vcpu))
			kvm_vcpu_mark_page_dirty(vcpu, hold->map.gfn);
		fast_map_set_dirty(&hold->map);
	}
	map->hva = NULL;
	holds->borrowed[which] = NULL;
	if (which == HELD_MSR_BITMAP)
		pages_msr_bitmap_done(vcpu);
}

/**
 * pages_settle - end the look-up that pages_begin() began, with all pages mapped
 * @vcpu: the vCPU
 * @vmcs12: the current vmcs12
 *
 * The MSR bitmap's page is not used any more.  If all pages are held, the next
 * entry of this vmcs12 can reuse what this one set up.
 *
 * Context: the vCPU's thread, may sleep.
 */
void pages_settle(struct kvm_vcpu *vcpu, struct vmcs12 *vmcs12)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);
	struct page_holds *holds = holds_of(vcpu);
	struct nested_context *context = holds->ready;
	const struct page_hold *bitmap = context ? &context->page[HELD_MSR_BITMAP] : NULL;
	const bool named[NR_HELD_PAGES] = {
		[HELD_MSR_BITMAP] = nested_cpu_has(vmcs12, CPU_BASED_USE_MSR_BITMAPS),
		[HELD_APIC_ACCESS] =
			nested_cpu_has2(vmcs12, SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES),
		[HELD_VIRTUAL_APIC] = nested_cpu_has(vmcs12, CPU_BASED_TPR_SHADOW),
		[HELD_PI_DESC] = nested_cpu_has_posted_intr(vmcs12),
	};
	int p;

	pages_msr_bitmap_done(vcpu);
	/*
	 * Stock need not look at an enlightened bitmap, whose page is not held then, or another's
	 * is.  What the enlightened VMCS says now may not be what stock read there.
	 */
	if (!context || (named[HELD_MSR_BITMAP] &&
			 (!context->msr_bitmap.valid ||
			  page_hold_find(bitmap->map.hva, bitmap->map.gfn,
					 gpa_to_gfn(vmcs12->msr_bitmap)) != PAGE_HOLD_HIT)))
		return;
	for (p = 0; p < NR_HELD_PAGES; p++) {
		if (!named[p])
			page_hold_drop(vcpu, &context->page[p]);
		else if (p != HELD_MSR_BITMAP && !holds->borrowed[p])
			return;
	}
	context->key = held_pages_key(vmcs12);
	context->pi_desc = vmx->nested.pi_desc;
	context->ept = nested_cpu_has_ept(vmcs12);
	holds->settled = context;
}

/**
 * pages_find_logged - find out whether writes to the held pages are logged
 * @vcpu: the vCPU; its address space (SMM or not) decides
 *
 * Context: the vCPU's thread, under kvm->srcu.
 * Return: true if no page of the settled context is in a slot with dirty logging; false if
 * one is, or nothing is settled.
 */
bool pages_find_logged(struct kvm_vcpu *vcpu)
{
	struct kvm_memslots *slots = kvm_vcpu_memslots(vcpu);
	struct page_holds *holds = holds_of(vcpu);
	struct kvm_memory_slot *slot;
	struct page_hold *hold;
	int p;

	if (!holds->settled)
		return false;
	for (p = 0; p < NR_HELD_PAGES; p++) {
		hold = &holds->settled->page[p];
		slot = hold->map.hva ? __gfn_to_memslot(slots, hold->map.gfn) : NULL;
		if (slot && kvm_slot_dirty_track_enabled(slot))
			return false;
	}
	holds->not_logged_generation = slots->generation;
	return true;
}

/* True if no page is held, or a page that is marked dirty already. */
static __always_inline bool is_marked(const struct page_hold *hold)
{
	return !hold->map.hva || (hold->flags && test_bit(PG_dirty, hold->flags));
}

static __always_inline void end_use(struct kvm_vcpu *vcpu)
{
	struct page_holds *holds = holds_of(vcpu);

	to_vmx(vcpu)->nested.pi_desc = NULL;
	WRITE_ONCE(holds->in_use, PAGES_UNUSED);
	/* Pairs with the MMU notifier: see the head of pages_notifier.c. */
	smp_mb();
	if (unlikely(READ_ONCE(holds->any_stale)))
		nested_contexts_drop_stale(vcpu);
}

static noinline void put_slowly(struct kvm_vcpu *vcpu, bool dirty)
{
	struct nested_vmx *nested = &to_vmx(vcpu)->nested;

	pages_unmap(vcpu, HELD_APIC_ACCESS, &nested->apic_access_page_map,
		    dirty && FAST_UNMAP_DIRTIES);
	pages_unmap(vcpu, HELD_VIRTUAL_APIC, &nested->virtual_apic_map, dirty);
	pages_unmap(vcpu, HELD_PI_DESC, &nested->pi_desc_map, dirty);
	end_use(vcpu);
}

/**
 * pages_put - give up the use of the pages that vmcs12 names
 * @vcpu: the vCPU; nothing happens if it uses none
 * @dirty: L2 ran, so the virtual-APIC page and the posted-interrupt descriptor
 *	count as written to
 *
 * Context: the vCPU's thread, or the thread that destroys the VM; may sleep.
 */
void pages_put(struct kvm_vcpu *vcpu, bool dirty)
{
	const struct nested_context *context = holds_of(vcpu)->settled;
	struct nested_vmx *nested = &to_vmx(vcpu)->nested;

	if (unlikely(holds_of(vcpu)->in_use == PAGES_UNUSED))
		return;
	dirty |= FAST_UNMAP_DIRTIES;
	if (unlikely(!context ||
		     (dirty && !(pages_log_nothing(vcpu) &&
				 (!FAST_UNMAP_DIRTIES ||
				  is_marked(&context->page[HELD_APIC_ACCESS])) &&
				 is_marked(&context->page[HELD_VIRTUAL_APIC]) &&
				 is_marked(&context->page[HELD_PI_DESC]))))) {
		put_slowly(vcpu, dirty);
		return;
	}
	nested->apic_access_page_map.hva = NULL;
	nested->virtual_apic_map.hva = NULL;
	nested->pi_desc_map.hva = NULL;
	end_use(vcpu);
}
