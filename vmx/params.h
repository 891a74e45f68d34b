/* SPDX-License-Identifier: GPL-2.0 */
/* The module's parameters, and the static keys that they set. */
#ifndef KVM_INTEL_FAST_PARAMS_H
#define KVM_INTEL_FAST_PARAMS_H

#include <linux/jump_label.h>
#include <linux/kconfig.h>
#include <linux/types.h>

/*
 * FAST_HAS() is true if a subject is part of this build.  Kbuild links the subjects that the
 * applied patches call, by patches/<line>/series.  Without its patch a subject must not be
 * notified of anything, because it could act on what stock still does.
 */
#define FAST_HAS(subject)	__is_defined(FAST_HAS_##subject)

/* Module parameters, fixed once the module is loaded. */
extern bool debugctl_passthrough;
extern bool msr_bitmap_cache;
extern bool page_cache;
extern bool shadow_copy;
extern bool adaptive_shadow;
extern bool desc_exits;

/*
 * The parts of the world switch between L1 and L2 that can be left out while their
 * inputs are unchanged.  The values are bit numbers of fast_switch_parts.
 */
enum fast_switch_part {
	FAST_SWITCH_CPUID,		/* vmx/cpuid.c */
	FAST_SWITCH_USER_RETURN,	/* vmx/user_return.c */
	FAST_SWITCH_HOST_STATE,		/* nested/host_state.c */
	FAST_SWITCH_IRR,		/* vmx/irr.h */
	FAST_SWITCH_KNOWN_FIELDS,	/* vmx/known_fields.h */
	FAST_SWITCH_PREEMPTION_TIMER,	/* nested/preemption_timer.c */
	FAST_SWITCH_CHECKS,		/* nested/checks.c */
	FAST_SWITCH_MMU_ROLES,		/* nested/mmu_roles.c */
	FAST_SWITCH_VMCS02,		/* nested/vmcs02.h; controls, l1_cr3 */
	FAST_SWITCH_READ_BACK,		/* nested/read_back.h */
	FAST_SWITCH_GUEST_STATE,	/* nested/guest_state.c */
	FAST_SWITCH_VMCS,		/* nested/vmcs_switch.h */
	FAST_SWITCH_MMU_ROOT,		/* nested/mmu_root.h */
	NR_FAST_SWITCH_PARTS
};

/*
 * The parameters verify and fast_switch_parts.  They are static keys, because the hot paths
 * ask for each some thirty times per L2 exit, and what is switched off must cost nothing.
 */
DECLARE_STATIC_KEY_FALSE(fast_verify_key);
extern struct static_key_true fast_switch_key[NR_FAST_SWITCH_PARTS];

static __always_inline bool fast_verify(void)
{
	return static_branch_unlikely(&fast_verify_key);
}

static __always_inline bool fast_switch_does(enum fast_switch_part part)
{
	return static_branch_likely(&fast_switch_key[part]);
}

void fast_params_init(void) __init;
unsigned long fast_switch_mask(void) __init;

#endif /* KVM_INTEL_FAST_PARAMS_H */
