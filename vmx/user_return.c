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
 * Skipped: the searches, since slots are fixed once the module is loaded; and loading
 * the MSRs, while every MSR that the guest needs already holds the guest's value.
 *
 * | input | who changes it | how we know | mutants |
 * |---|---|---|---|
 * | EFER.LMA, EFER.SCE | the guest, a switch | read at each write of EFER |
 *   `user-return-efer-ignored` |
 * | RDTSCP, RDPID | KVM_SET_CPUID2 | cpuid_has_tsc_aux() |
 *   `cpuid-entries-freed-but-used` |
 * | RTM | nobody | read once | `user-return-tsx-ctrl-forgotten` |
 * | the guest's value | its WRMSR, user space | stock loads it at once if the MSR is needed,
 *   otherwise user_return_set() | `user-return-change-missed` |
 * | EFER as such an MSR (no "load IA32_EFER") | a write of EFER | always loaded again |
 *   `user-return-efer-kept` |
 * | what the MSR holds | preemption, return to user space | stock clears
 *   guest_uret_msrs_loaded, and nothing is skipped | none: stock acts |
 */
#include "kvm/vmx/vmx.h"
#include "vmx/user_return.h"

struct user_return_slots __ro_after_init user_return_slots;
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
 * user_return_init - find the slots of the MSRs
 *
 * Context: module load, after stock has registered the MSRs.
 */
void __init user_return_init(void)
{
	u8 tsx_ctrl;

	BUILD_BUG_ON(MAX_NR_USER_RETURN_MSRS > 8);
	user_return_slots.syscall = slot_of(MSR_STAR) | slot_of(MSR_LSTAR) |
				    slot_of(MSR_SYSCALL_MASK);
	user_return_slots.efer = slot_of(MSR_EFER);
	user_return_slots.tsc_aux = slot_of(MSR_TSC_AUX);
	tsx_ctrl = slot_of(MSR_IA32_TSX_CTRL);
	if (boot_cpu_has(X86_FEATURE_RTM))
		user_return_slots.always = tsx_ctrl;
}

static void mismatch(struct vcpu_vmx *vmx, const char *what, int slot)
{
	FAST_MISMATCH(&vmx->fast.counters, user_return, "user-return MSR %#x %s",
		      msr_in_slot[slot], what);
}

/**
 * user_return_verify - verify=1: compare our decision with stock's
 * @vmx: the vCPU, after user_return_setup() returned false
 *
 * Stock has decided which MSRs the guest needs, too.  This compares its decision with ours,
 * and checks the values of the MSRs that were not to be loaded again.  Stock loads all of
 * them after this.
 *
 * Context: the vCPU's thread.
 */
void user_return_verify(struct vcpu_vmx *vmx)
{
	struct vmx_uret_msr *msr;
	u64 value;
	int i;

	if (!fast_switch_does(FAST_SWITCH_USER_RETURN))
		return;
	preempt_disable();
	for (i = 0; i < kvm_nr_uret_msrs; i++) {
		msr = &vmx->guest_uret_msrs[i];
		vmx->fast.counters.user_return_verify_checks++;
		if (msr->load_into_hardware != user_return_wanted(vmx, i)) {
			mismatch(vmx, "is needed or not, other than stock says", i);
			vmx->fast.user_return.wanted ^= BIT(i);
		} else if (vmx->guest_uret_msrs_loaded && msr->load_into_hardware &&
			   !fast_rdmsr_safe(msr_in_slot[i], &value) &&
			   ((value ^ msr->data) & msr->mask)) {
			mismatch(vmx, "does not have the guest's value", i);
		}
	}
	preempt_enable();
}
