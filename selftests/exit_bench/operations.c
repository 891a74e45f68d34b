// SPDX-License-Identifier: GPL-2.0
/*
 * What the measured guest executes: see operations.h.
 */
#include "exit_bench/operations.h"
#include "lib/tiny_hypervisor.h"

/* SDM, "TSS Descriptor" */
#define TYPE_IN_DESCRIPTOR	5
#define TSS_BUSY		2

unsigned long apic_address = APIC_DEFAULT_GPA + APIC_TMCCT;
uint64_t period;
static uint64_t next_return;
static struct desc_ptr kernel_gdt, kernel_idt;
static uint16_t kernel_tr;
static uint8_t *tss_type;	/* in its descriptor */

void op_cpuid(void)
{
	EXECUTE("cpuid", 0, 0, 0, 0);
}

/*
 * Beside op_cpuid(): KNOWN_LINES lines of data of one set of a level-1 cache, as many of code, and
 * what else KNOWN_* says.
 */
void op_known(void)
{
	static uint8_t pages[KNOWN_LINES * 4096] __aligned(4096);
	static uint64_t random = 1, locked;
	uint64_t low = 1, high = 0;
	unsigned int i;

	op_cpuid();
	for (i = 0; i < KNOWN_LINES; i++)
		READ_ONCE(pages[i * 4096 + KNOWN_OFFSET]);
	for (i = 0; i < KNOWN_LOCKED; i++)
		asm volatile("lock incq %0" : "+m"(locked));
	for (i = 0; i < KNOWN_DIV64; i++)
		asm volatile("divq %2" : "+a"(low), "+d"(high) : "r"(1ul));
	rdtsc();
	/* Branches that go either way as bits of a random number do. */
	random = random * 6364136223846793005ul + 1442695040888963407ul;
	for (i = 0; i < KNOWN_BRANCHES; i++)
		asm volatile("bt %1, %0\n\tjc 1f\n\tnop\n1:" : : "r"(random), "r"(63ul - i) : "cc");
	asm volatile(".rept %c0\n\tjmp 1f\n\t.balign 4096\n1:\n\t.endr" : : "i"(KNOWN_LINES));
}

void op_vmcall(void)
{
	EXECUTE("vmcall", 0xffff, 0, 0, 0);	/* no such hypercall */
}

void op_rdmsr(void)
{
	EXECUTE("rdmsr", 0, MSR_IA32_APICBASE, 0, 0);
}

void op_wrmsr_icr(void)
{
	EXECUTE("wrmsr", (uint32_t)ICR_NOBODY, APIC_BASE_MSR + (APIC_ICR >> 4), NOBODY, 0);
}

void op_wrmsr_deadline(void)
{
	uint64_t deadline = rdtsc() + DISTANT;

	EXECUTE("wrmsr", (uint32_t)deadline, MSR_DEADLINE, deadline >> 32, 0);
}

void op_out(void)
{
	EXECUTE("out %%al, (%%dx)", 0, 0, IO_PORT, 0);
}

void op_in(void)
{
	EXECUTE("in (%%dx), %%al", 0, 0, IO_PORT, 0);
}

/* Two bytes long, which the tiny L1 knows. */
void op_mmio(void)
{
	EXECUTE("mov %%al, (%%rdi)", 0, 0, 0, MMIO_GPA);
}

/* Two bytes long, which the tiny L1 knows. */
void op_apic_access(void)
{
	EXECUTE("mov (%%rdi), %%eax", 0, 0, 0, apic_address);
}

void op_hlt(void)
{
	EXECUTE("sti; hlt; cli", 0, 0, 0, 0);
}

/*
 * So long that the timer is still to come when L1 has put its thread to sleep, however
 * dear its round trips are.
 */
void op_wait_for_timer(void)
{
	wrmsr(MSR_DEADLINE, rdtsc() + SLEEP);
	op_hlt();
}

/* Until something interrupts; uses no register. */
void op_forever(void)
{
	for (;;)
		asm volatile("");
}

void op_spin(void)
{
	if (!next_return)
		next_return = rdtsc();
	next_return += period;
	while (rdtsc() < next_return)
		;
}

/*
 * Accesses to the descriptor-table registers.  KVM lets them exit, if it emulates UMIP, while
 * the guest has UMIP set.  As in a kernel, memory operands are on the stack, and the register
 * of SLDT and STR holds what was there before.
 */
void op_sgdt(void)
{
	struct desc_ptr table;

	asm volatile("sgdt %0" : "=m"(table));
}

void op_sidt(void)
{
	struct desc_ptr table;

	asm volatile("sidt %0" : "=m"(table));
}

void op_sldt(void)
{
	unsigned long selector = -1ul;

	asm volatile("sldt %w0" : "+r"(selector));
}

void op_str(void)
{
	unsigned long selector = -1ul;

	asm volatile("str %w0" : "+r"(selector));
}

void op_lgdt(void)
{
	struct desc_ptr table = kernel_gdt;

	asm volatile("lgdt %0" : : "m"(table));
}

void op_lidt(void)
{
	struct desc_ptr table = kernel_idt;

	asm volatile("lidt %0" : : "m"(table));
}

void op_lldt(void)
{
	asm volatile("lldt %w0" : : "r"(0));
}

/* Of a TSS that is not busy, which LTR makes busy. */
void op_ltr(void)
{
	*tss_type &= ~TSS_BUSY;
	asm volatile("ltr %w0" : : "r"(kernel_tr) : "memory");
}

void set_umip(void)
{
	set_cr4(get_cr4() | X86_CR4_UMIP);
	asm volatile("sgdt %0" : "=m"(kernel_gdt));
	asm volatile("sidt %0" : "=m"(kernel_idt));
	asm volatile("str %0" : "=m"(kernel_tr));
	tss_type = (uint8_t *)kernel_gdt.address + kernel_tr + TYPE_IN_DESCRIPTOR;
}

void enable_timer(void)
{
	x2apic_enable();
	x2apic_write_reg(APIC_LVTT, LVTT_DEADLINE | WAKE_VECTOR);
}

void arm_distant_timer(void)
{
	enable_timer();
	op_wrmsr_deadline();
}

void woken(struct ex_regs *regs)
{
	if (row->prepare == enable_timer)
		x2apic_write_reg(APIC_EOI, 0);
}
