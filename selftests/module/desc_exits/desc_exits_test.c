// SPDX-License-Identifier: GPL-2.0
/*
 * Accesses to the descriptor-table registers by a guest whose UMIP KVM emulates: what they
 * store and load, in each form, and the exceptions that they raise, are what the SDM says, or,
 * where stock's instruction emulator does otherwise, what the emulator does.  Runs under stock
 * and under kvm-intel-fast, with the same results.
 */
#include "lib/cases.h"
#include "lib/mailbox.h"
#include "lib/vm.h"
#include "module/desc_exits/desc_exits.h"

#define LDT_SELECTOR	0x100
#define TSS_SELECTOR	0x110
#define CODE_DESCRIPTOR	0x120
#define USER_CODE	0x123
#define USER_DATA	0x12b
#define TYPE_LDT	2
#define TYPE_TSS	9
#define TYPE_BUSY_TSS	11
#define LDT_BASE	0x12340ul
#define OLD_RAX		0x1122334455667788ul
#define TARGET		0x50000000ul	/* below entries of its own */
#define PF_USER		4
#define CR0_WP		BIT_ULL(16)
#define NON_CANONICAL	BIT_ULL(50)

static const struct {
	const char *name;
	int what, size;
	long distance;
} forms[] = {
#define F(NAME, BEFORE, INSN, AFTER, WHAT, SIZE, DISTANCE) { #NAME, WHAT, SIZE, DISTANCE },
	FORMS(F)
#undef F
};

vm_vaddr_t target;	/* two pages, and none behind them */
uint8_t *target_hva;
struct kvm_sregs sregs;
static uint64_t kept_fast;

/* Below @table, which is of level 4; of page tables or EPT. */
uint64_t *entry_in(uint64_t table, uint64_t address, int level)
{
	uint64_t *entry;
	int i;

	for (i = 4; ; i--) {
		entry = (uint64_t *)addr_gpa2hva(vm, table) + (address >> (3 + 9 * i) & 511);
		if (i == level)
			return entry;
		table = *entry & PTE_FRAME;
	}
}

uint64_t *entry_of(uint64_t gva, int level)
{
	return entry_in(vm_pgd(vm), gva, level);
}

static void put_descriptor(uint16_t selector, uint64_t low)
{
	uint64_t *gdt = addr_gva2hva(vm, sregs.gdt.base);

	gdt[selector / 8] = low;
	gdt[selector / 8 + 1] = 0;
}

static uint8_t type_in_gdt(uint16_t selector)
{
	uint64_t *gdt = addr_gva2hva(vm, sregs.gdt.base);

	return gdt[selector / 8] >> 40 & 15;
}

static uint64_t system_descriptor(uint64_t type)
{
	return 0x0000800000000067ull | type << 40 | LDT_BASE << 16;
}

void count_from_here(void)
{
	kept_fast = counter("desc_exits_fast");
}

/* @ring_size: bytes of its dirty ring, if it has one. */
void create_vm_with_ring(uint32_t ring_size)
{
	static const int vectors[] = { DB_VECTOR, UD_VECTOR, NP_VECTOR, SS_VECTOR, GP_VECTOR,
				       PF_VECTOR, WAKE_VECTOR };
	unsigned int i;

	vm = vm_create(1);
	if (ring_size)
		vm_enable_dirty_ring(vm, ring_size);
	vcpu = vm_vcpu_add(vm, 0, guest_code);
	vm_init_descriptor_tables(vm);
	vcpu_init_descriptor_tables(vcpu);
	for (i = 0; i < ARRAY_SIZE(vectors); i++)
		vm_install_exception_handler(vm, vectors[i], note_exception);
	target = vm_vaddr_alloc(vm, 2 * getpagesize(), TARGET);
	target_hva = addr_gva2hva(vm, target);
	run_to_sync();

	vcpu_sregs_get(vcpu, &sregs);
	put_descriptor(LDT_SELECTOR, system_descriptor(TYPE_LDT));
	put_descriptor(TSS_SELECTOR, system_descriptor(TYPE_TSS));
	sregs.ldt = (struct kvm_segment) { .selector = LDT_SELECTOR, .base = LDT_BASE,
					   .limit = 0x67, .type = TYPE_LDT, .present = 1 };
	sregs.fs.base = FS_BASE;
	sregs.cr0 |= CR0_WP;
	vcpu_sregs_set(vcpu, &sregs);
	count_from_here();
}

void create_vm(void)
{
	create_vm_with_ring(0);
}

static void run_to_answer(void)
{
	run_to_sync();
	sync_global_from_guest(vm, answer);
	vcpu_sregs_get(vcpu, &sregs);
}

/* Executes a form whose operand in memory is at @gva. */
void execute_at(enum form form, uint64_t gva, uint64_t rax)
{
	ask(((struct request){ .form = form, .rdi = gva - forms[form].distance, .rax = rax }));
}

void execute(enum form form, uint64_t rax)
{
	memset(target_hva, FILLER, 64);
	execute_at(form, target, rax);
}

static bool verify_found_a_mismatch(void)
{
	return counter("desc_exits_verify_mismatches");
}

/* How many of the last accesses were to be handled without the emulator. */
void expect_fast(unsigned int number, const char *name)
{
	uint64_t now = counter("desc_exits_fast");

	if (parameter("desc_exits") == 'Y' && parameter("verify") == 'N')
		EXPECT(now - kept_fast == number, "%s: %lu, not %u accesses without the emulator",
		       name, (unsigned long)(now - kept_fast), number);
	kept_fast = now;
}

static void expect_memory(const void *expected, int size, const char *name)
{
	uint8_t filler[16];

	memset(filler, FILLER, sizeof(filler));
	EXPECT(!memcmp(target_hva, expected, size), "%s: stored %lx %x", name,
	       *(uint64_t *)target_hva, *(uint16_t *)(target_hva + 8));
	EXPECT(!memcmp(target_hva + size, filler, sizeof(filler)), "%s: more than %d bytes", name,
	       size);
}

void expect_no_exception(const char *name)
{
	EXPECT(!answer.exceptions, "%s: exception %lu, error code %#lx, address %#lx", name,
	       answer.vector, answer.error_code, answer.cr2);
}

void expect_exception(int vector, uint64_t error_code, const char *name)
{
	EXPECT(answer.exceptions == 1 && answer.vector == vector &&
	       answer.error_code == error_code,
	       "%s: %lu exceptions, the last is %lu, error code %#lx", name, answer.exceptions,
	       answer.vector, answer.error_code);
	EXPECT(answer.distance < 0, "%s: after the instruction", name);
}

void expect_table(const struct kvm_dtable *table, const char *name)
{
	uint8_t expected[TABLE_SIZE];

	memcpy(expected, &table->limit, 2);
	memcpy(expected + 2, &table->base, 8);
	expect_memory(expected, TABLE_SIZE, name);
}

static void expect_selector(enum form form, uint16_t selector)
{
	uint64_t wide = selector;

	if (form == FORM_SLDT_REXW)	/* the emulator's; a CPU stores 2 bytes */
		expect_memory(&wide, 8, forms[form].name);
	else if (forms[form].size == MEMORY)
		expect_memory(&wide, 2, forms[form].name);
	else
		EXPECT(answer.rax == (forms[form].size == 2 ? (OLD_RAX & ~0xfffful) | selector :
							      selector),
		       "%s: RAX is %#lx", forms[form].name, answer.rax);
}

static void stores_in_each_form(void)
{
	enum form form;
	int round;

	create_vm();
	for (form = 0; form < NR_PLAIN_FORMS; form++) {
		const int what = forms[form].what;
		const char *name = forms[form].name;

		if (what >= LOADS_GDT)
			continue;
		for (round = 0; round < 3 && !case_failed; round++) {
			execute(form, OLD_RAX);
			expect_no_exception(name);
			if (what == STORES_GDT)
				expect_table(&sregs.gdt, name);
			else if (what == STORES_IDT)
				expect_table(&sregs.idt, name);
			else
				expect_selector(form, what == STORES_LDT ? sregs.ldt.selector :
									   sregs.tr.selector);
		}
		expect_fast(form == FORM_SLDT_REXW || form == FORM_SLDT_LATE_PREFIX ? 0 : 3, name);
	}
	EXPECT(!verify_found_a_mismatch(), "verify=1 found a mismatch");
	kvm_vm_free(vm);
}

void load_table(enum form form, uint16_t limit, uint64_t base)
{
	memcpy(target_hva, &limit, 2);
	memcpy(target_hva + 2, &base, 8);
	execute_at(form, target, 0);
}

static void expect_loaded(const struct kvm_dtable *table, uint16_t limit, uint64_t base,
			  const char *name)
{
	EXPECT(table->limit == limit && table->base == base, "%s: limit %#x, base %#llx", name,
	       table->limit, table->base);
}

static void loads_of_tables(void)
{
	struct kvm_dtable gdt, idt;
	uint16_t limit;

	create_vm();
	gdt = sregs.gdt;
	idt = sregs.idt;
	for (limit = 0xffb; limit < 0xfff && !case_failed; limit++) {
		load_table(FORM_LGDT, limit, gdt.base);
		expect_no_exception("LGDT");
		expect_loaded(&sregs.gdt, limit, gdt.base, "LGDT");
		load_table(FORM_LIDT, limit, idt.base);
		expect_no_exception("LIDT");
		expect_loaded(&sregs.idt, limit, idt.base, "LIDT");
	}
	expect_fast(8, "LGDT and LIDT");
	/* Of LGDT another base can be had, since the handler of #GP does not need the GDT's. */
	load_table(FORM_LGDT, 0xfff, gdt.base | NON_CANONICAL);
	expect_exception(GP_VECTOR, 0, "LGDT of a base that is not canonical");
	load_table(FORM_LIDT, 0xfff, idt.base | NON_CANONICAL);
	expect_exception(GP_VECTOR, 0, "LIDT of a base that is not canonical");
	expect_loaded(&sregs.gdt, 0xffe, gdt.base, "LGDT that faulted");
	expect_loaded(&sregs.idt, 0xffe, idt.base, "LIDT that faulted");
	expect_fast(0, "bases that are not canonical");
	kvm_vm_free(vm);
}

static void execute_selector(enum form form, uint16_t selector)
{
	memcpy(target_hva, &selector, 2);
	execute_at(form, target, 0xabcd00000000ul | selector);
}

static void expect_null_ldtr(uint16_t selector, const char *name)
{
	const struct kvm_segment *ldt = &sregs.ldt;

	expect_no_exception(name);
	EXPECT(ldt->selector == selector && ldt->unusable && !ldt->base && !ldt->limit &&
	       !ldt->type && !ldt->present && !ldt->dpl,
	       "%s of %#x: selector %#x, base %#llx, limit %#x, type %u, unusable %u", name,
	       selector, ldt->selector, ldt->base, ldt->limit, ldt->type, ldt->unusable);
}

static void loads_of_selectors(void)
{
	enum form form;
	int n;

	create_vm();
	for (n = 0; n < 8 && !case_failed; n++) {
		form = n & 1 ? FORM_LLDT : FORM_LLDT_AX;
		execute_selector(form, LDT_SELECTOR);
		expect_no_exception(forms[form].name);
		EXPECT(sregs.ldt.selector == LDT_SELECTOR && !sregs.ldt.unusable &&
		       sregs.ldt.base == LDT_BASE && sregs.ldt.type == TYPE_LDT,
		       "%s: selector %#x, base %#llx", forms[form].name, sregs.ldt.selector,
		       sregs.ldt.base);
		expect_fast(0, "LLDT of a descriptor");
		execute_selector(form, n / 2);
		expect_null_ldtr(n / 2, forms[form].name);
		expect_fast(1, "LLDT of a null selector");
	}
	for (form = FORM_LTR; form <= FORM_LTR_AX && !case_failed; form++) {
		put_descriptor(TSS_SELECTOR, system_descriptor(TYPE_TSS));
		execute_selector(form, TSS_SELECTOR);
		expect_no_exception(forms[form].name);
		EXPECT(sregs.tr.selector == TSS_SELECTOR && sregs.tr.base == LDT_BASE &&
		       sregs.tr.type == TYPE_BUSY_TSS, "%s: selector %#x, base %#llx, type %u",
		       forms[form].name, sregs.tr.selector, sregs.tr.base, sregs.tr.type);
		EXPECT(type_in_gdt(TSS_SELECTOR) == TYPE_BUSY_TSS, "not busy");
		execute_selector(form, TSS_SELECTOR);
		expect_exception(GP_VECTOR, TSS_SELECTOR, "LTR of a busy TSS");
		execute_selector(form, 0);
		expect_exception(GP_VECTOR, 0, "LTR of a null selector");
	}
	execute_selector(FORM_LLDT, TSS_SELECTOR);
	expect_exception(GP_VECTOR, TSS_SELECTOR, "LLDT of a TSS");
	put_descriptor(LDT_SELECTOR, system_descriptor(TYPE_LDT) & ~BIT_ULL(47));
	execute_selector(FORM_LLDT_AX, LDT_SELECTOR);
	expect_exception(NP_VECTOR, LDT_SELECTOR, "LLDT of a descriptor that is not present");
	expect_fast(0, "LTR and faults of LLDT");
	kvm_vm_free(vm);
}

/* A store, a load, an LDTR store and a load of each kind. */
static const enum form memory_forms[] = { FORM_SGDT, FORM_LGDT, FORM_SLDT, FORM_LLDT };

static bool stores(enum form form)
{
	return forms[form].what < LOADS_GDT;
}

static void addresses_that_fault(void)
{
	const uint64_t page_size = getpagesize(), behind = target + 2 * page_size;
	enum form form;
	int i;

	create_vm();
	for (i = 0; i < ARRAY_SIZE(memory_forms) && !case_failed; i++) {
		form = memory_forms[i];
		/* Which a walk of the page tables would take for that of the target. */
		execute_at(form, target | NON_CANONICAL, 0);
		expect_exception(GP_VECTOR, 0, forms[form].name);
		/* The emulator reads what SLDT will write, and says that the fault is a write's. */
		execute_at(form, behind + page_size, 0);
		expect_exception(PF_VECTOR, stores(form) ? PF_WRITE : 0, forms[form].name);
		EXPECT(answer.cr2 == behind + page_size, "%s: CR2 %#lx", forms[form].name,
		       answer.cr2);
		execute_at(form, behind - 1, 0);
		expect_exception(PF_VECTOR, stores(form) ? PF_WRITE : 0, forms[form].name);
		EXPECT(answer.cr2 == behind || answer.cr2 == behind - 1, "%s: CR2 %#lx",
		       forms[form].name, answer.cr2);
	}
	execute_at(FORM_SIDT_FRAME, target | NON_CANONICAL, 0);
	expect_exception(SS_VECTOR, 0, "SIDT through RBP");
	expect_fast(0, "addresses that fault");
	kvm_vm_free(vm);
}

static void operand_in_two_pages(void)
{
	uint8_t *across, image[TABLE_SIZE];
	int round;

	create_vm();
	across = target_hva + getpagesize() - 4;
	for (round = 0; round < 3 && !case_failed; round++) {
		memset(across, FILLER, TABLE_SIZE + 1);
		execute_at(FORM_SGDT, target + getpagesize() - 4, 0);
		expect_no_exception("SGDT");
		memcpy(image, &sregs.gdt.limit, 2);
		memcpy(image + 2, &sregs.gdt.base, 8);
		EXPECT(!memcmp(across, image, TABLE_SIZE), "round %d", round);
		EXPECT(across[TABLE_SIZE] == FILLER, "round %d", round);
		across[0]--;
		execute_at(FORM_LGDT, target + getpagesize() - 4, 0);
		expect_no_exception("LGDT");
		EXPECT((sregs.gdt.limit & 0xff) == across[0], "round %d", round);
	}
	expect_fast(0, "operands in two pages");
	kvm_vm_free(vm);
}

static void trap_comes_after_it(void)
{
	static const enum form traps[] = { FORM_SGDT_TF, FORM_SLDT_TF };
	int i;

	create_vm();
	for (i = 0; i < ARRAY_SIZE(traps); i++) {
		execute(traps[i], OLD_RAX);
		EXPECT(answer.exceptions == 1 && answer.vector == DB_VECTOR && !answer.distance,
		       "%s: %lu exceptions, the last is %lu, %ld bytes off", forms[traps[i]].name,
		       answer.exceptions, answer.vector, answer.distance);
		if (forms[traps[i]].what == STORES_GDT)
			expect_table(&sregs.gdt, "SGDT");
		else
			expect_selector(traps[i], LDT_SELECTOR);
	}
	expect_fast(0, "TF");
	kvm_vm_free(vm);
}

static void stepped_by_user_space(void)
{
	struct kvm_guest_debug debug = { .control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP };
	unsigned int steps = 0;
	struct kvm_regs next;
	bool seen = false;
	uint64_t after;

	create_vm();
	execute(FORM_SGDT, 0);
	sync_global_from_guest(vm, after_it);
	after = after_it;
	memset(target_hva, FILLER, 64);
	hand_over(((struct request){ .form = FORM_SGDT, .rdi = target }));
	vcpu_guest_debug_set(vcpu, &debug);
	while (!seen && steps++ < 2000) {
		vcpu_run(vcpu);
		if (vcpu->run->exit_reason != KVM_EXIT_DEBUG)
			continue;
		vcpu_regs_get(vcpu, &next);
		seen = next.rip == after;
	}
	EXPECT(seen, "no stop behind SGDT in %u steps", steps);
	expect_table(&sregs.gdt, "SGDT");
	expect_fast(1, "single-stepping");	/* before it began */
	kvm_vm_free(vm);
}

/* STI lets no interrupt through before the next instruction ends, and then does. */
static void interrupt_comes_after_it(void)
{
	int round;

	create_vm();
	for (round = 0; round < 3 && !case_failed; round++) {
		memset(target_hva, FILLER, 64);
		ask(((struct request){ .form = FORM_SGDT_STI, .rdi = target, .interrupt = true }));
		EXPECT(answer.exceptions == 1 && answer.vector == WAKE_VECTOR && !answer.distance,
		       "%lu interrupts, the last is %#lx, %ld bytes off", answer.exceptions,
		       answer.vector, answer.distance);
		expect_table(&sregs.gdt, "SGDT");
	}
	expect_fast(3, "interrupts");
	kvm_vm_free(vm);
}

/* Sets U/S in all entries of a table and of what is below it. */
static void let_user_space_in_below(uint64_t table, int level)
{
	uint64_t *entry = addr_gpa2hva(vm, table);
	int i;

	for (i = 0; i < 512; i++)
		if (entry[i] & PTE_P) {
			entry[i] |= PTE_US;
			if (level > 1)
				let_user_space_in_below(entry[i] & PTE_FRAME, level - 1);
		}
}

static void let_user_space_in(void)
{
	let_user_space_in_below(vm_pgd(vm), 4);
}

/* Ring 3 with IOPL 3, so that the guest can talk to the host; exceptions take it to CPL 0. */
static void enter_user_space(void)
{
	vm_vaddr_t tss = vm_vaddr_alloc(vm, getpagesize(), KVM_UTIL_MIN_VADDR);
	vm_vaddr_t stack = vm_vaddr_alloc(vm, getpagesize(), KVM_UTIL_MIN_VADDR);
	uint64_t *rsp0 = addr_gva2hva(vm, tss) + 4;
	struct kvm_regs regs;

	let_user_space_in();
	*rsp0 = stack + getpagesize();
	put_descriptor(CODE_DESCRIPTOR, 0x00affb000000ffffull);
	((uint64_t *)addr_gva2hva(vm, sregs.gdt.base))[USER_DATA / 8] = 0x00cff3000000ffffull;
	sregs.tr.base = tss;
	/*
	 * KVM of 6.1 caches SS's access rights from before a vCPU's reset, if its thread is
	 * preempted there, and shows these.
	 */
	sregs.ss = sregs.ds;
	sregs.cs.selector = USER_CODE;
	sregs.ss.selector = USER_DATA;
	sregs.cs.dpl = sregs.ss.dpl = 3;
	vcpu_sregs_set(vcpu, &sregs);
	vcpu_regs_get(vcpu, &regs);
	regs.rflags |= 3 << 12;
	vcpu_regs_set(vcpu, &regs);
}

/* x2APIC and the IDT's handlers are the kernel's, all else runs at CPL 3. */
static void user_space_of_the_guest(void)
{
	enum form form;

	create_vm();
	enter_user_space();
	for (form = 0; form < NR_PLAIN_FORMS && !case_failed; form++) {
		execute(form, LDT_SELECTOR);
		expect_exception(GP_VECTOR, 0, forms[form].name);
		expect_memory("", 0, forms[form].name);
	}
	expect_fast(0, "user space of the guest");
	kvm_vm_free(vm);
}

static void verify_found_nothing(void)
{
	if (!verify_is_on())
		return;
	create_vm();
	execute(FORM_SGDT, 0);
	execute(FORM_SLDT_AX, OLD_RAX);
	expect_verified("desc_exits", true);
	kvm_vm_free(vm);
}

static const struct test_case cases[] = {
	CASE(stores_in_each_form),
	CASE(loads_of_tables),
	CASE(loads_of_selectors),
	CASE(addresses_that_fault),
	CASE(operand_in_two_pages),
	CASE(trap_comes_after_it),
	CASE(stepped_by_user_space),
	CASE(interrupt_comes_after_it),
	CASE(user_space_of_the_guest),
	CASE(page_tables_change),
	CASE(accessed_and_dirty_flags),
	CASE(cr3_changes),
	CASE(page_of_user_space),
	CASE(memslots_change),
	CASE(dirty_log_read),
	CASE(dirty_log_read_and_cleared),
	CASE(dirty_log_initially_set),
	CASE(dirty_ring),
	CASE(dirty_ring_full),
	CASE(smm_has_other_memory),
	CASE(table_of_the_guest),
	CASE(table_of_l1_for_l2),
	CASE(cpu_has_umip),
	CASE(verify_found_nothing),
};

int main(int argc, char **argv)
{
	begin_test();
	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_UMIP));
	run_cases(cases, ARRAY_SIZE(cases), argv + 1);
	ksft_finished();
}
