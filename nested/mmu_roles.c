// SPDX-License-Identifier: GPL-2.0
/*
 * The MMU on a switch between L1 and L2: roles computed when an input changed.
 *
 * KVM describes how a guest pages by a "role" and keeps, for each role, permission
 * masks and reserved-bit masks.  Stock computes the role on each switch and returns
 * early if the MMU context has that role already, which is nearly always so.
 *
 * Skipped: computing the role, when its inputs are those from which the context's
 * present role was made.
 *
 * Inputs of a role and how each is known:
 *   CR0.PG, WP; CR4's six bits; EFER.LMA, NX; SMM; guest mode	compared
 *   (EPT context) EPTP, execute-only, accessed and dirty flags	compared
 *   guest CPUID						kvm_mmu_after_set_cpuid()
 *								makes every context's role
 *								invalid
 * Whatever else changes a context changes its role (kvm_mmu_reset_context(), a CR0.WP
 * that the guest changed), and the role is compared with the one remembered.
 *
 * kvm_mmu_new_pgd(), which finds the root of the page tables, is always called: it
 * requests the load of the root, honours kvm.ko's parameter flush_on_reuse, and forgets
 * the last MMIO access and the count of writes to page tables.
 *
 * Without EPT stock does everything.
 */
#include "kvm/vmx/vmx.h"
#include "kvm/mmu.h"
#include "vmx/params.h"
#include "nested/mmu_roles.h"

/* verify=1: stock has computed the roles, which must not have changed. */
static void compare(struct kvm_vcpu *vcpu, const struct kvm_mmu *mmu,
		    union kvm_cpu_role cpu_role, union kvm_mmu_page_role root_role)
{
	struct fast_counters *counters = &to_vmx(vcpu)->fast.counters;

	counters->mmu_roles_verify_checks++;
	if (mmu->cpu_role.as_u64 == cpu_role.as_u64 && mmu->root_role.word == root_role.word)
		return;
	FAST_MISMATCH(counters, mmu_roles, "MMU role %#llx, which stock computes as %#llx",
		      cpu_role.as_u64, mmu->cpu_role.as_u64);
}

static void verify(struct kvm_vcpu *vcpu, const struct kvm_mmu *mmu)
{
	union kvm_mmu_page_role root_role = mmu->root_role;
	union kvm_cpu_role cpu_role = mmu->cpu_role;

	kvm_init_mmu(vcpu);
	compare(vcpu, mmu, cpu_role, root_role);
}

static noinline void init_slowly(struct kvm_vcpu *vcpu, struct kvm_mmu *mmu,
				 struct mmu_role_memo *memo)
{
	u64 now = mmu_role_inputs(kvm_read_cr0_bits(vcpu, KVM_MMU_CR0_ROLE_BITS),
				  kvm_read_cr4_bits(vcpu, KVM_MMU_CR4_ROLE_BITS),
				  vcpu->arch.efer, vcpu->arch.hflags);

	if (!enable_ept) {
		kvm_init_mmu(vcpu);
		return;
	}
	if (fast_verify() && now == memo->inputs && mmu->cpu_role.as_u64 == memo->cpu_role &&
	    mmu->root_role.word == memo->root_role) {
		verify(vcpu, mmu);
	} else {
		to_vmx(vcpu)->fast.counters.mmu_roles_misses++;
		kvm_init_mmu(vcpu);
	}
	memo->inputs = now;
	memo->cpu_role = mmu->cpu_role.as_u64;
	memo->root_role = mmu->root_role.word;
}

/**
 * mmu_roles_init - do what kvm_init_mmu() does, unless it would change nothing
 * @vcpu: the vCPU, with the paging registers of the level that it switches to
 *
 * Context: the vCPU's thread.
 */
void mmu_roles_init(struct kvm_vcpu *vcpu)
{
	const u32 cached = BIT(VCPU_EXREG_CR0) | BIT(VCPU_EXREG_CR4);
	struct vcpu_vmx *vmx = to_vmx(vcpu);
	struct kvm_mmu *mmu = &vcpu->arch.root_mmu;
	struct mmu_role_memo *memo = &vmx->fast.mmu.l1;

	BUILD_BUG_ON(MMU_ROLE_CR0 != KVM_MMU_CR0_ROLE_BITS);
	BUILD_BUG_ON(MMU_ROLE_CR4 != KVM_MMU_CR4_ROLE_BITS);
	BUILD_BUG_ON(MMU_ROLE_EFER != (EFER_LMA | EFER_NX));
	BUILD_BUG_ON(MMU_ROLE_HFLAGS != (HF_GUEST_MASK | HF_SMM_MASK));
	BUILD_BUG_ON((MMU_ROLE_CR0 & MMU_ROLE_CR4) | (MMU_ROLE_CR0 & MMU_ROLE_EFER) |
		     (MMU_ROLE_CR4 & MMU_ROLE_EFER) |
		     ((MMU_ROLE_CR0 | MMU_ROLE_CR4 | MMU_ROLE_EFER) >> 32));

	if (!fast_switch_does(FAST_SWITCH_MMU_ROLES)) {
		kvm_init_mmu(vcpu);
		return;
	}
	if (mmu_is_nested(vcpu)) {
		mmu = &vcpu->arch.nested_mmu;
		memo = &vmx->fast.mmu.l2;
	}
	/*
	 * A role in use has its valid bit set, so it never equals an empty memo.  Without EPT
	 * the memo stays empty and the test always fails.
	 */
	if (likely(mmu->cpu_role.as_u64 == memo->cpu_role &&
		   mmu->root_role.word == memo->root_role &&
		   (vcpu->arch.regs_avail & cached) == cached && !fast_verify() &&
		   memo->inputs == mmu_role_inputs(vcpu->arch.cr0, vcpu->arch.cr4,
						   vcpu->arch.efer, vcpu->arch.hflags)))
		vmx->fast.counters.mmu_roles_hits++;
	else
		init_slowly(vcpu, mmu, memo);
}

/**
 * mmu_roles_init_ept - do what kvm_init_shadow_ept_mmu() does, but for what would not change
 * @vcpu: the vCPU
 * @execonly: L1 has execute-only EPT translations
 * @lpage_level: largest page in L1's EPT
 * @ad: L1's EPT uses accessed and dirty flags
 * @eptp: L1's EPT pointer
 *
 * Context: the vCPU's thread, arch.mmu is the EPT context.
 */
void mmu_roles_init_ept(struct kvm_vcpu *vcpu, bool execonly, int lpage_level,
			bool ad, gpa_t eptp)
{
	struct mmu_ept_memo *memo = &to_vmx(vcpu)->fast.mmu.ept;
	struct kvm_mmu *mmu = &vcpu->arch.guest_mmu;
	union kvm_mmu_page_role root_role = mmu->root_role;
	union kvm_cpu_role cpu_role = mmu->cpu_role;
	bool same = cpu_role.as_u64 == memo->cpu_role && eptp == memo->eptp &&
		    execonly == memo->execonly && ad == memo->ad;

	if (likely(same && !fast_verify())) {
		kvm_mmu_new_pgd(vcpu, eptp);
		return;
	}
	kvm_init_shadow_ept_mmu(vcpu, execonly, lpage_level, ad, eptp);
	if (!fast_switch_does(FAST_SWITCH_MMU_ROLES))
		return;
	if (same)
		compare(vcpu, mmu, cpu_role, root_role);
	memo->eptp = eptp;
	memo->execonly = execonly;
	memo->ad = ad;
	memo->cpu_role = mmu->cpu_role.as_u64;
}
