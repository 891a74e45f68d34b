// SPDX-License-Identifier: GPL-2.0
/*
 * The MMU notifier of the held pages.
 *
 * A held page has no reference while it is watched here.  It is what user space's page
 * tables map, and whoever changes these calls invalidate_range_start() first, while the
 * page is still mapped.  KVM's own EPT entries rest on the same.  So the counts that mm/
 * looks at before it reclaims, splits, collapses, migrates or takes a page offline are
 * those that it finds under stock.
 *
 * An invalidation makes a hold stale for good.  While L2 is active with the hold's
 * vmcs12, stock has a reference, and lets the mapping go stale until the nested exit.
 * So invalidate_range_start() takes that reference then, before it returns; the vCPU
 * gives it back at its nested exit.  Who sees whom:
 *
 *	vCPU at entry		notifier		vCPU at exit
 *	fast.context = ...
 *	in_use = OF_ENTRY	any_stale = true	in_use = UNUSED
 *	barrier			barrier			barrier
 *	test any_stale		test in_use		test any_stale
 *				test fast.context
 *
 * One of the two always sees the other.
 *
 * A fill may race with an invalidation that began earlier.  The fill then finds one that
 * is under way, or one more that ended.  The hold is then stale from the start, keeps the
 * reference of its look-up, and lives for one entry, as in stock.
 *
 * Accessed: stock marks a page at each nested entry and exit.  Here a fill marks it.
 * Reclaim asks by the *_young() calls, and is told whether there was a nested entry since
 * it asked last.  That costs the entry nothing, because KVM counts nested entries.
 *
 * The notifier is registered at the VM's first nested entry, so that a VM without
 * nested guests pays nothing.  mmu_notifier_register() excludes all invalidations
 * (mm_take_all_locks()), so each end that is seen follows a start that was seen.
 *
 * Locking: pages_notifier.lock is taken under any lock of mm/, that of a page table
 * among them.  No lock is taken under it, and no page is put.
 */
#include <linux/rbtree.h>

#include "kvm/vmx/vmx.h"
#include "nested/pages_notifier.h"

static struct pages_notifier *notifier_of(struct kvm *kvm)
{
	return &to_kvm_vmx(kvm)->fast.pages;
}

static struct pages_notifier *of(struct mmu_notifier *notifier)
{
	return container_of(notifier, struct pages_notifier, notifier);
}

static struct nested_context *context_of(struct page_hold *hold)
{
	return container_of(hold, struct nested_context, page[hold->which]);
}

static bool is_current(struct page_hold *hold)
{
	return READ_ONCE(to_vmx(hold->vcpu)->fast.context) == context_of(hold);
}

static bool is_in_use(struct page_hold *hold)
{
	/* Pairs with pages_begin(), pages_reuse() and pages_msr_bitmap_done(). */
	enum pages_in_use in_use = smp_load_acquire(&to_vmx(hold->vcpu)->fast.holds.in_use);

	return page_hold_may_be_used(in_use, hold->which) && is_current(hold);
}

struct user_range {
	unsigned long start, end;
};

static int compare(const void *key, const struct rb_node *node)
{
	const struct page_hold *hold = rb_entry(node, struct page_hold, node);
	const struct user_range *range = key;

	if (page_hold_is_above(hold->uhva, range->end))
		return -1;
	return page_hold_is_below(hold->uhva, range->start);
}

static bool less(struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct page_hold, node)->uhva <
	       rb_entry(b, struct page_hold, node)->uhva;
}

static void unwatch(struct pages_notifier *pages, struct page_hold *hold)
{
	rb_erase(&hold->node, &pages->holds);
	RB_CLEAR_NODE(&hold->node);
}

static noinline void make_stale(struct pages_notifier *pages, struct page_hold *hold)
{
	struct vcpu_vmx *vmx = to_vmx(hold->vcpu);

	unwatch(pages, hold);
	vmx->fast.counters.page_hold_invalidated++;
	WRITE_ONCE(hold->stale, true);
	WRITE_ONCE(vmx->fast.holds.any_stale, true);
	/* Pairs with pages_reuse(), pages_begin() and pages_put(). */
	smp_mb();
	if (hold->counted && is_in_use(hold)) {
		fast_map_count(&hold->map);
		hold->referenced = true;
		vmx->fast.counters.page_hold_referenced++;
	}
}

static void invalidate(struct pages_notifier *pages, unsigned long start, unsigned long end)
{
	const struct user_range range = { start, end };
	struct rb_node *node;

	while (unlikely(node = rb_find(&range, &pages->holds, compare)))
		make_stale(pages, rb_entry(node, struct page_hold, node));
}

static int invalidate_range_start(struct mmu_notifier *notifier,
				  const struct mmu_notifier_range *range)
{
	struct pages_notifier *pages = of(notifier);

	spin_lock(&pages->lock);
	atomic64_add(INVALIDATION_STARTS, &pages->invalidations);
	invalidate(pages, range->start, range->end);
	spin_unlock(&pages->lock);
	return 0;
}

static void invalidate_range_end(struct mmu_notifier *notifier,
				 const struct mmu_notifier_range *range)
{
	atomic64_add(INVALIDATION_ENDS, &of(notifier)->invalidations);
}

/* The process ends.  Its file descriptors, and the VM with them, end later. */
static void address_space_ends(struct mmu_notifier *notifier, struct mm_struct *mm)
{
	struct pages_notifier *pages = of(notifier);

	spin_lock(&pages->lock);
	invalidate(pages, 0, ULONG_MAX);
	spin_unlock(&pages->lock);
}

/* The vCPU's count of nested entries, up to the last one with the hold's vmcs12. */
static u64 entries_with(struct page_hold *hold)
{
	return is_current(hold) ? READ_ONCE(fast_nested_entries(hold->vcpu)) :
				  READ_ONCE(context_of(hold)->entries);
}

static bool are_young(struct pages_notifier *pages, unsigned long start, unsigned long end,
		      bool forget)
{
	const struct user_range range = { start, end };
	struct page_hold *hold;
	struct rb_node *node;
	bool young = false;
	u64 entries;

	spin_lock(&pages->lock);
	rb_for_each(node, &range, &pages->holds, compare) {
		hold = rb_entry(node, struct page_hold, node);
		entries = entries_with(hold);
		young |= is_in_use(hold) || entries != hold->entries;
		if (forget)
			hold->entries = entries;
	}
	spin_unlock(&pages->lock);
	return young;
}

static FAST_YOUNG clear_young(struct mmu_notifier *notifier, struct mm_struct *mm,
			      unsigned long start, unsigned long end)
{
	return are_young(of(notifier), start, end, true);
}

static FAST_YOUNG test_young(struct mmu_notifier *notifier, struct mm_struct *mm,
			     unsigned long address)
{
	return are_young(of(notifier), address, address + 1, false);
}

static const struct mmu_notifier_ops notifier_ops = {
	.invalidate_range_start = invalidate_range_start,
	.invalidate_range_end = invalidate_range_end,
	.release = address_space_ends,
	.clear_flush_young = clear_young,
	.clear_young = clear_young,
	.test_young = test_young,
};

/**
 * pages_notifier_init - make the VM's notifier usable
 * @kvm: the VM, being created
 *
 * Context: any.
 */
void pages_notifier_init(struct kvm *kvm)
{
	struct pages_notifier *pages = notifier_of(kvm);

	spin_lock_init(&pages->lock);
	mutex_init(&pages->registering);
	pages->holds = RB_ROOT;
	pages->notifier.ops = &notifier_ops;
}

static noinline bool start_to_listen(struct kvm *kvm)
{
	struct pages_notifier *pages = notifier_of(kvm);

	mutex_lock(&pages->registering);
	/* A signal makes the registration fail; the next nested entry tries again. */
	if (!pages->registered && !mmu_notifier_register(&pages->notifier, kvm->mm))
		WRITE_ONCE(pages->registered, true);
	mutex_unlock(&pages->registering);
	return pages->registered;
}

/**
 * pages_notifier_listen - have the VM's address space watched
 * @kvm: the VM, one of whose vCPUs the caller runs
 *
 * Context: a vCPU's thread, may sleep, takes mmap_lock the first time.
 * Return: false if pages cannot be held, because there is no notifier.
 */
bool pages_notifier_listen(struct kvm *kvm)
{
	return likely(READ_ONCE(notifier_of(kvm)->registered)) || start_to_listen(kvm);
}

/**
 * pages_notifier_stop - end the watch over all holds of the VM
 * @kvm: the VM; nobody runs its vCPUs any more, and they still exist
 *
 * What L2 still uses has a reference then, which the vCPU gives back when it leaves
 * nested operation: kvm.ko destroys vCPUs after vmx_vm_destroy().
 *
 * Context: process context, may sleep.
 */
void pages_notifier_stop(struct kvm *kvm)
{
	struct pages_notifier *pages = notifier_of(kvm);

	if (!pages->registered)
		return;
	mmu_notifier_unregister(&pages->notifier, kvm->mm);	/* calls .release */
	pages->registered = false;
}

/**
 * pages_notifier_invalidations - count the invalidations so far
 * @kvm: the VM
 *
 * Context: any; before the look-up of a page that pages_notifier_watch() shall watch.
 * Return: the count, for pages_notifier_watch().
 */
u64 pages_notifier_invalidations(struct kvm *kvm)
{
	u64 invalidations = atomic64_read(&notifier_of(kvm)->invalidations);

	/* An end that is not counted here comes after the look-up. */
	smp_rmb();
	return invalidations;
}

/**
 * pages_notifier_watch - keep a hold by being told of invalidations, not by a reference
 * @vcpu: its vCPU, in a nested VM entry, page_holds.in_use being PAGES_OF_ENTRY
 * @hold: the hold, filled; of a context that is fast.context
 * @invalidations: pages_notifier_invalidations() before the look-up
 *
 * Context: the vCPU's thread.
 * Return: true if the hold is watched, and its reference can be given back; false if
 * an invalidation overlapped with the look-up, so that the hold is stale and keeps its
 * reference.
 */
bool pages_notifier_watch(struct kvm_vcpu *vcpu, struct page_hold *hold, u64 invalidations)
{
	struct pages_notifier *pages = notifier_of(vcpu->kvm);
	bool late;

	spin_lock(&pages->lock);
	late = page_hold_filled_late(invalidations, atomic64_read(&pages->invalidations));
	if (late) {
		hold->stale = true;
		to_vmx(vcpu)->fast.holds.any_stale = true;
	} else {
		/* Memory that was memremap()ed stays mapped until the vCPU drops the hold. */
		hold->referenced = !fast_map_has_struct_page(&hold->map);
		rb_add(&hold->node, &pages->holds, less);
	}
	spin_unlock(&pages->lock);
	return !late;
}

/**
 * pages_notifier_forget - end the watch over one hold
 * @vcpu: its vCPU
 * @hold: the hold, which was filled; watched or stale
 *
 * Context: the vCPU's thread, or the thread that destroys the VM.
 */
void pages_notifier_forget(struct kvm_vcpu *vcpu, struct page_hold *hold)
{
	struct pages_notifier *pages = notifier_of(vcpu->kvm);

	spin_lock(&pages->lock);
	if (!RB_EMPTY_NODE(&hold->node))
		unwatch(pages, hold);
	spin_unlock(&pages->lock);
}
