/* SPDX-License-Identifier: GPL-2.0 */
/* What vmcs02's controls were made from, and when they are made again: see controls.c. */
#ifndef KVM_INTEL_FAST_CONTROLS_STATE_H
#define KVM_INTEL_FAST_CONTROLS_STATE_H

#include <linux/types.h>

#include <asm/processor-flags.h>

/* The major controls of a VMCS, without the tertiary ones, in pairs as stock's copy has them. */
struct controls_words {
	u64 entry_and_exit, pin_and_primary;
	u32 secondary;
};

struct controls_inputs {
	struct controls_words vmcs01, vmcs02;
	/* vmcs12's.  No vmcs12 that is entered has pin-based controls of 0. */
	u32 pin_based, cpu_based, secondary, vm_entry;
	u64 guest_ia32_efer, guest_cr4;
	u64 l1_efer;
};

/* Kept per vCPU. */
struct controls_memo {
	struct controls_inputs inputs;	/* zeroes: nothing is remembered */
	bool verifying;			/* verify=1: stock makes them, and they must be the same */
};

static __always_inline bool controls_same_words(const struct controls_words *one,
						const struct controls_words *other)
{
	return one->entry_and_exit == other->entry_and_exit &&
	       one->pin_and_primary == other->pin_and_primary &&
	       one->secondary == other->secondary;
}

/**
 * controls_unchanged - decide whether vmcs02 has the controls that stock would make
 * @was: the inputs when stock made them, and what it made
 * @is: the inputs now, and what vmcs02 has
 *
 * Return: true if it has them.
 */
static __always_inline bool controls_unchanged(const struct controls_inputs *was,
					       const struct controls_inputs *is)
{
	return was->pin_based == is->pin_based &&
	       was->cpu_based == is->cpu_based &&
	       was->secondary == is->secondary &&
	       was->vm_entry == is->vm_entry &&
	       was->guest_ia32_efer == is->guest_ia32_efer &&
	       was->l1_efer == is->l1_efer &&
	       !((was->guest_cr4 ^ is->guest_cr4) & X86_CR4_UMIP) &&
	       controls_same_words(&was->vmcs01, &is->vmcs01) &&
	       controls_same_words(&was->vmcs02, &is->vmcs02);
}

#endif /* KVM_INTEL_FAST_CONTROLS_STATE_H */
