// SPDX-License-Identifier: GPL-2.0
/*
 * What a machine reached from power-on to its end: reach.json in the emulator's working directory.
 *
 * For L1 and for L2 (strict.cc tells whose the current VMCS is; an L2 of an L2 is an L2 here):
 *  - "exits": by reason, bit 31 (failed entry) included, [how many, how many to L1]. An exit is "to L1"
 *    when what that CPU enters next is vmcs01 of the same vCPU. From L1 there are none.
 *  - "rdmsr", "wrmsr": by MSR, [executed without an exit, exits, exits to L1]. One that faults without
 *    an exit was executed.
 *  - "entered": for each control word, [bits that were 1, bits that were 0] at some VM entry that
 *    succeeded. Secondary and tertiary controls that are not activated are 0.
 *  - "written": the same of the values that VMWRITE got in non-root mode, whether it exited or not. Of
 *    VMWRITE with a memory operand the value is not known.
 * "supported" has the bits of the control words that the CPU lets be 1.
 *
 * Invariant: nothing is done but at VM entries and exits, and at RDMSR, WRMSR and VMWRITE in non-root
 * mode; the machine's state is not changed.
 */
#include "bochs.h"
#include "cpu/cpu.h"
#include <array>
#include <map>
#include <vector>

#if BX_INSTRUMENTATION

/* Name, VMCS field, the emulator's copy, and which bits may be 1. */
#define CONTROL_WORDS(X) \
	X(pin, VMCS_32BIT_CONTROL_PIN_BASED_EXEC_CONTROLS, pin_vmexec_ctrls, \
	  vmx_pin_vmexec_ctrl_supported_bits) \
	X(primary, VMCS_32BIT_CONTROL_PROCESSOR_BASED_VMEXEC_CONTROLS, vmexec_ctrls1, \
	  vmx_proc_vmexec_ctrl_supported_bits) \
	X(secondary, VMCS_32BIT_CONTROL_SECONDARY_VMEXEC_CONTROLS, vmexec_ctrls2, \
	  vmx_vmexec_ctrl2_supported_bits) \
	X(tertiary, VMCS_64BIT_CONTROL_TERTIARY_VMEXEC_CONTROLS, vmexec_ctrls3, \
	  vmx_vmexec_ctrl3_supported_bits) \
	X(exit, VMCS_32BIT_CONTROL_VMEXIT_CONTROLS, vmexit_ctrls1, \
	  vmx_vmexit_ctrl1_supported_bits) \
	X(entry, VMCS_32BIT_CONTROL_VMENTRY_CONTROLS, vmentry_ctrls, \
	  vmx_vmentry_ctrl_supported_bits)

struct control_word {
	Bit64u ones, zeros;

	void add(Bit64u value)
	{
		ones |= value;
		zeros |= ~value;
	}
};

struct control_words {
#define X(name, field, copy, bits) control_word name;
	CONTROL_WORDS(X)
#undef X
};

typedef std::map<Bit32u, std::array<Bit64u, 2>> exit_table;
typedef std::map<Bit32u, std::array<Bit64u, 3>> msr_table;

struct level_reach {
	exit_table exits;
	msr_table rdmsr, wrmsr;
	control_words entered, written;
};

/* An exit from L2, until the CPU enters what comes next. */
struct pending_exit {
	Bit64u vcpu;
	Bit64u *to_l1, *msr_to_l1;	/* in the tables, whose elements stay where they are */
};

static level_reach levels[2];		/* of L1, of L2 */
static control_words supported;
static std::vector<pending_exit> pending;

static level_reach *level(unsigned cpu)
{
	return &levels[strict_is_l2s(cpu)];
}

void reach_entered(unsigned cpu)
{
	const VMCS_CACHE *now = &BX_CPU(cpu)->vmcs;
	level_reach *reach = level(cpu);

#define X(name, field, copy, bits) \
	reach->entered.name.add(now->copy.get()); \
	supported.name.add(BX_CPU(cpu)->vmx_cap.bits);
	CONTROL_WORDS(X)
#undef X
	pending.resize(BX_SMP_PROCESSORS);
	pending_exit *p = &pending[cpu];
	if (p->to_l1 && reach == &levels[0] && strict_vcpu(cpu) == p->vcpu) {
		++*p->to_l1;
		if (p->msr_to_l1)
			++*p->msr_to_l1;
	}
	p->to_l1 = NULL;
}

void reach_exit(unsigned cpu, Bit32u reason)
{
	level_reach *reach = level(cpu);
	auto *exits = &reach->exits[reason];
	Bit64u *msr_to_l1 = NULL;

	++(*exits)[0];
	if (reason == VMX_VMEXIT_RDMSR || reason == VMX_VMEXIT_WRMSR) {
		msr_table *table = reason == VMX_VMEXIT_RDMSR ? &reach->rdmsr : &reach->wrmsr;
		auto *msr = &(*table)[BX_CPU(cpu)->gen_reg[BX_32BIT_REG_ECX].dword.erx];

		++(*msr)[1];
		msr_to_l1 = &(*msr)[2];
	}
	pending.resize(BX_SMP_PROCESSORS);
	if (reach == &levels[1])
		pending[cpu] = pending_exit{strict_vcpu(cpu), &(*exits)[1], msr_to_l1};
}

void reach_vmwrite(unsigned cpu, bxInstruction_c *i)
{
	bx_gen_reg_t *reg = BX_CPU(cpu)->gen_reg;

	if (!i->modC0())
		return;
	switch (reg[i->dst()].dword.erx) {
#define X(name, field, copy, bits) case field: level(cpu)->written.name.add(reg[i->src()].rrx); break;
	CONTROL_WORDS(X)
#undef X
	default:
		break;
	}
}

void reach_rdmsr(unsigned cpu, Bit32u msr)
{
	++level(cpu)->rdmsr[msr][0];
}

void reach_wrmsr(unsigned cpu, Bit32u msr)
{
	++level(cpu)->wrmsr[msr][0];
}

template<class table> static void put_table(FILE *out, const char *name, const table &t)
{
	const char *comma = "";

	fprintf(out, "\"%s\": {", name);
	for (auto &entry : t) {
		fprintf(out, "%s\"%u\": [", comma, entry.first);
		for (unsigned n = 0; n < entry.second.size(); n++)
			fprintf(out, "%s" FMT_LL "u", n ? ", " : "", entry.second[n]);
		fprintf(out, "]");
		comma = ", ";
	}
	fprintf(out, "},\n");
}

static void put_words(FILE *out, const char *name, const control_words &words, const char *after)
{
	const char *comma = "";

	fprintf(out, "\"%s\": {", name);
#define X(name, field, copy, bits) \
	fprintf(out, "%s\"" #name "\": [" FMT_LL "u, " FMT_LL "u]", comma, words.name.ones, \
		words.name.zeros); \
	comma = ", ";
	CONTROL_WORDS(X)
#undef X
	fprintf(out, "}%s\n", after);
}

static void put_level(FILE *out, const char *name, const level_reach &reach, const char *after)
{
	fprintf(out, "\"%s\": {\n", name);
	put_table(out, "exits", reach.exits);
	put_table(out, "rdmsr", reach.rdmsr);
	put_table(out, "wrmsr", reach.wrmsr);
	put_words(out, "entered", reach.entered, ",");
	put_words(out, "written", reach.written, "");
	fprintf(out, "}%s\n", after);
}

/* Every way in which the emulator ends itself runs destructors; it is declared after what it reads. */
static struct at_the_end {
	~at_the_end()
	{
		FILE *out = fopen("reach.json.part", "w");
		bool good = out != NULL;

		if (out) {
			fprintf(out, "{\n");
			put_level(out, "L1", levels[0], ",");
			put_level(out, "L2", levels[1], ",");
			put_words(out, "supported", supported, "");
			fprintf(out, "}\n");
			good = !ferror(out);
			good = !fclose(out) && good;
		}
		if (!good || rename("reach.json.part", "reach.json"))
			fprintf(stderr, "reach: cannot write reach.json: %s\n", strerror(errno));
	}
} at_the_end;

#endif
