/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A program of the differential test: steps, each of one party.  A program is a
 * text file, one "PARTY operation ARGUMENTS" per line, and replays the same
 * wherever it came from.  Invariant: a step means the same whatever came before,
 * so that any steps may be left out of a program.
 */
#ifndef DIFFERENTIAL_PROGRAM_H
#define DIFFERENTIAL_PROGRAM_H

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
	op(legacy)

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

#define NAME(name)	#name,
static const char * const party_names[PARTIES] = { "L1", "L2", "user" };
static const char * const operation_names[PARTIES][64] = {
	{ L1_OPERATIONS(NAME) }, { L2_OPERATIONS(NAME) }, { USER_OPERATIONS(NAME) },
};

static void step_print(FILE *stream, const struct step *step)
{
	fprintf(stream, "%s %s %#lx %#lx %#lx", party_names[step->party],
		operation_names[step->party][step->operation],
		step->arg[0], step->arg[1], step->arg[2]);
}

static int name_index(const char *name, const char * const *names, int count)
{
	int i;

	for (i = 0; i < count; i++)
		if (names[i] && !strcmp(name, names[i]))
			return i;
	return -1;
}

static bool step_parse(const char *line, struct step *step)
{
	char party[16], operation[32];
	int p, o;

	memset(step, 0, sizeof(*step));
	if (sscanf(line, "%15s %31s %li %li %li", party, operation, (long *)&step->arg[0],
		   (long *)&step->arg[1], (long *)&step->arg[2]) < 2)
		return false;
	p = name_index(party, party_names, PARTIES);
	if (p < 0)
		return false;
	o = name_index(operation, operation_names[p], 64);
	if (o < 0)
		return false;
	step->party = p;
	step->operation = o;
	return true;
}

/* 0, or the number of the line that is wrong. */
static int program_read(const char *path, struct program *program)
{
	FILE *stream = fopen(path, "r");
	char line[160];
	int number = 0;

	TEST_ASSERT(stream, "%s: %s", path, strerror(errno));
	program->count = 0;
	while (fgets(line, sizeof(line), stream)) {
		number++;
		if (line[0] == '#' || line[0] == '\n')
			continue;
		if (program->count == MAX_STEPS ||
		    !step_parse(line, &program->step[program->count++])) {
			fclose(stream);
			return number;
		}
	}
	fclose(stream);
	return 0;
}

#endif
