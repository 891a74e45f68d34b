// SPDX-License-Identifier: GPL-2.0
/*
 * The vCPU's table of nested contexts: see context.h.
 *
 * Invariant: a context's pages and bitmap words belong to its vmptr.  VMCLEAR of that vmcs12
 * empties the context; VMXOFF, and everything else that ends nested operation, empties all.
 */
#include <linux/slab.h>

#include "kvm/vmx/vmx.h"
#include "vmx/params.h"
#include "nested/context.h"
#include "nested/page_hold.h"

static void forget(struct kvm_vcpu *vcpu, struct nested_context *context)
{
	int p;

	for (p = 0; FAST_HAS(pages) && p < NR_HELD_PAGES; p++)
		page_hold_drop(vcpu, &context->page[p]);
	context->vmptr = INVALID_GPA;
	context->last_used = 0;
	context->generation = 0;
	context->msr_bitmap.valid = false;
	if (to_vmx(vcpu)->fast.context == context)
		WRITE_ONCE(to_vmx(vcpu)->fast.context, NULL);
	if (to_vmx(vcpu)->fast.holds.settled == context)
		to_vmx(vcpu)->fast.holds.settled = NULL;
}

/* An empty one; NULL if there are NESTED_CONTEXTS, or no memory. */
static struct nested_context *add(struct nested_contexts *contexts)
{
	struct nested_context *context;

	if (contexts->count == NESTED_CONTEXTS)
		return NULL;
	context = kzalloc(sizeof(*context), GFP_KERNEL_ACCOUNT);
	if (!context)
		return NULL;
	context->vmptr = INVALID_GPA;
	contexts->context[contexts->count++] = context;
	return context;
}

/* An empty one, which may have been that of the vmcs12 used longest ago; NULL without memory. */
static struct nested_context *begin(struct kvm_vcpu *vcpu, struct nested_contexts *contexts)
{
	struct nested_context *context = NULL;
	int c;

	for (c = 0; c < contexts->count; c++)
		if (!context || contexts->context[c]->last_used < context->last_used)
			context = contexts->context[c];
	if (!context || context->vmptr != INVALID_GPA)
		context = add(contexts) ?: context;
	if (context && context->vmptr != INVALID_GPA) {
		to_vmx(vcpu)->fast.counters.nested_context_evictions++;
		forget(vcpu, context);
	}
	return context;
}

/* Returns NULL if there is no memory. */
static struct nested_contexts *get_contexts(struct vcpu_vmx *vmx)
{
	if (!vmx->fast.contexts)
		vmx->fast.contexts = kzalloc(sizeof(*vmx->fast.contexts), GFP_KERNEL_ACCOUNT);
	return vmx->fast.contexts;
}

static noinline struct nested_context *switch_context(struct kvm_vcpu *vcpu, gpa_t vmptr)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);
	struct nested_contexts *contexts;
	struct nested_context *context;
	int c;

	contexts = vmptr == INVALID_GPA ? NULL : get_contexts(vmx);
	if (!contexts)
		return NULL;

	for (c = 0; c < contexts->count; c++) {
		context = contexts->context[c];
		if (context->vmptr == vmptr)
			goto found;
	}
	context = begin(vcpu, contexts);
	if (!context)
		return NULL;
	context->vmptr = vmptr;
found:
	context->last_used = ++contexts->clock;
	if (vmx->fast.context)
		WRITE_ONCE(vmx->fast.context->entries, fast_nested_entries(vcpu));
	WRITE_ONCE(vmx->fast.context, context);
	return context;
}

/**
 * nested_context_get - find the context of the current vmcs12, or begin one
 * @vcpu: the vCPU, on its way into L2
 *
 * Context: the vCPU's thread, may sleep.
 * Return: the context; NULL without memory.
 */
struct nested_context *nested_context_get(struct kvm_vcpu *vcpu)
{
	struct nested_context *context = to_vmx(vcpu)->fast.context;
	gpa_t vmptr = nested_vmcs12_address(to_vmx(vcpu));

	if (likely(context && context->vmptr == vmptr))
		return context;
	return switch_context(vcpu, vmptr);
}

/**
 * nested_context_forget - give up the context of a vmcs12 for which L1 executed VMCLEAR
 * @vcpu: the vCPU, not in L2
 * @vmptr: the vmcs12 that was cleared
 *
 * Context: the vCPU's thread, may sleep.
 */
void nested_context_forget(struct kvm_vcpu *vcpu, gpa_t vmptr)
{
	struct nested_contexts *contexts = to_vmx(vcpu)->fast.contexts;
	int c;

	for (c = 0; contexts && c < contexts->count; c++)
		if (contexts->context[c]->vmptr == vmptr)
			forget(vcpu, contexts->context[c]);
}

/**
 * nested_contexts_drop_stale - give up the holds that the MMU notifier left to the vCPU
 * @vcpu: the vCPU, not in L2
 *
 * Context: the vCPU's thread, or the thread that destroys the VM; may sleep.
 */
noinline void nested_contexts_drop_stale(struct kvm_vcpu *vcpu)
{
	struct nested_contexts *contexts = to_vmx(vcpu)->fast.contexts;
	struct page_holds *holds = &to_vmx(vcpu)->fast.holds;
	int c, p;

	holds->settled = NULL;
	WRITE_ONCE(holds->any_stale, false);
	/* Whatever the notifier marks from here on sets the flag again. */
	smp_mb();
	for (c = 0; FAST_HAS(pages) && contexts && c < contexts->count; c++)
		for (p = 0; p < NR_HELD_PAGES; p++)
			if (READ_ONCE(contexts->context[c]->page[p].stale))
				page_hold_drop(vcpu, &contexts->context[c]->page[p]);
}

/**
 * nested_contexts_forget - give up all contexts when the vCPU leaves VMX operation
 * @vcpu: the vCPU, not in L2
 *
 * Stock frees vmcs02's MSR bitmap page at the same time, and allocates another at the next
 * VMXON.  What the contexts know of that page goes with them.
 *
 * Context: the vCPU's thread, or the thread that destroys the VM; may sleep.
 */
void nested_contexts_forget(struct kvm_vcpu *vcpu)
{
	struct nested_contexts *contexts = to_vmx(vcpu)->fast.contexts;
	int c;

	for (c = 0; contexts && c < contexts->count; c++)
		if (contexts->context[c]->vmptr != INVALID_GPA)
			forget(vcpu, contexts->context[c]);
	to_vmx(vcpu)->fast.holds.ready = NULL;
	to_vmx(vcpu)->fast.holds.not_logged_generation = 0;
}

/**
 * nested_contexts_free - free the memory of all contexts
 * @vcpu: the vCPU, which left VMX operation for good
 *
 * Context: the thread that destroys the vCPU.
 */
void nested_contexts_free(struct kvm_vcpu *vcpu)
{
	struct nested_contexts *contexts = to_vmx(vcpu)->fast.contexts;
	int c;

	for (c = 0; contexts && c < contexts->count; c++)
		kfree(contexts->context[c]);
	kfree(contexts);
}
