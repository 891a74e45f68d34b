/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vmcs02's MSR bitmap, merged only when an input changed: the hooks.  See
 * msr_bitmap.c for the inputs.
 */
#ifndef KVM_INTEL_FAST_MSR_BITMAP_H
#define KVM_INTEL_FAST_MSR_BITMAP_H

#include "kvm/vmx/vmx.h"
#include "nested/context.h"

bool msr_bitmap_update(struct kvm_vcpu *vcpu, struct vmcs12 *vmcs12,
		       unsigned long **l1_page, unsigned long **l0_page);
void msr_bitmap_verify(struct kvm_vcpu *vcpu, unsigned long *l1, unsigned long *l0);
void msr_bitmap_refresh(struct kvm_vcpu *vcpu, struct nested_context *context,
			struct vmcs12 *vmcs12, const u64 *l1);

/* True if L1 tells by the enlightened VMCS whether its MSR bitmap changed, which stock asks. */
static __always_inline bool msr_bitmap_is_enlightened(struct vcpu_vmx *vmx)
{
	const struct hv_enlightened_vmcs *evmcs = fast_evmcs12(vmx);

	return unlikely(evmcs) && evmcs->hv_enlightenments_control.msr_bitmap;
}

/* The bits that changed in words @from to @to - 1.  Reads each word of L1's page once. */
static __always_inline u64 msr_bitmap_changed_bits(const struct msr_bitmap_inputs *in,
						   const u64 *l1, const u64 *l01,
						   int from, int to)
{
	u64 different = 0;
	int i;

#pragma GCC unroll 16
	for (i = from; i < to; i++)
		different |= in->l1[i] ^ READ_ONCE(l1[msr_bitmap_word[i]]);
#pragma GCC unroll 16
	for (i = from - MSR_BITMAP_X2APIC_WORDS; i < to - MSR_BITMAP_X2APIC_WORDS; i++)
		if (i >= 0)
			different |= in->l01[i] ^ l01[msr_bitmap_word[MSR_BITMAP_X2APIC_WORDS + i]];
	return different;
}

/* True if the words of both pages are unchanged on which the merge depends. */
static __always_inline bool msr_bitmap_words_unchanged(const struct msr_bitmap_inputs *in,
						       const u64 *l1, const u64 *l01)
{
	const int pmu = MSR_BITMAP_WORDS - MSR_BITMAP_PMU_WORDS;

	return !msr_bitmap_changed_bits(in, l1, l01, 0, pmu) &&
	       (!fast_mediated_pmu() ||
		!msr_bitmap_changed_bits(in, l1, l01, pmu, MSR_BITMAP_WORDS));
}

/**
 * msr_bitmap_reuse - bring vmcs02's MSR bitmap up to date while the controls are unchanged
 * @vcpu: the vCPU, on its way into L2
 * @context: of the current vmcs12, which uses an MSR bitmap; vmcs02's bitmap is
 *	this context's merge, made with the same controls as now
 * @vmcs12: the current vmcs12
 * @l1: L1's page, mapped
 *
 * Context: the vCPU's thread.
 */
static __always_inline void msr_bitmap_reuse(struct kvm_vcpu *vcpu, struct nested_context *context,
					     struct vmcs12 *vmcs12, const u64 *l1)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);

	if (likely(msr_bitmap_words_unchanged(&context->msr_bitmap.inputs, l1,
					      (const u64 *)vmx->vmcs01.msr_bitmap)))
		vmx->fast.counters.msr_bitmap_hits++;
	else
		msr_bitmap_refresh(vcpu, context, vmcs12, l1);
}

#endif /* KVM_INTEL_FAST_MSR_BITMAP_H */
