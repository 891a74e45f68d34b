/* SPDX-License-Identifier: GPL-2.0 */
/* What level_state.c remembers with verify=1, from our load of a level's state to stock's. */
#ifndef KVM_INTEL_FAST_LEVEL_STATE_STATE_H
#define KVM_INTEL_FAST_LEVEL_STATE_STATE_H

#include <linux/types.h>

struct level_digest {
	u32 valid;	/* false if stock alone loaded the state */
	u32 segments, control_registers, others, vcpu;
};

#endif /* KVM_INTEL_FAST_LEVEL_STATE_STATE_H */
