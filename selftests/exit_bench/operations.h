/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the measured guest executes, one operation per iteration.
 */
#ifndef EXIT_BENCH_OPERATIONS_H
#define EXIT_BENCH_OPERATIONS_H

#include "exit_bench/measure.h"
#include "lib/tiny_hypervisor.h"

#define IO_PORT		0x80
#define MMIO_GPA	0xc0000000ul
#define APIC_TMCCT	0x390		/* the current count: no APICv virtualizes its reads */
#define APIC_LVTT	0x320
#define LVTT_DEADLINE	(2 << 17)
#define WAKE_VECTOR	0x40
#define NOBODY		5ul		/* an APIC ID that no vCPU has */
#define ICR_NOBODY	((NOBODY << 32) | WAKE_VECTOR)
/* Ticks: not during the run, and few enough for a preemption timer. */
#define DISTANT		BIT_ULL(32)
#define SOON		20000ul		/* ticks: longer than it takes to get back to L2 */
#define SLEEP		100000ul	/* ticks: longer than it takes L1 to go to sleep */
#define MSR_DEADLINE	MSR_IA32_TSC_DEADLINE
#define INTR_INFO_WAKE	(0x80000000u | WAKE_VECTOR)	/* valid, external interrupt */

/* Where op_apic_access() reads; user space sets it. */
static unsigned long apic_address = APIC_DEFAULT_GPA + APIC_TMCCT;
/* Ticks between two of op_spin()'s returns; user space sets it. */
static uint64_t period;
static uint64_t next_return;

static void op_cpuid(void)
{
	EXECUTE("cpuid", 0, 0, 0, 0);
}

static void op_vmcall(void)
{
	EXECUTE("vmcall", 0xffff, 0, 0, 0);	/* no such hypercall */
}

static void op_rdmsr(void)
{
	EXECUTE("rdmsr", 0, MSR_IA32_APICBASE, 0, 0);
}

static void op_wrmsr_icr(void)
{
	EXECUTE("wrmsr", (uint32_t)ICR_NOBODY, APIC_BASE_MSR + (APIC_ICR >> 4), NOBODY, 0);
}

static void op_wrmsr_deadline(void)
{
	uint64_t deadline = rdtsc() + DISTANT;

	EXECUTE("wrmsr", (uint32_t)deadline, MSR_DEADLINE, deadline >> 32, 0);
}

static void op_out(void)
{
	EXECUTE("out %%al, (%%dx)", 0, 0, IO_PORT, 0);
}

static void op_in(void)
{
	EXECUTE("in (%%dx), %%al", 0, 0, IO_PORT, 0);
}

/* Two bytes long, which the tiny L1 knows. */
static void op_mmio(void)
{
	EXECUTE("mov %%al, (%%rdi)", 0, 0, 0, MMIO_GPA);
}

/* Two bytes long, which the tiny L1 knows. */
static void op_apic_access(void)
{
	EXECUTE("mov (%%rdi), %%eax", 0, 0, 0, apic_address);
}

static void op_hlt(void)
{
	EXECUTE("sti; hlt; cli", 0, 0, 0, 0);
}

/*
 * So long that the timer is still to come when L1 has put its thread to sleep, however
 * dear its round trips are.
 */
static void op_wait_for_timer(void)
{
	wrmsr(MSR_DEADLINE, rdtsc() + SLEEP);
	op_hlt();
}

/* Until something interrupts; uses no register. */
static void op_forever(void)
{
	for (;;)
		asm volatile("");
}

static void op_spin(void)
{
	if (!next_return)
		next_return = rdtsc();
	next_return += period;
	while (rdtsc() < next_return)
		;
}

static void enable_timer(void)
{
	x2apic_enable();
	x2apic_write_reg(APIC_LVTT, LVTT_DEADLINE | WAKE_VECTOR);
}

static void arm_distant_timer(void)
{
	enable_timer();
	op_wrmsr_deadline();
}

static void woken(struct ex_regs *regs)
{
	if (row->prepare == enable_timer)
		x2apic_write_reg(APIC_EOI, 0);
}

#endif
