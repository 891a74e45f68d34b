/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A VM with this program in it, as the library's vm_create() makes it, at a fraction
 * of the cost, which was most of a seed's: all of the library's memory and the
 * program lie in one memslot of huge pages, and the tables are filled at once.
 * Invariant: the 2 MiB from IMAGE_ADDRESS on are mapped 1:1 and hold the segments of
 * the program's file, whatever the process did to its own copy.
 */
#ifndef DIFFERENTIAL_IMAGE_H
#define DIFFERENTIAL_IMAGE_H

#include "kvm_util.h"
#include "processor.h"

#include "differential/layout.h"

/* The library's memcpy() and memset() are loops over bytes. */
static inline void copy_words(void *to, const void *from, size_t words)
{
	asm volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
}

static inline void clear_words(void *to, size_t words)
{
	asm volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(0ul) : "memory");
}

/* Read the program's file; its own memory will change. */
void image_read(void);
/* A VM without devices and vCPUs, that has its memory, and the program in it. */
struct kvm_vm *image_vm(void);
/* As vm_init_descriptor_tables(), with one handler for all vectors. */
void image_handlers(struct kvm_vm *vm, void (*handler)(struct ex_regs *));
/* The page table around an address one page of which is mapped already. */
uint64_t *page_table(struct kvm_vm *vm, uint64_t address);
/* Map a page 1:1 by its page table. */
void page_map(uint64_t *table, uint64_t address);

#endif
