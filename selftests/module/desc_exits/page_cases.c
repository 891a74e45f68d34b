// SPDX-License-Identifier: GPL-2.0
/* The page of an operand changes between two accesses: cases of desc_exits_test. */
#include "lib/cases.h"
#include "lib/vm.h"
#include "module/desc_exits/desc_exits.h"

#define PTE_W		BIT_ULL(1)
#define PTE_A		BIT_ULL(5)
#define PTE_D		BIT_ULL(6)
#define PF_PROTECTION	1
#define CR4_SMAP	BIT_ULL(21)

/* After some accesses the next ones find @page, not the one of before. */
void expect_written_to(uint8_t *page, uint8_t *other, const char *when)
{
	uint8_t image[TABLE_SIZE], filler[TABLE_SIZE];
	int round;

	memset(filler, FILLER, sizeof(filler));
	for (round = 0; round < 3 && !case_failed; round++) {
		memset(page, FILLER, TABLE_SIZE);
		memset(other, FILLER, TABLE_SIZE);
		execute_at(FORM_SGDT, target, 0);
		expect_no_exception(when);
		memcpy(image, &sregs.gdt.limit, 2);
		memcpy(image + 2, &sregs.gdt.base, 8);
		EXPECT(!memcmp(page, image, TABLE_SIZE), "%s: not written", when);
		EXPECT(!memcmp(other, filler, TABLE_SIZE), "%s: written", when);
	}
}

/* The guest changes its page tables. */
void page_tables_change(void)
{
	uint8_t *first, *second;
	uint64_t *entry, was;
	int round;

	create_vm();
	first = target_hva;
	second = target_hva + getpagesize();
	entry = entry_of(target, 1);
	was = *entry;
	expect_written_to(first, second, "first mapping");
	*entry = (was & ~PTE_FRAME) | (*entry_of(target + getpagesize(), 1) & PTE_FRAME);
	expect_written_to(second, first, "second mapping");
	*entry = was;
	expect_written_to(first, second, "first mapping again");

	*entry = was & ~PTE_W;
	execute_at(FORM_SGDT, target, 0);
	expect_exception(PF_VECTOR, PF_WRITE | PF_PROTECTION, "SGDT to a page to be read only");
	for (round = 0; round < 3; round++) {	/* The first one sets the accessed flag. */
		load_table(FORM_LGDT, 0xff8, sregs.gdt.base);
		expect_no_exception("LGDT from a page to be read only");
	}
	execute_at(FORM_SGDT, target, 0);
	expect_exception(PF_VECTOR, PF_WRITE | PF_PROTECTION, "SGDT after it was read");
	*entry = was & ~PTE_P;
	execute_at(FORM_LGDT, target, 0);
	expect_exception(PF_VECTOR, 0, "LGDT from a page that is not present");
	*entry_of(target, 3) &= ~PTE_P;
	*entry = was;
	execute_at(FORM_SGDT, target, 0);
	expect_exception(PF_VECTOR, PF_WRITE, "SGDT below a table that is not present");
	*entry_of(target, 3) |= PTE_P;
	expect_written_to(first, second, "all as it was");
	kvm_vm_free(vm);
}

void accessed_and_dirty_flags(void)
{
	uint64_t *entry;
	int round;

	create_vm();
	entry = entry_of(target, 1);
	for (round = 0; round < 4 && !case_failed; round++) {
		*entry &= ~(PTE_A | PTE_D);
		load_table(FORM_LGDT, 0xff8, sregs.gdt.base);
		EXPECT((*entry & (PTE_A | PTE_D)) == PTE_A, "round %d: entry %#lx", round, *entry);
		execute_at(FORM_SGDT, target, 0);
		EXPECT(*entry & PTE_D, "round %d: entry %#lx", round, *entry);
	}
	kvm_vm_free(vm);
}

/* Another CR3, by which the same address is another page. */
void cr3_changes(void)
{
	uint64_t table, copy[5], cr3[2];
	int level, round;

	create_vm();
	cr3[0] = sregs.cr3;
	for (level = 1; level <= 4; level++)
		copy[level] = addr_gva2gpa(vm, vm_vaddr_alloc(vm, getpagesize(),
							      KVM_UTIL_MIN_VADDR));
	table = vm_pgd(vm);
	for (level = 4; level; level--) {
		const int index = target >> (3 + 9 * level) & 511;
		uint64_t *to = addr_gpa2hva(vm, copy[level]);

		memcpy(to, addr_gpa2hva(vm, table), getpagesize());
		table = to[index] & PTE_FRAME;
		to[index] &= ~PTE_FRAME;
		to[index] |= level > 1 ? copy[level - 1] :
					     *entry_of(target + getpagesize(), 1) & PTE_FRAME;
	}
	cr3[1] = copy[4];
	for (round = 0; round < 4 && !case_failed; round++) {
		sregs.cr3 = cr3[round & 1];
		vcpu_sregs_set(vcpu, &sregs);
		expect_written_to(target_hva + (round & 1 ? getpagesize() : 0),
				  target_hva + (round & 1 ? 0 : getpagesize()), "another CR3");
	}
	kvm_vm_free(vm);
}

/* A page of user space, which SMAP forbids the kernel unless RFLAGS.AC is set. */
void page_of_user_space(void)
{
	int round, level;

	create_vm();
	for (level = 4; level; level--)
		*entry_of(target, level) |= PTE_US;
	sregs.cr4 |= CR4_SMAP;
	vcpu_sregs_set(vcpu, &sregs);
	for (round = 0; round < 3 && !case_failed; round++) {
		execute(FORM_SGDT_AC, 0);
		expect_no_exception("SGDT with AC");
		expect_table(&sregs.gdt, "SGDT with AC");
		execute(FORM_SGDT, 0);
		expect_exception(PF_VECTOR, PF_WRITE | PF_PROTECTION, "SGDT without AC");
		execute(FORM_SGDT_AC, 0);
		load_table(FORM_LGDT, 0xff0, sregs.gdt.base);
		expect_exception(PF_VECTOR, PF_PROTECTION, "LGDT without AC");
	}
	kvm_vm_free(vm);
}

void set_slot(uint32_t slot, uint64_t gpa, void *memory, uint64_t size, uint32_t flags)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot, .flags = flags, .guest_phys_addr = gpa, .memory_size = size,
		.userspace_addr = (uint64_t)memory,
	};

	vm_ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region);
}

uint8_t *new_memory(uint64_t size)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
}

void map_target_to(uint64_t gpa)
{
	uint64_t *entry = entry_of(target, 1);

	*entry = (*entry & ~PTE_FRAME) | gpa;
}

void memslots_change(void)
{
	const uint64_t size = getpagesize();
	uint8_t *first = new_memory(size), *second = new_memory(size);

	create_vm();
	map_target_to(SLOT_GPA);
	set_slot(SLOT, SLOT_GPA, first, size, 0);
	expect_written_to(first, second, "first memory");
	set_slot(SLOT, SLOT_GPA, first, 0, 0);
	set_slot(SLOT, SLOT_GPA, second, size, 0);
	expect_written_to(second, first, "second memory");
	kvm_vm_free(vm);
}
