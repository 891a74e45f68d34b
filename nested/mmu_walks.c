// SPDX-License-Identifier: GPL-2.0
/*
 * The MMU on a switch between L1 and L2, from 7.3 on: what describes the guest's paging is
 * kept for both levels.
 *
 * KVM describes how a guest pages by a "role", and by the permission masks and reserved-bit
 * masks that follow from it.  Since 7.3 a vCPU has one such description, gva_walk, for
 * whichever level runs.  The roles of L1 and L2 differ at least in the bit for guest mode, so
 * stock computes all masks anew on each switch.
 *
 * Skipped: computing role and masks, when their inputs are those of the last switch to this
 * level.  A copy takes their place.
 *
 * Inputs and how each is known:
 *   CR0.PG, WP; CR4's six bits; EFER.LMA, NX; SMM; guest mode	compared
 *   guest CPUID						its setting forgets
 *   (L1 alone) the role of the root for L1's memory		compared: stock leaves
 *								that context alone while
 *								it has the role
 * The copy is made after stock computed, so what happens to gva_walk later (a CR0.WP that
 * the guest changed) does not reach it.
 *
 * The context for L1's EPT: see mmu_ept.c.  Without EPT stock does everything.
 */
#include "kvm/vmx/vmx.h"
#include "kvm/mmu.h"
#include "vmx/params.h"
#include "nested/mmu_roles.h"

/* True if the memo has what stock would compute. */
static __always_inline bool serves(struct kvm_vcpu *vcpu, const struct mmu_walk_memo *memo,
				   u64 inputs)
{
	return memo->valid && memo->inputs == inputs &&
	       (mmu_is_nested(vcpu) || vcpu->arch.root_mmu.root_role.word == memo->root_role);
}

static noinline void init_slowly(struct kvm_vcpu *vcpu, struct mmu_walk_memo *memo)
{
	u64 inputs = mmu_role_inputs(kvm_read_cr0_bits(vcpu, KVM_MMU_CR0_ROLE_BITS),
				     kvm_read_cr4_bits(vcpu, KVM_MMU_CR4_ROLE_BITS),
				     vcpu->arch.efer, vcpu->arch.hflags);
	struct fast_counters *counters = &to_vmx(vcpu)->fast.counters;
	bool verifying = fast_verify() && serves(vcpu, memo, inputs);

	kvm_init_mmu(vcpu);
	if (!enable_ept)
		return;
	if (verifying) {
		counters->mmu_roles_verify_checks++;
		if (!serves(vcpu, memo, inputs) ||
		    memcmp(&memo->walk, &vcpu->arch.gva_walk, sizeof(memo->walk)))
			FAST_MISMATCH(counters, mmu_roles,
				      "MMU role %#llx, which stock computes as %#llx",
				      memo->walk.cpu_role.as_u64,
				      vcpu->arch.gva_walk.cpu_role.as_u64);
	} else {
		counters->mmu_roles_misses++;
	}
	memo->inputs = inputs;
	memo->root_role = vcpu->arch.root_mmu.root_role.word;
	memo->walk = vcpu->arch.gva_walk;
	memo->valid = true;
}

/**
 * mmu_roles_init - do what kvm_init_mmu() does, by a copy where that is the same
 * @vcpu: the vCPU, with the paging registers of the level that it switches to
 *
 * Context: the vCPU's thread.
 */
void mmu_roles_init(struct kvm_vcpu *vcpu)
{
	const unsigned long cached = BIT(FAST_REG(CR0)) | BIT(FAST_REG(CR4));
	struct mmu_roles_memo *memos = &to_vmx(vcpu)->fast.mmu;
	struct mmu_walk_memo *memo = mmu_is_nested(vcpu) ? &memos->walk_l2 : &memos->walk_l1;

	MMU_ROLE_INPUTS_ARE_STOCKS();
	if (!fast_switch_does(FAST_SWITCH_MMU_ROLES)) {
		kvm_init_mmu(vcpu);
		return;
	}
	if (likely(fast_regs_available(vcpu, cached) && !fast_verify() &&
		   serves(vcpu, memo, mmu_role_inputs(vcpu->arch.cr0, vcpu->arch.cr4,
						      vcpu->arch.efer, vcpu->arch.hflags)))) {
		vcpu->arch.gva_walk = memo->walk;
		to_vmx(vcpu)->fast.counters.mmu_roles_hits++;
	} else {
		init_slowly(vcpu, memo);
	}
}
