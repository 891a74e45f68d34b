// SPDX-License-Identifier: GPL-2.0
/*
 * The guest of desc_exits_test: executes one form after the other, at any CPL.
 */
#include "module/desc_exits/desc_exits.h"

struct request request;
struct answer answer;
uint64_t after_it;

#define F(NAME, BEFORE, INSN, AFTER, ...)						\
static uint64_t do_##NAME(uint64_t rdi, uint64_t rax)					\
{											\
	asm volatile("lea 1f(%%rip), %%rcx\n"						\
		     "mov %%rcx, after_it(%%rip)\n"					\
		     BEFORE "\n" INSN "\n1:\nnop\n" AFTER "\n"			\
		     : "+a"(rax), "+D"(rdi) : "S"(INDEX)				\
		     : "rcx", "rdx", "r8", "r13", "memory", "cc");			\
	return rax;									\
}

FORMS(F)
#undef F

static uint64_t (* const functions[])(uint64_t rdi, uint64_t rax) = {
#define F(NAME, ...) do_##NAME,
	FORMS(F)
#undef F
};

/* Of faults, a trap and the interrupt. */
void note_exception(struct ex_regs *regs)
{
	answer.exceptions++;
	answer.vector = regs->vector;
	answer.error_code = regs->error_code;
	answer.distance = regs->rip - after_it;
	if (regs->vector == PF_VECTOR)
		asm volatile("mov %%cr2, %0" : "=r"(answer.cr2));
	if (regs->vector == DB_VECTOR)
		regs->rflags &= ~RFLAGS_TF;
	else if (regs->vector == WAKE_VECTOR)
		x2apic_write_reg(APIC_EOI, 0);
	else
		regs->rip = after_it;
}

void guest_code(void)
{
	asm volatile("cli");
	x2apic_enable();
	set_cr4(get_cr4() | X86_CR4_UMIP);
	for (;;) {
		GUEST_SYNC(0);
		memset(&answer, 0, sizeof(answer));
		if (request.interrupt)
			x2apic_write_reg(APIC_ICR, APIC_DEST_SELF | WAKE_VECTOR);
		answer.rax = functions[request.form](request.rdi, request.rax);
	}
}
