/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A program of the differential test: steps, each of one party.  A program is a
 * text file, one "PARTY operation ARGUMENTS" per line, and replays the same
 * wherever it came from.  Invariant: a step means the same whatever came before,
 * so that any steps may be left out of a program.
 */
#ifndef DIFFERENTIAL_PROGRAM_H
#define DIFFERENTIAL_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define MAX_STEPS	256
#define STEP_ARGS	3

enum party { PARTY_L1, PARTY_L2, PARTY_USER, PARTIES };

#define L1_OPERATIONS(op)						\
	op(setup) op(enter) op(vmwrite) op(restore) op(vmread) op(digest) \
	op(vmptrld) op(vmclear) op(vmptrst) op(vmxon) op(vmxoff)	\
	op(store) op(flip) op(load) op(list) op(rdmsr) op(wrmsr)	\
	op(invept) op(invvpid) op(cr0) op(cr3) op(cr4) op(cpuid)	\
	op(window) op(hypercall) op(vmread_memory) op(vmwrite_memory)	\
	op(xsetbv) op(vmfunc) op(operand) op(address) op(ept) op(pause)	\
	op(legacy) op(desc)

#define L2_OPERATIONS(op)						\
	op(cpuid) op(vmcall) op(rdmsr) op(wrmsr) op(in) op(out) op(ins) op(outs) \
	op(hlt) op(rdcr) op(wrcr) op(clts) op(lmsw) op(rddr) op(wrdr)	\
	op(invlpg) op(xsetbv) op(ud) op(de) op(pf) op(bp) op(int)	\
	op(load) op(store) op(triple) op(sgdt) op(lidt) op(sldt) op(ltr) \
	op(vmread) op(vmwrite) op(vmx) op(vmfunc) op(wbinvd) op(invd)	\
	op(pause) op(mwait) op(rdpmc) op(invpcid) op(window) op(nothing) \
	op(single_step) op(segment) op(loop)

#define USER_OPERATIONS(op)						\
	op(nested_get) op(nested_same) op(nested_new_vm) op(nested_hostile) \
	op(slot) op(dirty_log) op(remap) op(discard) op(poke) op(flip)	\
	op(filter) op(get_msr) op(set_msr) op(flip_msr) op(sregs) op(events) \
	op(debug) op(smi) op(nmi) op(interrupt) op(immediate) op(cpu)	\
	op(regs) op(statistics) op(lapic) op(signal) op(capability) op(storm)

#define L1_ENUM(name)	L1_##name,
#define L2_ENUM(name)	L2_##name,
#define USER_ENUM(name)	USER_##name,
enum { L1_OPERATIONS(L1_ENUM) L1_COUNT };
enum { L2_OPERATIONS(L2_ENUM) L2_COUNT };
enum { USER_OPERATIONS(USER_ENUM) USER_COUNT };

struct step {
	uint8_t party;
	uint8_t operation;
	uint64_t arg[STEP_ARGS];
};

struct program {
	unsigned int count;
	struct step step[MAX_STEPS];
};

void step_print(FILE *stream, const struct step *step);
/* Return: 0, or the number of the line that is wrong. */
int program_read(const char *path, struct program *program);

#endif
