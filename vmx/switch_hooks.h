/* SPDX-License-Identifier: GPL-2.0 */
/* What the stock source calls of the parts of a switch between L1 and L2. */
#ifndef KVM_INTEL_FAST_SWITCH_HOOKS_H
#define KVM_INTEL_FAST_SWITCH_HOOKS_H

#include "vmx/cpuid.h"
#include "vmx/irr.h"
#include "vmx/user_return.h"
#include "nested/checks.h"
#include "nested/host_segments.h"
#include "nested/mmu_roles.h"
#include "nested/preemption_timer.h"
#include "nested/read_back.h"
#include "nested/vmcs02.h"

#endif /* KVM_INTEL_FAST_SWITCH_HOOKS_H */
