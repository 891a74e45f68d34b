// SPDX-License-Identifier: GPL-2.0
/*
 * The MMU context for L1's EPT on a switch to L2: set up when an input changed.
 *
 * Skipped: computing the context's role.  Stock computes it on each switch and does
 * no more if the context has that role already, which is nearly always so.
 *
 * Inputs of the role and how each is known:
 *   EPTP, execute-only, accessed and dirty flags, MBEC		compared
 *   guest CPUID						kvm_mmu_after_set_cpuid()
 *								makes the role invalid
 *   the context's present role					compared
 *
 * The root of the page tables is found by kvm_mmu_new_pgd(), or as mmu_root.h says.
 */
#include "kvm/vmx/vmx.h"
#include "kvm/mmu.h"
#include "vmx/params.h"
#include "nested/mmu_roles.h"
#include "nested/mmu_root.h"

/**
 * mmu_roles_init_ept - do what kvm_init_shadow_ept_mmu() does, but for what would not change
 * @vcpu: the vCPU
 * @execonly: L1 has execute-only EPT translations
 * @lpage_level: largest page in L1's EPT
 * @ad: L1's EPT uses accessed and dirty flags
 * @mbec: L1 uses mode-based execute control; false on lines that have none
 * @eptp: L1's EPT pointer
 *
 * Context: the vCPU's thread, arch.mmu is the EPT context.
 */
void mmu_roles_init_ept(struct kvm_vcpu *vcpu, bool execonly, int lpage_level,
			bool ad, bool mbec, gpa_t eptp)
{
	struct fast_counters *counters = &to_vmx(vcpu)->fast.counters;
	struct mmu_ept_memo *memo = &to_vmx(vcpu)->fast.mmu.ept;
	const union kvm_mmu_page_role *root_role = &vcpu->arch.guest_mmu.root_role;
	u32 root_role_was = root_role->word;
	u64 cpu_role_was = fast_ept_role(vcpu);
	bool same = cpu_role_was == memo->cpu_role && eptp == memo->eptp &&
		    execonly == memo->execonly && ad == memo->ad && mbec == memo->mbec;

	if (likely(same && !fast_verify())) {
		mmu_root_new_pgd_l2(vcpu, eptp);
		return;
	}
	fast_init_shadow_ept_mmu(vcpu, execonly, lpage_level, ad, mbec, eptp);
	if (!fast_switch_does(FAST_SWITCH_MMU_ROLES))
		return;
	if (same) {
		counters->mmu_roles_verify_checks++;
		if (fast_ept_role(vcpu) != cpu_role_was || root_role->word != root_role_was)
			FAST_MISMATCH(counters, mmu_roles,
				      "MMU role %#llx, which stock computes as %#llx",
				      cpu_role_was, fast_ept_role(vcpu));
	}
	memo->eptp = eptp;
	memo->execonly = execonly;
	memo->ad = ad;
	memo->mbec = mbec;
	memo->cpu_role = fast_ept_role(vcpu);
}
