// SPDX-License-Identifier: GPL-2.0
/*
 * L2 of the differential test: a loop that takes one operation after the other
 * from its queue.  Invariant: it may be restarted at l2_code() with a fresh stack
 * after any exit; an operation once taken is not taken again.
 */
#include "differential/guest_l2.h"
#include "differential/guest.h"

uint64_t l2_stack[2][512];

/* Operands in memory: the exit qualification is undefined for a register. */
static void l2_descriptor(uint64_t which)
{
	static struct { uint16_t limit; uint64_t base; } __attribute__((packed)) table;
	uint64_t value = 0;

	switch (which) {
	case 0:
		asm volatile("sgdt %0" : "=m"(table) : : "memory");
		note("limit", table.limit);
		note("base", table.base);
		break;
	case 1:
		asm volatile("sidt %0\n\tlidt %0" : "+m"(table) : : "memory");
		note("limit", table.limit);
		break;
	case 2:
		note("flags", VMX_MEMORY("sldt (%[m])", &value, 0));
		note("value", value);
		break;
	default:
		note("flags", VMX_MEMORY("str (%[m])", &value, 0));
		note("value", value);
		break;
	}
}

/* An IDT without entries: the next exception becomes a triple fault. */
static void l2_triple_fault(void)
{
	static struct { uint16_t limit; uint64_t base; } __attribute__((packed)) none;

	asm volatile("lidt %0\n\tud2" : : "m"(none));
}

static void l2_vmx_instruction(uint64_t which)
{
	static uint64_t operand[2];
	uint64_t flags = 0;

	operand[0] = PAGE_GPA(PAGE_VMCS2);
	operand[1] = 0;
	switch (which) {
	case 0:
		flags = VMX_MEMORY("vmxon (%[m])", operand, 0);
		break;
	case 1:
		flags = VMX_MEMORY("vmclear (%[m])", operand, 0);
		break;
	case 2:
		flags = VMX_MEMORY("vmptrld (%[m])", operand, 0);
		break;
	case 3:
		flags = VMX_MEMORY("vmptrst (%[m])", operand, 0);
		break;
	case 4:
		flags = VMX_MEMORY("invept (%[m]), %[t]", operand, 2);
		break;
	case 5:
		flags = VMX_MEMORY("invvpid (%[m]), %[t]", operand, 2);
		break;
	case 6:
		flags = VMX_MEMORY("vmxoff", operand, 0);
		break;
	case 7:
		flags = VMX_MEMORY("vmlaunch", operand, 0);
		break;
	default:
		flags = VMX_MEMORY("vmresume", operand, 0);
		break;
	}
	note("flags", flags);
}

static uint64_t l2_debug_register(unsigned int number, bool write, uint64_t value)
{
	uint64_t fault;

	switch (number | (write ? 8 : 0)) {
	case 0:
		fault = GUARDED_READ("mov %%dr0, %[r]", value);
		break;
	case 6:
		fault = GUARDED_READ("mov %%dr6, %[r]", value);
		break;
	case 7:
		fault = GUARDED_READ("mov %%dr7, %[r]", value);
		break;
	case 8:
		return GUARDED_WRITE("mov %[r], %%dr0", value);
	case 14:
		return GUARDED_WRITE("mov %[r], %%dr6", value);
	default:
		return GUARDED_WRITE("mov %[r], %%dr7", value);
	}
	note("value", value);
	return fault;
}

static void l2_string_io(bool out, uint16_t port)
{
	uint64_t flags, count = 4;

	if (out)
		GUARDED_FLAGS(flags, "cld; mov %[p], %%rsi; rep outsb",
			      OUT("+c"(count)),
			      IN("d"(port), [p] "r"(PAGE_GPA(PAGE_DATA0))), "rsi");
	else
		GUARDED_FLAGS(flags, "cld; mov %[p], %%rdi; rep insb",
			      OUT("+c"(count)),
			      IN("d"(port), [p] "r"(PAGE_GPA(PAGE_DATA0))), "rdi");
	note("fault", guest_fault);
	note("count", count);
}

static void l2_port(bool out, uint16_t port, uint64_t size, uint32_t value)
{
	uint64_t flags;

	if (out && size == 1)
		GUARDED_FLAGS(flags, "out %%al, %%dx", NO_OUT, IN("d"(port), "a"(value)));
	else if (out)
		GUARDED_FLAGS(flags, "out %%eax, %%dx", NO_OUT, IN("d"(port), "a"(value)));
	else if (size == 1)
		GUARDED_FLAGS(flags, "in %%dx, %%al", OUT("+a"(value)), IN("d"(port)));
	else
		GUARDED_FLAGS(flags, "in %%dx, %%eax", OUT("+a"(value)), IN("d"(port)));
	note("fault", guest_fault);
	note("value", value);
}

static void l2_segment(uint64_t which, uint16_t selector)
{
	uint64_t fault;

	switch (which) {
	case 0:
		fault = GUARDED_WRITE("mov %w[r], %%fs", selector);
		break;
	case 1:
		fault = GUARDED_WRITE("mov %w[r], %%gs", selector);
		break;
	case 2:
		fault = GUARDED_WRITE("mov %w[r], %%es", selector);
		break;
	case 3:
		fault = VMX_MEMORY("lldt (%[m])", &selector, 0);
		break;
	case 4:
		fault = GUARDED("swapgs");
		break;
	case 5:
		fault = GUARDED_WRITE("wrfsbase %[r]", selector);
		break;
	default:
		fault = GUARDED_WRITE("wrgsbase %[r]", selector);
		break;
	}
	note("fault", fault);
}

static void l2_do(const struct guest_operation *op)
{
	uint64_t a = op->arg[0], b = op->arg[1], value = 0, fault = 0;

	switch (op->operation) {
	case L2_cpuid:
		guest_cpuid(a, b);
		break;
	case L2_vmcall:
		asm volatile("vmcall" : "+a"(a) : "b"(0), "c"(0), "d"(0) : "memory");
		note("rax", a);
		break;
	case L2_rdmsr:
		fault = guarded_rdmsr(a, &value);
		break;
	case L2_wrmsr:
		fault = guarded_wrmsr(a, b);
		break;
	case L2_in:
		l2_port(false, a, b, op->arg[2]);
		break;
	case L2_out:
		l2_port(true, a, b, op->arg[2]);
		break;
	case L2_ins:
		l2_string_io(false, a);
		break;
	case L2_outs:
		l2_string_io(true, a);
		break;
	case L2_hlt:
		fault = GUARDED("hlt");
		break;
	case L2_rdcr:
		fault = read_cr(a, &value);
		break;
	case L2_wrcr:
		read_cr(a, &value);
		fault = write_cr(a, value ^ b);
		if (op->arg[2])
			note("fault back", write_cr(a, value));
		break;
	case L2_clts:
		fault = GUARDED("clts");
		break;
	case L2_lmsw:
		fault = GUARDED_WRITE("lmsw %w[r]", a);
		break;
	case L2_rddr:
		fault = l2_debug_register(a, false, 0);
		break;
	case L2_wrdr:
		fault = l2_debug_register(a, true, b);
		break;
	case L2_invlpg:
		fault = GUARDED_WRITE("invlpg (%[r])", a);
		break;
	case L2_xsetbv:
		fault = guarded_xsetbv(a, b);
		break;
	case L2_ud:
		fault = GUARDED("ud2");
		break;
	case L2_de:
		fault = GUARDED("xor %%eax, %%eax; xor %%edx, %%edx; div %%eax");
		break;
	case L2_pf:
		fault = guarded_load(a, &value);
		break;
	case L2_bp:
		fault = GUARDED("int3");
		break;
	case L2_int:
		fault = a & 1 ? GUARDED("int $0x41") : GUARDED("int $0x80");
		break;
	case L2_load:
		fault = guarded_load(a, &value);
		break;
	case L2_store:
		fault = guarded_store(a, b);
		break;
	case L2_triple:
		l2_triple_fault();
		break;
	case L2_sgdt:
		l2_descriptor(0);
		break;
	case L2_lidt:
		l2_descriptor(1);
		break;
	case L2_sldt:
		l2_descriptor(2);
		break;
	case L2_ltr:
		l2_descriptor(3);
		break;
	/* In memory: the exit qualification is undefined for a register operand. */
	case L2_vmread:
		fault = VMX_MEMORY("vmread %[t], (%[m])", PAGE_GPA(PAGE_DATA0), a);
		break;
	case L2_vmwrite:
		fault = VMX_MEMORY("vmwrite (%[m]), %[t]", PAGE_GPA(PAGE_DATA0), a);
		break;
	case L2_vmx:
		l2_vmx_instruction(a);
		break;
	case L2_vmfunc:
		GUARDED_FLAGS(fault, "vmfunc", NO_OUT, IN("a"(a), "c"(b)));
		break;
	case L2_wbinvd:
		fault = GUARDED("wbinvd");
		break;
	case L2_invd:
		fault = GUARDED("invd");
		break;
	case L2_pause:
		fault = GUARDED("pause");
		break;
	case L2_mwait:
		fault = GUARDED("xor %%ecx, %%ecx; xor %%edx, %%edx; monitor");
		break;
	case L2_rdpmc:
		fault = GUARDED("xor %%ecx, %%ecx; rdpmc");
		break;
	case L2_invpcid: {
		static uint64_t descriptor[2];

		fault = VMX_MEMORY("invpcid (%[m]), %[t]", descriptor, a);
		break;
	}
	case L2_window:
		interrupt_window();
		break;
	case L2_single_step:
		asm volatile("lea -128(%%rsp), %%rsp; push $0x102; popfq; nop; nop; push $2; popfq;"
			     "lea 128(%%rsp), %%rsp" : : : "memory", "cc");
		break;
	case L2_segment:
		l2_segment(a, b);
		break;
	case L2_loop:
		while (a--)
			asm volatile("xor %%eax, %%eax; xor %%ecx, %%ecx; cpuid" : : :
				     "rax", "rbx", "rcx", "rdx", "memory");
		break;
	case L2_nothing:
		break;
	}
	note("value", value);
	note("fault", fault);
}

void l2_code(void)
{
	for (;;) {
		if (box.l2_first >= box.l2_count) {
			to_user(PORT_L2);
			continue;
		}
		note("L2 does", box.l2[box.l2_first].operation);
		l2_do(&box.l2[box.l2_first++]);
	}
}
