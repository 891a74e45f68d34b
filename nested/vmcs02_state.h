/* SPDX-License-Identifier: GPL-2.0 */
/* Fields of vmcs02 that are written once: see vmcs02.h. */
#ifndef KVM_INTEL_FAST_VMCS02_STATE_H
#define KVM_INTEL_FAST_VMCS02_STATE_H

#include <linux/types.h>

/* Kept per vCPU. */
struct vmcs02_memo {
	bool read_shadow_follows;	/* prepare_vmcs02() writes the read shadows next */
	bool compare_cr3;		/* verify=1: compare CR3 when the root is loaded */
	unsigned long cr3;		/* the value to compare with */
};

#endif /* KVM_INTEL_FAST_VMCS02_STATE_H */
