// SPDX-License-Identifier: GPL-2.0
/*
 * Consistency checks of vmcs12 on a nested VM entry, done when an input changed.
 *
 * Skipped: stock's checks of controls, host state and guest state, when the same
 * inputs passed before.  Only a pass is remembered, so that stock checks, and reports,
 * whatever fails each time.
 *
 * Never skipped: the check of what stock reads from guest memory, which is the header
 * of the VMCS that the link pointer names; and those of the launch state and of blocking
 * by MOV SS.
 *
 * Inputs and how each is known:
 *   fields of vmcs12 that change without a trapped VMWRITE	compared
 *   L1's EFER and CR4.LA57, the VM's quirks			compared
 *   all other fields of vmcs12					a trapped VMWRITE forgets
 *   which vmcs12, and what its memory says			VMPTRLD and
 *								KVM_SET_NESTED_STATE forget
 *   L1's VMX capability MSRs, also set in SMM			their setting forgets
 *   L1's CPUID, hence reserved bits and MAXPHYADDR		its setting forgets
 *   L1's PMU: reserved bits, LBR				its refresh forgets
 *   module parameters						constant
 *   which enlightened VMCS, and its fields			compared
 *
 * L1 writes a field that the shadow VMCS serves without an exit.  The build fails if
 * stock's list of such fields (vmcs_shadow_fields.h) has one that is checked and not
 * compared.  A copy from a shadow VMCS that serves other fields (shadow.c) calls
 * checks_written() for each field that changed.
 *
 * A DEBUGCTL with bits that KVM ignores makes stock log a line at each entry, so a pass
 * with such a DEBUGCTL is not remembered.
 */
#include "kvm/vmx/vmx.h"
#include "kvm/vmx/nested.h"
#include "vmx/params.h"
#include "nested/checks.h"

/* At compile time: true if the field of vmcs12 at this offset is compared. */
static __always_inline bool compared(size_t offset)
{
	switch (offset) {
#define FIELD(name) case offsetof(struct vmcs12, name):
	CHECKS_VMCS12_FIELDS(FIELD)
#undef FIELD
		return true;
	default:
		return false;
	}
}

/* Control fields of the shadow VMCS that KVM does not check. */
static __always_inline bool unchecked(unsigned long field)
{
	return field == EXCEPTION_BITMAP ||
	       (field == TPR_THRESHOLD && !FAST_CHECKS_TPR_THRESHOLD) ||
	       field == CR0_GUEST_HOST_MASK || field == CR0_READ_SHADOW ||
	       field == CR4_READ_SHADOW;
}

static void gather(struct kvm_vcpu *vcpu, const struct vmcs12 *vmcs12, struct checks_inputs *in)
{
	*in = (struct checks_inputs) {
#define FIELD(name) .name = vmcs12->name,
		CHECKS_VMCS12_FIELDS(FIELD)
#undef FIELD
		.l1_efer = vcpu->arch.efer,
		.l1_cr4_la57 = vcpu->arch.cr4 & X86_CR4_LA57,
		.disabled_quirks = vcpu->kvm->arch.disabled_quirks,
	};
	/* The VMWRITE of a field that stock shadows does not forget, so the field is compared. */
#define SHADOW_FIELD_RO(field, name)
#define SHADOW_FIELD_RW(field, name)						\
	BUILD_BUG_ON(checks_depend_on(field) && !unchecked(field) &&		\
		     !compared(offsetof(struct vmcs12, name)));
#include "kvm/vmx/vmcs_shadow_fields.h"
}

/*
 * Stock copies what L1 stored into an enlightened VMCS to vmcs12, or all that L1 did not
 * declare clean, which is why vmcs12 is compared.  When another enlightened VMCS becomes
 * current, stock may clear what such a VMCS does not have.
 */
static void gather_evmcs(struct kvm_vcpu *vcpu, const struct vmcs12 *vmcs12,
			 struct checks_evmcs_inputs *in)
{
	*in = (struct checks_evmcs_inputs) {
		.address = fast_evmcs12_address(to_vmx(vcpu)),
#define FIELD(name) .name = vmcs12->name,
		CHECKS_EVMCS_FIELDS(FIELD)
#undef FIELD
	};
}

static bool evmcs_unchanged(struct kvm_vcpu *vcpu, const struct vmcs12 *vmcs12)
{
	const struct checks_evmcs_inputs *in = &to_vmx(vcpu)->fast.checks.evmcs;
	u64 different;

#define FIELD(name) (in->name ^ vmcs12->name) |
	different = CHECKS_EVMCS_FIELDS(FIELD) 0;
#undef FIELD
	return !different && in->address == fast_evmcs12_address(to_vmx(vcpu));
}

/* Handles whatever is not a plain hit. */
static noinline bool passed_slowly(struct kvm_vcpu *vcpu, const struct vmcs12 *vmcs12, bool same)
{
	struct fast_counters *counters = &to_vmx(vcpu)->fast.counters;
	struct checks_memo *memo = &to_vmx(vcpu)->fast.checks;

	memo->hit = false;
	same = same && (!fast_guest_has_evmcs(vcpu) || evmcs_unchanged(vcpu, vmcs12));
	if (!memo->valid) {
		counters->checks_miss_forgotten++;
	} else if (!same) {
		memo->valid = false;
		counters->checks_miss_changed++;
	} else if (fast_verify()) {
		memo->verifying = true;
	} else {
		memo->hit = true;
		counters->checks_hits++;
	}
	return memo->hit;
}

/**
 * checks_passed - decide whether the checks of controls and host state may be left out
 * @vcpu: the vCPU, in L1, which executes VMLAUNCH or VMRESUME
 * @vmcs12: the current vmcs12, up to date
 *
 * Context: the vCPU's thread.
 * Return: true if they would pass.
 */
bool checks_passed(struct kvm_vcpu *vcpu, struct vmcs12 *vmcs12)
{
	struct checks_memo *memo = &to_vmx(vcpu)->fast.checks;
	const struct checks_inputs *in = &memo->inputs;
	u64 different;
	bool same;

	if (!fast_switch_does(FAST_SWITCH_CHECKS))
		return false;
#define FIELD(name) (in->name ^ vmcs12->name) |
	different = CHECKS_VMCS12_FIELDS(FIELD) 0;
#undef FIELD
	/* CR4.LA57 never belongs to the guest, so arch.cr4 is up to date in that bit. */
	BUILD_BUG_ON(KVM_POSSIBLE_CR4_GUEST_BITS & X86_CR4_LA57);
	different |= in->l1_efer ^ vcpu->arch.efer;
	different |= in->l1_cr4_la57 ^ (vcpu->arch.cr4 & X86_CR4_LA57);
	different |= in->disabled_quirks ^ vcpu->kvm->arch.disabled_quirks;
	same = !different;

	if (unlikely(!same || !memo->valid || fast_verify() || fast_guest_has_evmcs(vcpu)))
		return passed_slowly(vcpu, vmcs12, same);
	memo->hit = true;
	to_vmx(vcpu)->fast.counters.checks_hits++;
	return true;
}

/**
 * checks_done - remember that stock has done all checks, and that they passed
 * @vcpu: the vCPU, in the VM entry for which checks_passed() was asked
 * @vmcs12: the current vmcs12, which has not changed since
 *
 * Context: the vCPU's thread.
 */
void checks_done(struct kvm_vcpu *vcpu, struct vmcs12 *vmcs12)
{
	struct checks_memo *memo = &to_vmx(vcpu)->fast.checks;

	if (!fast_switch_does(FAST_SWITCH_CHECKS))
		return;
	if (unlikely(fast_verify()) && memo->verifying) {
		memo->verifying = false;
		to_vmx(vcpu)->fast.counters.checks_verify_checks++;
	}
	if (memo->valid ||
	    (vmcs12->guest_ia32_debugctl & (DEBUGCTLMSR_BTF | DEBUGCTLMSR_LBR)))
		return;
	gather(vcpu, vmcs12, &memo->inputs);
	gather_evmcs(vcpu, vmcs12, &memo->evmcs);
	memo->valid = true;
}

/**
 * checks_given_up - note that the VM entry ends without all checks, for another reason
 * @vcpu: the vCPU, in the VM entry for which checks_passed() was asked
 *
 * Context: the vCPU's thread.
 */
void checks_given_up(struct kvm_vcpu *vcpu)
{
	to_vmx(vcpu)->fast.checks.verifying = false;
}

/**
 * checks_failed - note that stock's checks of controls, host state or guest state failed
 * @vcpu: the vCPU, in the VM entry for which checks_passed() was asked.  Nothing happens if
 *	it is in none, because an instruction fails for another reason.
 *
 * Context: the vCPU's thread.
 */
void checks_failed(struct kvm_vcpu *vcpu)
{
	struct checks_memo *memo = &to_vmx(vcpu)->fast.checks;

	if (likely(!memo->verifying))
		return;
	/* verify=1: without it these checks would have been left out. */
	memo->verifying = false;
	memo->valid = false;
	FAST_MISMATCH(&to_vmx(vcpu)->fast.counters, checks,
		      "vmcs12 fails checks that were to be left out");
}

/**
 * checks_failed_at_entry - note that the VM entry fails after the checks of controls and host state
 * @vcpu: the vCPU, in the VM entry for which checks_passed() was asked
 * @vmcs12: the current vmcs12, with the reason
 *
 * After checks_done() nothing happens.
 *
 * Context: the vCPU's thread.
 */
void checks_failed_at_entry(struct kvm_vcpu *vcpu, const struct vmcs12 *vmcs12)
{
	/* This check reads guest memory, so it is never left out. */
	if (vmcs12->exit_qualification == ENTRY_FAIL_VMCS_LINK_PTR)
		checks_given_up(vcpu);
	else
		checks_failed(vcpu);
}

/**
 * checks_written - note that L1 wrote a field of vmcs12
 * @vcpu: the vCPU
 * @field: the field's encoding
 *
 * Context: the vCPU's thread.
 */
void checks_written(struct kvm_vcpu *vcpu, unsigned long field)
{
	if (checks_depend_on(field))
		checks_forget(vcpu);
}

/**
 * checks_forget - forget the pass, because an input of the checks may have changed
 * @vcpu: the vCPU
 *
 * Context: the vCPU's thread.
 */
void checks_forget(struct kvm_vcpu *vcpu)
{
	to_vmx(vcpu)->fast.checks.valid = false;
}
