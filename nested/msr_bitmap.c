// SPDX-License-Identifier: GPL-2.0
/*
 * vmcs02's MSR bitmap, merged only when an input changed.
 *
 * Skipped: the merge of L1's and vmcs01's bitmaps on a nested VM entry.
 *
 * Inputs: the words of L1's page and of vmcs01's page that the merge reads (on 6.1 nine and
 * four), and three controls of vmcs12.  All are compared on every
 * entry, because L1 changes its page by plain stores that nobody sees, and vmcs01's
 * words follow user space's MSR filter and KVM's own pass-through decisions.
 * A merge is made from a snapshot that reads each word of L1's page once, so that
 * later entries are compared with what was merged, whatever another CPU of L1 stores.
 *
 * There is one hardware page per vCPU, as in stock, because the code that saves
 * SPEC_CTRL looks at this page.  VMXON allocates it full of ones.  VMXOFF frees it,
 * and the memos are forgotten (nested_contexts_forget()).  After a switch of vmcs12 only
 * the words that differ are written.
 *
 * Stock's shortcut for an enlightened VMCS comes before this, as in stock: an L1 that says itself
 * whether its bitmap changed is believed.
 */
#include <linux/slab.h>

#include "kvm/vmx/nested.h"
#include "vmx/params.h"
#include "nested/msr_bitmap.h"

static u64 controls_of(struct vmcs12 *vmcs12)
{
	if (!nested_cpu_has(vmcs12, CPU_BASED_ACTIVATE_SECONDARY_CONTROLS))
		return 0;
	return vmcs12->secondary_vm_exec_control & MSR_BITMAP_CONTROLS;
}

static void take_snapshot(struct msr_bitmap_inputs *in, struct vmcs12 *vmcs12,
			  const u64 *l1, const u64 *l01)
{
	int i;

	for (i = 0; i < MSR_BITMAP_WORDS; i++)
		in->l1[i] = READ_ONCE(l1[msr_bitmap_word[i]]);
	for (i = 0; i < MSR_BITMAP_L01_WORDS; i++)
		in->l01[i] = l01[msr_bitmap_word[MSR_BITMAP_X2APIC_WORDS + i]];
	in->controls = controls_of(vmcs12);
}

static void count_miss(struct fast_counters *counters, const struct msr_bitmap_memo *memo,
		       const struct msr_bitmap_inputs *in)
{
	if (!memo->valid)
		counters->msr_bitmap_miss_new++;
	else if (memo->inputs.controls != in->controls)
		counters->msr_bitmap_miss_controls++;
	else if (memcmp(memo->inputs.l01, in->l01, sizeof(in->l01)))
		counters->msr_bitmap_miss_vmcs01++;
	else
		counters->msr_bitmap_miss_l1++;
}

static void write_page(u64 *page, const u64 *merged)
{
	int i;

	for (i = 0; i < MSR_BITMAP_WORDS; i++)
		if (page[msr_bitmap_word[i]] != merged[i])
			page[msr_bitmap_word[i]] = merged[i];
}

/*
 * verify=1 works on a copy of L1's page, made before anything else, so that stock merges
 * what was compared and merged here, whatever another CPU of L1 stores.  Stock merges
 * into a page that is all ones, as vmcs02's is at VMXON.
 */
static bool verify_begin(unsigned long **l1, unsigned long **l0)
{
	unsigned long *copy = (unsigned long *)__get_free_page(GFP_KERNEL_ACCOUNT);
	unsigned long *scratch = (unsigned long *)__get_free_page(GFP_KERNEL_ACCOUNT);

	if (!copy || !scratch) {
		free_page((unsigned long)copy);
		free_page((unsigned long)scratch);
		return false;
	}
	memcpy(copy, *l1, PAGE_SIZE);
	memset(scratch, 0xff, PAGE_SIZE);
	*l1 = copy;
	*l0 = scratch;
	return true;
}

/**
 * msr_bitmap_verify - verify=1: compare vmcs02's MSR bitmap with stock's merge
 * @vcpu: the vCPU, on its way into L2
 * @l1: L1's page, or the copy that msr_bitmap_update() made of L1's page
 * @l0: what stock merged into: vmcs02's page, or the one that msr_bitmap_update() made
 *
 * Compares all of vmcs02's page, and copies stock's merge to vmcs02's page if they differ.
 *
 * Context: the vCPU's thread.
 */
void msr_bitmap_verify(struct kvm_vcpu *vcpu, unsigned long *l1, unsigned long *l0)
{
	struct fast_counters *counters = &to_vmx(vcpu)->fast.counters;
	unsigned long *page = to_vmx(vcpu)->nested.vmcs02.msr_bitmap;

	if (l0 == page)
		return;
	counters->msr_bitmap_verify_checks++;
	if (memcmp(page, l0, PAGE_SIZE)) {
		memcpy(page, l0, PAGE_SIZE);
		FAST_MISMATCH(counters, msr_bitmap, "MSR bitmap of vmcs02 is not stock's merge");
	}
	free_page((unsigned long)l1);
	free_page((unsigned long)l0);
}

/**
 * msr_bitmap_refresh - write the merge of a context to vmcs02's MSR bitmap
 * @vcpu: the vCPU, on its way into L2
 * @context: the context of the current vmcs12
 * @vmcs12: the current vmcs12, which uses an MSR bitmap
 * @l1: L1's page, mapped, or a copy of L1's page
 *
 * Context: the vCPU's thread.
 */
void msr_bitmap_refresh(struct kvm_vcpu *vcpu, struct nested_context *context,
			struct vmcs12 *vmcs12, const u64 *l1)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);
	const u64 *l01 = (const u64 *)vmx->vmcs01.msr_bitmap;
	struct msr_bitmap_memo *memo = &context->msr_bitmap;
	struct msr_bitmap_inputs in;

	if (memo->valid && memo->inputs.controls == controls_of(vmcs12) &&
	    msr_bitmap_words_unchanged(&memo->inputs, l1, l01)) {
		vmx->fast.counters.msr_bitmap_hits++;
	} else {
		take_snapshot(&in, vmcs12, l1, l01);
		count_miss(&vmx->fast.counters, memo, &in);
		memo->inputs = in;
		memo->valid = true;
		msr_bitmap_merge(&in, memo->merged);
	}
	write_page((u64 *)vmx->nested.vmcs02.msr_bitmap, memo->merged);
}

/**
 * msr_bitmap_update - bring vmcs02's MSR bitmap up to date
 * @vcpu: the vCPU, on its way into L2
 * @vmcs12: the current vmcs12, which uses an MSR bitmap
 * @l1_page: L1's page, mapped; with verify=1 a copy takes the place of L1's page
 * @l0_page: vmcs02's page; with verify=1 another takes its place, for stock to merge into
 *
 * Context: the vCPU's thread, may sleep.
 * Return: true if the bitmap is up to date; false if stock must merge, and then call
 * msr_bitmap_verify().
 */
bool msr_bitmap_update(struct kvm_vcpu *vcpu, struct vmcs12 *vmcs12,
		       unsigned long **l1_page, unsigned long **l0_page)
{
	struct nested_context *context = msr_bitmap_cache ? nested_context_get(vcpu) : NULL;
	bool verify;

	if (!context)
		return false;
	verify = unlikely(fast_verify()) && verify_begin(l1_page, l0_page);
	msr_bitmap_refresh(vcpu, context, vmcs12, (const u64 *)*l1_page);
	return !verify;
}
