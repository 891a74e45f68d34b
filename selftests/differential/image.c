// SPDX-License-Identifier: GPL-2.0
/*
 * The differential test's program in its VMs: see image.h.
 */
#include <fcntl.h>
#include <linux/elf.h>
#include <sys/mman.h>

#include "differential/image.h"

#define IMAGE_ADDRESS	0x400000ul	/* where the linker puts a static program */
#define IMAGE_BYTES	0x200000ul
#define VECTORS		256
#define CODE_SELECTOR	0x8		/* of the library */
#define PRESENT		1ull		/* bits of a page-table entry */
#define WRITABLE	2ull

static uint8_t *image;		/* the segments, read once */
static size_t image_used;

void image_read(void)
{
	static struct elf64_phdr segment[16];
	struct elf64_hdr head;
	size_t start;
	int fd, i;

	/* One huge page, which a fork copies by one entry. */
	image = mmap(NULL, 2 * IMAGE_BYTES, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	TEST_ASSERT(image != MAP_FAILED, "mmap: %s", strerror(errno));
	image = (uint8_t *)(((uintptr_t)image | (IMAGE_BYTES - 1)) + 1);
	madvise(image, IMAGE_BYTES, MADV_HUGEPAGE);
	fd = open("/proc/self/exe", O_RDONLY);
	TEST_ASSERT(fd >= 0 &&
		    pread(fd, &head, sizeof(head), 0) == sizeof(head) &&
		    head.e_phnum <= ARRAY_SIZE(segment) &&
		    pread(fd, segment, head.e_phnum * sizeof(*segment), head.e_phoff) > 0,
		    "cannot read the program's own file: %s", strerror(errno));
	for (i = 0; i < head.e_phnum; i++) {
		if (segment[i].p_type != PT_LOAD)
			continue;
		TEST_ASSERT(segment[i].p_vaddr >= IMAGE_ADDRESS && segment[i].p_vaddr +
			    segment[i].p_memsz <= IMAGE_ADDRESS + IMAGE_BYTES,
			    "the program must be static and lie in one 2 MiB page");
		start = segment[i].p_vaddr - IMAGE_ADDRESS;
		TEST_ASSERT(pread(fd, image + start, segment[i].p_filesz, segment[i].p_offset) ==
			    (ssize_t)segment[i].p_filesz, "cannot read a segment");
		if (start + segment[i].p_filesz > image_used)
			image_used = start + segment[i].p_filesz;
	}
	close(fd);
}

static uint64_t *table_of(struct kvm_vm *vm, uint64_t entry)
{
	return addr_gpa2hva(vm, entry & 0xffffffffff000ul);
}

uint64_t *page_table(struct kvm_vm *vm, uint64_t address)
{
	uint64_t *table = table_of(vm, vm_pgd(vm));

	table = table_of(vm, table[address >> 39 & 511]);
	table = table_of(vm, table[address >> 30 & 511]);
	return table_of(vm, table[address >> 21 & 511]);
}

void page_map(uint64_t *table, uint64_t address)
{
	table[address >> 12 & 511] = address | PRESENT | WRITABLE;
}

static void image_load(struct kvm_vm *vm)
{
	uint64_t *table, i;

	virt_pgd_alloc(vm);
	virt_pg_map(vm, IMAGE_ADDRESS, IMAGE_ADDRESS);
	table = page_table(vm, IMAGE_ADDRESS);
	for (i = 0; i < IMAGE_BYTES; i += PAGE_BYTES)
		page_map(table, IMAGE_ADDRESS + i);
	copy_words(addr_gpa2hva(vm, IMAGE_ADDRESS), image, image_used / 8 + 1);
}

struct kvm_vm *image_vm(void)
{
	struct kvm_vm *vm = vm_create_barebones();

	vm_userspace_mem_region_add(vm, VM_MEM_SRC_ANONYMOUS_THP, 0, 0,
				    (IMAGE_ADDRESS + IMAGE_BYTES) / PAGE_BYTES, 0);
	image_load(vm);
	return vm;
}

void image_handlers(struct kvm_vm *vm, void (*handler)(struct ex_regs *))
{
	extern void *idt_handlers;
	struct idt_entry *entry;
	uint64_t *handlers;
	unsigned long stub;
	int i;

	if (!vm_idt(vm)) {
		vm_idt(vm) = vm_vaddr_alloc_page(vm);
		vm->handlers = vm_vaddr_alloc_page(vm);
	}
	entry = addr_gva2hva(vm, vm_idt(vm));
	handlers = addr_gva2hva(vm, vm->handlers);
	for (i = 0; i < VECTORS; i++) {
		stub = (unsigned long)(&idt_handlers)[i];
		entry[i] = (struct idt_entry){
			.offset0 = stub, .offset1 = stub >> 16, .offset2 = stub >> 32,
			.selector = CODE_SELECTOR, .type = 14, .p = 1,
		};
		handlers[i] = (unsigned long)handler;
	}
}
