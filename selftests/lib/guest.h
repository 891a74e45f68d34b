/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For guests, L1 and L2.
 */
#ifndef LIB_GUEST_H
#define LIB_GUEST_H

#include "processor.h"

/* For functions that are entered without a return address on the stack. */
#define ENTRY_POINT __attribute__((force_align_arg_pointer))

/*
 * What an exit of L2 leaves of its registers, beside those that the instruction has:
 * nothing, for L1 keeps none.
 */
#define L2_CLOBBERS "rbx", "rsi", "rdi", "r8", "r9", "r10", "r11", \
		    "r12", "r13", "r14", "r15", "memory"

/* Does this capability MSR let the control be set? */
static inline bool vmx_can(uint32_t msr, uint32_t control)
{
	return rdmsr(msr) >> 32 & control;
}

#endif
