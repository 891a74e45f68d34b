// SPDX-License-Identifier: GPL-2.0
/*
 * The guests of shadow_test: L1 reads, writes and checks VMCS fields as user space asks.
 */
#include "apic.h"

#include "module/shadow/shadow.h"

struct request request;
struct vmx_pages *vmx[VMCSS];

const uint64_t written_before_smi[WRITTEN_BEFORE_SMI] = {
	CR4_READ_SHADOW, CR0_READ_SHADOW, VM_ENTRY_EXCEPTION_ERROR_CODE, TSC_OFFSET,
	GUEST_SYSENTER_EIP, GUEST_SYSENTER_ESP,
};

uint64_t expected_after_smi[WRITTEN_BEFORE_SMI];

static struct {
	uint64_t count, line, field, got, expected;
} wrong;

#define IS(got, expected)		is(__LINE__, 0, got, expected)
#define FIELD_IS(field, expected)	is(__LINE__, field, vmreadz(field), expected)

static unsigned long l2_stack[VMCSS][L2_STACK];
static bool launched[VMCSS];
static unsigned int current;
static uint64_t encodings[MAX_FIELDS], before[VMCSS][MAX_FIELDS];
static unsigned int nr_fields;
static struct {
	uint64_t operation, address, value, seen, fs, pushed, down;
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

#define ALL_BUT_RDI "rax", "rbx", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", \
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
				     : "+D"(address) : : ALL_BUT_RDI);
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
		case L2_PUSH:
			/* Exits with another RSP, which L1 reads; "pushed" may change then. */
			l2.down = l2.pushed;
			asm volatile("push %%rbp; sub %0, %%rsp; vmcall; add %0, %%rsp; pop %%rbp"
				     : "+m"(l2.down) : : "rdi", ALL_BUT_RDI, "cc");
			continue;
		}
		vmcall();
	}
}

/* One round trip. */
static uint64_t expected_error;	/* of entries that are refused */

/* Not inlined: HOST_RIP is the same for all entries, so that nothing changes between two. */
static noinline uint64_t enter(uint64_t l2_operation)
{
	uint64_t reason;

	l2.operation = l2_operation;
	if (launched[current] ? vmresume() : vmlaunch()) {
		IS(vmreadz(VM_INSTRUCTION_ERROR), expected_error);
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

uint64_t pattern(uint64_t field, uint64_t salt)
{
	uint64_t value = (field + salt * 0x10001) * 0x9e3779b97f4a7c15ul;

	switch (field >> 13) {
	case 0:
		return value >> 48;
	case 2:
		value >>= 32;
		return access_rights(field) ? value & AR_BITS : value;
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
		x2apic_write_reg(APIC_SELF_IPI, VECTOR + i % 16);
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

static void refused(void)
{
	expected_error = 7;
	IS(enter(L2_NOTHING), -1);
	expected_error = 0;
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

/* Of fields whose value has no effect here, those that the vCPU has: from 7.x on not all. */
static void alternate(void)
{
	static const uint64_t wanted[] = {
		GUEST_PML_INDEX, GUEST_INTR_STATUS, VMX_PREEMPTION_TIMER_VALUE,
		VM_ENTRY_EXCEPTION_ERROR_CODE, CR4_READ_SHADOW, EOI_EXIT_BITMAP0,
		EOI_EXIT_BITMAP3, XSS_EXIT_BITMAP,
	};
	uint64_t fields[ARRAY_SIZE(wanted)], nr_fields = 0, i, f, turn;

	for (f = 0; f < ARRAY_SIZE(wanted); f++)
		if (!vmread(wanted[f], &fields[nr_fields]))
			fields[nr_fields++] = wanted[f];
	GUEST_ASSERT(nr_fields);
	for (i = 0; i < request.count; i++) {
		select_vmcs(i % VMCSS);
		turn = i / VMCSS / 2;
		for (f = 0; f < nr_fields; f++) {
			if (turn && !(i / VMCSS % 2))
				FIELD_IS(fields[f], pattern(fields[f], turn * 2 - 2 + current));
			if (!(i / VMCSS % 2))
				vmwrite(fields[f], pattern(fields[f], turn * 2 + current));
		}
		IS(enter(L2_NOTHING), EXIT_REASON_VMCALL);
		for (f = 0; f < nr_fields; f++)
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

static void leave_each_time(void)
{
	uint64_t i;

	for (i = request.value; i < request.value + request.count; i++) {
		vmwrite(request.field, i);
		IS(enter(L2_NOTHING), EXIT_REASON_VMCALL);
		GUEST_ASSERT(!vmclear(vmx[current]->vmcs_gpa));
		vmxoff();
		GUEST_ASSERT(!vmxon(vmx[current]->vmxon_gpa));
		launched[current] = false;
		select_vmcs(current);
		FIELD_IS(request.field, i);
	}
}

static void around_smi(void)
{
	unsigned int f, turn;

	for (f = 0; f < WRITTEN_BEFORE_SMI; f++)
		vmwrite(written_before_smi[f],
			(uint32_t)pattern(written_before_smi[f], request.value));
	if (request.how)
		IS(enter(L2_PAUSE), EXIT_REASON_VMCALL);
	else
		GUEST_SYNC_ARGS(0, 0, 0, 0, 0);
	for (turn = 0; turn < 3; turn++) {
		for (f = 0; f < WRITTEN_BEFORE_SMI; f++)
			FIELD_IS(written_before_smi[f], READ_ONCE(expected_after_smi[f]));
		IS(enter(L2_NOTHING), EXIT_REASON_VMCALL);
	}
}

static void read_rights(void)
{
	static uint64_t before[SEGMENT_REGISTERS];
	uint64_t i, value;

	for (i = 0; i < SEGMENT_REGISTERS; i++) {
		value = vmreadz(GUEST_ES_AR_BYTES + 2 * i) & AR_BITS;
		if (request.how == READ)
			IS(value, before[i]);
		before[i] = value;
	}
}

static void both_ways(void)
{
	static const uint64_t fields[] = {
		CR4_READ_SHADOW, CR0_READ_SHADOW, VM_ENTRY_EXCEPTION_ERROR_CODE,
		VMX_PREEMPTION_TIMER_VALUE, GUEST_SYSENTER_EIP,
	};
	uint64_t i, f, down, top = 0, rip = 0;

	for (i = 0; i < request.count; i++) {
		for (f = 0; f < ARRAY_SIZE(fields); f++)
			vmwrite(fields[f], (uint32_t)pattern(fields[f], i));
		if (i % 8 == 7) {
			l2.address = TOUCHED_GVA + i % TOUCHED * 0x1000 + i % 64 * 8;
			IS(enter(L2_LOAD), EXIT_REASON_EPT_VIOLATION);
			FIELD_IS(GUEST_PHYSICAL_ADDRESS, l2.address - TOUCHED_GVA + SLOT_GPA);
			vmwrite(GUEST_RIP, vmreadz(GUEST_RIP) + 3);
			IS(enter(L2_NOTHING), EXIT_REASON_VMCALL);
		} else {
			l2.pushed = down = i % 7 * 8;
			IS(enter(L2_PUSH), EXIT_REASON_VMCALL);
			FIELD_IS(VM_EXIT_INSTRUCTION_LEN, 3);
			if (!top) {
				top = vmreadz(GUEST_RSP) + down;
				rip = vmreadz(GUEST_RIP);
			}
			FIELD_IS(GUEST_RSP, top - down);
			FIELD_IS(GUEST_RIP, rip);
		}
		for (f = 0; f < ARRAY_SIZE(fields); f++)
			FIELD_IS(fields[f], (uint32_t)pattern(fields[f], i));
	}
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
	[L1_READ_RIGHTS] = read_rights,
	[L1_PUT_BACK] = put_back,
	[L1_TOUCH] = touch,
	[L1_ACKNOWLEDGE] = acknowledge,
	[L1_FAIL] = fail,
	[L1_VMFAIL] = vmfail,
	[L1_REFUSED] = refused,
	[L1_SEGMENTS] = segments,
	[L1_SYSENTER] = sysenter,
	[L1_ALTERNATE] = alternate,
	[L1_PAUSE] = pause_l2,
	[L1_RESTART] = restart,
	[L1_LEAVE] = leave_each_time,
	[L1_SMI] = around_smi,
	[L1_BOTH_WAYS] = both_ways,
};

void l1_guest_code(void)
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
