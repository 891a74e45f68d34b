/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Pages of L1 that L0 maps for vmcs02, held across nested VM entries.
 * What happens on every nested entry is inline here.  See pages.c for what is skipped
 * and why that is sound.
 */
#ifndef KVM_INTEL_FAST_PAGES_H
#define KVM_INTEL_FAST_PAGES_H

#include "kvm/vmx/vmx.h"
#include "vmx/params.h"
#include "nested/context.h"
#include "nested/msr_bitmap.h"

/* An entry that cannot reuse what the previous one set up. */
void pages_begin(struct kvm_vcpu *vcpu);
int pages_map(struct kvm_vcpu *vcpu, enum held_page which, gfn_t gfn,
	      struct kvm_host_map *map);
void pages_unmap(struct kvm_vcpu *vcpu, enum held_page which, struct kvm_host_map *map,
		 bool dirty);
void pages_settle(struct kvm_vcpu *vcpu, struct vmcs12 *vmcs12);

/* The end of every entry's use, whether it reused pages or not. */
void pages_put(struct kvm_vcpu *vcpu, bool dirty);

/* The slow halves of the inline functions below. */
bool pages_verify(struct kvm_vcpu *vcpu, struct nested_context *context);
bool pages_find_logged(struct kvm_vcpu *vcpu);

/* The fields of vmcs12 that decide which pages vmcs02 is given. */
static __always_inline struct held_pages_key held_pages_key(const struct vmcs12 *vmcs12)
{
	return (struct held_pages_key) {
		.apic_access_addr = vmcs12->apic_access_addr,
		.virtual_apic_page_addr = vmcs12->virtual_apic_page_addr,
		.posted_intr_desc_addr = vmcs12->posted_intr_desc_addr,
		.msr_bitmap = vmcs12->msr_bitmap,
		.pin_based = vmcs12->pin_based_vm_exec_control,
		.cpu_based = vmcs12->cpu_based_vm_exec_control,
		.secondary = vmcs12->secondary_vm_exec_control,
	};
}

/**
 * pages_msr_bitmap_done - note that a nested VM entry does not use L1's MSR bitmap any more
 * @vcpu: the vCPU
 *
 * Context: the vCPU's thread.
 */
static __always_inline void pages_msr_bitmap_done(struct kvm_vcpu *vcpu)
{
	/*
	 * Stored after the last access.  A reference that the notifier took meanwhile is
	 * given back at the exit.
	 */
	smp_store_release(&to_vmx(vcpu)->fast.holds.in_use, PAGES_OF_L2);
}

/**
 * pages_reuse - enter with the pages of the previous entry of this vmcs12
 * @vcpu: the vCPU, vmcs02 current
 * @vmcs12: the current vmcs12
 *
 * On success all that nested_get_vmcs12_pages() does is done: vmcs02 names the
 * pages, its MSR bitmap is up to date, nested_vmx's maps are set.  With verify=1 the
 * MSR bitmap is left to nested_vmx_prepare_msr_bitmap().
 *
 * Context: the vCPU's thread, under kvm->srcu, may sleep.
 * Return: true on success; on false the caller starts again with pages_begin().
 */
static __always_inline bool pages_reuse(struct kvm_vcpu *vcpu, struct vmcs12 *vmcs12)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);
	struct page_holds *holds = &vmx->fast.holds;
	struct nested_context *context = holds->settled;
	const struct held_pages_key key = held_pages_key(vmcs12);
	void *msr_bitmap;

	if (unlikely(!context || context->vmptr != nested_vmcs12_address(vmx) ||
		     msr_bitmap_is_enlightened(vmx) ||
		     !held_pages_unchanged(&context->key, &key) ||
		     (!context->ept && is_pae_paging(vcpu))))
		return false;

	WRITE_ONCE(holds->in_use, PAGES_OF_ENTRY);
	/* Pairs with the MMU notifier: see the head of pages_notifier.c. */
	smp_mb();
	if (unlikely(!held_pages_valid(READ_ONCE(holds->any_stale), context->generation,
				       kvm_memslots(vcpu->kvm)->generation)))
		return false;
	if (unlikely(fast_verify()) && !pages_verify(vcpu, context))
		return false;

	if (likely(!fast_verify())) {
		msr_bitmap = context->page[HELD_MSR_BITMAP].map.hva;
		if (likely(msr_bitmap))
			msr_bitmap_reuse(vcpu, context, vmcs12, msr_bitmap);
		pages_msr_bitmap_done(vcpu);
	}

	fast_map_apic_access(&vmx->nested, context->page[HELD_APIC_ACCESS].map.hva);
	vmx->nested.virtual_apic_map.hva = context->page[HELD_VIRTUAL_APIC].map.hva;
	vmx->nested.pi_desc_map.hva = context->page[HELD_PI_DESC].map.hva;
	vmx->nested.pi_desc = context->pi_desc;
	fast_msr_bitmap_is_new(&vmx->nested);
	vmx->fast.counters.page_hold_reused++;
	return true;
}

/* True if it is known that no slot logs.  Never in SMM, which has other memslots. */
static __always_inline bool pages_known_not_logged(struct kvm_vcpu *vcpu)
{
	return to_vmx(vcpu)->fast.holds.not_logged_generation ==
	       kvm_memslots(vcpu->kvm)->generation && !(vcpu->arch.hflags & HF_SMM_MASK);
}

/**
 * pages_log_nothing - find out whether no page that L2 uses is in a memslot with dirty logging
 * @vcpu: the vCPU, in L2 or just out of L2
 *
 * Context: the vCPU's thread, under kvm->srcu.
 * Return: true if no page is; false if stock must look.
 */
static __always_inline bool pages_log_nothing(struct kvm_vcpu *vcpu)
{
	return likely(pages_known_not_logged(vcpu)) || pages_find_logged(vcpu);
}

#endif /* KVM_INTEL_FAST_PAGES_H */
