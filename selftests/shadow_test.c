// SPDX-License-Identifier: GPL-2.0
/*
 * VMCS shadowing: whichever fields L0 lets L1 access without an exit, L1 reads what
 * it wrote and what L2, the nested exit and user space made of it; and the fields
 * that should not exit do not.  Runs under stock and under kvm-intel-fast, with the
 * same values; exits are counted where the module says which to expect.
 *
 * Each case is a short sequence of requests that user space makes to L1.  A case
 * that is about values first lets L1 walk all fields until all that can be are
 * shadowed (under stock: they exit, and the values are the same).
 */
#define _GNU_SOURCE
#include <sched.h>
#include <sys/ioctl.h>

#include "kvm_util.h"
#include "processor.h"
#include "vmx.h"
#include "apic.h"
#include "kselftest.h"
#include "fast_test.h"

#define MANY		300	/* nested round trips */
#define FEW		60	/* exits for other reasons meanwhile */
#define WALKS		40	/* round trips until all fields are shadowed */
#define TURNS		64
#define L2_STACK	512
#define MAX_FIELDS	256
#define VMCSS		2
#define SLOT		10	/* pages that L2's page tables map and L1's EPT does not */
#define SLOT_GPA	0x20000000ul
#define TOUCHED_GVA	0x30000000ul
#define TOUCHED		4
#define VECTOR		0x40
#define MSR_SYSENTER_ESP 0x175
#define VALID		BIT(31)
#define FAILED_ENTRY	BIT(31)
#define APIC_SELF_IPI_REG 0x3f0

enum operation {
	L1_ROUNDS,	/* "count" round trips, accessing "field" as "how" says in each */
	L1_WALK,	/* "count" round trips, reading and writing back every field */
	L1_SELECT,	/* make VMCS "vmcs" current */
	L1_RELOAD,	/* VMCLEAR and VMPTRLD of the current VMCS */
	L1_WRITE_ALL,	/* a pattern made of "value" into every field, and read it */
	L1_READ_ALL,	/* is it there? */
	L1_PUT_BACK,	/* what was there before the pattern */
	L1_TOUCH,	/* EPT violations */
	L1_ACKNOWLEDGE,	/* external interrupts, acknowledged on exit */
	L1_FAIL,	/* entries that fail by a VM exit */
	L1_VMFAIL,	/* entries that fail without */
	L1_SEGMENTS,	/* L2 changes a segment, L1 "field"; "how": does L1 look at the segment */
	L1_SYSENTER,	/* L1 changes what L0 gives vmcs02 only if vmcs12 is dirty */
	L1_ALTERNATE,	/* two VMCSs in turn */
	L1_PAUSE,	/* one round trip in which L2 stops in user space */
	L1_RESTART,	/* VMXOFF, VMXON, VMCSs anew */
};

enum how { NOT, READ, WRITE };
enum l2_operation { L2_NOTHING, L2_LOAD, L2_SEGMENT, L2_RDMSR, L2_PAUSE };

struct request {
	uint64_t operation, count, field, how, value, vmcs;
};

static struct request request;
static struct vmx_pages *vmx[VMCSS];

/* ---------------------------------------------------------------- guest -- */

static struct {
	uint64_t count, line, field, got, expected;
} wrong;

static unsigned long l2_stack[VMCSS][L2_STACK];
static bool launched[VMCSS];
static unsigned int current;
static uint64_t encodings[MAX_FIELDS], before[VMCSS][MAX_FIELDS];
static unsigned int nr_fields;
static struct {
	uint64_t operation, address, value, seen, fs;
} l2;

static void is(unsigned int line, uint64_t field, uint64_t got, uint64_t expected)
{
	if (got == expected || wrong.count++)
		return;
	wrong.line = line;
	wrong.field = field;
	wrong.got = got;
	wrong.expected = expected;
}

#define IS(got, expected)		is(__LINE__, 0, got, expected)
#define FIELD_IS(field, expected)	is(__LINE__, field, vmreadz(field), expected)

#define L2_CLOBBERS "rax", "rbx", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", \
		    "r12", "r13", "r14", "r15", "memory"

static void l2_guest_code(void)
{
	uint64_t address;
	uint32_t low;

	for (;;) {
		switch (READ_ONCE(l2.operation)) {
		case L2_LOAD:
			/* L1 skips the load, which is 3 bytes long. */
			address = l2.address;
			asm volatile("push %%rbp; mov (%%rdi), %%rax; pop %%rbp"
				     : "+D"(address) : : L2_CLOBBERS);
			break;
		case L2_SEGMENT:
			asm volatile("mov %%es, %0" : "=r"(l2.seen));
			asm volatile("mov %0, %%es" : : "r"((uint32_t)l2.value));
			asm volatile("mov %%fs:0, %0" : "=r"(l2.fs));
			break;
		case L2_RDMSR:
			asm volatile("push %%rbp; rdmsr; pop %%rbp" : "=a"(low)
				     : "c"(MSR_SYSENTER_ESP) : "rbx", "rdx", "rsi", "rdi", "r8",
				     "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory");
			l2.seen = low;
			break;
		case L2_PAUSE:
			GUEST_SYNC_ARGS(0, 0, 0, 0, 0);
			break;
		}
		vmcall();
	}
}

/* One round trip. */
static uint64_t enter(uint64_t l2_operation)
{
	uint64_t reason;

	l2.operation = l2_operation;
	if (launched[current] ? vmresume() : vmlaunch()) {
		IS(vmreadz(VM_INSTRUCTION_ERROR), 0);
		return -1;
	}
	reason = vmreadz(VM_EXIT_REASON);
	if (reason & FAILED_ENTRY)
		return reason;
	launched[current] = true;
	if (reason == EXIT_REASON_VMCALL)
		vmwrite(GUEST_RIP, vmreadz(GUEST_RIP) + vmreadz(VM_EXIT_INSTRUCTION_LEN));
	return reason;
}

static void select_vmcs(unsigned int which)
{
	GUEST_ASSERT(!vmptrld(vmx[which]->vmcs_gpa));
	current = which;
}

static void init_vmcs(unsigned int which)
{
	current = which;
	launched[which] = false;
	GUEST_ASSERT(load_vmcs(vmx[which]));
	prepare_vmcs(vmx[which], l2_guest_code, &l2_stack[which][L2_STACK - 1]);
	vmwrite(CPU_BASED_VM_EXEC_CONTROL,
		vmreadz(CPU_BASED_VM_EXEC_CONTROL) | CPU_BASED_USE_MSR_BITMAPS);
}

static void start(void)
{
	GUEST_ASSERT(prepare_for_vmx_operation(vmx[0]));
	init_vmcs(1);
	init_vmcs(0);
}

static bool read_only(uint64_t field)
{
	return (field & 0xc00) == 0x400;
}

static bool is_64bit(uint64_t field)
{
	return field >> 13 == 1;
}

static bool access_rights(uint64_t field)
{
	return field >= GUEST_ES_AR_BYTES && field <= GUEST_TR_AR_BYTES;
}

static void find_fields(void)
{
	uint64_t value, field;

	for (field = 0; field < 0x8000 && nr_fields < MAX_FIELDS; field += 2) {
		if (!(field & 0x1000) && (field & 0x3ff) < 0x80 && !vmread(field, &value))
			encodings[nr_fields++] = field;
	}
}

static void rounds(void)
{
	uint64_t i, expected = request.value;

	if (request.how == READ)
		vmwrite(request.field, expected);
	for (i = 0; i < request.count; i++) {
		if (request.how == WRITE)
			vmwrite(request.field, expected = request.value + i);
		else if (request.how == READ)
			FIELD_IS(request.field, expected);
		IS(enter(L2_NOTHING), EXIT_REASON_VMCALL);
	}
	if (request.how == WRITE)
		FIELD_IS(request.field, expected);
}

static void walk(void)
{
	uint64_t value, i;
	unsigned int f;

	for (i = 0; i < request.count; i++) {
		for (f = 0; f < nr_fields; f++) {
			IS(vmread(encodings[f], &value), 0);
			if (!read_only(encodings[f]))
				IS(vmwrite(encodings[f], value), 0);
		}
		IS(enter(L2_NOTHING), EXIT_REASON_VMCALL);
	}
}

static uint64_t pattern(uint64_t field, uint64_t salt)
{
	uint64_t value = (field + salt * 0x10001) * 0x9e3779b97f4a7c15ul;

	switch (field >> 13) {
	case 0:
		return value >> 48;
	case 2:
		value >>= 32;
		return access_rights(field) ? value & 0x1f0ff : value;
	default:
		return value;
	}
}

static void write_all(void)
{
	uint64_t value;
	unsigned int f;

	for (f = 0; f < nr_fields; f++) {
		if (read_only(encodings[f]))
			continue;
		before[current][f] = vmreadz(encodings[f]);
		value = pattern(encodings[f], request.value);
		if (is_64bit(encodings[f])) {
			vmwrite(encodings[f], value ^ 0xabcd00000000);
			IS(vmwrite(encodings[f] + 1, value >> 32), 0);
		} else {
			IS(vmwrite(encodings[f], value), 0);
		}
		FIELD_IS(encodings[f], value);
	}
}

static void read_all(void)
{
	uint64_t value;
	unsigned int f;

	for (f = 0; f < nr_fields; f++) {
		if (read_only(encodings[f]))
			continue;
		value = pattern(encodings[f], request.value);
		FIELD_IS(encodings[f], value);
		if (is_64bit(encodings[f]))
			FIELD_IS(encodings[f] + 1, value >> 32);
	}
}

static void put_back(void)
{
	unsigned int f;

	for (f = 0; f < nr_fields; f++)
		if (!read_only(encodings[f]))
			vmwrite(encodings[f], before[current][f]);
}

static void touch(void)
{
	uint64_t i, offset;

	for (i = 0; i < request.count; i++) {
		offset = i % TOUCHED * 0x1000 + i % 64 * 8;
		l2.address = TOUCHED_GVA + offset;
		IS(enter(L2_LOAD), EXIT_REASON_EPT_VIOLATION);
		FIELD_IS(GUEST_PHYSICAL_ADDRESS, SLOT_GPA + offset);
		FIELD_IS(GUEST_LINEAR_ADDRESS, TOUCHED_GVA + offset);
		vmwrite(GUEST_RIP, vmreadz(GUEST_RIP) + 3);
		IS(enter(L2_NOTHING), EXIT_REASON_VMCALL);
	}
}

static void acknowledge(void)
{
	uint64_t i, exit = vmreadz(VM_EXIT_CONTROLS), pin = vmreadz(PIN_BASED_VM_EXEC_CONTROL);

	vmwrite(VM_EXIT_CONTROLS, exit | VM_EXIT_ACK_INTR_ON_EXIT);
	vmwrite(PIN_BASED_VM_EXEC_CONTROL, pin | PIN_BASED_EXT_INTR_MASK);
	for (i = 0; i < request.count; i++) {
		x2apic_write_reg(APIC_SELF_IPI_REG, VECTOR + i % 16);
		IS(enter(L2_NOTHING), EXIT_REASON_EXTERNAL_INTERRUPT);
		FIELD_IS(VM_EXIT_INTR_INFO, VALID | (VECTOR + i % 16));
		x2apic_write_reg(APIC_EOI, 0);
		IS(enter(L2_NOTHING), EXIT_REASON_VMCALL);
	}
	vmwrite(VM_EXIT_CONTROLS, exit);
	vmwrite(PIN_BASED_VM_EXEC_CONTROL, pin);
}

static void fail(void)
{
	uint64_t i, rflags;

	for (i = 0; i < request.count; i++) {
		/* Refused by KVM. */
		vmwrite(VMCS_LINK_POINTER, 1);
		IS(enter(L2_NOTHING), FAILED_ENTRY | EXIT_REASON_INVALID_STATE);
		FIELD_IS(EXIT_QUALIFICATION, 4);
		vmwrite(VMCS_LINK_POINTER, -1);
		IS(enter(L2_NOTHING), EXIT_REASON_VMCALL);

		/* Refused by the CPU. */
		rflags = vmreadz(GUEST_RFLAGS);
		vmwrite(GUEST_RFLAGS, 0);
		IS(enter(L2_NOTHING), FAILED_ENTRY | EXIT_REASON_INVALID_STATE);
		FIELD_IS(GUEST_RFLAGS, 0);
		vmwrite(GUEST_RFLAGS, rflags);
		IS(enter(L2_NOTHING), EXIT_REASON_VMCALL);
	}
}

static void vmfail(void)
{
	uint64_t i, cr4 = vmreadz(HOST_CR4), shadow = vmreadz(CR4_READ_SHADOW);

	IS(enter(L2_NOTHING), EXIT_REASON_VMCALL);
	for (i = 0; i < request.count; i++) {
		vmwrite(CR4_READ_SHADOW, i);
		IS(vmlaunch(), 1);
		FIELD_IS(VM_INSTRUCTION_ERROR, 4);
		FIELD_IS(CR4_READ_SHADOW, i);

		vmwrite(CR3_TARGET_COUNT, 5);
		IS(vmresume(), 1);
		FIELD_IS(VM_INSTRUCTION_ERROR, 7);
		vmwrite(CR3_TARGET_COUNT, 0);

		vmwrite(HOST_CR4, 0);
		IS(vmresume(), 1);
		FIELD_IS(VM_INSTRUCTION_ERROR, 8);
		vmwrite(HOST_CR4, cr4);
		FIELD_IS(CR4_READ_SHADOW, i);
	}
	vmwrite(CR4_READ_SHADOW, shadow);
	IS(enter(L2_NOTHING), EXIT_REASON_VMCALL);
}

static void segments(void)
{
	static uint64_t word[8] = { 10, 11, 12, 13, 14, 15, 16, 17 };
	uint64_t i, es = vmreadz(GUEST_ES_SELECTOR), data = vmreadz(GUEST_DS_SELECTOR), base = 0;

	vmwrite(GUEST_FS_BASE, (uint64_t)&word[0]);
	for (i = 0; i < request.count; i++) {
		if (request.field == GUEST_FS_BASE)
			base = i % 8;
		vmwrite(request.field, (uint64_t)&word[i % 8]);
		l2.value = i % 3 ? data : 0;
		IS(enter(L2_SEGMENT), EXIT_REASON_VMCALL);
		IS(l2.seen, es);
		IS(l2.fs, word[base]);
		es = l2.value;
		if (request.how == READ)
			FIELD_IS(GUEST_ES_SELECTOR, es);
	}
	FIELD_IS(GUEST_ES_SELECTOR, es);
}

static void sysenter(void)
{
	uint64_t i;

	for (i = 0; i < request.count; i++) {
		vmwrite(GUEST_SYSENTER_ESP, 0x1000 + i);
		IS(enter(L2_RDMSR), EXIT_REASON_VMCALL);
		IS(l2.seen, 0x1000 + i);
	}
}

/* Of fields whose value has no effect here. */
static void alternate(void)
{
	static const uint64_t fields[] = {
		GUEST_PML_INDEX, GUEST_INTR_STATUS, VMX_PREEMPTION_TIMER_VALUE,
		VM_ENTRY_EXCEPTION_ERROR_CODE, CR4_READ_SHADOW, EOI_EXIT_BITMAP0,
		EOI_EXIT_BITMAP3, XSS_EXIT_BITMAP,
	};
	uint64_t i, f, turn;

	for (i = 0; i < request.count; i++) {
		select_vmcs(i % VMCSS);
		turn = i / VMCSS / 2;
		for (f = 0; f < ARRAY_SIZE(fields); f++) {
			if (turn && !(i / VMCSS % 2))
				FIELD_IS(fields[f], pattern(fields[f], turn * 2 - 2 + current));
			if (!(i / VMCSS % 2))
				vmwrite(fields[f], pattern(fields[f], turn * 2 + current));
		}
		IS(enter(L2_NOTHING), EXIT_REASON_VMCALL);
		for (f = 0; f < ARRAY_SIZE(fields); f++)
			FIELD_IS(fields[f], pattern(fields[f], turn * 2 + current));
	}
	select_vmcs(0);
}

static void pause_l2(void)
{
	uint64_t value = pattern(CR4_READ_SHADOW, request.value);

	vmwrite(CR4_READ_SHADOW, value);
	IS(enter(L2_PAUSE), EXIT_REASON_VMCALL);
	FIELD_IS(CR4_READ_SHADOW, value);
	vmwrite(VM_ENTRY_EXCEPTION_ERROR_CODE, (uint32_t)value);
	IS(enter(L2_NOTHING), EXIT_REASON_VMCALL);
	FIELD_IS(VM_ENTRY_EXCEPTION_ERROR_CODE, (uint32_t)value);
	FIELD_IS(CR4_READ_SHADOW, value);
}

static void restart(void)
{
	asm volatile("vmxoff" : : : "cc");
	start();
}

static void reload(void)
{
	vmclear(vmx[current]->vmcs_gpa);
	launched[current] = false;
	select_vmcs(current);
}

static void (* const operations[])(void) = {
	[L1_ROUNDS] = rounds,
	[L1_WALK] = walk,
	[L1_RELOAD] = reload,
	[L1_WRITE_ALL] = write_all,
	[L1_READ_ALL] = read_all,
	[L1_PUT_BACK] = put_back,
	[L1_TOUCH] = touch,
	[L1_ACKNOWLEDGE] = acknowledge,
	[L1_FAIL] = fail,
	[L1_VMFAIL] = vmfail,
	[L1_SEGMENTS] = segments,
	[L1_SYSENTER] = sysenter,
	[L1_ALTERNATE] = alternate,
	[L1_PAUSE] = pause_l2,
	[L1_RESTART] = restart,
};

static void l1_guest_code(void)
{
	x2apic_enable();
	start();
	find_fields();
	for (;;) {
		GUEST_SYNC_ARGS(wrong.count, wrong.line, wrong.field, wrong.got, wrong.expected);
		memset(&wrong, 0, sizeof(wrong));
		if (request.operation == L1_SELECT)
			select_vmcs(request.vmcs);
		else
			operations[request.operation]();
	}
}

/* ----------------------------------------------------------- user space -- */

static bool fast;	/* do our set and our copying serve this module's vCPUs? */
static bool adaptive;

static void run_to_answer(void)
{
	struct ucall uc;

	vcpu_run(vcpu);
	switch (get_ucall(vcpu, &uc)) {
	case UCALL_SYNC:
		if (uc.args[1])
			ksft_print_msg("%lu wrong; guest line %lu, field %#lx: %#lx, not %#lx\n",
				       uc.args[1], uc.args[2], uc.args[3], uc.args[4], uc.args[5]);
		case_failed |= uc.args[1];
		break;
	case UCALL_ABORT:
		REPORT_GUEST_ASSERT(uc);
	default:
		TEST_FAIL("unexpected exit %u, ucall %lu", vcpu->run->exit_reason, uc.cmd);
	}
}

static void ask(struct request what)
{
	request = what;
	sync_global_to_guest(vm, request);
	run_to_answer();
}

#define ASK(op, ...) ask((struct request){ .operation = L1_##op, ##__VA_ARGS__ })

static bool left_out(const char *name)
{
	char text[256] = ",", want[64];
	FILE *stream;

	stream = fopen("/sys/module/kvm_intel/parameters/shadow_fields", "r");
	if (!stream)
		return false;
	if (!fgets(text + 1, sizeof(text) - 2, stream))
		text[0] = 0;
	fclose(stream);
	text[strcspn(text, "\n")] = ',';
	snprintf(want, sizeof(want), ",-%s,", name);
	return strstr(text, want);
}

/* The vCPU's line of a field in debugfs. */
struct line {
	char set[4];
	uint64_t reads, writes;
};

static struct line debugfs_line(const char *name)
{
	struct line line = { "-" };
	char path[128], text[128], field[64];
	FILE *stream;

	snprintf(path, sizeof(path), "/sys/kernel/debug/kvm/%d-%d/kvm_intel_fast_shadow",
		 getpid(), vm->fd);
	stream = fopen(path, "r");
	TEST_ASSERT(stream, "%s: %s", path, strerror(errno));
	while (fgets(text, sizeof(text), stream)) {
		struct line found;

		if (sscanf(text, "%*d %63s %3s %lu %lu", field, found.set, &found.reads,
			   &found.writes) == 4 && !strcmp(field, name))
			line = found;
	}
	fclose(stream);
	return line;
}

static uint64_t exits_of(struct request what)
{
	uint64_t count = exits();

	ask(what);
	return exits() - count;
}

/* MANY round trips, with or without an access in each. */
static void expect_exits(const char *name, uint64_t field, enum how how)
{
	struct request what = { .operation = L1_ROUNDS, .count = MANY, .value = 5 };
	bool exiting = left_out(name);
	struct line line;
	uint64_t base, count;

	base = exits_of(what);
	what.field = field;
	what.how = how;
	count = exits_of(what);
	ksft_print_msg("%s: %lu exits in %d round trips, %lu without the access\n", name, count,
		       MANY, base);
	if (exiting)
		EXPECT(count >= base + MANY - FEW, "%s does not exit", name);
	else
		EXPECT(count <= base + FEW, "%s exits", name);
	if (!fast)
		return;
	line = debugfs_line(name);
	EXPECT((how == READ ? line.reads : line.writes) >= (exiting ? MANY : 0), "not counted");
	EXPECT(!strcmp(line.set, "-") == exiting, "the set of %s is '%s'", name, line.set);
}

static void walk_all(void)
{
	ASK(WALK, .count = WALKS);
}

/* ---------------------------------------------------------------- cases -- */

static bool host_has_pml(void)
{
	FILE *stream = fopen("/proc/cpuinfo", "r");
	bool found = false;
	char line[4096];

	TEST_ASSERT(stream, "/proc/cpuinfo: %s", strerror(errno));
	while (fgets(line, sizeof(line), stream))
		found |= !strncmp(line, "vmx flags", 9) && strstr(line, " pml");
	fclose(stream);
	return found;
}

static void pml_index(void)
{
	if (!host_has_pml()) {
		skip_reason = "the CPU has no PML";
		return;
	}
	expect_exits("guest_pml_index", GUEST_PML_INDEX, READ);
}

static void interrupt_status(void)
{
	expect_exits("guest_intr_status", GUEST_INTR_STATUS, READ);
}

static void preemption_timer(void)
{
	expect_exits("vmx_preemption_timer_value", VMX_PREEMPTION_TIMER_VALUE, WRITE);
}

/* The entry that this test uses writes both each time. */
static void host_rsp_and_rip(void)
{
	uint64_t count = exits_of((struct request){ .operation = L1_ROUNDS, .count = MANY });
	uint64_t expected = 2 * MANY;

	if (!fast || left_out("host_rsp"))
		expected += MANY;
	if (!fast || left_out("host_rip"))
		expected += MANY;
	EXPECT(count >= expected && count <= expected + FEW, "%lu exits, expected %lu", count,
	       expected);
}

static void fields_join_and_leave(void)
{
	struct line unused, used;
	uint64_t count;

	if (!fast) {
		skip_reason = "no set of our own";
		return;
	}
	ASK(RESTART);
	ASK(ROUNDS, .count = MANY);
	unused = debugfs_line("guest_cr3");
	used = debugfs_line("guest_rip");
	EXPECT(!strcmp(used.set, "rw"), "guest_rip: '%s'", used.set);
	EXPECT(!strcmp(unused.set, adaptive ? "-" : "rw"), "guest_cr3: '%s'", unused.set);

	count = debugfs_line("tsc_offset").writes;
	ASK(ROUNDS, .count = MANY, .field = TSC_OFFSET, .how = WRITE);
	used = debugfs_line("tsc_offset");
	EXPECT(!strcmp(used.set, adaptive ? "rw" : "-"), "tsc_offset: '%s'", used.set);
	count = used.writes - count;
	EXPECT(adaptive ? count < FEW : count == MANY, "%lu writes exited", count);
	ASK(ROUNDS, .count = 1, .field = TSC_OFFSET, .how = WRITE);
}

static void every_field_without_exits(void)
{
	uint64_t count;

	walk_all();
	count = exits_of((struct request){ .operation = L1_WALK, .count = 10 }) / 10;
	ksft_print_msg("%lu exits for a walk over all fields and a round trip\n", count);
	/* Access rights are never written, some fields never read, without an exit. */
	if (fast && adaptive)
		EXPECT(count < 40, "%lu exits", count);
}

static void every_field_keeps_its_value(void)
{
	unsigned int turn;

	walk_all();
	ASK(WRITE_ALL, .value = 1);
	ASK(SELECT, .vmcs = 1);
	ASK(WRITE_ALL, .value = 2);
	for (turn = 0; turn < 3; turn++) {
		ASK(SELECT, .vmcs = 0);
		ASK(READ_ALL, .value = 1);
		ASK(RELOAD);
		ASK(READ_ALL, .value = 1);
		ASK(SELECT, .vmcs = 1);
		ASK(READ_ALL, .value = 2);
		ASK(RELOAD);
	}
	ASK(PUT_BACK);
	ASK(SELECT, .vmcs = 0);
	ASK(PUT_BACK);
	ASK(ROUNDS, .count = 3);
}

static void restore(bool in_new_vm)
{
	struct kvm_x86_state *state = vcpu_save_state(vcpu);

	if (in_new_vm) {
		kvm_vm_release(vm);
		vcpu = vm_recreate_with_one_vcpu(vm);
		vcpu_load_state(vcpu, state);
	} else {
		vcpu_nested_state_set(vcpu, &state->nested);
	}
	kvm_x86_state_cleanup(state);
}

static void state_saved_and_restored(void)
{
	unsigned int turn;

	for (turn = 0; turn < 4; turn++) {
		walk_all();
		ASK(WRITE_ALL, .value = 3 + turn);
		/* Saved only; then L1 goes on. */
		kvm_x86_state_cleanup(vcpu_save_state(vcpu));
		ASK(READ_ALL, .value = 3 + turn);
		ASK(PUT_BACK);
		ASK(ROUNDS, .count = 3);
		ASK(WRITE_ALL, .value = 13 + turn);
		restore(false);
		ASK(READ_ALL, .value = 13 + turn);
		ASK(PUT_BACK);
		ASK(ROUNDS, .count = 3);
	}
}

static void two_vmcss_alternate(void)
{
	ASK(ALTERNATE, .count = 2 * TURNS);
	walk_all();
	ASK(ALTERNATE, .count = 2 * TURNS);
}

static void ept_violations(void)
{
	ASK(TOUCH, .count = TURNS);
}

static void acknowledged_interrupts(void)
{
	ASK(ACKNOWLEDGE, .count = TURNS);
}

static void failed_entries(void)
{
	ASK(FAIL, .count = TURNS);
}

static void refused_entries(void)
{
	ASK(VMFAIL, .count = TURNS);
	walk_all();
	ASK(VMFAIL, .count = TURNS);
}

static void segments_of_l2(void)
{
	walk_all();
	ASK(SEGMENTS, .count = TURNS, .field = GUEST_FS_BASE, .how = READ);
	ASK(SEGMENTS, .count = MANY, .field = GUEST_FS_BASE, .how = NOT);
	/* No shadowed field is a segment's, but one's write marks vmcs12 dirty. */
	ASK(RESTART);
	ASK(SEGMENTS, .count = MANY, .field = GUEST_SYSENTER_ESP, .how = NOT);
}

static void a_write_marks_vmcs12_dirty(void)
{
	ASK(SYSENTER, .count = TURNS);
	walk_all();
	ASK(SYSENTER, .count = TURNS);
	/* A save in between takes the write out of the shadow VMCS. */
	walk_all();
	ASK(WRITE_ALL, .value = 30);
	kvm_x86_state_cleanup(vcpu_save_state(vcpu));
	ASK(PUT_BACK);
	kvm_x86_state_cleanup(vcpu_save_state(vcpu));
	ASK(SYSENTER, .count = TURNS);
}

static void pin_to_cpu(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	TEST_ASSERT(!sched_setaffinity(0, sizeof(set), &set), "CPU %d", cpu);
}

/* vmcs01 is active on the CPU that L1 ran on, vmcs02 on another. */
static void moved_while_l2_runs(void)
{
	int turn;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
		skip_reason = "one CPU only";
		return;
	}
	walk_all();
	for (turn = 0; turn < TURNS; turn++) {
		pin_to_cpu(turn & 1);
		ASK(PAUSE, .value = turn);
		pin_to_cpu((turn & 1) ^ (turn % 3 > 0));
		run_to_answer();
	}
	pin_to_cpu(0);
	walk_all();
}

static void vmxoff_and_on(void)
{
	unsigned int turn;

	for (turn = 0; turn < 4; turn++) {
		walk_all();
		ASK(WRITE_ALL, .value = 40 + turn);
		ASK(RESTART);
		ASK(ROUNDS, .count = 3);
		ASK(WRITE_ALL, .value = 50 + turn);
		ASK(READ_ALL, .value = 50 + turn);
		ASK(PUT_BACK);
		ASK(ROUNDS, .count = 3);
	}
}

static void verify_found_nothing(void)
{
	if (!fast || parameter("verify") != 'Y') {
		skip_reason = "verify is off";
		return;
	}
	EXPECT(debugfs_value("kvm_intel_fast", "shadow_verify_checks"), "verify never compared");
	EXPECT(!debugfs_value("kvm_intel_fast", "shadow_verify_mismatches"), "%lu mismatches",
	       debugfs_value("kvm_intel_fast", "shadow_verify_mismatches"));
}

static void state_restored_in_new_vm(void)
{
	walk_all();
	ASK(WRITE_ALL, .value = 60);
	restore(true);
	ASK(READ_ALL, .value = 60);
	ASK(PUT_BACK);
	ASK(ROUNDS, .count = 3);
	walk_all();
	ASK(SEGMENTS, .count = TURNS, .field = GUEST_FS_BASE, .how = READ);
}

#define CASE(function) { function, #function }
static const struct {
	void (*run)(void);
	const char *name;
} cases[] = {
	CASE(pml_index),
	CASE(interrupt_status),
	CASE(preemption_timer),
	CASE(host_rsp_and_rip),
	CASE(fields_join_and_leave),
	CASE(every_field_without_exits),
	CASE(every_field_keeps_its_value),
	CASE(state_saved_and_restored),
	CASE(two_vmcss_alternate),
	CASE(ept_violations),
	CASE(acknowledged_interrupts),
	CASE(failed_entries),
	CASE(refused_entries),
	CASE(segments_of_l2),
	CASE(a_write_marks_vmcs12_dirty),
	CASE(moved_while_l2_runs),
	CASE(vmxoff_and_on),
	CASE(verify_found_nothing),
	/* Last: the counters of the old VM are gone. */
	CASE(state_restored_in_new_vm),
	CASE(verify_found_nothing),
};

static void create_vm(void)
{
	struct vmx_pages *pages[VMCSS];
	vm_vaddr_t gva;
	int i;

	vm = vm_create_with_one_vcpu(&vcpu, l1_guest_code);
	vm_init_descriptor_tables(vm);
	vcpu_init_descriptor_tables(vcpu);
	for (i = 0; i < VMCSS; i++) {
		pages[i] = vcpu_alloc_vmx(vm, &gva);
		vmx[i] = (void *)gva;
	}
	vm_userspace_mem_region_add(vm, VM_MEM_SRC_ANONYMOUS, SLOT_GPA, SLOT, TOUCHED, 0);
	virt_map(vm, TOUCHED_GVA, SLOT_GPA, TOUCHED);

	/* Last: L1's EPT maps the pages of slot 0 that are in use now. */
	prepare_eptp(pages[0], vm, 0);
	nested_map_memslot(pages[0], vm, 0);
	pages[1]->eptp_gpa = pages[0]->eptp_gpa;
	sync_global_to_guest(vm, vmx);
	run_to_answer();
}

int main(void)
{
	unsigned int i;

	begin_test();
	fast = parameter("shadow_copy") == 'Y';
	adaptive = fast && parameter("adaptive_shadow") == 'Y';

	ksft_print_header();
	ksft_set_plan(ARRAY_SIZE(cases));
	ksft_print_msg("the set of shadowed fields is %s\n",
		       adaptive ? "adaptive" : fast ? "fixed" : "stock's");
	create_vm();
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		run_case(cases[i].name, cases[i].run);
	kvm_vm_free(vm);
	ksft_finished();
}
