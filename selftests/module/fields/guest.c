// SPDX-License-Identifier: GPL-2.0
/*
 * The guest of field_walk_test: an L1 that reads and writes all fields, and its L2.
 */
#include "processor.h"

#include "lib/tiny_hypervisor.h"
#include "module/fields/fields.h"

#define INDICES		64	/* of a field's number; more than the SDM names */
#define L2_STACK	64
#define UNSUPPORTED	12	/* SDM, "VM Instruction Error Numbers" */
#define READ_ONLY	13
#define VMWRITE_ANY	BIT_ULL(29)	/* of IA32_VMX_MISC */
#define IO_PORT		0x80
#define GOOD_AR_BITS	0x1f0ffull

struct walk walk;

/*
 * Fields that neither the CPU nor L0 changes or uses with the controls that are
 * set here, and that any entry accepts with a small value.
 */
static const uint32_t unused[] = {
	GUEST_SYSENTER_CS, GUEST_SYSENTER_ESP, GUEST_SYSENTER_EIP, HOST_IA32_SYSENTER_CS,
	HOST_IA32_SYSENTER_ESP, HOST_IA32_SYSENTER_EIP, CR0_READ_SHADOW, CR4_READ_SHADOW,
	VM_ENTRY_EXCEPTION_ERROR_CODE, VM_ENTRY_INSTRUCTION_LEN, TPR_THRESHOLD, GUEST_PML_INDEX,
	GUEST_INTR_STATUS, VMX_PREEMPTION_TIMER_VALUE, POSTED_INTR_NV, VIRTUAL_APIC_PAGE_ADDR,
	EOI_EXIT_BITMAP0, EOI_EXIT_BITMAP3, XSS_EXIT_BITMAP, HOST_FS_BASE, HOST_GS_BASE,
	GUEST_GS_BASE, GUEST_TR_BASE,
};

struct l1 {
	struct vmx_pages *vmx;
	uint64_t other_gpa;
	unsigned int exits;
	uint64_t model[ARRAY_SIZE(unused)];
	uint32_t seed;
};

static void wrong(enum check check, uint32_t field)
{
	if (!walk.wrong[check]++)
		walk.first_wrong[check] = field;
}

static uint32_t width_of(uint32_t field)
{
	return (field >> 13) & 3;
}

/* What a field keeps of a value. */
static uint64_t kept(uint32_t field, uint64_t value)
{
	if (field >= GUEST_ES_AR_BYTES && field <= GUEST_TR_AR_BYTES)
		return value & GOOD_AR_BITS;
	if (width_of(field) == 0)
		return (uint16_t)value;
	if (width_of(field) == 2 || field & 1)
		return (uint32_t)value;
	return value;
}

static void find_field(uint32_t number)
{
	struct field *field = &walk.fields[walk.count];
	uint64_t value;

	if (vmread(number, &value)) {
		if (vmreadz(VM_INSTRUCTION_ERROR) != UNSUPPORTED)
			wrong(UNKNOWN, number);
		return;
	}
	GUEST_ASSERT(walk.count < MAX_FIELDS);
	field->number = number;
	field->writable = !vmwrite(number, value);
	if (!field->writable) {
		walk.write_error = vmreadz(VM_INSTRUCTION_ERROR);
		if (!field_is_read_only(number) || rdmsr(MSR_IA32_VMX_MISC) & VMWRITE_ANY ||
		    walk.write_error != READ_ONLY)
			wrong(WRITTEN, number);
	}
	walk.count++;
}

static void find_fields(void)
{
	uint32_t width, type, index;

	for (width = 0; width < 4; width++)
		for (type = 0; type < 4; type++)
			for (index = 0; index < INDICES; index++) {
				find_field(field_number(width, type, index, false));
				if (width == 1)
					find_field(field_number(width, type, index, true));
			}
}

static void read_all(uint64_t *values)
{
	uint32_t i;

	for (i = 0; i < walk.count; i++) {
		values[i] = read_field(walk.fields[i].number);
		if (walk.fields[i].number & 1 && values[i] != values[i - 1] >> 32)
			wrong(HALVES, walk.fields[i].number);
	}
}

static void compare_all(const uint64_t *values, enum check check)
{
	uint32_t i;

	for (i = 0; i < walk.count; i++)
		if (read_field(walk.fields[i].number) != values[i])
			wrong(check, walk.fields[i].number);
}

/* Each field on its own, then all at once: one must not show in another. */
static void write_all(uint64_t salt)
{
	uint64_t saved, value;
	uint32_t i, n;

	for (i = 0; i < walk.count; i++) {
		n = walk.fields[i].number;
		if (!walk.fields[i].writable)
			continue;
		saved = read_field(n);
		for (value = salt; value; value = value << 8 & ~0xffull) {
			write_field(n, value);
			if (read_field(n) != kept(n, value))
				wrong(WRITTEN, n);
		}
		write_field(n, saved);
	}
	for (i = 0; i < walk.count; i++)
		if (walk.fields[i].writable && !(walk.fields[i].number & 1))
			write_field(walk.fields[i].number, salt * (i + 1));
	for (i = 0; i < walk.count; i++) {
		n = walk.fields[i].number;
		if (walk.fields[i].writable && !(n & 1) && n != VM_INSTRUCTION_ERROR &&
		    read_field(n) != kept(n, salt * (i + 1)))
			wrong(WRITTEN, n);
	}
}

static uint32_t pseudo_random(struct l1 *l1)
{
	l1->seed = l1->seed * 1664525 + 1013904223;
	return l1->seed >> 8;
}

static void write_unused(struct l1 *l1, unsigned int i, uint64_t value)
{
	write_field(unused[i], value);
	l1->model[i] = value;
}

static void check_unused(struct l1 *l1, unsigned int i, enum check check)
{
	if (read_field(unused[i]) != l1->model[i])
		wrong(check, unused[i]);
}

static void check_all_unused(struct l1 *l1, enum check check)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(unused); i++)
		check_unused(l1, i, check);
}

static uint64_t sum(uint64_t before, uint64_t value)
{
	return (before ^ value) * 0x100000001b3ull;	/* FNV */
}

/* A few accesses, as chance will have it. */
static void random_accesses(struct l1 *l1, unsigned int step)
{
	unsigned int n = pseudo_random(l1) % 8, i;
	uint64_t *total = &walk.random_sum[step / 100];

	while (n--) {
		i = pseudo_random(l1) % ARRAY_SIZE(unused);
		if (pseudo_random(l1) % 3)
			check_unused(l1, i, RANDOM);
		else
			write_unused(l1, i, pseudo_random(l1) & 0xff);
		i = pseudo_random(l1) % walk.count;
		*total = sum(*total, read_field(walk.fields[i].number));
	}
}

static void skip(void)
{
	uint64_t reason = read_field(VM_EXIT_REASON);

	GUEST_ASSERT_1(reason == EXIT_REASON_CPUID || reason == EXIT_REASON_VMCALL ||
		       reason == EXIT_REASON_IO_INSTRUCTION || reason == EXIT_REASON_HLT ||
		       reason == EXIT_REASON_MSR_READ, reason);
	write_field(GUEST_RIP, read_field(GUEST_RIP) + read_field(VM_EXIT_INSTRUCTION_LEN));
}

static void write_all_unused(struct l1 *l1, unsigned int salt)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(unused); i++)
		write_unused(l1, i, (salt + i) & 0xff);
}

/* Another VMCS, all of whose fields differ, for a while. */
static void visit_other(struct l1 *l1)
{
	static uint64_t before[MAX_FIELDS];

	write_all_unused(l1, l1->exits + 100);
	GUEST_ASSERT(!vmptrld(l1->other_gpa));
	write_all(0x0101010101010101ull);
	GUEST_ASSERT(!vmptrld(l1->vmx->vmcs_gpa));
	check_all_unused(l1, SWITCHED);
	read_all(before);
	GUEST_ASSERT(!vmclear(l1->other_gpa));
	compare_all(before, SWITCHED);
}

static enum l1_next after_exit(void *data)
{
	static uint64_t values[MAX_FIELDS];
	struct l1 *l1 = data;
	unsigned int step = l1->exits++, i;

	if (step < STEPS + HOT_STEPS || step % 100 == 0)
		check_all_unused(l1, KEPT);
	if (step < STEPS) {
		read_all(walk.seen[step]);
		compare_all(walk.seen[step], REPEATED);
		if (step % 8 == 7)
			visit_other(l1);
	} else if (step < STEPS + HOT_STEPS) {
		read_all(values);
		for (i = 0; i < walk.count; i++)
			walk.sums[step - STEPS] = sum(walk.sums[step - STEPS], values[i]);
	} else if (step < STEPS + HOT_STEPS + RANDOM_STEPS) {
		random_accesses(l1, step - STEPS - HOT_STEPS);
	} else {
		return LEAVE_L2;
	}
	if (step < STEPS + HOT_STEPS)
		write_all_unused(l1, step);
	skip();
	return RESUME_L2;
}

static void set_up(void *data, uint64_t rsp, void *rip)
{
	struct l1 *l1 = data;

	write_field(HOST_RSP, rsp);
	write_field(HOST_RIP, (uint64_t)rip);
	write_all_unused(l1, 0);
}

/* Exits of several kinds; between them L2 changes what it may change itself. */
static void l2_code(void)
{
	unsigned long n;

	for (n = 0;; n++) {
		EXECUTE("cpuid", 0, 0, 0, 0);
		wrmsr(MSR_FS_BASE, n << 12);
		EXECUTE("vmcall", n, 0, 0, 0);
		asm volatile("mov %0, %%dr7" : : "r"(0x400 | (n & 1)));
		asm volatile("mov %0, %%ds" : : "r"(n & 1 ? 0 : 0x10));
		EXECUTE("out %%al, (%%dx)", n & 0xff, 0, IO_PORT, 0);
		asm volatile("mov %%cr3, %%rax; mov %%rax, %%cr3" : : : "rax", "memory");
		EXECUTE("in (%%dx), %%al", 0, 0, IO_PORT, 0);
		EXECUTE("hlt", 0, 0, 0, 0);
		asm volatile("mov %0, %%cr4" : : "r"(get_cr4() ^ X86_CR4_TSD));
		EXECUTE("stc; cpuid", 1, 0, 0, 0);
	}
}

/* Undo write_all_unused(). */
static void write_back(const uint64_t *values)
{
	unsigned int i, n;

	for (i = 0; i < walk.count; i++)
		for (n = 0; n < ARRAY_SIZE(unused); n++)
			if (walk.fields[i].number == unused[n])
				write_field(unused[n], values[i]);
}

static void check_vmxoff(struct l1 *l1)
{
	static uint64_t values[MAX_FIELDS];

	read_all(values);
	write_all_unused(l1, 200);
	GUEST_ASSERT(!vmclear(l1->vmx->vmcs_gpa));
	vmxoff();
	GUEST_ASSERT(!vmxon(l1->vmx->vmxon_gpa));
	GUEST_ASSERT(!vmptrld(l1->vmx->vmcs_gpa));
	check_all_unused(l1, VMXOFF);
	write_back(values);
	compare_all(values, VMXOFF);
}

void l1_code(struct vmx_pages *vmx, uint32_t *other, uint64_t other_gpa)
{
	struct l1 l1 = { .vmx = vmx, .other_gpa = other_gpa, .seed = 1 };
	unsigned long l2_stack[L2_STACK];

	GUEST_ASSERT(prepare_for_vmx_operation(vmx));
	*other = vmcs_revision();
	GUEST_ASSERT(load_vmcs(vmx) && !vmclear(other_gpa));
	find_fields();
	read_all(walk.cleared);
	write_all(0x8182838485868788ull);
	prepare_vmcs(vmx, l2_code, &l2_stack[L2_STACK]);
	/* What prepare_vmcs() leaves out of what was just written. */
	vmwrite(TSC_OFFSET, 0);
	vmwrite(VM_ENTRY_EXCEPTION_ERROR_CODE, 0);
	vmwrite(VM_ENTRY_INSTRUCTION_LEN, 0);
	vmwrite(CPU_BASED_VM_EXEC_CONTROL, vmreadz(CPU_BASED_VM_EXEC_CONTROL) |
		CPU_BASED_USE_MSR_BITMAPS | CPU_BASED_UNCOND_IO_EXITING | CPU_BASED_HLT_EXITING);
	vmwrite(SECONDARY_VM_EXEC_CONTROL, vmreadz(SECONDARY_VM_EXEC_CONTROL) |
		SECONDARY_EXEC_UNRESTRICTED_GUEST | SECONDARY_EXEC_ENABLE_VPID);
	vmwrite(VIRTUAL_PROCESSOR_ID, 1);
	GUEST_ASSERT(!vmlaunch());
	resume_l2(&l1, set_up, after_exit);
	check_vmxoff(&l1);
	GUEST_DONE();
}
