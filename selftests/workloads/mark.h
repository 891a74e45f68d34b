/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The window in which the emulator counts what a workload costs: see
 * lab/bochs/instrument/instrument.cc.
 */
#ifndef WORKLOADS_MARK_H
#define WORKLOADS_MARK_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define ROW_NAME	32	/* bytes of a row's name, NUL and all: four registers */

static uint64_t first_tsc;

static inline uint64_t rdtsc(void)
{
	uint32_t low, high;

	asm volatile("rdtsc" : "=a"(low), "=d"(high));
	return low | (uint64_t)high << 32;
}

/* The first mark: the emulator reads from R8 to R11 what the counters are called. */
static inline void window_open(const char *row)
{
	uint64_t name[ROW_NAME / sizeof(uint64_t)] = { 0 };

	strncpy((char *)name, row, ROW_NAME - 1);

	register uint64_t r8 asm("r8") = name[0];
	register uint64_t r9 asm("r9") = name[1];
	register uint64_t r10 asm("r10") = name[2];
	register uint64_t r11 asm("r11") = name[3];

	asm volatile("xchg %%bx, %%bx" : : "r"(r8), "r"(r9), "r"(r10), "r"(r11) : "memory");
	first_tsc = rdtsc();
}

/* The second mark; says what was done, as selftests/lab/bench/measure.py reads it. */
static inline void window_close(const char *row, unsigned long iterations)
{
	uint64_t ticks = rdtsc() - first_tsc;

	asm volatile("xchg %%bx, %%bx" : : : "memory");
	printf("row %s iterations %lu ticks %lu\n", row, iterations,
	       (unsigned long)(ticks / iterations));
	fflush(stdout);
}

#endif
