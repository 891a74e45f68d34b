// SPDX-License-Identifier: GPL-2.0
/*
 * Counters of what an emulated machine did between two marks.
 *
 * The mark is "xchg %bx,%bx" executed in VMX non-root mode. It exits nowhere and changes nothing. The
 * first one opens a window; the next one closes it and writes counters.N.json (N from 0) into the
 * emulator's working directory. A window is one for the whole machine: its CPUs are counted together.
 * Its name is "row" there: the characters that R8 to R11 hold at the first mark, up to the first NUL;
 * "" when others than a-z, 0-9 and _ are among them.
 *
 * What a count means:
 *  - An instruction is counted when the emulator starts to execute it. One that then faults or exits
 *    is counted too, and again each time it is started again. A repeated string instruction counts
 *    once, and once more each time it goes on after an interruption. The marks are not counted.
 *  - "ticks" are those of the emulated clock, as RDTSC sees them. An iteration of a string
 *    instruction takes one; an instruction that exits, faults or enters a guest may take none; a
 *    halted machine takes them without an instruction. So they are not the sum of the instructions.
 *  - "host" is VMX root mode (L0), "guest" is non-root mode (L1 and L2 alike).
 *  - In the lists of "guest", an instruction is taken back when it ends in the exit named after it: it
 *    is then found in "exits", so nothing is in both.
 *  - "vm_entries" are the VMLAUNCH and VMRESUME instructions started in root mode, by current VMCS;
 *    those that fail are among them.
 *  - A VMCS is named by a number: 0 for the one that was current when the window opened, then in
 *    order of first use.
 *  - "barriers" are WRMSRs of IA32_SPEC_CTRL, IA32_PRED_CMD and IA32_FLUSH_CMD in root mode between an
 *    exit and the next entry of the same CPU: [MSR, VMCS that exited, VMCS that was current, VMCS that
 *    was entered, how often].
 *  - An exit reason is the number that the VMCS receives, bit 31 (failed entry) included.
 *  - "host_ip" lists [address, instructions] for the kernel of L0; host_user_instructions is the rest.
 *  - "caches" is of caches.cc.
 *  - stacks.N.json tells the same by call stack. "calls" is a tree, a list of [parent, address of the
 *    call instruction]; entry 0 is its root. "host_ip" lists [entry of calls, address, instructions].
 *    A call is open while the stack pointer is not above its return address, which holds for returns of
 *    every kind. Each kernel stack has calls of its own, known by its address (16 KiB, aligned); those
 *    made before the window opened are not known. "jumps" lists [entry of calls, address before, address
 *    after, how often] of what went on elsewhere within one call, at an address where a function may
 *    begin: jumps, and interrupts.
 *
 * Invariant: counting never changes the machine's state, so a run is the same with and without it.
 */
#include "bochs.h"
#include "pc_system.h"
#include "cpu/cpu.h"
#include "cpu/decoder/ia_opcodes.h"
#include <array>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#if BX_INSTRUMENTATION

#define MSR_SPEC_CTRL	0x48
#define MSR_PRED_CMD	0x49
#define MSR_FLUSH_CMD	0x10b
#define STACK_BITS	14	/* THREAD_SIZE of x86-64 */
#define KNOWN_BITS	16
#define FUNCTION_ALIGNMENT	16	/* of gcc on x86-64, and of the kernel's own assembly */

typedef std::map<Bit32u, Bit64u> table;

/* Instructions that are counted without a key, and the exit reason that each may end in (0: none). */
#define PLAIN_INSTRUCTIONS(X) \
	X(BX_IA_VMPTRLD_Mq, vmptrld, VMX_VMEXIT_VMPTRLD) \
	X(BX_IA_VMCLEAR_Mq, vmclear, VMX_VMEXIT_VMCLEAR) \
	X(BX_IA_INVEPT, invept, VMX_VMEXIT_INVEPT) \
	X(BX_IA_INVVPID, invvpid, VMX_VMEXIT_INVVPID) \
	X(BX_IA_VERW_Ew, verw, 0) \
	X(BX_IA_XSETBV, xsetbv, VMX_VMEXIT_XSETBV) \
	X(BX_IA_DIV_RAXEq, div64, 0) \
	X(BX_IA_IDIV_RAXEq, idiv64, 0) \
	X(BX_IA_RDTSC, rdtsc, VMX_VMEXIT_RDTSC) \
	X(BX_IA_RDTSCP, rdtscp, VMX_VMEXIT_RDTSCP) \
	X(BX_IA_CPUID, cpuid, VMX_VMEXIT_CPUID)

/* Instructions that are counted by VMCS field or by MSR. */
#define KEYED_INSTRUCTIONS(X) \
	X(vmread, VMX_VMEXIT_VMREAD) \
	X(vmwrite, VMX_VMEXIT_VMWRITE) \
	X(rdmsr, VMX_VMEXIT_RDMSR) \
	X(wrmsr, VMX_VMEXIT_WRMSR)

/* What one mode, root or non-root, executed. */
struct mode_counts {
	Bit64u instructions;
#define X(opcode, name, reason) Bit64u name;
	PLAIN_INSTRUCTIONS(X)
#undef X
#define X(name, reason) table name;
	KEYED_INSTRUCTIONS(X)
#undef X
};

/* The listed instruction that a CPU started last. */
struct last_instruction {
	Bit64u *count;		/* where it was counted, NULL if it is not a listed one */
	Bit32u reason;		/* the exit that it may end in */
	bool keyed;
	Bit32u key;		/* its VMCS field or MSR */
};

struct exit_counts {
	Bit64u count;
	table keys;		/* VMCS fields or MSRs, for exits that have them */
};

/* A position in the tree of calls, and an address. */
typedef std::pair<unsigned int, Bit64u> place;

struct place_hash {
	size_t operator()(const place &p) const
	{
		return p.second * 0x9e3779b97f4a7c15ull + p.first * 0xc2b2ae3d27d4eb4full;
	}
};

/* Where a place is counted: most instructions are of places that were counted before. */
struct known_place {
	place where;
	Bit64u *count;		/* in window.host_ip, whose elements stay where they are */
};

struct open_call {
	Bit64u slot;		/* where the return address lies */
	unsigned int entry;	/* in window.calls */
};

typedef std::vector<open_call> kernel_stack;

/* Where a CPU is among the calls of L0's kernel. */
struct position {
	Bit64u number;		/* of the stack */
	kernel_stack *stack;
	bool called;		/* the instruction before was a call */
	Bit64u site, slot;	/* of that call */
	unsigned int entry;	/* of the instruction before, in window.calls */
	Bit64u ip, next;	/* its address, and that behind it; 0: it was not the kernel's */
};

/* An MSR, and the VMCSs that exited, was current, and was entered. */
typedef std::array<Bit32u, 4> barrier;

/* What a CPU did since its last exit. */
struct pending_barriers {
	bool exited;
	Bit32u from;
	std::vector<barrier> list;	/* the last element is not known yet */
};

struct window {
	std::string row;
	Bit64u start_tick;
	Bit64u user_instructions;
	mode_counts mode[2];	/* [0] root, [1] non-root */
	std::unordered_map<place, Bit64u, place_hash> host_ip;
	std::array<known_place, 1 << KNOWN_BITS> known;	/* by the upper bits of the hash */
	std::vector<place> calls;
	std::unordered_map<place, unsigned int, place_hash> call_index;
	std::unordered_map<Bit64u, kernel_stack> stacks;
	std::map<std::array<Bit64u, 3>, Bit64u> jumps;
	std::vector<position> positions;
	std::vector<Bit64u> vmcs;
	std::vector<Bit64u> entries;
	std::map<std::pair<unsigned int, Bit32u>, exit_counts> exits;
	std::vector<std::array<Bit64u, 2>> cpus;
	std::vector<last_instruction> last;
	std::vector<pending_barriers> pending;
	std::map<barrier, Bit64u> barriers;
};

bool counters_open;
static window *w;

static unsigned int vmcs_index(unsigned int cpu)
{
	Bit64u address = BX_CPU(cpu)->vmcsptr;

	for (unsigned int n = 0; n < w->vmcs.size(); n++)
		if (w->vmcs[n] == address)
			return n;
	w->vmcs.push_back(address);
	w->entries.push_back(0);
	return w->vmcs.size() - 1;
}

/* The emulator advances its clock in steps; what this CPU executed since the last step belongs to it too. */
static Bit64u now(unsigned int cpu)
{
	Bit64u ticks = bx_pc_system.time_ticks();

	if (BX_SMP_PROCESSORS == 1)
		ticks += BX_CPU(cpu)->icount - BX_CPU(cpu)->icount_last_sync;
	return ticks;
}

static std::string row_name(unsigned int cpu)
{
	std::string name;

	for (unsigned int reg = BX_64BIT_REG_R8; reg <= BX_64BIT_REG_R11; reg++)
		for (unsigned int shift = 0; shift < 64; shift += 8)
			name += (char)(BX_CPU(cpu)->get_reg64(reg) >> shift);
	name.resize(name.find('\0') == name.npos ? name.size() : name.find('\0'));
	if (name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") != name.npos)
		name.clear();
	return name;
}

static void open_window(unsigned int cpu)
{
	w = new window();
	w->row = row_name(cpu);
	w->cpus.resize(BX_SMP_PROCESSORS);
	w->last.resize(BX_SMP_PROCESSORS);
	w->positions.resize(BX_SMP_PROCESSORS);
	w->pending.resize(BX_SMP_PROCESSORS);
	w->calls.push_back(place(0, 0));
	vmcs_index(cpu);
	w->start_tick = now(cpu);
	caches_open();
	counters_open = true;
}

static void put_number(FILE *out, const char *name, Bit64u n)
{
	fprintf(out, "\"%s\": " FMT_LL "u,\n", name, n);
}

static void put_table(FILE *out, const char *name, const table &t, const char *after)
{
	const char *comma = "";

	fprintf(out, "\"%s\": {", name);
	for (auto &e : t) {
		if (!e.second)
			continue;
		fprintf(out, "%s\"0x%x\": " FMT_LL "u", comma, e.first, e.second);
		comma = ", ";
	}
	fprintf(out, "}%s", after);
}

static void put_mode(FILE *out, const char *name, const mode_counts &m)
{
	fprintf(out, "\"%s\": {\n", name);
#define X(opcode, name, reason) put_number(out, #name, m.name);
	PLAIN_INSTRUCTIONS(X)
#undef X
#define X(name, reason) put_table(out, #name, m.name, reason == VMX_VMEXIT_WRMSR ? "\n" : ",\n");
	KEYED_INSTRUCTIONS(X)
#undef X
	fprintf(out, "},\n");
}

/* Of all VMCSs together, the fields or MSRs of the exits with one reason. */
static table exit_keys(Bit32u reason)
{
	table all;

	for (auto &e : w->exits)
		if (e.first.second == reason)
			for (auto &k : e.second.keys)
				all[k.first] += k.second;
	return all;
}

static void put_exits(FILE *out)
{
	const char *comma = "";

	fprintf(out, "\"exits\": [");
	for (auto &e : w->exits) {
		fprintf(out, "%s\n{\"vmcs\": %u, \"reason\": %u, \"count\": " FMT_LL "u",
			comma, e.first.first, e.first.second, e.second.count);
		if (!e.second.keys.empty()) {
			fprintf(out, ", ");
			put_table(out, "keys", e.second.keys, "");
		}
		fprintf(out, "}");
		comma = ",";
	}
	fprintf(out, "],\n");
	put_table(out, "exit_vmread_fields", exit_keys(VMX_VMEXIT_VMREAD), ",\n");
	put_table(out, "exit_vmwrite_fields", exit_keys(VMX_VMEXIT_VMWRITE), ",\n");
	put_table(out, "exit_rdmsr", exit_keys(VMX_VMEXIT_RDMSR), ",\n");
	put_table(out, "exit_wrmsr", exit_keys(VMX_VMEXIT_WRMSR), ",\n");
}

static void put_barriers(FILE *out)
{
	const char *comma = "";

	fprintf(out, "\"barriers\": [");
	for (auto &b : w->barriers) {
		fprintf(out, "%s[\"0x%x\", %u, %u, %u, " FMT_LL "u]", comma, b.first[0], b.first[1],
			b.first[2], b.first[3], b.second);
		comma = ", ";
	}
	fprintf(out, "],\n");
}

static void put_lists(FILE *out)
{
	const char *comma = "";

	fprintf(out, "\"vm_entries\": [");
	for (Bit64u n : w->entries) {
		fprintf(out, "%s" FMT_LL "u", comma, n);
		comma = ", ";
	}
	comma = "";
	fprintf(out, "],\n\"cpus\": [");
	for (auto &c : w->cpus) {
		fprintf(out, "%s{\"host\": " FMT_LL "u, \"guest\": " FMT_LL "u}", comma, c[0], c[1]);
		comma = ", ";
	}
	comma = "";
	fprintf(out, "],\n\"host_ip\": [");
	std::map<Bit64u, Bit64u> sorted;
	for (auto &e : w->host_ip)
		sorted[e.first.second] += e.second;
	for (auto &e : sorted) {
		fprintf(out, "%s[" FMT_LL "u, " FMT_LL "u]", comma, e.first, e.second);
		comma = ", ";
	}
	fprintf(out, "]\n");
}

static void write_window(FILE *out, Bit64u end_tick)
{
	fprintf(out, "{\n\"row\": \"%s\",\n", w->row.c_str());
	put_number(out, "host_instructions", w->mode[0].instructions);
	put_number(out, "host_user_instructions", w->user_instructions);
	put_number(out, "guest_instructions", w->mode[1].instructions);
	put_number(out, "ticks", end_tick - w->start_tick);
	put_mode(out, "host", w->mode[0]);
	put_mode(out, "guest", w->mode[1]);
	put_exits(out);
	put_barriers(out);
	caches_write(out);
	put_lists(out);
	fprintf(out, "}\n");
}

static void write_stacks(FILE *out, Bit64u end_tick)
{
	std::map<place, Bit64u> sorted(w->host_ip.begin(), w->host_ip.end());
	const char *comma = "";

	fprintf(out, "{\n\"calls\": [");
	for (auto &c : w->calls) {
		fprintf(out, "%s[%u, " FMT_LL "u]", comma, c.first, c.second);
		comma = ", ";
	}
	comma = "";
	fprintf(out, "],\n\"host_ip\": [");
	for (auto &e : sorted) {
		fprintf(out, "%s[%u, " FMT_LL "u, " FMT_LL "u]", comma, e.first.first, e.first.second,
			e.second);
		comma = ", ";
	}
	comma = "";
	fprintf(out, "],\n\"jumps\": [");
	for (auto &j : w->jumps) {
		fprintf(out, "%s[" FMT_LL "u, " FMT_LL "u, " FMT_LL "u, " FMT_LL "u]", comma,
			j.first[0], j.first[1], j.first[2], j.second);
		comma = ", ";
	}
	fprintf(out, "]\n}\n");
}

/* Written under another name first: a file with the final name is complete. */
static void write_file(const std::string &name, void (*write)(FILE *out, Bit64u end_tick),
		       Bit64u end_tick)
{
	std::string part = name + ".part";
	FILE *out = fopen(part.c_str(), "w");
	bool good = out != NULL;

	if (out) {
		write(out, end_tick);
		good = !ferror(out);
		good = !fclose(out) && good;
	}
	if (!good || rename(part.c_str(), name.c_str()))
		genlog->panic("counters: cannot write %s: %s", name.c_str(), strerror(errno));
}

static void close_window(unsigned int cpu)
{
	static unsigned int number;
	std::string tail = "." + std::to_string(number++) + ".json";
	Bit64u end_tick = now(cpu);

	counters_open = false;
	write_file("stacks" + tail, write_stacks, end_tick);
	write_file("counters" + tail, write_window, end_tick);
	caches_close();
	delete w;
	w = NULL;
}

/* The mark of the window in non-root mode, that of the module in root mode. */
static bool is_mark(unsigned int cpu, bxInstruction_c *i)
{
	unsigned int reg = BX_CPU(cpu)->in_vmx_guest ? BX_16BIT_REG_BX : BX_16BIT_REG_CX;

	return i->getIaOpcode() == BX_IA_XCHG_EwGw && i->modC0() && i->dst() == reg && i->src() == reg;
}

static void count_keyed(last_instruction *last, table *t, Bit32u key, Bit32u reason)
{
	Bit64u *count = &(*t)[key];

	++*count;
	*last = last_instruction{count, reason, true, key};
}

static void count_plain(last_instruction *last, Bit64u *count, Bit32u reason)
{
	++*count;
	*last = last_instruction{count, reason, false, 0};
}

static void remember_barrier(unsigned int cpu, Bit32u msr)
{
	pending_barriers *p = &w->pending[cpu];

	if (BX_CPU(cpu)->in_vmx_guest || !p->exited)
		return;
	if (msr == MSR_SPEC_CTRL || msr == MSR_PRED_CMD || msr == MSR_FLUSH_CMD)
		p->list.push_back(barrier{msr, p->from, vmcs_index(cpu), 0});
}

static void count_barriers(unsigned int cpu)
{
	pending_barriers *p = &w->pending[cpu];

	for (barrier &b : p->list) {
		b[3] = vmcs_index(cpu);
		w->barriers[b]++;
	}
	p->list.clear();
}

static void count_listed(unsigned int cpu, bxInstruction_c *i, mode_counts *m)
{
	last_instruction *last = &w->last[cpu];
	bx_gen_reg_t *reg = BX_CPU(cpu)->gen_reg;
	Bit32u msr = reg[BX_32BIT_REG_ECX].dword.erx;

	last->count = NULL;
	switch (i->getIaOpcode()) {
#define X(opcode, name, reason) case opcode: count_plain(last, &m->name, reason); break;
	PLAIN_INSTRUCTIONS(X)
#undef X
	/* The field's number is in a register in the memory forms as in the register forms. */
	case BX_IA_VMREAD_EdGd:
	case BX_IA_VMREAD_EqGq:
		count_keyed(last, &m->vmread, reg[i->src()].dword.erx, VMX_VMEXIT_VMREAD);
		break;
	case BX_IA_VMWRITE_GdEd:
	case BX_IA_VMWRITE_GqEq:
		count_keyed(last, &m->vmwrite, reg[i->dst()].dword.erx, VMX_VMEXIT_VMWRITE);
		break;
	case BX_IA_RDMSR:
		count_keyed(last, &m->rdmsr, msr, VMX_VMEXIT_RDMSR);
		break;
	case BX_IA_WRMSR:
		count_keyed(last, &m->wrmsr, msr, VMX_VMEXIT_WRMSR);
		remember_barrier(cpu, msr);
		break;
	case BX_IA_VMLAUNCH:
	case BX_IA_VMRESUME:
		if (BX_CPU(cpu)->in_vmx_guest)
			break;
		w->entries[vmcs_index(cpu)]++;
		count_barriers(cpu);
		break;
	default:
		break;
	}
}

static void open_call_of(position *at, Bit64u slot, Bit64u site)
{
	unsigned int parent = at->stack->empty() ? 0 : at->stack->back().entry;
	auto found = w->call_index.emplace(place(parent, site), w->calls.size());

	if (found.second)
		w->calls.push_back(place(parent, site));
	at->stack->push_back(open_call{slot, found.first->second});
}

/* The innermost open call of the kernel's code that is about to execute. */
static unsigned int current_call(unsigned int cpu)
{
	position *at = &w->positions[cpu];
	Bit64u rsp = BX_CPU(cpu)->gen_reg[BX_64BIT_REG_RSP].rrx;

	if (at->called && at->stack && rsp <= at->slot)
		open_call_of(at, at->slot, at->site);
	at->called = false;
	if (!at->stack || rsp >> STACK_BITS != at->number) {
		at->number = rsp >> STACK_BITS;
		at->stack = &w->stacks[at->number];
	}
	while (!at->stack->empty() && rsp > at->stack->back().slot)
		at->stack->pop_back();
	return at->stack->empty() ? 0 : at->stack->back().entry;
}

static void remember_call(unsigned int cpu, bxInstruction_c *i)
{
	Bit16u opcode = i->getIaOpcode();
	position *at = &w->positions[cpu];

	if (opcode != BX_IA_CALL_Jq && opcode != BX_IA_CALL_Eq)
		return;
	at->called = true;
	at->site = BX_CPU(cpu)->get_instruction_pointer();
	at->slot = BX_CPU(cpu)->gen_reg[BX_64BIT_REG_RSP].rrx - 8;
}

static void count_jump(position *at, const place &where, unsigned int length)
{
	if (at->next && at->next != where.second && at->entry == where.first &&
	    !(where.second % FUNCTION_ALIGNMENT))
		w->jumps[{where.first, at->ip, where.second}]++;
	at->entry = where.first;
	at->ip = where.second;
	at->next = where.second + length;
}

static void count_kernel(unsigned int cpu, bxInstruction_c *i)
{
	place where(current_call(cpu), BX_CPU(cpu)->get_instruction_pointer());
	known_place *known = &w->known[place_hash()(where) >> (64 - KNOWN_BITS)];

	if (!known->count || known->where != where)
		*known = known_place{where, &w->host_ip[where]};
	++*known->count;
	count_jump(&w->positions[cpu], where, i->ilen());
	remember_call(cpu, i);
}

static void count_instruction(unsigned int cpu, bxInstruction_c *i)
{
	bool guest = BX_CPU(cpu)->in_vmx_guest;

	w->mode[guest].instructions++;
	w->cpus[cpu][guest]++;
	if (!guest && BX_CPU(cpu)->sregs[BX_SEG_REG_CS].selector.rpl != 3) {
		count_kernel(cpu, i);
	} else {
		w->user_instructions += !guest;
		w->positions[cpu].next = 0;
	}
	count_listed(cpu, i, &w->mode[guest]);
	caches_instruction(cpu, i);
}

/* Called before each instruction while a window is open, and before each one that may be a mark. */
void counters_instruction(unsigned int cpu, bxInstruction_c *i)
{
	if (!is_mark(cpu, i)) {
		if (counters_open)
			count_instruction(cpu, i);
	} else if (!BX_CPU(cpu)->in_vmx_guest) {
		caches_module_mark(cpu);
	} else if (counters_open) {
		close_window(cpu);
	} else {
		open_window(cpu);
	}
}

/* Called for each VM exit while a window is open. */
void counters_exit(unsigned int cpu, Bit32u reason)
{
	exit_counts *e = &w->exits[std::make_pair(vmcs_index(cpu), reason)];
	last_instruction *last = &w->last[cpu];

	caches_exit(cpu);
	w->pending[cpu].exited = true;
	w->pending[cpu].from = vmcs_index(cpu);
	e->count++;
	if (!last->count || last->reason != reason)
		return;
	--*last->count;
	last->count = NULL;
	if (last->keyed)
		e->keys[last->key]++;
}

#endif
