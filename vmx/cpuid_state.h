/* SPDX-License-Identifier: GPL-2.0 */
/* What is remembered of the vCPU's CPUID entries: see cpuid.c. */
#ifndef KVM_INTEL_FAST_CPUID_STATE_H
#define KVM_INTEL_FAST_CPUID_STATE_H

#include <linux/types.h>

struct kvm_cpuid_entry2;

struct cpuid_memo {
	bool valid;			/* this describes the entries that the vCPU has now */
	bool sizes_valid;		/* the three members below are valid */
	u64 xcr0;
	u32 leaf_d_0_ebx;
	u32 leaf_d_1_ebx;

	bool spec_ctrl;
	bool tsc_aux;			/* RDTSCP or RDPID */

	/*
	 * Entries with bits that follow the vCPU's state.  NULL if the vCPU lacks the entry,
	 * or if stock would not update it.
	 */
	struct kvm_cpuid_entry2 *leaf_1;
	struct kvm_cpuid_entry2 *leaf_7;
	struct kvm_cpuid_entry2 *leaf_d_0;
	struct kvm_cpuid_entry2 *leaf_d_1;
	struct kvm_cpuid_entry2 *kvm_features;
};

#endif /* KVM_INTEL_FAST_CPUID_STATE_H */
