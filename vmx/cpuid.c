// SPDX-License-Identifier: GPL-2.0
/*
 * The vCPU's CPUID entries: looked up once, and brought up to date directly.
 *
 * A few CPUID bits follow the vCPU's state.  Whenever CR4.OSXSAVE or CR4.PKE changes,
 * stock searches for each of the entries and rewrites all of these bits.  If L1 and L2
 * differ in one of the two CR4 bits, stock does so twice per round trip.
 *
 * Skipped: the searches, and computing the two sizes of the XSAVE area.
 * The bits themselves are all written, from the state as it is now, so that the
 * entries are at once what stock would make of them.  Writing them cannot wait, since
 * their readers are in kvm.ko.
 *
 * | input of stock's update	| here					|
 * |----------------------------|---------------------------------------|
 * | the entries		| vmx_vcpu_after_set_cpuid() runs after |
 * |				| they were replaced: forgets the memo	|
 * | XCR0			| compared				|
 * | CR4, APIC base, IA32_MISC_ENABLE, disabled quirks, HLT exits | read	|
 * | leaf 12H.1 & supported XCR0 | follows from the entries alone; done by |
 * |				| stock before it installed them	|
 *
 * Whether the guest has a feature follows from the entries and, for the features
 * asked for here, from nothing else.  So a feature is remembered, and forgotten, with
 * the entries.
 */
#include <linux/jhash.h>

#include "kvm/vmx/vmx.h"
#include "vmx/cpuid.h"

/**
 * cpuid_memo_look_up - find the entries and features of a vCPU
 * @vcpu: the vCPU
 * @memo: the vCPU's memo, which is filled
 *
 * Context: the vCPU's thread, interrupts on.
 */
void cpuid_memo_look_up(struct kvm_vcpu *vcpu, struct cpuid_memo *memo)
{
	struct kvm_cpuid_entry2 *entry;

	*memo = (struct cpuid_memo) { .valid = true };
	memo->spec_ctrl = guest_cpuid_has(vcpu, X86_FEATURE_SPEC_CTRL);
	memo->tsc_aux = cpuid_find_tsc_aux(vcpu);

	memo->leaf_1 = kvm_find_cpuid_entry(vcpu, 1);
	if (boot_cpu_has(X86_FEATURE_PKU))
		memo->leaf_7 = kvm_find_cpuid_entry_index(vcpu, 7, 0);
	memo->leaf_d_0 = kvm_find_cpuid_entry_index(vcpu, 0xd, 0);
	entry = kvm_find_cpuid_entry_index(vcpu, 0xd, 1);
	if (entry && (cpuid_entry_has(entry, X86_FEATURE_XSAVES) ||
		      cpuid_entry_has(entry, X86_FEATURE_XSAVEC)))
		memo->leaf_d_1 = entry;
	if (fast_kvm_cpuid_base(vcpu))
		memo->kvm_features = kvm_find_cpuid_entry(vcpu, fast_kvm_cpuid_base(vcpu) |
							  KVM_CPUID_FEATURES);
}

/* Does what stock does, with the remembered entries and sizes. */
static void write_bits(struct kvm_vcpu *vcpu, struct cpuid_memo *memo)
{
	if (memo->leaf_1) {
		if (boot_cpu_has(X86_FEATURE_XSAVE))
			cpuid_entry_change(memo->leaf_1, X86_FEATURE_OSXSAVE,
					   kvm_read_cr4_bits(vcpu, X86_CR4_OSXSAVE));
		cpuid_entry_change(memo->leaf_1, X86_FEATURE_APIC,
				   vcpu->arch.apic_base & MSR_IA32_APICBASE_ENABLE);
		if (!kvm_check_has_quirk(vcpu->kvm, KVM_X86_QUIRK_MISC_ENABLE_NO_MWAIT))
			cpuid_entry_change(memo->leaf_1, X86_FEATURE_MWAIT,
					   vcpu->arch.ia32_misc_enable_msr &
					   MSR_IA32_MISC_ENABLE_MWAIT);
	}
	if (memo->leaf_7)
		cpuid_entry_change(memo->leaf_7, X86_FEATURE_OSPKE,
				   kvm_read_cr4_bits(vcpu, X86_CR4_PKE));
	if (memo->leaf_d_0)
		memo->leaf_d_0->ebx = memo->leaf_d_0_ebx;
	if (memo->leaf_d_1)
		memo->leaf_d_1->ebx = memo->leaf_d_1_ebx;
	if (memo->kvm_features && kvm_hlt_in_guest(vcpu->kvm))
		memo->kvm_features->eax &= ~(1 << KVM_FEATURE_PV_UNHALT);
}

static u32 digest(struct kvm_vcpu *vcpu)
{
	return jhash(vcpu->arch.cpuid_entries,
		     vcpu->arch.cpuid_nent * sizeof(*vcpu->arch.cpuid_entries), 0);
}

/* verify=1: stock's update, done after ours, must not change a byte. */
static noinline void verify_bits(struct kvm_vcpu *vcpu)
{
	struct fast_counters *counters = &to_vmx(vcpu)->fast.counters;
	u32 ours = digest(vcpu);

	kvm_update_cpuid_runtime(vcpu);
	counters->cpuid_verify_checks++;
	if (digest(vcpu) != ours)
		FAST_MISMATCH(counters, cpuid, "CPUID entries are not what stock makes of them");
}

/**
 * cpuid_update - bring CPUID up to date after CR4.OSXSAVE or CR4.PKE changed
 * @vcpu: the vCPU, its new CR4 in place
 *
 * Takes the place of kvm_update_cpuid_runtime() and leaves the entries as that
 * function does.
 *
 * Context: the vCPU's thread; interrupts on, as for stock's search.
 */
void cpuid_update(struct kvm_vcpu *vcpu)
{
	struct fast_counters *counters = &to_vmx(vcpu)->fast.counters;
	struct cpuid_memo *memo;

	if (!fast_switch_does(FAST_SWITCH_CPUID)) {
		kvm_update_cpuid_runtime(vcpu);
		return;
	}

	memo = cpuid_memo(vcpu);
	if (unlikely(!memo->sizes_valid || memo->xcr0 != vcpu->arch.xcr0)) {
		if (memo->sizes_valid)
			counters->cpuid_miss_xcr0++;
		else
			counters->cpuid_miss_entries++;
		kvm_update_cpuid_runtime(vcpu);
		memo->xcr0 = vcpu->arch.xcr0;
		if (memo->leaf_d_0)
			memo->leaf_d_0_ebx = memo->leaf_d_0->ebx;
		if (memo->leaf_d_1)
			memo->leaf_d_1_ebx = memo->leaf_d_1->ebx;
		memo->sizes_valid = true;
		return;
	}

	write_bits(vcpu, memo);
	counters->cpuid_updates_direct++;
	if (fast_verify())
		verify_bits(vcpu);
}

/**
 * cpuid_verify - verify=1: compare a remembered feature with stock's answer
 * @vcpu: the vCPU
 * @ours: the remembered answer: the vCPU has the feature
 * @stocks: what guest_cpuid_has() answers
 *
 * Context: the vCPU's thread.
 * Return: @stocks.
 */
noinline bool cpuid_verify(struct kvm_vcpu *vcpu, bool ours, bool stocks)
{
	struct fast_counters *counters = &to_vmx(vcpu)->fast.counters;

	counters->cpuid_verify_checks++;
	if (ours != stocks)
		FAST_MISMATCH(counters, cpuid, "a remembered CPUID feature is not the vCPU's");
	return stocks;
}

/**
 * cpuid_forget - forget the vCPU's CPUID entries, which were replaced
 * @vcpu: the vCPU; KVM has already freed its old entries
 *
 * Context: KVM_SET_CPUID and KVM_SET_CPUID2, under the vCPU's mutex.
 */
void cpuid_forget(struct kvm_vcpu *vcpu)
{
	to_vmx(vcpu)->fast.cpuid.valid = false;
}
