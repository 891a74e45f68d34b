/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What L1 and L2 of the differential test share: the log, guarded instructions.
 * Invariant: no instruction that a program asks for ends the program by faulting; the
 * fault is logged.
 *
 * A file that includes this holds guest code, and includes nothing after it: programs
 * switch SSE off, and the C library is no guest's.
 */
#ifndef DIFFERENTIAL_GUEST_H
#define DIFFERENTIAL_GUEST_H

#include "kvm_util.h"
#include "processor.h"
#include "vmx.h"
#include "evmcs.h"

#include "differential/layout.h"

#pragma GCC target("general-regs-only")
#pragma GCC optimize("no-tree-loop-distribute-patterns")

#define NO_FAULT	0
#define FAULTED		0x100	/* with the vector below it */

extern uint64_t guest_fixup;		/* where an expected fault goes on; 0: none is expected */
extern uint64_t guest_fault;
extern uint64_t guest_l2_gprs[16];
extern uint64_t guest_host_stack[64];
extern char guest_vm_exit;

void note(const char *tag, uint64_t value);
void guest_cpuid(uint32_t leaf, uint32_t index);
/* Let interrupts in for a moment. */
void interrupt_window(void);
/*
 * VM entry with L2's registers; -1 after a VM exit, otherwise the flags that a failed
 * VMLAUNCH or VMRESUME leaves.  HOST_RIP is guest_vm_exit, HOST_RSP any stack.
 */
uint64_t guest_enter(uint64_t resume);

static inline void to_user(uint16_t port)
{
	asm volatile("out %%al, %%dx" : : "d"(port), "a"(0) : "memory");
}

/*
 * Run an instruction that may fault or, in VMX, fail: 0, or its CF and ZF, or
 * FAULTED and the vector.  outputs is OUT() or NO_OUT, inputs is IN(), with operands as in
 * an asm statement.  The stack below RSP may be in use by the compiler.
 */
#define GUARDED_FLAGS(flags, insn, outputs, inputs, ...)			\
do {										\
	guest_fault = NO_FAULT;							\
	asm volatile("lea -128(%%rsp), %%rsp\n\t"				\
		     "movq $77f, guest_fixup(%%rip)\n\t"			\
		     "push $2\n\tpopfq\n\t"					\
		     insn "\n"							\
		     "77:\n\tpushfq\n\tpopq %[fl]\n\t"				\
		     "movq $0, guest_fixup(%%rip)\n\t"				\
		     "lea 128(%%rsp), %%rsp"					\
		     : outputs							\
		     [fl] "=&r"(flags) : inputs					\
		     : "memory", "cc", ##__VA_ARGS__);				\
	flags &= 0x41; (void)flags;						\
	if (guest_fault)							\
		flags = guest_fault;						\
} while (0)
#define OUT(...)	__VA_ARGS__,
#define NO_OUT
#define IN(...)		__VA_ARGS__

#define GUARDED_READ(insn, value)						\
({	uint64_t __flags, __value = 0;						\
	GUARDED_FLAGS(__flags, insn, OUT([r] "+r"(__value)), IN("i"(0)));		\
	value = __value;							\
	guest_fault; })
#define GUARDED_WRITE(insn, value)						\
({	uint64_t __flags;							\
	GUARDED_FLAGS(__flags, insn, NO_OUT, IN([r] "r"((uint64_t)(value))));		\
	guest_fault; })
#define GUARDED(insn)								\
({	uint64_t __flags;							\
	GUARDED_FLAGS(__flags, insn, NO_OUT, IN("i"(0)), "rax", "rbx", "rcx", "rdx");	\
	guest_fault; })

/* The VMX instructions with a 128-bit descriptor or an address in memory. */
#define VMX_MEMORY(insn, operand, type)						\
({	uint64_t __flags;							\
	GUARDED_FLAGS(__flags, insn, NO_OUT, IN([m] "r"(operand), [t] "r"((uint64_t)(type)))); \
	__flags; })

/* Return: 0, or FAULTED and the vector. */
uint64_t guarded_rdmsr(uint32_t msr, uint64_t *value);
uint64_t guarded_wrmsr(uint32_t msr, uint64_t value);
uint64_t guarded_xsetbv(uint32_t index, uint64_t value);
uint64_t guarded_load(uint64_t address, uint64_t *value);
uint64_t guarded_store(uint64_t address, uint64_t value);
uint64_t read_cr(unsigned int cr, uint64_t *value);
uint64_t write_cr(unsigned int cr, uint64_t value);

#endif
