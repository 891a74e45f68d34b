/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Puts this program into a VM, as the library's kvm_vm_elf_load() does, at a
 * twentieth of its cost, which was most of a seed's.  Invariant: the 2 MiB from
 * IMAGE_ADDRESS on are mapped 1:1 and hold the segments of the program's file.
 */
#ifndef DIFFERENTIAL_IMAGE_H
#define DIFFERENTIAL_IMAGE_H

#include <elf.h>

#define IMAGE_ADDRESS	0x400000ul	/* where the linker puts a static program */
#define IMAGE_BYTES	0x200000ul
#define IMAGE_SLOT	1
#define TABLE_ENTRIES	512

static uint64_t *table_of(struct kvm_vm *vm, uint64_t entry)
{
	return addr_gpa2hva(vm, entry & 0xffffffffff000ul);
}

/* The library makes the tables for the first page; the others follow it. */
static void image_map(struct kvm_vm *vm)
{
	uint64_t *table, i;

	virt_pgd_alloc(vm);
	virt_pg_map(vm, IMAGE_ADDRESS, IMAGE_ADDRESS);
	table = table_of(vm, vm->pgd);
	table = table_of(vm, table[0]);
	table = table_of(vm, table[0]);
	table = table_of(vm, table[IMAGE_ADDRESS >> 21]);
	for (i = 1; i < TABLE_ENTRIES; i++)
		table[i] = table[0] + i * PAGE_BYTES;
}

static void image_load(struct kvm_vm *vm)
{
	static Elf64_Phdr segment[16];
	static uint8_t *image;
	Elf64_Ehdr head;
	int fd, i;

	vm_userspace_mem_region_add(vm, VM_MEM_SRC_ANONYMOUS, IMAGE_ADDRESS, IMAGE_SLOT,
				    IMAGE_BYTES / PAGE_BYTES, 0);
	image_map(vm);
	image = addr_gpa2hva(vm, IMAGE_ADDRESS);
	fd = open("/proc/self/exe", O_RDONLY);
	TEST_ASSERT(fd >= 0 && pread(fd, &head, sizeof(head), 0) == sizeof(head) &&
		    head.e_phnum <= ARRAY_SIZE(segment) &&
		    pread(fd, segment, head.e_phnum * sizeof(*segment), head.e_phoff) > 0,
		    "cannot read the program's own file: %s", strerror(errno));
	for (i = 0; i < head.e_phnum; i++) {
		if (segment[i].p_type != PT_LOAD)
			continue;
		TEST_ASSERT(segment[i].p_vaddr >= IMAGE_ADDRESS && segment[i].p_vaddr +
			    segment[i].p_memsz <= IMAGE_ADDRESS + IMAGE_BYTES,
			    "the program must be static and lie in one 2 MiB page");
		TEST_ASSERT(pread(fd, image + segment[i].p_vaddr - IMAGE_ADDRESS,
				  segment[i].p_filesz, segment[i].p_offset) ==
			    (ssize_t)segment[i].p_filesz, "cannot read a segment");
	}
	close(fd);
}

#endif
