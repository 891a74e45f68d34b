/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Pages of L1 that L0 maps for vmcs02, held across nested VM entries: the hooks.
 * What happens on every nested entry and exit is inline; see page_hold.c for
 * what is skipped and why that is sound.
 */
#ifndef KVM_INTEL_FAST_PAGE_HOLD_H
#define KVM_INTEL_FAST_PAGE_HOLD_H

#include "vmx/vmx.h"
#include "nested/context.h"

void page_holds_vcpu_create(struct kvm_vcpu *vcpu);
void page_holds_vm_destroy(struct kvm *kvm);
void page_hold_drop(struct kvm_vcpu *vcpu, struct page_hold *hold);

/* The slow halves of the inline functions below. */
void page_holds_prepare(struct kvm_vcpu *vcpu);
void page_holds_drop_stale(struct kvm_vcpu *vcpu);
int page_hold_fill(struct kvm_vcpu *vcpu, enum held_page which, gfn_t gfn,
		   struct kvm_host_map *map);
bool page_holds_find_logged(struct kvm_vcpu *vcpu);

/**
 * page_holds_begin - a nested VM entry starts to use held pages
 * @vcpu: the vCPU
 *
 * Context: the vCPU's thread, under kvm->srcu, may sleep.
 */
static __always_inline void page_holds_begin(struct kvm_vcpu *vcpu)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);
	struct page_holds *holds = &vmx->fast.holds;
	struct nested_context *context = vmx->fast.context;

	WRITE_ONCE(holds->in_use, PAGES_OF_ENTRY);
	/* Pairs with the MMU notifier: see the head of page_hold.c. */
	smp_mb();
	if (likely(context && context->vmptr == vmx->nested.current_vmptr &&
		   context->generation == kvm_memslots(vcpu->kvm)->generation &&
		   !READ_ONCE(holds->any_stale) && !fast_verify))
		holds->ready = context;
	else
		page_holds_prepare(vcpu);
}

/**
 * page_holds_end - L2 no longer uses held pages
 * @vcpu: the vCPU, its maps unmapped by page_hold_unmap()
 *
 * Context: the vCPU's thread, or the thread that destroys the VM; may sleep.
 */
static __always_inline void page_holds_end(struct kvm_vcpu *vcpu)
{
	struct page_holds *holds = &to_vmx(vcpu)->fast.holds;

	WRITE_ONCE(holds->in_use, PAGES_UNUSED);
	/* Pairs with the MMU notifier: see the head of page_hold.c. */
	smp_mb();
	if (unlikely(READ_ONCE(holds->any_stale)))
		page_holds_drop_stale(vcpu);
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
static __always_inline int page_hold_map(struct kvm_vcpu *vcpu, enum held_page which,
					 gfn_t gfn, struct kvm_host_map *map)
{
	struct fast_vcpu *fast = &to_vmx(vcpu)->fast;
	struct nested_context *ready = fast->holds.ready;
	struct page_hold *hold;

	if (likely(ready)) {
		hold = &ready->page[which];
		if (likely(hold->map.hva && hold->map.gfn == gfn)) {
			map->hva = hold->map.hva;
			map->pfn = hold->map.pfn;
			fast->holds.borrowed[which] = hold;
			fast->counters.page_hold_hits++;
			return 0;
		}
	}
	return page_hold_fill(vcpu, which, gfn, map);
}

/**
 * page_holds_log_nothing - is no page that L2 uses in a memslot with dirty logging?
 * @vcpu: the vCPU, between page_holds_begin() and page_holds_end()
 *
 * Context: the vCPU's thread, under kvm->srcu.
 * Return: true if that is so; false if stock has to look.
 */
static __always_inline bool page_holds_log_nothing(struct kvm_vcpu *vcpu)
{
	struct page_holds *holds = &to_vmx(vcpu)->fast.holds;

	return likely(holds->not_logged_generation == kvm_vcpu_memslots(vcpu)->generation) ||
		page_holds_find_logged(vcpu);
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
static __always_inline void page_hold_unmap(struct kvm_vcpu *vcpu, enum held_page which,
					    struct kvm_host_map *map, bool dirty)
{
	struct page_hold *hold = to_vmx(vcpu)->fast.holds.borrowed[which];

	if (!map->hva)
		return;
	if (unlikely(!hold)) {
		kvm_vcpu_unmap(vcpu, map, dirty);
		return;
	}
	if (dirty && hold->map.hva) {
		if (unlikely(!page_holds_log_nothing(vcpu)))
			kvm_vcpu_mark_page_dirty(vcpu, hold->map.gfn);
		if (unlikely(hold->map.page == KVM_UNMAPPED_PAGE ||
			     !PageDirty(hold->map.page)))
			kvm_set_pfn_dirty(hold->map.pfn);
	}
	map->hva = NULL;
	to_vmx(vcpu)->fast.holds.borrowed[which] = NULL;
	if (which == HELD_MSR_BITMAP)
		/* After the last access.  If the notifier just missed it, the exit drops. */
		smp_store_release(&to_vmx(vcpu)->fast.holds.in_use, PAGES_OF_L2);
}

/**
 * page_holds_abandon - a nested VM entry failed without an exit to undo it
 * @vcpu: the vCPU, after page_holds_begin(), L2 not entered
 *
 * Context: the vCPU's thread, may sleep.
 */
static inline void page_holds_abandon(struct kvm_vcpu *vcpu)
{
	struct nested_vmx *nested = &to_vmx(vcpu)->nested;

	page_hold_unmap(vcpu, HELD_APIC_ACCESS, &nested->apic_access_page_map, false);
	page_hold_unmap(vcpu, HELD_VIRTUAL_APIC, &nested->virtual_apic_map, false);
	page_hold_unmap(vcpu, HELD_PI_DESC, &nested->pi_desc_map, false);
	nested->pi_desc = NULL;
	page_holds_end(vcpu);
}

#endif /* KVM_INTEL_FAST_PAGE_HOLD_H */
