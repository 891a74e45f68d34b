// SPDX-License-Identifier: GPL-2.0
/*
 * What a window asked of caches and predictors, and how long interrupts were off: "caches" in
 * counters.N.json.  instrument.cc opens and closes the window.
 *
 * A line is 64 bytes of physical memory.  Each list of two is [root mode, non-root mode].
 *
 *  - A round is from one VM exit of L2 to the next on the same CPU; of L1, in a window without exits
 *    of L2.  "rounds" is how many there were; what came before the first and after the last is of
 *    none.  "code_lines" and "data_lines" are the median, over the rounds, of how many different
 *    lines a round executed from, read or wrote: a round with a timer tick is not a median one.
 *  - "l1i_misses" and "l1d_misses" are those of a model: 32 KiB, 8 ways, least recently used, without
 *    prefetch, one for each CPU, shared by both modes, empty when the window opens.  There are
 *    OFFSETS lists: in the n-th, kvm_intel's lines lie n * 256 bytes further on, since where they
 *    lie decides which others they replace.  The kernel says where the module is (module_mark()).
 *  - "mispredictions" are of conditional branches, by a gshare of 12 bits: 4096 counters of two bits,
 *    chosen by the address exclusive-or the last 12 outcomes.  Indirect branches are not modelled.
 *  - "locked" are instructions with a LOCK prefix, and XCHG with memory.
 *  - "shared" are data accesses in root mode to a line that another CPU wrote in root mode, and that
 *    this CPU had not accessed since: one transfer between caches each.  "shared_ip" lists
 *    [address of the instruction, how many].
 *  - "interrupts_off" is the longest stretch of instructions in root mode with RFLAGS.IF clear, and
 *    the addresses of its first and last: [instructions, from, to].  An instruction of a guest ends it,
 *    since an interrupt exits there.
 *
 * Not seen: page walks, the VMCS (the CPU keeps it), and what a repeated string instruction moves in one
 * step of the emulator.
 *
 * Invariant: the machine's state is not changed.
 */
#include "bochs.h"
#include "cpu/cpu.h"
#include "cpu/decoder/ia_opcodes.h"
#include <algorithm>
#include <array>
#include <map>
#include <unordered_map>
#include <utility>
#include <vector>

#if BX_INSTRUMENTATION

#define LINE_BITS	6
#define SETS		64
#define WAYS		8
#define OFFSETS		16
#define GSHARE_BITS	12
#define RW_WRITES	1	/* of BX_WRITE, BX_RW and BX_SHADOW_STACK_WRITE */

enum kind { CODE, DATA, KINDS };

typedef std::array<Bit64u, 2> by_mode;

/* One level-1 cache.  In each set, the most recently used line comes first. */
class cache {
public:
	cache() { memset(set, 0xff, sizeof(set)); }

	/* Use line as if it were offset lines further on; false if it was not there. */
	bool use(Bit64u line, unsigned int offset)
	{
		Bit64u *way = set[(line + offset) % SETS];
		unsigned int n = 0;

		if (way[0] == line)
			return true;
		while (n < WAYS - 1 && way[n] != line)
			n++;
		bool found = way[n] == line;
		memmove(way + 1, way, n * sizeof(*way));
		way[0] = line;
		return found;
	}
private:
	Bit64u set[SETS][WAYS];
};

/* Which lines the round that is under way used, and how many the complete ones did. */
class round_lines {
public:
	void use(unsigned int round, Bit64u line)
	{
		Bit32u *last = &last_round[line];

		if (*last != round) {
			*last = round;
			used++;
		}
	}

	/* How many did, and begin with the next. */
	Bit32u end_round(void)
	{
		return std::exchange(used, 0);
	}
private:
	std::unordered_map<Bit64u, Bit32u> last_round;
	Bit32u used = 0;
};

struct cpu_caches {
	cache level1[KINDS][OFFSETS];
	round_lines lines[KINDS][2];
	unsigned int round = 1;
	bool whole = false;		/* the round began with an exit */
	Bit64u code_line = ~0ull;	/* the last one that was executed from */
	Bit8u gshare[1 << GSHARE_BITS] = {};
	unsigned int history = 0;
	std::array<Bit64u, 3> interrupts_off = {};
};

struct line_owner {
	unsigned int writer;
	Bit64u users;			/* CPUs, by bit, since it was written */
};

struct cache_window {
	bool of_l2;			/* there was an exit of L2 */
	std::vector<cpu_caches> cpus;
	std::vector<Bit32u> complete[KINDS][2];	/* lines of each round */
	std::array<by_mode, OFFSETS> misses[KINDS];
	by_mode mispredictions, locked;
	std::array<Bit64u, 3> interrupts_off;
	std::unordered_map<Bit64u, line_owner> owners;
	std::map<Bit64u, Bit64u> shared;
};

static cache_window *w;
static Bit64u module_start, module_end;

static Bit64u ip_of(unsigned int cpu)
{
	return BX_CPU(cpu)->get_instruction_pointer();
}

/* "xchg %cx,%cx" in root mode: kvm_intel lies from R8 up to R9. */
void caches_module_mark(unsigned int cpu)
{
	module_start = BX_CPU(cpu)->get_reg64(BX_64BIT_REG_R8);
	module_end = BX_CPU(cpu)->get_reg64(BX_64BIT_REG_R9);
}

void caches_open(void)
{
	w = new cache_window();
	w->cpus.resize(BX_SMP_PROCESSORS);
}

static void use_line(unsigned int cpu, enum kind kind, Bit64u line, Bit64u linear)
{
	bool guest = BX_CPU(cpu)->in_vmx_guest;
	cpu_caches *c = &w->cpus[cpu];
	bool moves = !guest && linear >= module_start && linear < module_end;

	c->lines[kind][guest].use(c->round, line);
	for (unsigned int n = 0; n < OFFSETS; n++)
		if (!c->level1[kind][n].use(line, moves ? n * (SETS / OFFSETS) : 0))
			w->misses[kind][n][guest]++;
}

static void count_interrupts_off(unsigned int cpu)
{
	std::array<Bit64u, 3> *off = &w->cpus[cpu].interrupts_off;

	if (BX_CPU(cpu)->in_vmx_guest || BX_CPU(cpu)->get_IF()) {
		(*off)[0] = 0;
		return;
	}
	if (!(*off)[0]++)
		(*off)[1] = ip_of(cpu);
	(*off)[2] = ip_of(cpu);
	w->interrupts_off = std::max(w->interrupts_off, *off);
}

static bool is_locked(bxInstruction_c *i)
{
	switch (i->getIaOpcode()) {
	case BX_IA_XCHG_EbGb:
	case BX_IA_XCHG_EwGw:
	case BX_IA_XCHG_EdGd:
	case BX_IA_XCHG_EqGq:
		return !i->modC0();
	default:
		return i->getLock();
	}
}

/* Called before each instruction of the window. */
void caches_instruction(unsigned int cpu, bxInstruction_c *i)
{
	cpu_caches *c = &w->cpus[cpu];
	Bit64u ip = ip_of(cpu);
	Bit64u start = BX_CPU(cpu)->pAddrFetchPage + (ip & 0xfff);
	Bit64u last = (start + i->ilen() - 1) >> LINE_BITS;

	for (Bit64u line = start >> LINE_BITS; line <= last; line++)
		if (line != c->code_line) {
			c->code_line = line;
			use_line(cpu, CODE, line, ip);
		}
	w->locked[BX_CPU(cpu)->in_vmx_guest] += is_locked(i);
	count_interrupts_off(cpu);
}

/* The first exit of L2: the rounds so far were L1's. */
static void begin_rounds_of_l2(void)
{
	w->of_l2 = true;
	for (auto &by_mode : w->complete)
		for (auto &complete : by_mode)
			complete.clear();
	for (cpu_caches &c : w->cpus)
		c.whole = false;
}

/* Called for each VM exit of the window. */
void caches_exit(unsigned int cpu)
{
	bool l2s = strict_is_l2s(cpu);
	cpu_caches *c = &w->cpus[cpu];
	Bit32u lines;

	if (l2s && !w->of_l2)
		begin_rounds_of_l2();
	if (l2s != w->of_l2)
		return;
	for (unsigned int kind = 0; kind < KINDS; kind++)
		for (unsigned int mode = 0; mode < 2; mode++) {
			lines = c->lines[kind][mode].end_round();
			if (c->whole)
				w->complete[kind][mode].push_back(lines);
		}
	c->whole = true;
	c->round++;
}

static void share(unsigned int cpu, Bit64u line, bool write)
{
	Bit64u bit = 1ull << cpu;
	auto found = w->owners.find(line);

	if (found != w->owners.end() && found->second.writer != cpu && !(found->second.users & bit)) {
		w->shared[ip_of(cpu)]++;
		found->second.users |= bit;
	}
	if (write)
		w->owners[line] = line_owner{cpu, bit};
}

/* Called for each access to data in the window. */
void caches_access(unsigned int cpu, Bit64u linear, Bit64u physical, unsigned int length, unsigned int rw)
{
	Bit64u last = (physical + length - 1) >> LINE_BITS;

	for (Bit64u line = physical >> LINE_BITS; line <= last; line++) {
		use_line(cpu, DATA, line, linear);
		if (BX_SMP_PROCESSORS > 1 && !BX_CPU(cpu)->in_vmx_guest)
			share(cpu, line, rw & RW_WRITES);
	}
}

/* Called for each conditional branch of the window. */
void caches_branch(unsigned int cpu, Bit64u ip, bool taken)
{
	cpu_caches *c = &w->cpus[cpu];
	Bit8u *counter = &c->gshare[(ip ^ c->history) & ((1 << GSHARE_BITS) - 1)];

	w->mispredictions[BX_CPU(cpu)->in_vmx_guest] += (*counter >= 2) != taken;
	if (taken)
		*counter += *counter < 3;
	else
		*counter -= *counter > 0;
	c->history = c->history << 1 | taken;
}

static Bit32u median(std::vector<Bit32u> *counts)
{
	if (counts->empty())
		return 0;
	std::nth_element(counts->begin(), counts->begin() + counts->size() / 2, counts->end());
	return (*counts)[counts->size() / 2];
}

static void put_by_mode(FILE *out, const char *name, const by_mode &counts)
{
	fprintf(out, "\"%s\": [" FMT_LL "u, " FMT_LL "u],\n", name, counts[0], counts[1]);
}

static void put_lines(FILE *out, const char *name, enum kind kind)
{
	put_by_mode(out, name, by_mode{median(&w->complete[kind][0]), median(&w->complete[kind][1])});
}

static void put_misses(FILE *out, const char *name, enum kind kind)
{
	const char *comma = "";

	fprintf(out, "\"%s\": [", name);
	for (const by_mode &m : w->misses[kind]) {
		fprintf(out, "%s[" FMT_LL "u, " FMT_LL "u]", comma, m[0], m[1]);
		comma = ", ";
	}
	fprintf(out, "],\n");
}

static void put_shared(FILE *out)
{
	const char *comma = "";
	Bit64u all = 0;

	fprintf(out, "\"shared_ip\": [");
	for (auto &s : w->shared) {
		fprintf(out, "%s[" FMT_LL "u, " FMT_LL "u]", comma, s.first, s.second);
		comma = ", ";
		all += s.second;
	}
	fprintf(out, "],\n\"shared\": " FMT_LL "u,\n", all);
}

/* Write the member "caches" of an object, and a comma. */
void caches_write(FILE *out)
{
	fprintf(out, "\"caches\": {\n\"rounds\": " FMT_LL "u,\n", (Bit64u)w->complete[CODE][0].size());
	put_lines(out, "code_lines", CODE);
	put_lines(out, "data_lines", DATA);
	put_misses(out, "l1i_misses", CODE);
	put_misses(out, "l1d_misses", DATA);
	put_by_mode(out, "mispredictions", w->mispredictions);
	put_by_mode(out, "locked", w->locked);
	put_shared(out);
	fprintf(out, "\"interrupts_off\": [" FMT_LL "u, " FMT_LL "u, " FMT_LL "u]\n},\n",
		w->interrupts_off[0], w->interrupts_off[1], w->interrupts_off[2]);
}

void caches_close(void)
{
	delete w;
	w = NULL;
}

#endif
