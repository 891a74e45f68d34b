/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What tiny hypervisors are made of: access to VMCS fields, and a loop around L2.
 */
#ifndef LIB_TINY_HYPERVISOR_H
#define LIB_TINY_HYPERVISOR_H

#include "kvm_util.h"
#include "processor.h"
#include "vmx.h"

/*
 * Execute an instruction that exits; a, c, d, D: its RAX, RCX, RDX, RDI.  After it
 * only callee-saved registers hold anything: resume_l2() gives L2 its own
 * caller-saved ones.
 */
#define EXECUTE(instruction, a, c, d, D) do {					\
	unsigned long rax = (a), rcx = (c), rdx = (d), rdi = (D);		\
										\
	asm volatile(instruction : "+a"(rax), "+c"(rcx), "+d"(rdx), "+D"(rdi) :	\
		     : "rbx", "rsi", "r8", "r9", "r10", "r11", "memory", "cc");	\
} while (0)

/* What L1 does next. */
enum l1_next { RESUME_L2, LAUNCH_L2, LEAVE_L2 };

/*
 * Call set_up, which has to give each VMCS this HOST_RSP and HOST_RIP, then enter
 * L2 until after_exit() returns LEAVE_L2.  after_exit() is called once before the first
 * entry.  L2's registers are L1's after an exit: what L1 needs is on its stack.
 */
void resume_l2(void *l1, void (*set_up)(void *l1, uint64_t rsp, void *rip),
	       enum l1_next (*after_exit)(void *l1));

static inline uint64_t read_field(uint32_t field)
{
	uint64_t value;

	asm volatile("vmread %1, %0" : "=r"(value) : "r"((uint64_t)field) : "cc", "memory");
	return value;
}

static inline void write_field(uint32_t field, uint64_t value)
{
	asm volatile("vmwrite %1, %0" : : "r"((uint64_t)field), "r"(value) : "cc", "memory");
}

/* SDM, "Field Encoding in VMCS": width, type, index, and whether it is a high half. */
static inline uint32_t field_number(uint32_t width, uint32_t type, uint32_t index, bool high)
{
	return width << 13 | type << 10 | index << 1 | high;
}

static inline bool field_is_read_only(uint32_t field)
{
	return ((field >> 10) & 3) == 1;
}

#endif
