/* SPDX-License-Identifier: GPL-2.0 */
/* What is remembered of an MMU context's roles: see mmu_roles.c. */
#ifndef KVM_INTEL_FAST_MMU_ROLES_STATE_H
#define KVM_INTEL_FAST_MMU_ROLES_STATE_H

#include <linux/bits.h>
#include <linux/types.h>

#include "vmx/compat.h"

/* The bits of CR0, CR4 and EFER that a role is made of, SDM "Control Registers". */
#define MMU_ROLE_CR0	(BIT_ULL(31) | BIT_ULL(16))			/* PG, WP */
#define MMU_ROLE_CR4	(BIT_ULL(4) | BIT_ULL(5) | BIT_ULL(12) |	/* PSE, PAE, LA57 */ \
			 BIT_ULL(20) | BIT_ULL(21) | BIT_ULL(22))	/* SMEP, SMAP, PKE */
#define MMU_ROLE_EFER	(BIT_ULL(10) | BIT_ULL(11))			/* LMA, NX */
#define MMU_ROLE_HFLAGS	(FAST_HFLAGS_GUEST_MODE | FAST_HFLAGS_SMM)

struct mmu_role_memo {
	u64 inputs;		/* mmu_role_inputs() */
	u64 cpu_role;		/* what stock made of them; 0: nothing is remembered */
	u32 root_role;
};

/* From 7.3 on: see mmu_walks.c. */
struct mmu_walk_memo {
	bool valid;
	u32 root_role;
	u64 inputs;		/* mmu_role_inputs() */
	FAST_PAGEWALK walk;	/* what stock made of them */
};

/* The memo of the EPT context, whose role does not depend on CR0, CR4 and EFER. */
struct mmu_ept_memo {
	u64 eptp;
	u64 cpu_role;		/* 0: nothing is remembered */
	bool execonly, ad, mbec;
};

/* Kept per vCPU. */
struct mmu_roles_memo {
	struct mmu_role_memo l1, l2;	/* root_mmu, nested_mmu */
	struct mmu_walk_memo walk_l1, walk_l2;
	struct mmu_ept_memo ept;	/* guest_mmu */
};

/**
 * mmu_role_inputs - collect everything that a role is made of, but for CPUID
 * @cr0: the guest's CR0
 * @cr4: the guest's CR4
 * @efer: the guest's EFER
 * @hflags: KVM's flags of the vCPU
 *
 * Return: a number that is the same if and only if all inputs are the same, because no
 *	   two inputs share a bit.
 */
static __always_inline u64 mmu_role_inputs(u64 cr0, u64 cr4, u64 efer, u64 hflags)
{
	return (cr0 & MMU_ROLE_CR0) | (cr4 & MMU_ROLE_CR4) | (efer & MMU_ROLE_EFER) |
	       (hflags & MMU_ROLE_HFLAGS) << 32;
}

/* At compile time: stock makes a role of these bits and no others. */
#define MMU_ROLE_INPUTS_ARE_STOCKS() do {						\
	BUILD_BUG_ON(MMU_ROLE_CR0 != KVM_MMU_CR0_ROLE_BITS);				\
	BUILD_BUG_ON(MMU_ROLE_CR4 != KVM_MMU_CR4_ROLE_BITS);				\
	BUILD_BUG_ON(MMU_ROLE_EFER != (EFER_LMA | EFER_NX));				\
	BUILD_BUG_ON(MMU_ROLE_HFLAGS != (HF_GUEST_MASK | HF_SMM_MASK));			\
	BUILD_BUG_ON((MMU_ROLE_CR0 & MMU_ROLE_CR4) | (MMU_ROLE_CR0 & MMU_ROLE_EFER) |	\
		     (MMU_ROLE_CR4 & MMU_ROLE_EFER) |					\
		     ((MMU_ROLE_CR0 | MMU_ROLE_CR4 | MMU_ROLE_EFER) >> 32));		\
} while (0)

#endif /* KVM_INTEL_FAST_MMU_ROLES_STATE_H */
