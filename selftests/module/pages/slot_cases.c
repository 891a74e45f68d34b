// SPDX-License-Identifier: GPL-2.0
/*
 * Cases of page_hold_test: memslots change, and what is mapped in them.
 */
#include <sys/mman.h>
#include <sys/wait.h>

#include "module/pages/pages.h"

/* The slot over other memory; the old memory keeps its old contents. */
void slot_over_other_memory(void)
{
	uint8_t *old = memory, *new = map_anonymous(NULL, SLOT_PAGES * PAGE);
	int i;

	memcpy(new, old, SLOT_PAGES * PAGE);
	for (i = 0; i < 2; i++) {
		delete_test_slot();
		memory = i ? old : new;
		set_test_slot(0);
		expect_pages_in_use();
	}
	/* The same while L2 runs: the next entry finds the new memory. */
	for (i = 0; i < 2; i++) {
		page(VAPIC)[TPR] = 0x20;
		pause_in_l2(0x20);
		delete_test_slot();
		memory = i ? old : new;
		page(VAPIC)[TPR] = 0x90;
		set_test_slot(0);
		EXPECT(run_to_answer() == 1, "L2");
		EXPECT(answer.cr8 == 2, "CR8 %#lx in the entry before", answer.cr8);
		expect_pages_in_use();
	}
	munmap(new, SLOT_PAGES * PAGE);
}

void slot_moves(void)
{
	int i;

	for (i = 0; i < 4; i++) {
		slot_gpa = i & 1 ? SLOT_GPA : MOVED_GPA;
		set_test_slot(0);
		write_page_fields();
		expect_pages_in_use();
	}
	EXPECT(slot_gpa == SLOT_GPA, "");
}

/*
 * Before 7.2 a read-only slot cannot be mapped: every MSR exits to L0, which reads L1's
 * bitmap to find out whom the exit is for.  From then on the bitmap is mapped to be read.
 */
void slot_is_made_read_only(void)
{
	bool mapped = kernel_is_at_least(7, 2);
	uint64_t before;
	int i;

	for (i = 0; i < 2; i++) {
		ASK(MODE, .value = NO_APIC);
		expect_msr(0, MSR_FS_BASE, false, false, __LINE__);
		delete_test_slot();
		set_bit_in(page(BITMAP), bitmap_bit(MSR_FS_BASE, false), i);
		set_test_slot(KVM_MEM_READONLY);
		before = exits();
		ASK(ENTER, .count = 1, .l2_operation = L2_RDMSR,
		    .msr = MSR_FS_BASE, .reads = READS);
		EXPECT(answer.exits == (i ? READS : 0) && !answer.failed, "%lu exits to L1, %lu",
		       answer.exits, answer.failed);
		EXPECT((exits() - before >= READS) == (i || !mapped), "%lu exits",
		       exits() - before);
		delete_test_slot();
		set_test_slot(0);
		ASK(MODE, .value = XAPIC);
		expect_pages_in_use();
	}
}

static uint64_t dirty_pages(void)
{
	uint64_t bitmap = 0;
	struct kvm_dirty_log log = { .slot = SLOT, .dirty_bitmap = &bitmap };

	vm_ioctl(vm, KVM_GET_DIRTY_LOG, &log);
	return bitmap;
}

/*
 * Stock's rule: after an L2 exit, virtual-APIC page and descriptor are dirty; from 7.2 on the
 * APIC-access page, too.
 */
static uint64_t dirty_after_l2(void)
{
	bool access = features.access && kernel_is_at_least(7, 2);

	return BIT(now_vapic) | (features.pi ? BIT(now_pi) : 0) | (access ? BIT(now_access) : 0);
}

static void expect_dirty(uint64_t expected, int line)
{
	uint64_t dirty = dirty_pages();

	EXPECT(dirty == expected, "from line %d: dirty %#lx, expected %#lx", line, dirty,
	       expected);
}

void dirty_log_while_l1_runs(void)
{
	int i;

	ASK(ENTER, .count = 5);
	set_test_slot(KVM_MEM_LOG_DIRTY_PAGES);
	expect_dirty(0, __LINE__);
	for (i = 0; i < 3; i++) {
		ASK(ENTER, .count = 1);
		expect_dirty(dirty_after_l2(), __LINE__);
		ASK(SELECT);
		expect_dirty(0, __LINE__);
	}
	/* L1's own store, then L2. */
	ASK(BIT, .gpa = page_gpa(BITMAP), .bit = 5, .value = 1);
	expect_dirty(BIT(BITMAP), __LINE__);
	ASK(ENTER, .count = 1);
	expect_dirty(dirty_after_l2(), __LINE__);
	/* Another page under logging. */
	name_pages(true);
	write_page_fields();
	ASK(ENTER, .count = 1);
	expect_dirty(dirty_after_l2(), __LINE__);
	ASK(ENTER, .count = 1);
	expect_dirty(dirty_after_l2(), __LINE__);
	name_pages(false);
	write_page_fields();
	set_test_slot(0);
	expect_pages_in_use();
}

void dirty_log_while_l2_runs(void)
{
	int i;

	for (i = 0; i < 3; i++) {
		ASK(ENTER, .count = 2);
		pause_in_l2(0);
		set_test_slot(KVM_MEM_LOG_DIRTY_PAGES);
		expect_dirty(0, __LINE__);
		EXPECT(run_to_answer() == 1, "L2");
		expect_dirty(dirty_after_l2(), __LINE__);
		/* Off while L2 runs, and on again. */
		pause_in_l2(0);
		expect_dirty(dirty_after_l2(), __LINE__);
		set_test_slot(0);
		EXPECT(run_to_answer() == 1, "L2");
		pause_in_l2(0);
		set_test_slot(KVM_MEM_LOG_DIRTY_PAGES);
		EXPECT(run_to_answer() == 1, "L2");
		expect_dirty(dirty_after_l2(), __LINE__);
		set_test_slot(0);
	}
}

/* L2 exits to user space several times after the log was read. */
void dirty_log_read_while_l2_runs(void)
{
	int i;

	set_test_slot(KVM_MEM_LOG_DIRTY_PAGES);
	pause_in_l2(0);
	expect_dirty(dirty_after_l2(), __LINE__);
	expect_dirty(0, __LINE__);
	for (i = 0; i < 3; i++) {
		EXPECT(run_to_answer() == 1, "L2");
		expect_dirty(dirty_after_l2(), __LINE__);
		pause_in_l2(0);
		expect_dirty(dirty_after_l2(), __LINE__);
	}
	EXPECT(run_to_answer() == 1, "L2");
	ASK(ENTER, .count = 1, .l2_operation = L2_RDMSR, .msr = 0x10,
	    .reads = 5);
	expect_dirty(dirty_after_l2(), __LINE__);
	set_test_slot(0);
	expect_pages_in_use();
}

void mapping_replaced(void)
{
	uint64_t invalidated;
	unsigned int i;

	for (i = 0; i < 4; i++) {
		expect_pages_in_use();
		invalidated = counter("page_hold_invalidated");
		map_anonymous(page(all_pages[i]), PAGE);
		EXPECT(!holds || counter("page_hold_invalidated") > invalidated, "page %u", i);
		expect_pages_in_use();
	}
	/* All of them, contents checked without a store in between. */
	set_bit_in(page(BITMAP), bitmap_bit(MSR_FS_BASE, false), true);
	ASK(ENTER, .count = 3);
	map_anonymous(page(0), SLOT_PAGES * PAGE);
	expect_msr(0, MSR_FS_BASE, false, false, __LINE__);
	expect_pages_in_use();
}

/* The page that L2 uses is not given to anyone else meanwhile. */
void mapping_replaced_while_l2_runs(void)
{
	uint8_t *others;
	unsigned int i;

	for (i = 0; i < 4; i++) {
		page(VAPIC)[TPR] = 0x20;
		pause_in_l2(0x20);
		map_anonymous(page(all_pages[i]), PAGE);
		others = map_anonymous(NULL, OTHERS * PAGE);
		memset(others, 0xff, OTHERS * PAGE);
		EXPECT(run_to_answer() == 1, "L2");
		munmap(others, OTHERS * PAGE);
		EXPECT(answer.cr8 == 2, "page %u: CR8 %#lx in the entry before", i, answer.cr8);
		expect_pages_in_use();
	}
}

void memory_given_back(void)
{
	unsigned int i, j;

	for (i = 0; i < 4; i++) {
		for (j = 0; j < 2; j++) {
			set_bit_in(page(BITMAP), bitmap_bit(MSR_FS_BASE, false), true);
			page(VAPIC)[TPR] = 0x50;
			if (j)
				pause_in_l2(0x50);
			else
				ASK(ENTER, .count = 2);
			EXPECT(!madvise(page(all_pages[i]), PAGE, MADV_DONTNEED), "madvise");
			if (j)
				EXPECT(run_to_answer() == 1, "L2");
			if (all_pages[i] == BITMAP)
				expect_msr(0, MSR_FS_BASE, false, false, __LINE__);
			ASK(ENTER, .count = 1, .l2_operation = L2_TPR,
			    .mmio = mmio());
			EXPECT(answer.cr8 == (all_pages[i] == VAPIC ? 0 : 5), "CR8 %#lx",
			       answer.cr8);
			expect_pages_in_use();
		}
	}
}

/* A child shares the pages; the parent's next write gets it a copy. */
void forked(void)
{
	int i, status;
	pid_t child;

	for (i = 0; i < 2; i++) {
		if (i)
			pause_in_l2(0);
		else
			ASK(ENTER, .count = 2);
		child = fork();
		if (!child) {
			pause();
			_exit(0);
		}
		if (i)
			EXPECT(run_to_answer() == 1, "L2");
		expect_pages_in_use();
		kill(child, SIGKILL);
		waitpid(child, &status, 0);
		expect_pages_in_use();
	}
}
