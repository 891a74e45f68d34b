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
 *    kvm->mm.  It sees what KVM's own sees: migration, swapping, KSM, NUMA
 *    balancing, MADV_DONTNEED, munmap, fork, hot-unplug.
 *
 * A hold must not keep any of these from working.  Granularity is stock's: while
 * L2 runs, stock has references to these pages and lets the mapping go stale
 * until the nested exit.  So, on an invalidation, the notifier drops the hold at
 * once unless L2 is running on this vCPU; then the vCPU drops it at its nested
 * exit.  (The MSR bitmap is used during the entry only, by stock and here.)
 * Who sees whom:
 *
 *	vCPU at entry		notifier		vCPU at exit
 *	in_use = OF_ENTRY	any_stale = true	in_use = UNUSED
 *	barrier			barrier			barrier
 *	test any_stale		test in_use		test any_stale
 *
 * One of the two always sees the other, and page_holds.lock lets only one drop.
 *
 * vmcs02 is one VMCS for all vmcs12s.  When an entry ends with all its pages held,
 * their context becomes the settled one: vmcs02 names its pages.  The next entry
 * of the same vmcs12, with the same key, has nothing to write.  Nobody else writes
 * these fields of vmcs02 (KVM reloads vmcs01's APIC-access page with vmcs01
 * current), and every drop of a hold unsettles.
 *
 * A fill may race with an invalidation that began earlier: it then finds the
 * notifier active, or its sequence moved on, and leaves the hold stale.
 *
 * Dirty marking is stock's: the virtual-APIC and posted-interrupt pages are
 * dirty after each nested exit, in the page flags and in the memslot's log.
 *
 * The notifier is registered when the VM's first vCPU is created, because that
 * takes mmap_lock, which a nested entry cannot.  kvm.ko destroys vCPUs after
 * vmx_vm_destroy(), which unregisters it: what L2 still uses then is dropped
 * when the vCPU leaves nested operation.
 */
#include "vmx/nested.h"
#include "nested/page_hold.h"

static struct page_holds *holds_of(struct kvm_vcpu *vcpu)
{
	return &to_vmx(vcpu)->fast.holds;
}

static struct page_hold_notifier *notifier_of(struct kvm *kvm)
{
	return &to_kvm_vmx(kvm)->fast.holds;
}

/* Memory without struct page is memremap()ed, and memunmap() may sleep. */
static bool has_struct_page(const struct page_hold *hold)
{
	return hold->map.page != KVM_UNMAPPED_PAGE;
}

/* Give the page back, clean: it was marked dirty when it was written to. */
static void release(struct kvm_vcpu *vcpu, struct page_hold *hold)
{
	kvm_vcpu_unmap(vcpu, &hold->map, false);
	hold->stale = false;
	atomic_dec(&notifier_of(vcpu->kvm)->held);
}

/**
 * page_hold_drop - give up one hold
 * @vcpu: its vCPU, not in L2
 * @hold: the hold; nothing happens if it is empty
 *
 * Context: the vCPU's thread, may sleep.
 */
void page_hold_drop(struct kvm_vcpu *vcpu, struct page_hold *hold)
{
	struct page_holds *holds = holds_of(vcpu);
	struct page_hold dropped = {};

	spin_lock(&holds->lock);
	swap(dropped, *hold);
	spin_unlock(&holds->lock);
	if (dropped.map.hva)
		release(vcpu, &dropped);
}

/* Give up the holds that the MMU notifier left to us. */
static noinline void drop_stale(struct kvm_vcpu *vcpu)
{
	struct nested_contexts *contexts = to_vmx(vcpu)->fast.contexts;
	struct page_holds *holds = holds_of(vcpu);
	int c, p;

	holds->settled = NULL;
	WRITE_ONCE(holds->any_stale, false);
	/* Whatever the notifier marks from here on sets the flag again. */
	smp_mb();
	for (c = 0; contexts && c < NESTED_CONTEXTS; c++)
		for (p = 0; p < NR_HELD_PAGES; p++)
			if (READ_ONCE(contexts->context[c].page[p].stale))
				page_hold_drop(vcpu, &contexts->context[c].page[p]);
}

static void count_mismatch(struct kvm_vcpu *vcpu, struct nested_context *context)
{
	to_vmx(vcpu)->fast.counters.page_hold_verify_mismatches++;
	WARN_ONCE(1, "kvm-intel-fast: vmcs12 %#llx: held pages are not those that stock finds\n",
		  context->vmptr);
}

/* verify=1: stock's look-up must lead to the same pages. */
static bool verify_holds(struct kvm_vcpu *vcpu, struct nested_context *context)
{
	struct kvm_host_map fresh;
	bool all_same = true, same;
	struct page_hold *hold;
	int p;

	for (p = 0; p < NR_HELD_PAGES; p++) {
		hold = &context->page[p];
		if (!hold->map.hva)
			continue;
		to_vmx(vcpu)->fast.counters.page_hold_verify_checks++;
		same = !kvm_vcpu_map(vcpu, hold->map.gfn, &fresh);
		if (same) {
			same = fresh.pfn == hold->map.pfn;
			kvm_vcpu_unmap(vcpu, &fresh, false);
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

/* Does the field of vmcs02 name the held page, if one is held? */
static bool is_in_vmcs02(unsigned long field, const struct page_hold *hold, u64 offset)
{
	return !hold->map.hva || vmcs_read64(field) == pfn_to_hpa(hold->map.pfn) + offset;
}

/**
 * page_holds_verify - verify=1: compare a settled context with stock's way
 * @vcpu: the vCPU, vmcs02 current, its pages in use
 * @context: the settled context
 *
 * Context: the vCPU's thread, under kvm->srcu, may sleep.
 * Return: false on a mismatch that no invalidation meanwhile explains.
 */
bool page_holds_verify(struct kvm_vcpu *vcpu, struct nested_context *context)
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
 * page_holds_begin - a nested VM entry looks for the pages that vmcs12 names
 * @vcpu: the vCPU
 *
 * Context: the vCPU's thread, under kvm->srcu, may sleep.
 */
void page_holds_begin(struct kvm_vcpu *vcpu)
{
	u64 generation = kvm_memslots(vcpu->kvm)->generation;
	struct page_holds *holds = holds_of(vcpu);
	struct nested_context *context;
	int p;

	holds->ready = NULL;
	holds->settled = NULL;
	holds->not_logged_generation = 0;
	memset(holds->borrowed, 0, sizeof(holds->borrowed));
	WRITE_ONCE(holds->in_use, PAGES_OF_ENTRY);
	/* Pairs with the MMU notifier: see the head of this file. */
	smp_mb();
	if (READ_ONCE(holds->any_stale))
		drop_stale(vcpu);

	if (!READ_ONCE(notifier_of(vcpu->kvm)->registered))
		return;
	context = nested_context_get(vcpu);
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

static int map_and_hold(struct kvm_vcpu *vcpu, struct page_hold *hold, gfn_t gfn,
			struct kvm_host_map *map)
{
	struct page_hold_notifier *notifier = notifier_of(vcpu->kvm);
	struct page_holds *holds = holds_of(vcpu);
	struct page_hold filled = {};
	int sequence, ret;

	filled.uhva = gfn_to_hva(vcpu->kvm, gfn);
	sequence = atomic_read(&notifier->sequence);
	smp_rmb();	/* pairs with invalidate_range_end() */

	ret = kvm_vcpu_map(vcpu, gfn, map);
	if (ret)
		return ret;
	filled.map = *map;
	/* The head stays the head: a page with a reference like ours is not split. */
	if (has_struct_page(&filled) && !PageReserved(map->page) &&
	    !is_zone_device_page(map->page))
		filled.flags = &compound_head(map->page)->flags;

	atomic_inc(&notifier->held);
	spin_lock(&holds->lock);
	*hold = filled;
	/* Pairs with invalidate_range_start(): it sees the hold, or we see it. */
	smp_mb();
	if (page_hold_filled_late(atomic_read(&notifier->active), sequence,
				  atomic_read(&notifier->sequence))) {
		hold->stale = true;
		WRITE_ONCE(holds->any_stale, true);
	}
	spin_unlock(&holds->lock);
	return 0;
}

/**
 * page_hold_map - kvm_vcpu_map() for a page that vmcs12 names, or its hold
 * @vcpu: the vCPU, after page_holds_begin()
 * @which: what the page is for
 * @gfn: the page, in L1's physical address space
 * @map: its hva and pfn are set; unmap it by page_hold_unmap()
 *
 * Context: the vCPU's thread, under kvm->srcu, may sleep.
 * Return: 0, or the error of kvm_vcpu_map().
 */
int page_hold_map(struct kvm_vcpu *vcpu, enum held_page which, gfn_t gfn,
		  struct kvm_host_map *map)
{
	struct fast_counters *counters = &to_vmx(vcpu)->fast.counters;
	struct page_holds *holds = holds_of(vcpu);
	enum page_hold_found found;
	struct page_hold *hold;
	int ret;

	/* verify=1: stock merges the MSR bitmap after page_holds_reuse(). */
	if (holds->settled) {
		*map = holds->settled->page[which].map;
		return 0;
	}
	if (!holds->ready)
		return kvm_vcpu_map(vcpu, gfn, map);

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
		ret = map_and_hold(vcpu, hold, gfn, map);
		if (ret) {
			holds->ready = NULL;	/* stock for the rest of this entry */
			return ret;
		}
	}
	holds->borrowed[which] = hold;
	return 0;
}

/**
 * page_hold_unmap - kvm_vcpu_unmap() for what page_hold_map() mapped
 * @vcpu: the vCPU
 * @which: what the page is for
 * @map: the map; nothing happens if it is not mapped
 * @dirty: the page was written to
 *
 * Context: the vCPU's thread, or the thread that destroys the VM; may sleep.
 */
void page_hold_unmap(struct kvm_vcpu *vcpu, enum held_page which, struct kvm_host_map *map,
		     bool dirty)
{
	struct page_holds *holds = holds_of(vcpu);
	struct page_hold *hold = holds->settled ? &holds->settled->page[which] :
						  holds->borrowed[which];

	if (!map->hva)
		return;
	if (!hold) {
		kvm_vcpu_unmap(vcpu, map, dirty);
		return;
	}
	if (dirty && hold->map.hva) {
		if (!page_holds_log_nothing(vcpu))
			kvm_vcpu_mark_page_dirty(vcpu, hold->map.gfn);
		kvm_set_pfn_dirty(hold->map.pfn);
	}
	map->hva = NULL;
	holds->borrowed[which] = NULL;
}

/**
 * page_holds_settle - an entry that page_holds_begin() began has its pages
 * @vcpu: the vCPU
 * @vmcs12: the current vmcs12
 *
 * The MSR bitmap's page is not used any more.  If all pages are held, the next
 * entry of this vmcs12 can reuse what this one set up.
 *
 * Context: the vCPU's thread, may sleep.
 */
void page_holds_settle(struct kvm_vcpu *vcpu, struct vmcs12 *vmcs12)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);
	struct page_holds *holds = holds_of(vcpu);
	struct nested_context *context = holds->ready;
	const bool named[NR_HELD_PAGES] = {
		[HELD_MSR_BITMAP] = nested_cpu_has(vmcs12, CPU_BASED_USE_MSR_BITMAPS),
		[HELD_APIC_ACCESS] =
			nested_cpu_has2(vmcs12, SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES),
		[HELD_VIRTUAL_APIC] = nested_cpu_has(vmcs12, CPU_BASED_TPR_SHADOW),
		[HELD_PI_DESC] = nested_cpu_has_posted_intr(vmcs12),
	};
	int p;

	page_holds_msr_bitmap_done(vcpu);
	if (!context || (named[HELD_MSR_BITMAP] && !context->msr_bitmap.valid))
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
 * page_holds_find_logged - learn whether writes to the held pages are logged
 * @vcpu: the vCPU; its address space (SMM or not) decides
 *
 * Context: the vCPU's thread, under kvm->srcu.
 * Return: true if no page of the settled context is in a slot with dirty logging.
 */
bool page_holds_find_logged(struct kvm_vcpu *vcpu)
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

/* Nothing held, or a page that is marked dirty already? */
static __always_inline bool is_marked(const struct page_hold *hold)
{
	return !hold->map.hva || (hold->flags && test_bit(PG_dirty, hold->flags));
}

static __always_inline void end_use(struct kvm_vcpu *vcpu)
{
	struct page_holds *holds = holds_of(vcpu);

	to_vmx(vcpu)->nested.pi_desc = NULL;
	WRITE_ONCE(holds->in_use, PAGES_UNUSED);
	/* Pairs with the MMU notifier: see the head of this file. */
	smp_mb();
	if (unlikely(READ_ONCE(holds->any_stale)))
		drop_stale(vcpu);
}

static noinline void put_slowly(struct kvm_vcpu *vcpu, bool dirty)
{
	struct nested_vmx *nested = &to_vmx(vcpu)->nested;

	page_hold_unmap(vcpu, HELD_APIC_ACCESS, &nested->apic_access_page_map, false);
	page_hold_unmap(vcpu, HELD_VIRTUAL_APIC, &nested->virtual_apic_map, dirty);
	page_hold_unmap(vcpu, HELD_PI_DESC, &nested->pi_desc_map, dirty);
	end_use(vcpu);
}

/**
 * page_holds_put - L2 no longer uses the pages that vmcs12 names
 * @vcpu: the vCPU; nothing happens if it uses none
 * @dirty: L2 ran, so the virtual-APIC page and the posted-interrupt descriptor
 *	count as written to
 *
 * Context: the vCPU's thread, or the thread that destroys the VM; may sleep.
 */
void page_holds_put(struct kvm_vcpu *vcpu, bool dirty)
{
	const struct nested_context *context = holds_of(vcpu)->settled;
	struct nested_vmx *nested = &to_vmx(vcpu)->nested;

	if (unlikely(holds_of(vcpu)->in_use == PAGES_UNUSED))
		return;
	if (unlikely(!context ||
		     (dirty && !(page_holds_known_not_logged(vcpu) &&
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

static bool may_be_used(struct page_holds *holds, enum held_page which)
{
	/* Pairs with page_holds_reuse() and page_holds_settle(). */
	return page_hold_may_be_used(smp_load_acquire(&holds->in_use), which);
}

/* Mark stale what lies in [start, end); drop it unless L2 uses it. */
static void invalidate(struct kvm_vcpu *vcpu, unsigned long start, unsigned long end)
{
	struct page_holds *holds = holds_of(vcpu);
	struct page_hold *hold, *found[NESTED_CONTEXTS * NR_HELD_PAGES];
	enum held_page which[NESTED_CONTEXTS * NR_HELD_PAGES];
	struct nested_contexts *contexts;
	int c, p, n = 0;

	spin_lock(&holds->lock);
	contexts = to_vmx(vcpu)->fast.contexts;
	for (c = 0; contexts && c < NESTED_CONTEXTS; c++) {
		for (p = 0; p < NR_HELD_PAGES; p++) {
			hold = &contexts->context[c].page[p];
			if (hold->map.hva && page_hold_in_range(hold->uhva, start, end)) {
				WRITE_ONCE(hold->stale, true);
				which[n] = p;
				found[n++] = hold;
			}
		}
	}
	if (n) {
		to_vmx(vcpu)->fast.counters.page_hold_invalidated += n;
		WRITE_ONCE(holds->any_stale, true);
		/* Pairs with page_holds_reuse(), _begin() and _put(). */
		smp_mb();
		while (n--)
			if (has_struct_page(found[n]) && !may_be_used(holds, which[n]))
				release(vcpu, found[n]);
	}
	spin_unlock(&holds->lock);
}

static void invalidate_all_vcpus(struct kvm *kvm, unsigned long start, unsigned long end)
{
	struct kvm_vcpu *vcpu;
	unsigned long i;

	/* Fires for every change of the address space: mostly nothing is held. */
	if (!atomic_read(&notifier_of(kvm)->held))
		return;
	kvm_for_each_vcpu(i, vcpu, kvm)
		invalidate(vcpu, start, end);
}

static struct kvm *kvm_of(struct mmu_notifier *notifier)
{
	return &container_of(notifier, struct kvm_vmx, fast.holds.notifier)->kvm;
}

static int invalidate_range_start(struct mmu_notifier *notifier,
				  const struct mmu_notifier_range *range)
{
	struct kvm *kvm = kvm_of(notifier);

	atomic_inc(&notifier_of(kvm)->active);
	smp_mb__after_atomic();	/* pairs with map_and_hold() */
	invalidate_all_vcpus(kvm, range->start, range->end);
	return 0;
}

static void invalidate_range_end(struct mmu_notifier *notifier,
				 const struct mmu_notifier_range *range)
{
	struct page_hold_notifier *holds = notifier_of(kvm_of(notifier));

	atomic_inc(&holds->sequence);
	smp_mb__after_atomic();	/* the new sequence before the end of activity */
	atomic_dec(&holds->active);
}

/* The process ends; its file descriptors, and the VM with them, later. */
static void address_space_ends(struct mmu_notifier *notifier, struct mm_struct *mm)
{
	invalidate_all_vcpus(kvm_of(notifier), 0, ULONG_MAX);
}

static const struct mmu_notifier_ops notifier_ops = {
	.invalidate_range_start = invalidate_range_start,
	.invalidate_range_end = invalidate_range_end,
	.release = address_space_ends,
};

/**
 * page_holds_vcpu_create - let the vCPU hold pages
 * @vcpu: the vCPU
 *
 * Without memory for the notifier the VM runs without holds, as stock does.
 *
 * Context: process context of the VM's owner; may sleep, takes mmap_lock.
 */
void page_holds_vcpu_create(struct kvm_vcpu *vcpu)
{
	struct kvm_vmx *kvm_vmx = to_kvm_vmx(vcpu->kvm);
	struct page_hold_notifier *holds = &kvm_vmx->fast.holds;

	spin_lock_init(&holds_of(vcpu)->lock);
	if (!page_cache || test_and_set_bit(FAST_VM_HAS_NOTIFIER, &kvm_vmx->fast.flags))
		return;
	holds->notifier.ops = &notifier_ops;
	if (!mmu_notifier_register(&holds->notifier, vcpu->kvm->mm))
		WRITE_ONCE(holds->registered, true);
}

/**
 * page_holds_vm_destroy - drop what can be dropped, stop listening
 * @kvm: the VM; nobody runs its vCPUs any more, and they still exist
 *
 * Context: process context, may sleep.
 */
void page_holds_vm_destroy(struct kvm *kvm)
{
	struct page_hold_notifier *holds = notifier_of(kvm);

	if (!holds->registered)
		return;
	invalidate_all_vcpus(kvm, 0, ULONG_MAX);
	mmu_notifier_unregister(&holds->notifier, kvm->mm);
	holds->registered = false;
}
