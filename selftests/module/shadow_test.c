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
#include <pthread.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <time.h>

#include "kvm_util.h"
#include "processor.h"
#include "vmx.h"
#include "apic.h"

#include "lib/cases.h"
#include "lib/vm.h"

#define MANY		300	/* nested round trips */
#define FEW		60	/* exits for other reasons meanwhile */
#define WALKS		40	/* round trips until all fields are shadowed */
#define TURNS		64
#define CROWDED		3000	/* round trips beside a thread that preempts */
#define SLOW_NS		5000000	/* of a round trip: the debug kernel, where fewer do */
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
#define SMRAM		0x1000000
#define SMRAM_SIZE	0x10000
#define SMRAM_SLOT	(BIT(16) | 11)	/* of the address space that SMM sees */
#define SEGMENT_REGISTERS 8
#define AR_BITS		0x1f0ffu /* those that are not reserved */
#define AR_IN_VMCS12	880	/* where vmcs12 has the first segment's */
#define SMI_PORT	0x0e	/* where the SMI handler stops */

enum operation {
	L1_ROUNDS,	/* "count" round trips, accessing "field" as "how" says in each */
	L1_WALK,	/* "count" round trips, reading and writing back every field */
	L1_SELECT,	/* make VMCS "vmcs" current */
	L1_RELOAD,	/* VMCLEAR and VMPTRLD of the current VMCS */
	L1_WRITE_ALL,	/* a pattern made of "value" into every field, and read it */
	L1_READ_ALL,	/* is it there? */
	L1_READ_RIGHTS,	/* all access rights; "how" READ: are they as before, but for AR_BITS? */
	L1_PUT_BACK,	/* what was there before the pattern */
	L1_TOUCH,	/* EPT violations */
	L1_ACKNOWLEDGE,	/* external interrupts, acknowledged on exit */
	L1_FAIL,	/* entries that fail by a VM exit */
	L1_VMFAIL,	/* entries that fail without */
	L1_REFUSED,	/* one entry, which fails the checks of controls */
	L1_SEGMENTS,	/* L2 changes a segment, L1 "field"; "how": does L1 look at the segment */
	L1_SYSENTER,	/* L1 changes what L0 gives vmcs02 only if vmcs12 is dirty */
	L1_ALTERNATE,	/* two VMCSs in turn */
	L1_PAUSE,	/* one round trip in which L2 stops in user space */
	L1_RESTART,	/* VMXOFF, VMXON, VMCSs anew */
	L1_SMI,		/* fields written, a stop in user space ("how": of L2) for an SMI */
	L1_BOTH_WAYS,	/* "count" round trips; each value of L1 and of L2 another, and checked */
};

enum how { NOT, READ, WRITE };
enum l2_operation { L2_NOTHING, L2_LOAD, L2_SEGMENT, L2_RDMSR, L2_PAUSE, L2_PUSH };

struct request {
	uint64_t operation, count, field, how, value, vmcs;
};

static struct request request;
static struct vmx_pages *vmx[VMCSS];

/* What L1 writes before an SMI, and shall read after it; stock shadows the first. */
static const uint64_t written_before_smi[] = {
	CR4_READ_SHADOW, CR0_READ_SHADOW, VM_ENTRY_EXCEPTION_ERROR_CODE, TSC_OFFSET,
	GUEST_SYSENTER_EIP, GUEST_SYSENTER_ESP,
};

#define WRITTEN_BEFORE_SMI	ARRAY_SIZE(written_before_smi)
#define SHADOWED_IN_STOCK	3
static uint64_t expected_after_smi[WRITTEN_BEFORE_SMI];

/* What the SMI handler does; it fills in value, of a VMREAD, and result. */
enum { SMM_DONE, SMM_UD, SMM_FAILED, SMM_NEVER };

struct smm_access {
	uint32_t field, value, write, result;
};

struct smram {
	uint64_t gdt[3], idt[UD_VECTOR + 1];
	struct { uint16_t limit; uint32_t base; } __packed gdtr, idtr;
	struct smm_access access[16];	/* ends with field 0 */
};

#define SMM_ENTRY	(SMRAM + 0x8000)
#define SMM_DATA	(SMRAM + 0x9000)
#define SMM_STACK	(SMRAM + 0xb000)

/* ---------------------------------------------------------------- guest -- */

static struct {
	uint64_t count, line, field, got, expected;
} wrong;

/*
 * The SMI handler, never called, but copied to SMM_ENTRY: through the list of
 * accesses, and to user space.  It is entered in real mode; VMREAD and VMWRITE
 * demand protected mode.  A VMREAD or VMWRITE that raises #UD is left by smm_ud.
 */
extern char smm_start[], smm_ud[], smm_end[];

static void __attribute__((used)) smm_code(void)
{
	asm volatile(".code16\n"
		     "smm_start:\n"
		     "	addr32 lgdtl %%ds:(%c[gdtr])\n"
		     "	addr32 lidtl %%ds:(%c[idtr])\n"
		     "	mov %%cr0, %%eax\n"
		     "	or $1, %%al\n"
		     "	mov %%eax, %%cr0\n"
		     "	ljmpl $8, $%c[entry] + smm_32 - smm_start\n"
		     ".code32\n"
		     "smm_32:\n"
		     "	mov $16, %%eax\n"
		     "	mov %%eax, %%ds\n"
		     "	mov %%eax, %%es\n"
		     "	mov %%eax, %%ss\n"
		     "	mov $%c[stack], %%esp\n"
		     "	mov $%c[access], %%esi\n"
		     "smm_next:\n"
		     "	mov (%%esi), %%eax\n"
		     "	test %%eax, %%eax\n"
		     "	je smm_stop\n"
		     "	mov 4(%%esi), %%ebx\n"
		     "	xor %%ecx, %%ecx\n"
		     "	cmpl $0, 8(%%esi)\n"
		     "	je smm_read\n"
		     "	vmwrite %%ebx, %%eax\n"
		     "	jmp smm_check\n"
		     "smm_read:\n"
		     "	vmread %%eax, %%ebx\n"
		     "smm_check:\n"
		     "	ja smm_store\n"
		     "	mov $%c[failed], %%ecx\n"
		     "smm_store:\n"
		     "	mov %%ebx, 4(%%esi)\n"
		     "	mov %%ecx, 12(%%esi)\n"
		     "	add $16, %%esi\n"
		     "	jmp smm_next\n"
		     "smm_stop:\n"
		     "	out %%al, $%c[port]\n"
		     "	rsm\n"
		     "smm_ud:\n"
		     "	mov $%c[ud], %%ecx\n"
		     "	movl $%c[entry] + smm_store - smm_start, (%%esp)\n"
		     "	iret\n"
		     "smm_end:\n"
		     ".code64\n"
		     : : [gdtr] "i"(SMM_DATA + offsetof(struct smram, gdtr)),
		     [idtr] "i"(SMM_DATA + offsetof(struct smram, idtr)),
		     [access] "i"(SMM_DATA + offsetof(struct smram, access)),
		     [entry] "i"(SMM_ENTRY), [stack] "i"(SMM_STACK), [port] "i"(SMI_PORT),
		     [failed] "i"(SMM_FAILED), [ud] "i"(SMM_UD));
}

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

#define IS(got, expected)		is(__LINE__, 0, got, expected)
#define FIELD_IS(field, expected)	is(__LINE__, field, vmreadz(field), expected)

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

static uint64_t pattern(uint64_t field, uint64_t salt)
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
	[L1_SMI] = around_smi,
	[L1_BOTH_WAYS] = both_ways,
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
	struct kvm_x86_state *state;

	if (in_new_vm) {
		move_to_new_vm();
	} else {
		state = vcpu_save_state(vcpu);
		vcpu_nested_state_set(vcpu, &state->nested);
		kvm_x86_state_cleanup(state);
	}
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

/*
 * Reserved bits of access rights get into vmcs12 where user space sets the state, as here, and
 * where L1 stores to the region before VMPTRLD; not by VMWRITE.  L1 may read them or not: some
 * CPUs drop them on VMWRITE, and so where L0 writes the shadow VMCS.
 */
static void reserved_bits_of_access_rights(void)
{
	struct kvm_x86_state *state;
	uint32_t *rights;
	unsigned int i;

	walk_all();
	ASK(READ_RIGHTS);
	state = vcpu_save_state(vcpu);
	rights = (void *)&state->nested.data + AR_IN_VMCS12;
	for (i = 0; i < SEGMENT_REGISTERS; i++)
		rights[i] |= ~AR_BITS;
	vcpu_nested_state_set(vcpu, &state->nested);
	ASK(READ_RIGHTS, .how = READ);
	for (i = 0; i < SEGMENT_REGISTERS; i++)
		rights[i] &= AR_BITS;
	vcpu_nested_state_set(vcpu, &state->nested);
	kvm_x86_state_cleanup(state);
	ASK(READ_RIGHTS, .how = READ);
	ASK(ROUNDS, .count = 3);
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

/*
 * A save that does not find the vCPU's CPU loads vmcs01 and the shadow VMCS where it is,
 * without an entry, and another may follow elsewhere.
 */
static void saved_on_each_cpu(void)
{
	int turn;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
		skip_reason = "one CPU only";
		return;
	}
	walk_all();
	for (turn = 0; turn < TURNS; turn++) {
		pin_to_cpu(0);
		ASK(WRITE_ALL, .value = 70 + turn);
		pin_to_cpu(1);
		kvm_x86_state_cleanup(vcpu_save_state(vcpu));
		pin_to_cpu(0);
		kvm_x86_state_cleanup(vcpu_save_state(vcpu));
		pin_to_cpu(1);
		ASK(READ_ALL, .value = 70 + turn);
		ASK(PUT_BACK);
	}
	pin_to_cpu(0);
	ASK(ROUNDS, .count = 3);
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

/* ------------------------------------------------------------------ SMM -- */

enum access_here { ALWAYS, NEVER, EITHER };

/*
 * An SMI handler is outside of VMX operation: VMREAD and VMWRITE ought to raise #UD
 * there (SDM, "Default Treatment of SMI Delivery").  KVM raises it where the access
 * exits; a shadowed field is accessed.  Both modules shadow the "ALWAYS" ones, and
 * neither the "NEVER" ones.
 */
static const struct {
	uint64_t field;
	bool write;
	enum access_here here;
} smm_accesses[] = {
	{ CR4_READ_SHADOW, false, ALWAYS },
	{ VM_EXIT_REASON, false, ALWAYS },
	{ CR4_READ_SHADOW, true, ALWAYS },
	{ CR0_READ_SHADOW, true, ALWAYS },
	{ VM_ENTRY_EXCEPTION_ERROR_CODE, true, ALWAYS },
	{ TSC_OFFSET, true, EITHER },
	{ GUEST_SYSENTER_EIP, true, EITHER },
	{ GUEST_ES_AR_BYTES, true, NEVER },
	{ VM_EXIT_REASON, true, NEVER },
	{ VM_INSTRUCTION_ERROR, false, NEVER },
	{ CR0_READ_SHADOW, false, ALWAYS },
};

#define SMM_ACCESSES	ARRAY_SIZE(smm_accesses)

static struct smram *smram;

static void create_smram(void)
{
	char *base;

	vm_userspace_mem_region_add(vm, VM_MEM_SRC_ANONYMOUS, SMRAM, SMRAM_SLOT,
				    SMRAM_SIZE / getpagesize(), 0);
	TEST_ASSERT(vm_phy_pages_alloc(vm, SMRAM_SIZE / getpagesize(), SMRAM, SMRAM_SLOT) == SMRAM,
		    "no SMRAM");
	base = addr_gpa2hva(vm, SMRAM);
	memcpy(base + SMM_ENTRY - SMRAM, smm_start, smm_end - smm_start);
	smram = (void *)(base + SMM_DATA - SMRAM);
	smram->gdt[1] = 0x00cf9b000000ffff;	/* flat: 32-bit code, data */
	smram->gdt[2] = 0x00cf93000000ffff;
	/* A 32-bit interrupt gate; the handler lies in one page. */
	smram->idt[UD_VECTOR] = 0x8e0000080000ull | (SMM_ENTRY & 0xffff0000ull) << 32 |
				((SMM_ENTRY + (smm_ud - smm_start)) & 0xffff);
	smram->gdtr.limit = sizeof(smram->gdt) - 1;
	smram->gdtr.base = SMM_DATA + offsetof(struct smram, gdt);
	smram->idtr.limit = sizeof(smram->idt) - 1;
	smram->idtr.base = SMM_DATA + offsetof(struct smram, idt);
	vcpu_set_msr(vcpu, MSR_IA32_SMBASE, SMRAM);
}

static uint32_t smm_value(unsigned int i, uint64_t salt)
{
	return pattern(smm_accesses[i].field, salt + 1000);
}

/* Let the SMI handler run to its stop. */
static void enter_smm(void)
{
	vcpu_ioctl(vcpu, KVM_SMI, NULL);
	vcpu_run(vcpu);
	TEST_ASSERT(vcpu->run->exit_reason == KVM_EXIT_IO && vcpu->run->io.port == SMI_PORT,
		    "exit %u instead of the SMI handler's", vcpu->run->exit_reason);
}

static void deliver_smi(uint64_t salt)
{
	unsigned int i;

	for (i = 0; i < SMM_ACCESSES; i++)
		smram->access[i] = (struct smm_access){
			smm_accesses[i].field, smm_value(i, salt), smm_accesses[i].write, SMM_NEVER
		};
	smram->access[i].field = 0;
	enter_smm();
}

/*
 * Did the handler's accesses do what they may?  Fills in what L1 shall read, if the
 * values of the first "reach" fields get into vmcs12.
 */
static void judge_smi(uint64_t salt, unsigned int reach, unsigned int *done)
{
	struct smm_access *access = smram->access;
	uint64_t expected;
	unsigned int i, f;

	for (f = 0; f < WRITTEN_BEFORE_SMI; f++)
		expected_after_smi[f] = (uint32_t)pattern(written_before_smi[f], salt);
	for (i = 0; i < SMM_ACCESSES; i++, access++) {
		EXPECT(access->result == SMM_DONE || access->result == SMM_UD,
		       "access %u, of %#x: result %u", i, access->field, access->result);
		EXPECT(smm_accesses[i].here != NEVER || access->result == SMM_UD,
		       "access %u, of %#x, does not raise #UD", i, access->field);
		done[i] += access->result == SMM_DONE;
		if (access->result != SMM_DONE)
			continue;
		for (f = 0; f < reach; f++)
			if (written_before_smi[f] == access->field && access->write)
				expected_after_smi[f] = access->value;
		if (access->write)
			continue;
		if (access->field == VM_EXIT_REASON)
			expected = EXIT_REASON_VMCALL;
		else if (access->field == CR4_READ_SHADOW)
			expected = (uint32_t)pattern(CR4_READ_SHADOW, salt);
		else	/* written above, if that was no #UD */
			expected = access[-7].result == SMM_DONE ? access[-7].value :
				   (uint32_t)pattern(access->field, salt);
		EXPECT(access->value == expected, "the handler reads %#x of %#x, not %#lx",
		       access->value, access->field, expected);
	}
	sync_global_to_guest(vm, expected_after_smi);
}

/*
 * In L1 the handler's values stay, as those of L1's own VMWRITEs.  While L2 runs KVM
 * has left it without telling L1, and enters it again at RSM with vmcs12 as it was: the
 * next nested exit overwrites the handler's values, unless user space saved the state
 * in between, which takes those of the fields that stock shadows to vmcs12.
 */
static void smi(bool in_l2)
{
	unsigned int i, turn, done[SMM_ACCESSES] = {};
	bool two_cpus = sysconf(_SC_NPROCESSORS_ONLN) > 1;
	bool save;

	walk_all();
	for (turn = 0; turn < TURNS; turn++) {
		save = turn & 1;
		if (two_cpus)
			pin_to_cpu(turn >> 1 & 1);
		ASK(SMI, .how = in_l2, .value = turn);
		if (two_cpus)
			pin_to_cpu(turn >> 2 & 1);
		deliver_smi(turn);
		judge_smi(turn, !in_l2 ? WRITTEN_BEFORE_SMI : save ? SHADOWED_IN_STOCK : 0, done);
		if (save)
			kvm_x86_state_cleanup(vcpu_save_state(vcpu));
		if (two_cpus)
			pin_to_cpu(turn >> 3 & 1);
		run_to_answer();
	}
	if (two_cpus)
		pin_to_cpu(0);
	/* Not each time: a census takes all fields out of the set. */
	for (i = 0; i < SMM_ACCESSES; i++)
		EXPECT(smm_accesses[i].here != ALWAYS || done[i] > TURNS / 2,
		       "access %u, of %#lx, raised #UD %u times", i, smm_accesses[i].field,
		       TURNS - done[i]);
	ASK(RESTART);
}

static void smi_while_l1_runs(void)
{
	smi(false);
}

static void smi_while_l2_runs(void)
{
	smi(true);
}

/*
 * In SMM L1 is out of VMX operation, so KVM lets user space set the VMX capability MSRs;
 * RSM brings VMX operation back, with the same VMCS.  The next entry obeys the new ones.
 */
static void capabilities_set_in_smm(void)
{
	const uint64_t bitmaps = (uint64_t)CPU_BASED_USE_MSR_BITMAPS << 32;
	uint64_t controls = vcpu_get_msr(vcpu, MSR_IA32_VMX_TRUE_PROCBASED_CTLS);
	unsigned int turn;

	walk_all();
	for (turn = 0; turn < TURNS; turn++) {
		ASK(ROUNDS, .count = 20);
		smram->access[0].field = 0;
		enter_smm();
		vcpu_set_msr(vcpu, MSR_IA32_VMX_TRUE_PROCBASED_CTLS, controls & ~bitmaps);
		ASK(REFUSED);
		enter_smm();
		vcpu_set_msr(vcpu, MSR_IA32_VMX_TRUE_PROCBASED_CTLS, controls);
		ASK(ROUNDS, .count = 20);
	}
}

/* ----------------------------------------------------------- preemption -- */

static struct {
	struct kvm_vcpu *vcpu;	/* of another VM, on the same CPU */
	uint64_t round_trip;	/* ns */
	uint64_t wakeups;
	bool stop;
} crowd;

static void other_guest_code(void)
{
	for (;;)
		GUEST_SYNC(0);
}

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000ull + time.tv_nsec;
}

/* Preempts the vCPU's thread after up to two round trips; each other time only. */
static void *preempt(void *unused)
{
	uint64_t random = 1;
	struct timespec delay = {};

	while (!READ_ONCE(crowd.stop)) {
		random = random * 6364136223846793005ull + 1442695040888963407ull;
		delay.tv_nsec = (random >> 33) % (2 * crowd.round_trip);
		clock_nanosleep(CLOCK_MONOTONIC, 0, &delay, NULL);
		crowd.wakeups++;
		if (random >> 32 & 1) {
			vcpu_run(crowd.vcpu);
			TEST_ASSERT(crowd.vcpu->run->exit_reason == KVM_EXIT_IO, "exit %u",
				    crowd.vcpu->run->exit_reason);
		}
	}
	return NULL;
}

/*
 * A thread of higher priority, which has a VMCS of its own, interferes anywhere in a
 * round trip where the kernel is preemptible; else where it is about to enter a guest.
 */
static void preempted_all_the_time(void)
{
	struct sched_param priority = { .sched_priority = 10 };
	struct rusage before_it, after;
	struct kvm_vm *other;
	pthread_attr_t attr;
	pthread_t thread;
	unsigned int count = CROWDED;
	uint64_t start;
	long switches;

	pin_to_cpu(0);
	walk_all();
	start = now();
	ASK(BOTH_WAYS, .count = MANY);
	memset(&crowd, 0, sizeof(crowd));
	crowd.round_trip = (now() - start) / MANY;
	if (crowd.round_trip > SLOW_NS)
		count /= 4;
	other = vm_create_with_one_vcpu(&crowd.vcpu, other_guest_code);

	pthread_attr_init(&attr);
	pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED);
	pthread_attr_setschedpolicy(&attr, SCHED_FIFO);
	pthread_attr_setschedparam(&attr, &priority);
	getrusage(RUSAGE_THREAD, &before_it);
	TEST_ASSERT(!pthread_create(&thread, &attr, preempt, NULL), "no thread of SCHED_FIFO");
	ASK(BOTH_WAYS, .count = count);
	ASK(ALTERNATE, .count = count / 10);
	ASK(ACKNOWLEDGE, .count = count / 10);
	ASK(VMFAIL, .count = count / 10);
	crowd.stop = true;
	pthread_join(thread, NULL);
	getrusage(RUSAGE_THREAD, &after);
	pthread_attr_destroy(&attr);
	kvm_vm_free(other);

	switches = after.ru_nivcsw - before_it.ru_nivcsw;
	ksft_print_msg("a round trip is %lu ns; %lu wake-ups, preempted %ld times\n",
		       crowd.round_trip, crowd.wakeups, switches);
	EXPECT(switches > count / 4, "preempted %ld times", switches);
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
	if (!fast)
		skip_reason = "shadow_copy is off";
	else if (verify_is_on())
		expect_verified("shadow", true);
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

static const struct test_case cases[] = {
	CASE(pml_index),
	CASE(interrupt_status),
	CASE(preemption_timer),
	CASE(host_rsp_and_rip),
	CASE(fields_join_and_leave),
	CASE(every_field_without_exits),
	CASE(every_field_keeps_its_value),
	CASE(state_saved_and_restored),
	CASE(reserved_bits_of_access_rights),
	CASE(two_vmcss_alternate),
	CASE(ept_violations),
	CASE(acknowledged_interrupts),
	CASE(failed_entries),
	CASE(refused_entries),
	CASE(segments_of_l2),
	CASE(a_write_marks_vmcs12_dirty),
	CASE(saved_on_each_cpu),
	CASE(moved_while_l2_runs),
	CASE(smi_while_l1_runs),
	CASE(smi_while_l2_runs),
	CASE(capabilities_set_in_smm),
	CASE(preempted_all_the_time),
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

	create_smram();

	/* Last: L1's EPT maps the pages of slot 0 that are in use now. */
	prepare_eptp(pages[0], vm, 0);
	nested_map_memslot(pages[0], vm, 0);
	pages[1]->eptp_gpa = pages[0]->eptp_gpa;
	sync_global_to_guest(vm, vmx);
	run_to_answer();
}

int main(int argc, char **argv)
{
	begin_test();
	fast = parameter("shadow_copy") == 'Y';
	adaptive = fast && parameter("adaptive_shadow") == 'Y';
	ksft_print_msg("the set of shadowed fields is %s\n",
		       adaptive ? "adaptive" : fast ? "fixed" : "stock's");
	create_vm();
	run_cases(cases, ARRAY_SIZE(cases), argv + 1);
	kvm_vm_free(vm);
	ksft_finished();
}
