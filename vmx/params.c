// SPDX-License-Identifier: GPL-2.0
/*
 * The module's parameters.
 *
 * They are read-only after load, so that no optimisation has to cope with being switched
 * while a guest runs.
 */
#include <linux/bits.h>
#include <linux/module.h>

#include "vmx/compat.h"
#include "vmx/params.h"

DEFINE_STATIC_KEY_FALSE(fast_verify_key);
static bool __ro_after_init verify = FAST_UNREVIEWED;
module_param(verify, bool, 0444);
MODULE_PARM_DESC(verify, "Recompute every skipped step the stock way, compare, count and warn on a mismatch (default N; Y if built with ALLOW_UNREVIEWED=1)");

bool __ro_after_init debugctl_passthrough = true;
module_param(debugctl_passthrough, bool, 0444);
MODULE_PARM_DESC(debugctl_passthrough, "L1 reads IA32_DEBUGCTL without a VM exit while the host's FREEZE_IN_SMM bit is clear (default Y)");

bool __ro_after_init msr_bitmap_cache = true;
module_param(msr_bitmap_cache, bool, 0444);
MODULE_PARM_DESC(msr_bitmap_cache, "Merge the MSR bitmap of vmcs02 only when an input changed (default Y)");

bool __ro_after_init page_cache = true;
module_param(page_cache, bool, 0444);
MODULE_PARM_DESC(page_cache, "Hold the pages that vmcs12 names across nested VM entries (default Y)");

bool __ro_after_init shadow_copy = true;
module_param(shadow_copy, bool, 0444);
MODULE_PARM_DESC(shadow_copy, "Copy to and from the shadow VMCS only what changed, with fewer VMPTRLDs (default Y)");

bool __ro_after_init adaptive_shadow = true;
module_param(adaptive_shadow, bool, 0444);
MODULE_PARM_DESC(adaptive_shadow, "Choose per vCPU the fields of VMCS shadowing by what exits; needs shadow_copy (default Y)");

bool __ro_after_init desc_exits = true;
module_param(desc_exits, bool, 0444);
MODULE_PARM_DESC(desc_exits, "Handle exits of descriptor-table accesses without the instruction emulator (default Y)");

/* A number and no flag, because 2 is kept for a switch that stays inside the entry loop. */
static uint __ro_after_init fast_switch = 1;
module_param(fast_switch, uint, 0444);
MODULE_PARM_DESC(fast_switch, "Leave out the parts of a switch between L1 and L2 whose inputs did not change: 0 none, 1 those of fast_switch_parts (default 1)");

DEFINE_STATIC_KEY_ARRAY_TRUE(fast_switch_key, NR_FAST_SWITCH_PARTS);
static ulong __ro_after_init fast_switch_parts = BIT(NR_FAST_SWITCH_PARTS) - 1;
module_param(fast_switch_parts, ulong, 0444);
MODULE_PARM_DESC(fast_switch_parts, "Mask of the parts that fast_switch=1 leaves out, see Documentation/switch.md (default all)");

/**
 * fast_params_init - make the parameters consistent
 *
 * Context: module load, before any VM.
 */
void __init fast_params_init(void)
{
	unsigned int part;

	if (verify)
		static_branch_enable(&fast_verify_key);
	if (!fast_switch)
		fast_switch_parts = 0;
	for (part = 0; part < NR_FAST_SWITCH_PARTS; part++)
		if (!(fast_switch_parts & BIT(part)))
			static_branch_disable(&fast_switch_key[part]);
}

/**
 * fast_switch_mask - which parts of a switch are left out
 *
 * Context: after fast_params_init().
 * Return: a bit for each enum fast_switch_part.
 */
unsigned long __init fast_switch_mask(void)
{
	return fast_switch_parts;
}
