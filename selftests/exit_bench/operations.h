/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the measured guest executes, one operation per iteration.
 */
#ifndef EXIT_BENCH_OPERATIONS_H
#define EXIT_BENCH_OPERATIONS_H

#include "exit_bench/measure.h"

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
extern unsigned long apic_address;
/* Ticks between two of op_spin()'s returns; user space sets it. */
extern uint64_t period;

/* Of op_known(); bench_test has the same figures. */
#define KNOWN_LINES	16
#define KNOWN_OFFSET	0xe00		/* of its data in their pages */
#define KNOWN_LOCKED	3
#define KNOWN_DIV64	2
#define KNOWN_BRANCHES	16

/* What one iteration executes. */
void op_cpuid(void);
void op_known(void);
void op_vmcall(void);
void op_rdmsr(void);
void op_wrmsr_icr(void);
void op_wrmsr_deadline(void);
void op_out(void);
void op_in(void);
void op_mmio(void);
void op_apic_access(void);
void op_hlt(void);
void op_wait_for_timer(void);
void op_forever(void);
void op_spin(void);
void op_sgdt(void);
void op_sidt(void);
void op_sldt(void);
void op_str(void);
void op_lgdt(void);
void op_lidt(void);
void op_lldt(void);
void op_ltr(void);

/* What lets op_sgdt() to op_ltr() exit. */
void set_umip(void);
/* x2APIC mode, its timer to be armed with a TSC deadline; it interrupts with WAKE_VECTOR. */
void enable_timer(void);
/* And a deadline that no run reaches. */
void arm_distant_timer(void);
/* The guest's handler of WAKE_VECTOR. */
void woken(struct ex_regs *regs);

#endif
