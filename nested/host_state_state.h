/* SPDX-License-Identifier: GPL-2.0 */
/* What host_state.c remembers with verify=1. */
#ifndef KVM_INTEL_FAST_HOST_STATE_STATE_H
#define KVM_INTEL_FAST_HOST_STATE_STATE_H

#include <linux/types.h>

struct host_state_digest {
	u32 valid;	/* false if stock alone loaded the state */
	u32 segments, control_registers, others, vcpu;
};

#endif /* KVM_INTEL_FAST_HOST_STATE_STATE_H */
