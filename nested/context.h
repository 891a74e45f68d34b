/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is kept per vmcs12 across nested VM entries: the pages of L1 that it
 * names, and its merged MSR bitmap.
 *
 * A vCPU keeps up to NESTED_CONTEXTS of them, the least recently used one giving way,
 * so that an L1 that alternates between several guests does not thrash.  Each is allocated
 * when there are more vmcs12s than ever before, about 1 KiB, and freed with the vCPU.
 */
#ifndef KVM_INTEL_FAST_CONTEXT_H
#define KVM_INTEL_FAST_CONTEXT_H

#include "kvm/vmx/vmx.h"
#include "kvm/vmx/nested.h"
#include "nested/msr_bitmap_state.h"
#include "nested/page_hold_state.h"

#define NESTED_CONTEXTS	32

struct nested_context {
	gpa_t vmptr;			/* also of an enlightened one; INVALID_GPA: free */
	u64 last_used;
	u64 entries;			/* the vCPU's, when another became fast.context */
	/* Of the memslots that led to the pages.  0, which no memslots have: no holds. */
	u64 generation;
	struct page_hold page[NR_HELD_PAGES];
	struct held_pages_key key;	/* of the last settled entry */
	struct pi_desc *pi_desc;	/* in page[HELD_PI_DESC]; NULL: not used */
	bool ept;			/* without EPT an entry may have to load PDPTRs */
	struct msr_bitmap_memo msr_bitmap;
};

struct nested_contexts {
	u64 clock;
	unsigned int count;
	struct nested_context *context[NESTED_CONTEXTS];
};

/* The current vmcs12 in L1's memory, enlightened or not; INVALID_GPA if there is none. */
static __always_inline gpa_t nested_vmcs12_address(struct vcpu_vmx *vmx)
{
	if (likely(vmx->nested.current_vmptr != INVALID_GPA))
		return vmx->nested.current_vmptr;
	return fast_evmcs12_address(vmx);
}

struct nested_context *nested_context_get(struct kvm_vcpu *vcpu);
void nested_context_forget(struct kvm_vcpu *vcpu, gpa_t vmptr);
void nested_contexts_drop_stale(struct kvm_vcpu *vcpu);
void nested_contexts_forget(struct kvm_vcpu *vcpu);
void nested_contexts_free(struct kvm_vcpu *vcpu);

#endif /* KVM_INTEL_FAST_CONTEXT_H */
