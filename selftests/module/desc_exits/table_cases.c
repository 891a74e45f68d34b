// SPDX-License-Identifier: GPL-2.0
/*
 * SLDT to an entry of a table whose writes the MMU tracks, and a CPU with UMIP: cases of
 * desc_exits_test.
 *
 * The entry names one of two tables in a block of 64 KiB.  LDTR's selector is the low half word
 * of what it is to hold.
 */
#include "lib/cases.h"
#include "lib/vm.h"
#include "module/desc_exits/desc_exits.h"
#include "vmx.h"

#define TABLE_GVA	0x60000000ul	/* where the guest has the table that it writes */
#define TABLES		2
#define BLOCK		0x10000ul
#define ROUNDS		6
#define STACK		512
#define INVEPT_SINGLE	1

static uint16_t selector_of[TABLES];

/* Of the second table the entry of @address has the frame @other. */
static void make_tables(uint64_t *entry, uint64_t address, uint64_t other)
{
	const uint64_t page = getpagesize();
	uint64_t block = vm_phy_pages_alloc(vm, 2 * BLOCK / page, BLOCK, 0);
	uint64_t *table, *last;
	int i;

	block = (block + BLOCK - 1) & ~(BLOCK - 1);
	for (i = 0; i < TABLES; i++) {
		table = addr_gpa2hva(vm, block + i * page);
		memcpy(table, addr_gpa2hva(vm, *entry & PTE_FRAME), page);
		selector_of[i] = i * page | (*entry & ~PTE_FRAME);
	}
	last = &table[address >> 12 & 511];
	*last = (*last & ~PTE_FRAME) | other;
	*entry = (*entry & ~PTE_FRAME) | block;
}

static void set_ldtr(uint16_t selector)
{
	vcpu_sregs_get(vcpu, &sregs);
	sregs.ldt = (struct kvm_segment) { .selector = selector, .unusable = 1 };
	vcpu_sregs_set(vcpu, &sregs);
}

static void fill_target(void)
{
	*(uint64_t *)target_hva = 0;
	*(uint64_t *)(target_hva + getpagesize()) = 1;
}

/* All but the first, since the MMU uses the table from the first access below it on. */
static void expect_left_to_stock(const char *name)
{
	uint64_t left = counter("desc_exits_stock_memory");

	if (parameter("desc_exits") == 'Y' && parameter("verify") == 'N')
		EXPECT(left == ROUNDS - 1, "%s: %lu, not %d left to stock", name, left, ROUNDS - 1);
	expect_fast(1, name);
}

/* Page tables, which the MMU tracks if it has no EPT. */
void table_of_the_guest(void)
{
	uint64_t *entry, offset;
	int round;

	create_vm();
	fill_target();
	entry = entry_of(target, 2);
	make_tables(entry, target, *entry_of(target + getpagesize(), 1) & PTE_FRAME);
	virt_map(vm, TABLE_GVA, *entry_of(target, 3) & PTE_FRAME, 1);
	offset = (uint64_t)entry & (getpagesize() - 1);
	for (round = 0; round < ROUNDS && !case_failed; round++) {
		set_ldtr(selector_of[round % TABLES]);
		execute_at(FORM_SLDT_TABLE, TABLE_GVA + offset, target);
		expect_no_exception("SLDT to a table");
		EXPECT(answer.rax == round % TABLES, "round %d: %#lx", round, answer.rax);
	}
	if (parameter("ept") == 'Y')
		expect_fast(ROUNDS, "SLDT to a table");
	else
		expect_left_to_stock("SLDT to a table");
	kvm_vm_free(vm);
}

static uint64_t seen_by_l2, entry_gva;

static void ENTRY_POINT l2_code(void)
{
	for (;;) {
		seen_by_l2 = *(volatile uint64_t *)target;
		asm volatile("vmcall" : : : L2_CLOBBERS, "rax", "rcx", "rdx");
	}
}

static void ENTRY_POINT l1_code(struct vmx_pages *vmx)
{
	static uint64_t stack[STACK];
	struct { uint64_t eptp, zero; } context = {};
	bool launched = false;

	set_cr4(get_cr4() | X86_CR4_UMIP);	/* also of HOST_CR4 */
	GUEST_ASSERT(prepare_for_vmx_operation(vmx));
	GUEST_ASSERT(load_vmcs(vmx));
	prepare_vmcs(vmx, l2_code, &stack[STACK]);
	context.eptp = vmreadz(EPT_POINTER);
	for (;;) {
		GUEST_SYNC(seen_by_l2);
		asm volatile("sldt (%0)" : : "r"(entry_gva) : "memory");
		asm volatile("invept %0, %1" : : "m"(context), "r"(INVEPT_SINGLE + 0ul) : "memory");
		GUEST_ASSERT(!(launched ? vmresume() : vmlaunch()));
		launched = true;
		GUEST_ASSERT(vmreadz(VM_EXIT_REASON) == EXIT_REASON_VMCALL);
		vmwrite(GUEST_RIP, vmreadz(GUEST_RIP) + vmreadz(VM_EXIT_INSTRUCTION_LEN));
	}
}

/* False if L1 has no EPT. */
static bool create_vm_with_l1_and_l2(void)
{
	struct vmx_pages *vmx;
	vm_vaddr_t vmx_gva;
	uint64_t gpa, *entry;

	vm = vm_create_with_one_vcpu(&vcpu, l1_code);
	if (!kvm_vm_has_ept(vm)) {
		skip_reason = "no EPT for L1";
		kvm_vm_free(vm);
		return false;
	}
	target = vm_vaddr_alloc(vm, 2 * getpagesize(), KVM_UTIL_MIN_VADDR);
	sync_global_to_guest(vm, target);
	target_hva = addr_gva2hva(vm, target);
	fill_target();
	vmx = vcpu_alloc_vmx(vm, &vmx_gva);
	vcpu_args_set(vcpu, 1, vmx_gva);
	prepare_eptp(vmx, vm, 0);
	nested_map_memslot(vmx, vm, 0);

	gpa = addr_gva2gpa(vm, target);
	entry = entry_in(vmx->eptp_gpa, gpa, 2);
	make_tables(entry, gpa, addr_gva2gpa(vm, target + getpagesize()));
	virt_map(vm, TABLE_GVA, *entry_in(vmx->eptp_gpa, gpa, 3) & PTE_FRAME, 1);
	entry_gva = TABLE_GVA + ((uint64_t)entry & (getpagesize() - 1));
	sync_global_to_guest(vm, entry_gva);
	return true;
}

static void let_l2_see_each_table(void)
{
	uint64_t seen;
	int round;

	run_to_sync();
	count_from_here();
	for (round = 0; round < ROUNDS && !case_failed; round++) {
		set_ldtr(selector_of[round % TABLES]);
		seen = run_to_sync();
		EXPECT(seen == round % TABLES, "round %d: L2 saw %#lx", round, seen);
	}
}

/* EPT of L1, which the MMU tracks once L2 has run. */
void table_of_l1_for_l2(void)
{
	if (!create_vm_with_l1_and_l2())
		return;
	let_l2_see_each_table();
	expect_left_to_stock("SLDT to a table of L1");
	kvm_vm_free(vm);
}

static void expect_no_exits(const char *when)
{
	static const char * const names[] = {
		"desc_exits_fast", "desc_exits_stock_mode", "desc_exits_stock_l2",
		"desc_exits_stock_debug", "desc_exits_stock_address", "desc_exits_stock_operand",
		"desc_exits_stock_memory", "desc_exits_stock_descriptor",
		"desc_exits_verify_checks",
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(names) && parameter("desc_exits"); i++)
		EXPECT(!counter(names[i]), "%s: %s %lu", when, names[i], counter(names[i]));
}

/* On a CPU with UMIP nothing is emulated, not before L2 runs and not afterwards. */
void cpu_has_umip(void)
{
	enum form form;
	uint64_t before;

	if (!this_cpu_has(X86_FEATURE_UMIP)) {
		skip_reason = "this CPU has no UMIP";
		return;
	}
	create_vm();
	before = exits();
	execute(FORM_SGDT_MANY, 0);
	expect_table(&sregs.gdt, "SGDT");
	before = exits() - before;
	ksft_print_msg("%lu exits of %u SGDTs\n", before, MANY);
	EXPECT(before < MANY / 10, "as if it had none");
	for (form = 0; form < NR_PLAIN_FORMS; form++)
		execute(form, 0);
	expect_no_exits("each form");
	kvm_vm_free(vm);

	if (!create_vm_with_l1_and_l2())
		return;
	let_l2_see_each_table();
	expect_no_exits("L1 after L2");
	kvm_vm_free(vm);
}
