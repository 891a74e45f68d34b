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
 *  - the gfn in vmcs12: compared.
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

/**
 * page_holds_drop_stale - give up the holds that the MMU notifier left to us
 * @vcpu: the vCPU, L2 not using them
 *
 * Context: the vCPU's thread, or the thread that destroys the VM; may sleep.
 */
void page_holds_drop_stale(struct kvm_vcpu *vcpu)
{
	struct nested_contexts *contexts = to_vmx(vcpu)->fast.contexts;
	struct page_holds *holds = holds_of(vcpu);
	int c, p;

	WRITE_ONCE(holds->any_stale, false);
	/* Whatever the notifier marks from here on sets the flag again. */
	smp_mb();
	for (c = 0; contexts && c < NESTED_CONTEXTS; c++)
		for (p = 0; p < NR_HELD_PAGES; p++)
			if (READ_ONCE(contexts->context[c].page[p].stale))
				page_hold_drop(vcpu, &contexts->context[c].page[p]);
}

/* verify=1: stock's look-up must lead to the same page. */
static void verify(struct kvm_vcpu *vcpu, struct page_hold *hold)
{
	struct fast_counters *counters = &to_vmx(vcpu)->fast.counters;
	struct kvm_host_map fresh;
	bool same;

	counters->page_hold_verify_checks++;
	if (kvm_vcpu_map(vcpu, hold->map.gfn, &fresh)) {
		same = false;
	} else {
		same = fresh.pfn == hold->map.pfn;
		kvm_vcpu_unmap(vcpu, &fresh, false);
	}
	/* Invalidated meanwhile: stock would have used the old page as well. */
	if (same || READ_ONCE(hold->stale))
		return;

	counters->page_hold_verify_mismatches++;
	WARN_ONCE(1, "kvm-intel-fast: held page of gfn %#llx is not the one that stock finds\n",
		  hold->map.gfn);
	page_hold_drop(vcpu, hold);
}

/**
 * page_holds_prepare - make the current vmcs12's holds ready for use
 * @vcpu: the vCPU, in page_holds_begin()
 *
 * Context: the vCPU's thread, under kvm->srcu, may sleep.
 */
void page_holds_prepare(struct kvm_vcpu *vcpu)
{
	u64 generation = kvm_memslots(vcpu->kvm)->generation;
	struct page_holds *holds = holds_of(vcpu);
	struct nested_context *context;
	int p;

	if (READ_ONCE(holds->any_stale))
		page_holds_drop_stale(vcpu);

	holds->ready = NULL;
	holds->not_logged_generation = 0;
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
	for (p = 0; fast_verify && p < NR_HELD_PAGES; p++)
		if (context->page[p].map.hva)
			verify(vcpu, &context->page[p]);
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

	atomic_inc(&notifier->held);
	spin_lock(&holds->lock);
	*hold = filled;
	/* Pairs with invalidate_range_start(): it sees the hold, or we see it. */
	smp_mb();
	if (atomic_read(&notifier->active) ||
	    atomic_read(&notifier->sequence) != sequence) {
		hold->stale = true;
		WRITE_ONCE(holds->any_stale, true);
	}
	spin_unlock(&holds->lock);
	return 0;
}

/**
 * page_hold_fill - page_hold_map() where the hold is not simply there
 * @vcpu: the vCPU, after page_holds_begin()
 * @which: what the page is for
 * @gfn: the page, in L1's physical address space
 * @map: filled as by kvm_vcpu_map()
 *
 * Context: the vCPU's thread, under kvm->srcu, may sleep.
 * Return: 0, or the error of kvm_vcpu_map().
 */
int page_hold_fill(struct kvm_vcpu *vcpu, enum held_page which, gfn_t gfn,
		   struct kvm_host_map *map)
{
	struct fast_counters *counters = &to_vmx(vcpu)->fast.counters;
	struct page_holds *holds = holds_of(vcpu);
	struct page_hold *hold = holds->ready ? &holds->ready->page[which] : NULL;
	int ret;

	holds->borrowed[which] = NULL;
	if (!hold)
		return kvm_vcpu_map(vcpu, gfn, map);

	if (!hold->map.hva)
		counters->page_hold_miss_empty++;
	else
		counters->page_hold_miss_gfn++;
	page_hold_drop(vcpu, hold);
	holds->not_logged_generation = 0;
	ret = map_and_hold(vcpu, hold, gfn, map);
	if (!ret)
		holds->borrowed[which] = hold;
	else
		holds->ready = NULL;	/* stock for the rest of this entry */
	return ret;
}

/**
 * page_holds_find_logged - learn whether writes to the held pages are logged
 * @vcpu: the vCPU; its address space (SMM or not) decides
 *
 * Context: the vCPU's thread, under kvm->srcu.
 * Return: true if no page of the ready context is in a slot with dirty logging.
 */
bool page_holds_find_logged(struct kvm_vcpu *vcpu)
{
	struct kvm_memslots *slots = kvm_vcpu_memslots(vcpu);
	struct page_holds *holds = holds_of(vcpu);
	struct kvm_memory_slot *slot;
	struct page_hold *hold;
	int p;

	if (!holds->ready)
		return false;
	for (p = 0; p < NR_HELD_PAGES; p++) {
		hold = &holds->ready->page[p];
		slot = hold->map.hva ? __gfn_to_memslot(slots, hold->map.gfn) : NULL;
		if (slot && kvm_slot_dirty_track_enabled(slot))
			return false;
	}
	holds->not_logged_generation = slots->generation;
	return true;
}

static bool may_be_used(struct page_holds *holds, enum held_page which)
{
	/* Pairs with page_hold_unmap(). */
	enum pages_in_use in_use = smp_load_acquire(&holds->in_use);

	switch (in_use) {
	case PAGES_UNUSED:
		return false;
	case PAGES_OF_L2:
		return which != HELD_MSR_BITMAP;
	default:
		return true;
	}
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
			if (hold->map.hva && hold->uhva < end &&
			    hold->uhva + PAGE_SIZE > start) {
				WRITE_ONCE(hold->stale, true);
				which[n] = p;
				found[n++] = hold;
			}
		}
	}
	if (n) {
		to_vmx(vcpu)->fast.counters.page_hold_invalidated += n;
		WRITE_ONCE(holds->any_stale, true);
		/* Pairs with page_holds_begin() and page_holds_end(). */
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
