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
 *   guest CPUID						kvm_mmu_after_set_cpuid()
 *								makes every context's role
 *								invalid
 * Whatever else changes a context changes its role (kvm_mmu_reset_context(), a CR0.WP
 * that the guest changed), and the role is compared with the one remembered.
 *
 * The context for L1's EPT: see mmu_ept.c.  From 7.3 on mmu_walks.c takes the place of
 * this file.
 *
 * Without EPT stock does everything.
 */
#include "kvm/vmx/vmx.h"
#include "kvm/mmu.h"
#include "vmx/params.h"
#include "nested/mmu_roles.h"

/* verify=1: stock has computed the roles, which must not have changed. */
static void verify(struct kvm_vcpu *vcpu, const struct kvm_mmu *mmu)
{
	struct fast_counters *counters = &to_vmx(vcpu)->fast.counters;
	union kvm_mmu_page_role root_role = mmu->root_role;
	union kvm_cpu_role cpu_role = mmu->cpu_role;

	kvm_init_mmu(vcpu);
	counters->mmu_roles_verify_checks++;
	if (mmu->cpu_role.as_u64 == cpu_role.as_u64 && mmu->root_role.word == root_role.word)
		return;
	FAST_MISMATCH(counters, mmu_roles, "MMU role %#llx, which stock computes as %#llx",
		      cpu_role.as_u64, mmu->cpu_role.as_u64);
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
	const unsigned long cached = BIT(FAST_REG(CR0)) | BIT(FAST_REG(CR4));
	struct vcpu_vmx *vmx = to_vmx(vcpu);
	struct kvm_mmu *mmu = &vcpu->arch.root_mmu;
	struct mmu_role_memo *memo = &vmx->fast.mmu.l1;

	MMU_ROLE_INPUTS_ARE_STOCKS();
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
		   fast_regs_available(vcpu, cached) && !fast_verify() &&
		   memo->inputs == mmu_role_inputs(vcpu->arch.cr0, vcpu->arch.cr4,
						   vcpu->arch.efer, vcpu->arch.hflags)))
		vmx->fast.counters.mmu_roles_hits++;
	else
		init_slowly(vcpu, mmu, memo);
}
