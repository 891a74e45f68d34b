// SPDX-License-Identifier: GPL-2.0
/*
 * The memory of the differential test: see memory.h.
 */
#include <sys/mman.h>

#include "differential/image.h"
#include "differential/memory.h"
#include "differential/transcript.h"
#include "differential/user.h"

uint8_t *pages;
static uint32_t slot_flags[PAGES];
static bool slot_moved[PAGES], slot_gone[PAGES];

void *page_memory(unsigned int page)
{
	return pages + page * PAGE_BYTES;
}

long slot_set(unsigned int page, bool present)
{
	struct kvm_userspace_memory_region region = {
		.slot = FIRST_SLOT + page,
		.flags = slot_flags[page],
		.guest_phys_addr = PAGE_GPA(page) + (slot_moved[page] ? MOVED : 0),
		.memory_size = present ? PAGE_BYTES : 0,
		.userspace_addr = (uint64_t)page_memory(page),
	};

	return __vm_ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region);
}

bool slot_is_logged(unsigned int page)
{
	return slot_flags[page] & KVM_MEM_LOG_DIRTY_PAGES;
}

void smram_set(void)
{
	struct kvm_userspace_memory_region region = {
		.slot = SMRAM_SLOT,
		.guest_phys_addr = SMRAM_GPA,
		.memory_size = 0x10000,
		.userspace_addr = (uint64_t)page_memory(PAGES),
	};

	TEST_ASSERT(!__vm_ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region), "SMRAM");
}

void slots_add(void)
{
	unsigned int i;

	for (i = 0; i < PAGES; i++)
		if (!slot_gone[i])
			record_result("slot", slot_set(i, true));
	smram_set();
}

void user_slot(unsigned int page, unsigned int what)
{
	page %= PAGES;
	switch (what) {
	case SLOT_DELETE:
		record_result("result", slot_set(page, false));
		slot_gone[page] = true;
		return;
	case SLOT_MOVE:
		slot_moved[page] = !slot_moved[page];
		break;
	case SLOT_LOG:
		slot_flags[page] = KVM_MEM_LOG_DIRTY_PAGES;
		break;
	case SLOT_READONLY:	/* only possible for a new memslot */
		slot_set(page, false);
		slot_flags[page] = KVM_MEM_READONLY;
		break;
	case SLOT_PLAIN:
		if (slot_flags[page] & KVM_MEM_READONLY)
			slot_set(page, false);
		slot_flags[page] = 0;
		break;
	case SLOT_AWAY_AND_BACK:
		record_result("away", slot_set(page, false));
		break;
	}
	slot_gone[page] = false;
	record_result("result", slot_set(page, true));
}

void user_dirty_log(unsigned int page)
{
	uint64_t bitmap = 0;
	struct kvm_dirty_log log = { .slot = FIRST_SLOT + page % PAGES, .dirty_bitmap = &bitmap };

	record_result("result", __vm_ioctl(vm, KVM_GET_DIRTY_LOG, &log));
	record("dirty", bitmap);
}

void user_remap(unsigned int page)
{
	static uint8_t copy[PAGE_BYTES];
	void *memory = page_memory(page % PAGES);

	copy_words(copy, memory, PAGE_BYTES / 8);
	TEST_ASSERT(mmap(memory, PAGE_BYTES, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == memory, "mmap");
	copy_words(memory, copy, PAGE_BYTES / 8);
}

void user_discard(unsigned int page, bool restore)
{
	static uint8_t copy[PAGE_BYTES];
	void *memory = page_memory(page % PAGES);

	copy_words(copy, memory, PAGE_BYTES / 8);
	madvise(memory, PAGE_BYTES, MADV_DONTNEED);
	if (restore)
		copy_words(memory, copy, PAGE_BYTES / 8);
}
