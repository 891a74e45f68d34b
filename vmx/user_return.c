// SPDX-License-Identifier: GPL-2.0
/*
 * User-return MSRs: which of them the guest needs, after its EFER was written.
 *
 * These MSRs (STAR, LSTAR, SYSCALL_MASK, EFER, TSC_AUX, TSX_CTRL) keep the guest's
 * value while the host kernel runs, until the return to user space.  Stock works
 * out at every write of EFER which ones the guest needs, searching for the slot of
 * each, and loads all of these before the next VM entry.  Both switches between
 * L1 and L2 write EFER.
 *
 * Skipped: the searches, since slots are fixed once the module is loaded; and
 * loading them, while every MSR that is needed has the guest's value already.
 *
 * | input		| who changes it	| how we know			|
 * |--------------------|-----------------------|-------------------------------|
 * | EFER.LMA, EFER.SCE	| the guest, a switch	| read at each write of EFER	|
 * | RDTSCP, RDPID	| KVM_SET_CPUID2	| cpuid_has_tsc_aux()		|
 * | RTM		| nobody		| read once			|
 * | the guest's value	| its WRMSR, user space	| stock loads it at once if the	|
 * |			|			| MSR is needed, else user_return_set() |
 * | EFER as such an MSR (no "load IA32_EFER") | a write of EFER | always loaded again |
 * | what the MSR has	| preemption, return to	| stock clears guest_uret_msrs_loaded, |
 * |			| user space		| and nothing is skipped	|
 */
#include "cpuid.h"
#include "vmx/cpuid_runtime.h"
#include "vmx/user_return.h"

/* Slots, a bit each; 0 if this CPU has none of them. */
static u8 __ro_after_init syscall_slots;
static u8 __ro_after_init efer_slot;
static u8 __ro_after_init tsc_aux_slot;
static u8 __ro_after_init tsx_ctrl_slot;
static u32 __ro_after_init msr_in_slot[MAX_NR_USER_RETURN_MSRS];

static u8 __init slot_of(u32 msr)
{
	int slot = kvm_find_user_return_msr(msr);

	if (slot < 0)
		return 0;
	msr_in_slot[slot] = msr;
	return BIT(slot);
}

/**
 * user_return_init - find the slots
 *
 * Context: module load, after stock has registered the MSRs.
 */
void __init user_return_init(void)
{
	BUILD_BUG_ON(MAX_NR_USER_RETURN_MSRS > 8);
	syscall_slots = slot_of(MSR_STAR) | slot_of(MSR_LSTAR) | slot_of(MSR_SYSCALL_MASK);
	efer_slot = slot_of(MSR_EFER);
	tsc_aux_slot = slot_of(MSR_TSC_AUX);
	if (boot_cpu_has(X86_FEATURE_RTM))
		tsx_ctrl_slot = slot_of(MSR_IA32_TSX_CTRL);
}

/**
 * user_return_has_efer - does this CPU have EFER?
 *
 * Return: whether vmx_find_uret_msr() would find it.
 */
bool user_return_has_efer(void)
{
	return efer_slot;
}

static void set_wanted(struct vcpu_vmx *vmx, u8 wanted)
{
	unsigned int changed = wanted ^ vmx->fast.user_return.wanted;
	int slot;

	for (; changed; changed &= changed - 1) {
		slot = __ffs(changed);
		vmx->guest_uret_msrs[slot].load_into_hardware = wanted & BIT(slot);
	}
	vmx->fast.user_return.wanted = wanted;
}

/* verify=1: read the MSRs that stock would load now; it may do so, too. */
static noinline void verify(struct vcpu_vmx *vmx)
{
	struct fast_counters *counters = &vmx->fast.counters;
	struct vmx_uret_msr *msr;
	u64 value;
	int i;

	preempt_disable();
	for (i = 0; vmx->guest_uret_msrs_loaded && i < kvm_nr_uret_msrs; i++) {
		msr = &vmx->guest_uret_msrs[i];
		if (!msr->load_into_hardware || rdmsrl_safe(msr_in_slot[i], &value))
			continue;
		counters->user_return_verify_checks++;
		if ((value ^ msr->data) & msr->mask) {
			counters->user_return_verify_mismatches++;
			WARN_ONCE(1, "kvm-intel-fast: a user-return MSR has not the guest's value\n");
		}
	}
	preempt_enable();
	vmx->guest_uret_msrs_loaded = false;
}

/**
 * user_return_setup - the guest's EFER was written
 * @vmx: the vCPU, its new EFER in place
 * @load_efer: EFER is one of the MSRs; its value may have changed
 *
 * Context: the vCPU's thread; interrupts on.
 */
void user_return_setup(struct vcpu_vmx *vmx, bool load_efer)
{
	struct user_return_memo *memo = &vmx->fast.user_return;
	u8 wanted = tsx_ctrl_slot;

	if ((vmx->vcpu.arch.efer & (EFER_LMA | EFER_SCE)) == (EFER_LMA | EFER_SCE))
		wanted |= syscall_slots;
	if (cpuid_has_tsc_aux(&vmx->vcpu))
		wanted |= tsc_aux_slot;
	if (load_efer) {
		wanted |= efer_slot;
		memo->in_hardware &= ~efer_slot;
	}
	if (memo->wanted != wanted)
		set_wanted(vmx, wanted);

	if (wanted & ~memo->in_hardware) {
		vmx->guest_uret_msrs_loaded = false;
		vmx->fast.counters.user_return_reload++;
	} else {
		vmx->fast.counters.user_return_kept++;
		if (fast_verify)
			verify(vmx);
	}
}
