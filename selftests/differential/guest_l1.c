// SPDX-License-Identifier: GPL-2.0
/*
 * L1 of the differential test: takes one operation after the other from user
 * space.  It handles any exit of L2 such that L2 makes progress or starts afresh.
 */
#include "differential/guest_legacy.h"
#include "differential/guest_vmcs12.h"

/* ------------------------------------------------------------- the exits -- */

static void note_short(void)
{
	note("qualification", vmread_value(EXIT_QUALIFICATION));
	note("length", vmread_value(VM_EXIT_INSTRUCTION_LEN));
	note("interruption", vmread_value(VM_EXIT_INTR_INFO));
	note("vectoring", vmread_value(IDT_VECTORING_INFO_FIELD));
	note("guest rip", vmread_value(GUEST_RIP));
	note("guest rflags", vmread_value(GUEST_RFLAGS));
}

/* Where an instruction of L2 missed a memslot, which a storm took away at any time. */
static bool is_by_chance(uint64_t field)
{
	return box.stormed && field == GUEST_LINEAR_ADDRESS;
}

static void note_long(void)
{
	note("interruption error", vmread_value(VM_EXIT_INTR_ERROR_CODE));
	note("vectoring error", vmread_value(IDT_VECTORING_ERROR_CODE));
	note("information", vmread_value(VMX_INSTRUCTION_INFO));
	if (!is_by_chance(GUEST_LINEAR_ADDRESS))
		note("linear", vmread_value(GUEST_LINEAR_ADDRESS));
	note("physical", vmread_value(GUEST_PHYSICAL_ADDRESS));
	note("guest rsp", vmread_value(GUEST_RSP));
	note("cr0", vmread_value(GUEST_CR0));
	note("cr3", vmread_value(GUEST_CR3));
	note("cr4", vmread_value(GUEST_CR4));
	note("cs", vmread_value(GUEST_CS_AR_BYTES));
	note("ss", vmread_value(GUEST_SS_AR_BYTES));
	note("activity", vmread_value(GUEST_ACTIVITY_STATE));
	note("interruptibility", vmread_value(GUEST_INTERRUPTIBILITY_INFO));
	note("injection", vmread_value(VM_ENTRY_INTR_INFO_FIELD));
	note("interrupt status", vmread_value(GUEST_INTR_STATUS));
	note("pml index", vmread_value(GUEST_PML_INDEX));
	note("l1 cr0", get_cr0());
	note("l1 cr4", get_cr4());
	note("l1 fs", l1_msr(MSR_FS_BASE));
	note("l1 pat", l1_msr(MSR_IA32_CR_PAT));
	note("l1 efer", l1_msr(MSR_EFER));
	note("l1 gs", l1_msr(MSR_GS_BASE));
	note("l1 sysenter cs", l1_msr(MSR_IA32_SYSENTER_CS));
	note("l1 sysenter esp", l1_msr(MSR_IA32_SYSENTER_ESP));
	note("l1 sysenter eip", l1_msr(MSR_IA32_SYSENTER_EIP));
}

/*
 * The fields that may be copied to and from a shadow VMCS.  L1 reads them after
 * each exit, and after whatever else changes vmcs12: one that is left out of a copy
 * shows as soon as its value is another.
 */
static void note_shadowed(void)
{
	static const uint16_t fields[] = {
		GUEST_INTR_STATUS, GUEST_PML_INDEX, HOST_FS_SELECTOR, HOST_GS_SELECTOR,
		VM_EXIT_REASON, VM_EXIT_INTR_INFO, VM_EXIT_INSTRUCTION_LEN,
		IDT_VECTORING_INFO_FIELD, IDT_VECTORING_ERROR_CODE, VM_EXIT_INTR_ERROR_CODE,
		GUEST_CS_AR_BYTES, GUEST_SS_AR_BYTES, CPU_BASED_VM_EXEC_CONTROL,
		PIN_BASED_VM_EXEC_CONTROL, EXCEPTION_BITMAP, VM_ENTRY_EXCEPTION_ERROR_CODE,
		VM_ENTRY_INTR_INFO_FIELD, VM_ENTRY_INSTRUCTION_LEN, TPR_THRESHOLD,
		GUEST_INTERRUPTIBILITY_INFO, VMX_PREEMPTION_TIMER_VALUE, EXIT_QUALIFICATION,
		GUEST_LINEAR_ADDRESS, GUEST_RIP, GUEST_RSP, GUEST_CR0, GUEST_CR3, GUEST_CR4,
		GUEST_RFLAGS, CR0_GUEST_HOST_MASK, CR0_READ_SHADOW, CR4_READ_SHADOW,
		HOST_FS_BASE, HOST_GS_BASE, GUEST_PHYSICAL_ADDRESS,
	};
	uint64_t digest = 0, value, flags;
	unsigned int i;

	for (i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
		if (is_by_chance(fields[i]))
			continue;
		value = 0;
		flags = do_vmread(fields[i], &value);
		digest = (digest ^ value ^ flags << 56) * 0x100000001b3ul + fields[i];
		if (box.verbose) {
			note("shadowed field", fields[i]);
			note("its value", value);
		}
	}
	note("shadowed", digest);
}

/* Every field there is, and encodings between them that there are not. */
static void l1_digest(void)
{
	static const uint16_t groups[][2] = {
		{ 0x0000, 3 }, { 0x0800, 10 }, { 0x0c00, 7 }, { 0x2000, 27 }, { 0x2400, 1 },
		{ 0x2800, 11 }, { 0x2c00, 3 }, { 0x4000, 18 }, { 0x4400, 8 }, { 0x4800, 23 },
		{ 0x4c00, 1 }, { 0x6000, 8 }, { 0x6400, 6 }, { 0x6800, 20 }, { 0x6c00, 12 },
	};
	uint64_t value, flags, field = 0, digest = 0;
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(groups); i++) {
		for (j = 0; j < groups[i][1]; j++) {
			field = groups[i][0] + 2 * j;
			if (is_by_chance(field))
				continue;
			value = 0;
			flags = do_vmread(field, &value);
			digest = (digest ^ value ^ flags << 56) * 0x100000001b3ul + field;
		}
		note("fields up to", field);
		note("digest", digest);
	}
}

enum what_next { NEXT_GO_ON, NEXT_SKIP, NEXT_AFRESH };

static enum what_next after_exit(uint32_t reason)
{
	switch (reason) {
	case 10: case 12 ... 16: case 18 ... 32: case 36: case 39: case 40:
	case 46: case 47: case 50: case 51: case 53 ... 55: case 57 ... 59: case 61: case 63:
	case 64:
		return NEXT_SKIP;
	case 1: case 7: case 8: case 37: case 43: case 45: case 52: case 56: case 62:
		return NEXT_GO_ON;
	default:
		return NEXT_AFRESH;
	}
}

/* What an L1 has to do so that the next entry gets further. */
static void handle_exit(uint32_t reason)
{
	enum what_next next = after_exit(reason);

	if (reason == EXIT_REASON_EXTERNAL_INTERRUPT)
		interrupt_window();
	if (reason == 52)	/* preemption timer */
		do_vmwrite(PIN_BASED_VM_EXEC_CONTROL,
			   vmread_value(PIN_BASED_VM_EXEC_CONTROL) & ~0x40ul);
	if (reason == 7 || reason == 8)
		do_vmwrite(CPU_BASED_VM_EXEC_CONTROL,
			   vmread_value(CPU_BASED_VM_EXEC_CONTROL) & ~0x400004ul);
	if (reason == 62)
		do_vmwrite(GUEST_PML_INDEX, 511);
	if (box.l2_died)
		next = NEXT_AFRESH;
	if (next == NEXT_SKIP)
		do_vmwrite(GUEST_RIP, vmread_value(GUEST_RIP) +
			   vmread_value(VM_EXIT_INSTRUCTION_LEN));
	else if (next == NEXT_AFRESH)
		setup_guest(l1_config[l1_current]);
	box.l2_died = 0;
}

static uint64_t enter_once(uint64_t how)
{
	static unsigned int evmcs_entries;
	static uint64_t l2_fixup;
	uint64_t wrong = how & HOW_WRONG;
	uint64_t resume = wrong == 1 ? 0 : wrong == 2 ? 1 : l1_launched[l1_current];
	uint64_t flags;

	guest_fault = NO_FAULT;
	guest_fixup = l2_fixup;
	box.in_l2 = 1;
	if (box.has_evmcs) {
		/* What L1 says of its MSR bitmap: nothing, that it changed, and that it did not. */
		evmcs_entries++;
		current_evmcs->hv_enlightenments_control.msr_bitmap = evmcs_entries >> 1;
		current_evmcs->hv_clean_fields = resume ? how >> 8 & 0xffff : 0;
		if (resume && evmcs_entries & 1)
			current_evmcs->hv_clean_fields |=
				HV_VMX_ENLIGHTENED_CLEAN_FIELD_MSR_BITMAP;
		resume = wrong == 1 ? 0 : resume;
	}
	flags = guest_enter(resume);
	box.in_l2 = 0;
	if (flags == -1ul) {
		l2_fixup = guest_fixup;
		guest_fixup = 0;
		l1_launched[l1_current] = 1;
		return 0;
	}
	flags &= 0x41;
	return guest_fault ? guest_fault : flags ? flags : 0x1000;
}

static void note_exit(uint32_t reason, uint64_t how)
{
	note("exit", reason);
	note_short();
	note_shadowed();
	if (how & HOW_LONG)
		note_long();
	if (how & HOW_DIGEST)
		l1_digest();
}

/* A field that L1 reads, and may write, after each exit: field | write << 16. */
static uint64_t hammer(uint64_t what)
{
	uint64_t value = vmread_value(what & 0xffff);

	if (what >> 16 & 1)
		do_vmwrite(what & 0xffff, value);
	return value;
}

static void flip_bit(uint64_t edit)
{
	volatile uint8_t *page = (uint8_t *)PAGE_GPA(edit >> 16 & 31);

	page[(edit & 0x7fff) / 8] ^= 1 << (edit & 7);
}

/*
 * Enter L2 until it pauses, but for "most" exits at the most.  "edit": after each
 * exit flip this bit of a page, page << 16 | bit, by a plain store, when its low
 * half is not 0; hammer() on its high half.
 */
static void l1_enter(uint64_t most, uint64_t how, uint64_t edit)
{
	uint64_t i, failed, digest = 0;
	uint32_t reason;

	for (i = 0; i < most; i++) {
		failed = enter_once(how);
		if (failed) {
			note("no entry", failed);
			note("error", vmread_value(VM_INSTRUCTION_ERROR));
			return;
		}
		reason = vmread_value(VM_EXIT_REASON);
		if (how & HOW_QUIET)
			digest = (digest ^ reason) * 0x100000001b3ul;
		else
			note_exit(reason, how);
		if (reason & EXIT_REASON_FAILED_VMENTRY) {
			l1_launched[l1_current] = 0;
			note_long();
			return;
		}
		handle_exit(reason);
		if (edit & 0xffffffff)
			flip_bit(edit);
		if (edit >> 32)
			digest = (digest ^ hammer(edit >> 32)) * 0x100000001b3ul;
		if (box.stop)
			break;
		how &= ~(uint64_t)HOW_WRONG;
	}
	note("digest", digest);
}

/* -------------------------------------------------------- the operations -- */

static void l1_toggle_cr(unsigned int cr, uint64_t bits, uint64_t back)
{
	uint64_t value = 0;

	read_cr(cr, &value);
	note("fault", write_cr(cr, value ^ bits));
	if (back)
		note("fault back", write_cr(cr, value));
	read_cr(cr, &value);
	note("value", value);
}

/* VMX instructions whose operand lies at a bad address. */
static uint64_t l1_operand(uint64_t which, uint64_t address)
{
	switch (which) {
	case 0:
		return VMX_MEMORY("vmptrld (%[m])", address, 0);
	case 1:
		return VMX_MEMORY("vmclear (%[m])", address, 0);
	case 2:
		return VMX_MEMORY("vmptrst (%[m])", address, 0);
	case 3:
		return VMX_MEMORY("vmread %[t], (%[m])", address, GUEST_RIP);
	case 4:
		return VMX_MEMORY("vmwrite (%[m]), %[t]", address, GUEST_RIP);
	case 5:
		return VMX_MEMORY("invept (%[m]), %[t]", address, 1);
	case 6:
		return VMX_MEMORY("invvpid (%[m]), %[t]", address, 1);
	case 7:
		return VMX_MEMORY("vmxon (%[m])", address, 0);
	case 8:
		return VMX_MEMORY("vmread %[t], -8(%[m],%[t],8)", address, 0);
	default:
		return VMX_MEMORY("vmread %[t], %%fs:(%[m])", address, GUEST_RIP);
	}
}

static void note_descriptor_tables(void)
{
	struct desc_ptr table;
	uint64_t selector = 0;

	asm volatile("sgdt %0" : "=m"(table));
	note("gdt limit", table.size);
	note("gdt base", table.address);
	asm volatile("sidt %0" : "=m"(table));
	note("idt limit", table.size);
	note("idt base", table.address);
	asm volatile("sldt %0" : "+r"(selector));
	note("ldtr", selector);
	asm volatile("str %0" : "+r"(selector));
	note("tr", selector);
}

/*
 * An access to a descriptor-table register with UMIP set.  The operand in memory is at this
 * offset of L1's own memory, or where all bits of the address are taken, at a bad address: where
 * there is no memory, stock's emulator tries for ever.
 */
static uint64_t l1_desc(uint64_t which, uint64_t address, uint64_t value)
{
	static uint8_t memory[3 * 4096] __attribute__((aligned(4096)));
	static struct desc_ptr gdt, idt;
	void *operand = address < 2 * 4096 ? memory + address : (void *)address;
	uint64_t flags = 0, cr4 = get_cr4(), bad_base = value & 0xff00ull << 40;

	write_cr(4, cr4 | X86_CR4_UMIP);
	asm volatile("sgdt %0; sidt %1" : "=m"(gdt), "=m"(idt));
	gdt.address ^= bad_base;
	idt.address ^= bad_base;
	if (operand == memory + address) {
		memset(operand, 0x5a, 16);
		memcpy(operand, &value, 2);
	}
	switch (which) {
	case 0:
		flags = VMX_MEMORY("sgdt (%[m])", operand, 0);
		break;
	case 1:
		flags = VMX_MEMORY("sidt -8(%[m],%[t],8)", operand, 1);
		break;
	case 2:
		flags = VMX_MEMORY("sldt (%[m])", operand, 0);
		break;
	case 3:
		flags = VMX_MEMORY("str (%[m])", operand, 0);
		break;
	case 4:
		flags = VMX_MEMORY("lldt (%[m])", operand, 0);
		break;
	case 5:
		flags = VMX_MEMORY("lgdt (%[m])", &gdt, 0);
		break;
	case 6:
		flags = VMX_MEMORY("lidt (%[m])", &idt, 0);
		break;
	case 7:
		GUARDED_FLAGS(flags, "sldt %w[r]", OUT([r] "+r"(value)), IN("i"(0)));
		break;
	case 8:
		GUARDED_FLAGS(flags, "str %k[r]", OUT([r] "+r"(value)), IN("i"(0)));
		break;
	case 9:
		GUARDED_FLAGS(flags, "sldt %q[r]", OUT([r] "+r"(value)), IN("i"(0)));
		break;
	case 10:
		flags = GUARDED_WRITE("lldt %w[r]", value);
		break;
	default:
		flags = GUARDED_WRITE("ltr %w[r]", value);
		break;
	}
	note("value", value);
	if (operand == memory + address) {
		memcpy(&value, operand, sizeof(value));
		note("memory", value);
		memcpy(&value, operand + 2, sizeof(value));
		note("memory behind", value);
	}
	note_descriptor_tables();
	write_cr(4, cr4);
	return flags;
}

static void l1_do(const struct guest_operation *op)
{
	static uint64_t memory[2];
	uint64_t a = op->arg[0], b = op->arg[1], c = op->arg[2], value = 0, flags = 0;

	switch (op->operation) {
	case L1_setup:
		l1_setup(a, b);
		break;
	case L1_enter:
		l1_enter(a, b, c);
		break;
	case L1_vmwrite:
		if (c)
			b ^= vmread_value(a);
		if (a == VM_EXIT_CONTROLS)	/* that would show the time */
			b &= ~(uint64_t)VM_EXIT_SAVE_VMX_PREEMPTION_TIMER;
		flags = do_vmwrite(a, b);
		break;
	case L1_restore:
		l1_restore(a);
		break;
	case L1_vmread:
		flags = do_vmread(a, &value);
		break;
	case L1_digest:
		l1_digest();
		break;
	case L1_vmptrld:
		flags = do_vmptrld(a);
		break;
	case L1_vmclear:
		flags = do_vmclear(a);
		break;
	case L1_vmptrst:
		flags = VMX_MEMORY("vmptrst (%[m])", memory, 0);
		value = memory[0];
		break;
	case L1_vmxon:
		flags = l1_vmxon(vmcs_address(a));
		break;
	case L1_vmxoff:
		flags = VMX_MEMORY("vmxoff", memory, 0);
		break;
	case L1_store:
		flags = guarded_store(PAGE_GPA(a) + (b & 0xff8), c);
		break;
	case L1_flip:
		flags = guarded_load(PAGE_GPA(a) + (b / 64 % 512) * 8, &value);
		flags = flags ?: guarded_store(PAGE_GPA(a) + (b / 64 % 512) * 8,
					       value ^ 1ul << (b & 63));
		break;
	case L1_load:
		flags = guarded_load(PAGE_GPA(a) + (b & 0xff8), &value);
		break;
	case L1_list:
		put(PAGE_ENTRY_LOAD + a % 3, 16 * (c >> 8 & 1), b);
		put(PAGE_ENTRY_LOAD + a % 3, 16 * (c >> 8 & 1) + 8, c >> 16);
		break;
	case L1_rdmsr:
		flags = guarded_rdmsr(a, &value);
		break;
	case L1_wrmsr:
		flags = guarded_wrmsr(a, b);
		break;
	case L1_invept:
		memory[0] = b;
		memory[1] = c;
		flags = VMX_MEMORY("invept (%[m]), %[t]", memory, a);
		break;
	case L1_invvpid:
		memory[0] = b;
		memory[1] = c;
		flags = VMX_MEMORY("invvpid (%[m]), %[t]", memory, a);
		break;
	case L1_cr0:
		l1_toggle_cr(0, a, b);
		break;
	case L1_cr3:
		flags = GUARDED("mov %%cr3, %%rax; mov %%rax, %%cr3");
		break;
	case L1_cr4:
		l1_toggle_cr(4, a, b);
		break;
	case L1_cpuid:
		guest_cpuid(a, b);
		break;
	case L1_window:
		interrupt_window();
		break;
	case L1_hypercall:
		value = a;
		GUARDED_FLAGS(flags, "vmcall", OUT("+a"(value)), IN("b"(0)), "rcx", "rdx");
		break;
	case L1_vmread_memory:
		memory[0] = 0;
		flags = VMX_MEMORY("vmread %[t], (%[m])", memory, a);
		value = memory[0];
		break;
	case L1_vmwrite_memory:
		memory[0] = b;
		if (a != VM_EXIT_CONTROLS)
			flags = VMX_MEMORY("vmwrite (%[m]), %[t]", memory, a);
		break;
	case L1_xsetbv:
		flags = guarded_xsetbv(a, b);
		break;
	case L1_vmfunc:
		GUARDED_FLAGS(flags, "vmfunc", NO_OUT, IN("a"(a), "c"(b)));
		break;
	case L1_operand:
		flags = l1_operand(a, b);
		break;
	case L1_address:
		flags = a & 1 ? ADDRESS_INSTRUCTION("vmclear (%[m])", b) :
				ADDRESS_INSTRUCTION("vmptrld (%[m])", b);
		break;
	case L1_ept:
		put(PAGE_EPT1, (a & 511) * 8, (PAGES_GPA | (a & 511) << 12 | 0x37) ^ b);
		break;
	case L1_legacy:
		l1_legacy(a, b, c);
		break;
	case L1_desc:
		flags = l1_desc(a, b, c);
		break;
	case L1_pause:
		break;
	}
	switch (op->operation) {
	case L1_setup: case L1_vmwrite: case L1_restore: case L1_vmptrld: case L1_vmwrite_memory:
		note_shadowed();
	}
	note("value", value);
	note("flags", flags);
	if (flags & 0x41 && !(flags & FAULTED))
		note("error", vmread_value(VM_INSTRUCTION_ERROR));
}

void l1_code(void)
{
	uint64_t cr4 = get_cr4(), cr0 = get_cr0();

	write_cr(0, (cr0 & l1_msr(MSR_IA32_VMX_CR0_FIXED1)) | l1_msr(MSR_IA32_VMX_CR0_FIXED0));
	write_cr(4, cr4 | X86_CR4_VMXE | 0x10000 /* FSGSBASE */);
	guarded_wrmsr(0x3a, l1_msr(0x3a) | FEAT_CTL_VMX_ENABLED_OUTSIDE_SMX | FEAT_CTL_LOCKED);
	guarded_wrmsr(0x1b, l1_msr(0x1b) | 0xc00);	/* x2APIC */
	guarded_wrmsr(0x80f, 0x1ff);
	guarded_wrmsr(MSR_IA32_SYSENTER_CS, 0x10);
	guarded_wrmsr(MSR_IA32_SYSENTER_ESP, 0x1111000);
	guarded_wrmsr(MSR_IA32_SYSENTER_EIP, 0x1111100);
	guarded_wrmsr(MSR_FS_BASE, 0x1112000);
	guarded_wrmsr(MSR_GS_BASE, 0x1113000);
	if (box.has_evmcs)
		enable_vp_assist(PAGE_GPA(PAGE_DATA1), (void *)PAGE_GPA(PAGE_DATA1));
	note("vmxon", l1_vmxon(PAGE_GPA(PAGE_VMXON)));
	if (box.mark)
		asm volatile("xchg %bx, %bx");
	for (;;) {
		to_user(PORT_L1);
		l1_do(&box.l1);
	}
}
