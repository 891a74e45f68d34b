/* SPDX-License-Identifier: GPL-2.0 */
/* Who loads an MMU's root, and for verify=1 what was loaded with it.  See mmu_root.h. */
#ifndef KVM_INTEL_FAST_MMU_ROOT_STATE_H
#define KVM_INTEL_FAST_MMU_ROOT_STATE_H

#include <linux/types.h>

struct loaded_vmcs;

/* Of a nested VM entry: who loads the root of L2's MMU. */
enum mmu_root_state {
	MMU_ROOT_BY_STOCK,
	MMU_ROOT_MAY_WAIT,	/* mmu_root_load() will follow */
	MMU_ROOT_WAITS,		/* for it; no request is pending */
};

/* Kept per vCPU. */
struct mmu_root_memo {
	struct loaded_vmcs *vmcs;	/* NULL: nothing to compare */
	u64 root;			/* the MMU's root at that time */
	unsigned long guest_cr3;	/* KVM's copy of the guest's CR3 at that time */
	u64 ept_pointer;		/* what the VMCS held then */
	unsigned long cr3;
};

#endif /* KVM_INTEL_FAST_MMU_ROOT_STATE_H */
