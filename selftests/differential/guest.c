// SPDX-License-Identifier: GPL-2.0
/*
 * What L1 and L2 of the differential test share: see guest.h.
 */
#include "differential/guest.h"

struct mailbox box;
uint64_t guest_fixup;
uint64_t guest_fault;
uint64_t guest_l1_rsp;		/* guest_enter() alone uses it */
uint64_t guest_l2_gprs[16];
uint64_t guest_host_stack[64];
extern char guest_insn_launch, guest_insn_resume, guest_entry_failed;

void note(const char *tag, uint64_t value)
{
	if (box.logged < LOG_ENTRIES) {
		box.log[box.logged].tag = tag;
		box.log[box.logged].value = value;
		box.logged++;
	}
}

uint64_t guarded_rdmsr(uint32_t msr, uint64_t *value)
{
	uint64_t flags;
	uint32_t low = 0, high = 0;

	GUARDED_FLAGS(flags, "rdmsr", OUT("+a"(low), "+d"(high)), IN("c"(msr)));
	*value = low | (uint64_t)high << 32;
	return guest_fault;
}

uint64_t guarded_wrmsr(uint32_t msr, uint64_t value)
{
	uint64_t flags;

	GUARDED_FLAGS(flags, "wrmsr",
		      NO_OUT, IN("c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))));
	return guest_fault;
}

uint64_t guarded_xsetbv(uint32_t index, uint64_t value)
{
	uint64_t flags;

	GUARDED_FLAGS(flags, "xsetbv",
		      NO_OUT, IN("c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))));
	return guest_fault;
}

uint64_t guarded_load(uint64_t address, uint64_t *value)
{
	uint64_t flags, result = 0;

	GUARDED_FLAGS(flags, "mov (%[a]), %[r]", OUT([r] "+r"(result)), IN([a] "r"(address)));
	*value = result;
	return guest_fault;
}

uint64_t guarded_store(uint64_t address, uint64_t value)
{
	uint64_t flags;

	GUARDED_FLAGS(flags, "mov %[v], (%[a])", NO_OUT, IN([v] "r"(value), [a] "r"(address)));
	return guest_fault;
}

uint64_t read_cr(unsigned int cr, uint64_t *value)
{
	switch (cr) {
	case 0:
		return GUARDED_READ("mov %%cr0, %[r]", *value);
	case 2:
		return GUARDED_READ("mov %%cr2, %[r]", *value);
	case 3:
		return GUARDED_READ("mov %%cr3, %[r]", *value);
	case 4:
		return GUARDED_READ("mov %%cr4, %[r]", *value);
	default:
		return GUARDED_READ("mov %%cr8, %[r]", *value);
	}
}

uint64_t write_cr(unsigned int cr, uint64_t value)
{
	switch (cr) {
	case 0:
		return GUARDED_WRITE("mov %[r], %%cr0", value);
	case 2:
		return GUARDED_WRITE("mov %[r], %%cr2", value);
	case 3:
		return GUARDED_WRITE("mov %[r], %%cr3", value);
	case 4:
		return GUARDED_WRITE("mov %[r], %%cr4", value);
	default:
		return GUARDED_WRITE("mov %[r], %%cr8", value);
	}
}

void guest_cpuid(uint32_t leaf, uint32_t index)
{
	uint32_t a = leaf, b, c = index, d;

	asm volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d) : : "memory");
	note("eax", a);
	note("ebx", b);
	note("ecx", c);
	note("edx", d);
}

void interrupt_window(void)
{
	asm volatile("lea -128(%%rsp), %%rsp; sti; nop; nop; cli; lea 128(%%rsp), %%rsp" : : :
		     "memory", "cc");
}

static void die(struct ex_regs *regs, uint64_t cr2)
{
	note("died of", regs->vector);
	note("error code", regs->error_code);
	note("rip", regs->rip);
	note("cr2", cr2);
	if (box.in_l2)
		box.l2_died = 1;
	to_user(PORT_DIED);
	for (;;)
		asm volatile("vmcall" : : "a"(0) : "memory");
}

void on_exception(struct ex_regs *regs)
{
	uint64_t cr2 = 0;

	if (regs->vector == 14)
		asm volatile("mov %%cr2, %0" : "=r"(cr2));
	if (regs->vector == 2 || regs->vector >= 32) {
		note("interrupt", regs->vector);
		if (regs->vector >= 32 && !box.in_l2)
			asm volatile("wrmsr" : : "c"(0x80b), "a"(0), "d"(0) : "memory");
		return;
	}
	if (regs->vector == 1 || regs->vector == 3 || regs->vector == 4) {
		note("trap", regs->vector);
		regs->rflags &= ~0x100ul;
		if (!guest_fixup)
			return;
	}
	guest_fault = FAULTED | regs->vector;
	if (guest_fixup) {
		note("fault", regs->vector);
		note("error code", regs->error_code);
		if (regs->vector == 14)
			note("cr2", cr2);
		regs->rip = guest_fixup;
		guest_fixup = 0;
	} else if (!box.in_l2 || regs->rip == (uint64_t)&guest_insn_launch ||
		   regs->rip == (uint64_t)&guest_insn_resume) {
		if (regs->rip != (uint64_t)&guest_insn_launch &&
		    regs->rip != (uint64_t)&guest_insn_resume)
			die(regs, cr2);
		regs->rip = (uint64_t)&guest_entry_failed;
	} else {
		die(regs, cr2);
	}
}

#define GPR(number)	"guest_l2_gprs+8*" #number "(%rip)"
asm(".pushsection .text\n"
	".globl guest_enter\nguest_enter:\n"
	"push %rbp\n\tpush %rbx\n\tpush %r12\n\tpush %r13\n\tpush %r14\n\tpush %r15\n"
	"mov %rsp, guest_l1_rsp(%rip)\n"
	"test %rdi, %rdi\n"
	"mov " GPR(0) ", %rax\n\tmov " GPR(1) ", %rcx\n\tmov " GPR(2) ", %rdx\n"
	"mov " GPR(3) ", %rbx\n\tmov " GPR(5) ", %rbp\n\tmov " GPR(6) ", %rsi\n"
	"mov " GPR(7) ", %rdi\n\tmov " GPR(8) ", %r8\n\tmov " GPR(9) ", %r9\n"
	"mov " GPR(10) ", %r10\n\tmov " GPR(11) ", %r11\n\tmov " GPR(12) ", %r12\n"
	"mov " GPR(13) ", %r13\n\tmov " GPR(14) ", %r14\n\tmov " GPR(15) ", %r15\n"
	"jnz guest_insn_resume\n"
	".globl guest_insn_launch\nguest_insn_launch: vmlaunch\n\tjmp guest_entry_failed\n"
	".globl guest_insn_resume\nguest_insn_resume: vmresume\n"
	".globl guest_entry_failed\nguest_entry_failed: pushfq\n\tpop %rax\n\tjmp 1f\n"
	".globl guest_vm_exit\nguest_vm_exit:\n"
	"mov %rax, " GPR(0) "\n\tmov %rcx, " GPR(1) "\n\tmov %rdx, " GPR(2) "\n"
	"mov %rbx, " GPR(3) "\n\tmov %rbp, " GPR(5) "\n\tmov %rsi, " GPR(6) "\n"
	"mov %rdi, " GPR(7) "\n\tmov %r8, " GPR(8) "\n\tmov %r9, " GPR(9) "\n"
	"mov %r10, " GPR(10) "\n\tmov %r11, " GPR(11) "\n\tmov %r12, " GPR(12) "\n"
	"mov %r13, " GPR(13) "\n\tmov %r14, " GPR(14) "\n\tmov %r15, " GPR(15) "\n"
	"mov $-1, %rax\n"
	"1:\tmov guest_l1_rsp(%rip), %rsp\n"
	"push $2\n\tpopfq\n"
	"pop %r15\n\tpop %r14\n\tpop %r13\n\tpop %r12\n\tpop %rbx\n\tpop %rbp\n\tret\n"
	".popsection");
