// SPDX-License-Identifier: GPL-2.0
/*
 * Cases of page_hold_test: the host's memory management moves, merges and takes away pages.
 */
#include <fcntl.h>
#include <sys/mman.h>

#include "module/pages/pages.h"

/* Nothing is in use while L1 runs: the first try must succeed. */
void pages_migrate_while_l1_runs(void)
{
	unsigned int i, j;

	if (!two_nodes())
		return;
	for (j = 0; j < 4; j++) {
		for (i = 0; i < 4; i++) {
			ASK(ENTER, .count = 2);
			expect_unreferenced(all_pages[i]);
			expect_pages_in_use();
		}
	}
}

/* Stock refers to all but the bitmap then; afterwards they must move. */
void pages_migrate_after_l2_ran(void)
{
	int moved, node;
	unsigned int i;

	if (!two_nodes())
		return;
	for (i = 0; i < 4; i++) {
		pause_in_l2(0);
		node = !move_page(all_pages[i], -1);
		moved = move_page(all_pages[i], node);
		EXPECT(all_pages[i] != BITMAP || moved == node,
		       "bitmap while L2 runs, to node %d: %d", node, moved);
		EXPECT(run_to_answer() == 1, "L2");
		moved = move_page(all_pages[i], node);
		EXPECT(moved == node, "page %u to node %d: %d", i, node, moved);
		expect_pages_in_use();
	}
}

/* Under stock L2 has references to the pages that its own vmcs12 names. */
void pages_of_another_vmcs12_migrate_while_l2_runs(void)
{
	int i;

	if (!two_nodes())
		return;
	for (i = 0; i < 2; i++) {
		ASK(SELECT, .vmcs = 1);
		ASK(VMWRITE, .vmcs = 1, .bit = VIRTUAL_APIC_PAGE_ADDR,
		    .value = page_gpa(OTHER_VAPIC));
		ASK(ENTER, .vmcs = 1, .count = 2);
		ASK(SELECT, .vmcs = 0);
		pause_in_l2(0);
		expect_unreferenced(OTHER_VAPIC);
		EXPECT(run_to_answer() == 1, "L2");
		expect_pages_in_use();
	}
	ASK(SELECT, .vmcs = 1);
	ASK(CLEAR, .vmcs = 1);
	ASK(SELECT, .vmcs = 0);
}

static volatile bool stop;

static void *invalidate_all_the_time(void *range)
{
	pin_to_cpu(1);
	while (!stop)
		madvise(range, PAGE, MADV_DONTNEED);
	return NULL;
}

/* Pages are held, whatever invalidations there were while none was. */
void held_whatever_was_under_way(void)
{
	uint8_t *range = map_anonymous(NULL, PAGE);
	pthread_t thread;
	uint64_t misses;
	int i;

	/* While none is held, because the mapping of all has just been replaced. */
	map_anonymous(page(0), SLOT_PAGES * PAGE);
	madvise(range, PAGE, MADV_DONTNEED);
	ASK(ENTER, .count = 2);
	misses = page_misses();
	ASK(ENTER, .count = 5);
	EXPECT(page_misses() == misses, "%lu misses", page_misses() - misses);
	for (i = 0; i < NEW_VMS && sysconf(_SC_NPROCESSORS_ONLN) > 1; i++) {
		stop = false;
		pthread_create(&thread, NULL, invalidate_all_the_time, range);
		new_vm();
		ASK(ENTER, .count = 2);
		stop = true;
		pthread_join(thread, NULL);
		ASK(ENTER, .count = 2);
		misses = page_misses();
		ASK(ENTER, .count = 5);
		EXPECT(page_misses() == misses, "%lu misses", page_misses() - misses);
	}
	munmap(range, PAGE);
	expect_pages_in_use();
}

void pages_migrate_meanwhile(void)
{
	int i, try, moved, node, tries = 0;
	pthread_t thread;

	if (!two_nodes() || !start_round_trips(&thread))
		return;
	for (i = 0; i < MIGRATIONS; i++) {
		node = !move_page(all_pages[i % 4], -1);
		for (try = 0, moved = -1; try < TRIES && moved != node; try++)
			moved = move_page(all_pages[i % 4], node);
		tries += try;
		EXPECT(moved == node, "page %d to node %d: %d", i % 4, node, moved);
		if (i & 1)
			wait_for_round_trips();
	}
	ksft_print_msg("%d migrations in %d tries\n", MIGRATIONS, tries);
	stop_round_trips(thread);
}

static void tell_kernel(const char *path, const char *text)
{
	if (write_file(path, text))
		skip_reason = "cannot be asked for";
}

void compaction_meanwhile(void)
{
	pthread_t thread;
	int i;

	if (!start_round_trips(&thread))
		return;
	for (i = 0; i < 10 && !skip_reason; i++)
		tell_kernel("/proc/sys/vm/compact_memory", "1");
	stop_round_trips(thread);
}

/* Protection changes under the vCPU's feet; the page stays what it is. */
void protection_meanwhile(void)
{
	pthread_t thread;
	int i;

	if (!start_round_trips(&thread))
		return;
	for (i = 0; i < 100; i++) {
		mprotect(page(all_pages[i % 4]), PAGE,
			 PROT_READ | PROT_WRITE | (i & 4 ? PROT_EXEC : 0));
		if (i % 3 == 0)
			wait_for_round_trips();
	}
	stop_round_trips(thread);
}

void slots_change_meanwhile(void)
{
	pthread_t thread;
	int i;

	if (!start_round_trips(&thread))
		return;
	for (i = 0; i < 30; i++) {
		set_test_slot(i & 1 ? 0 : KVM_MEM_LOG_DIRTY_PAGES);
		wait_for_round_trips();
	}
	stop_round_trips(thread);
	set_test_slot(0);
	expect_pages_in_use();
}

static long read_number(const char *path)
{
	FILE *stream = fopen(path, "r");
	long value = -1;

	if (stream && fscanf(stream, "%li", &value) != 1)
		value = -1;
	if (stream)
		fclose(stream);
	return value;
}

#define KSM "/sys/kernel/mm/ksm/"

/* The MSR bitmap and the APIC-access page each have a twin of the same content. */
static bool wait_for_merged_twins(void)
{
	int i;

	for (i = 0; i < KSM_ROUNDS && read_number(KSM "pages_sharing") < 2; i++)
		usleep(10000);
	return i < KSM_ROUNDS;
}

void merged_by_ksm(void)
{
	uint8_t *twins = map_anonymous(NULL, 2 * PAGE);
	int round;

	tell_kernel(KSM "sleep_millisecs", "1");
	if (skip_reason)
		return;
	for (round = 0; round < 3; round++) {
		expect_pages_in_use();
		memset(page(BITMAP), 0x11, PAGE);
		set_bit_in(page(BITMAP), bitmap_bit(MSR_FS_BASE, false), round & 1);
		memcpy(twins, page(BITMAP), PAGE);
		memcpy(twins + PAGE, page(ACCESS), PAGE);
		madvise(twins, 2 * PAGE, MADV_MERGEABLE);
		madvise(page(BITMAP), PAGE, MADV_MERGEABLE);
		madvise(page(ACCESS), PAGE, MADV_MERGEABLE);
		ASK(ENTER, .count = 2);
		tell_kernel(KSM "run", "1");
		EXPECT(wait_for_merged_twins(), "%ld merged", read_number(KSM "pages_sharing"));
		tell_kernel(KSM "run", "0");
		/* Merged, and now a page of its own again where it is written to. */
		expect_msr(0, MSR_FS_BASE, false, round & 1, __LINE__);
		memset(page(BITMAP), 0, PAGE);
		expect_pages_in_use();
		/* Both apart again, behind L1's back. */
		tell_kernel(KSM "run", "2");
		expect_pages_in_use();
	}
	munmap(twins, 2 * PAGE);
}

void merged_by_ksm_meanwhile(void)
{
	uint8_t *twin = map_anonymous(NULL, PAGE);
	pthread_t thread;
	int i;

	tell_kernel(KSM "sleep_millisecs", "1");
	if (skip_reason || !start_round_trips(&thread))
		return;
	memcpy(twin, page(ACCESS), PAGE);
	madvise(twin, PAGE, MADV_MERGEABLE);
	madvise(page(ACCESS), PAGE, MADV_MERGEABLE);
	madvise(page(BITMAP), PAGE, MADV_MERGEABLE);
	for (i = 0; i < 6; i++) {
		tell_kernel(KSM "run", i & 1 ? "2" : "1");
		usleep(20000);
		wait_for_round_trips();
	}
	tell_kernel(KSM "run", "2");
	stop_round_trips(thread);
	munmap(twin, PAGE);
}

#define BLOCKS "/sys/devices/system/memory/"

/* Where in the host's memory a page lies; 0: not known. */
static uint64_t physical_address(int number)
{
	int fd = open("/proc/self/pagemap", O_RDONLY);
	uint64_t entry = 0;

	if (fd < 0 || pread(fd, &entry, 8, (uintptr_t)page(number) / PAGE * 8) != 8)
		entry = 0;
	close(fd);
	return entry >> 63 ? (entry & ((1ul << 55) - 1)) * PAGE : 0;
}

static bool set_block(unsigned long block, const char *state)
{
	char path[128];
	int fd;
	bool done;

	snprintf(path, sizeof(path), BLOCKS "memory%lu/state", block);
	fd = open(path, O_WRONLY);
	done = fd >= 0 && write(fd, state, strlen(state)) > 0;
	close(fd);
	return done;
}

/*
 * Put a page, with its content, into a block of memory that may go: one that holds
 * pages of the kernel may not.  More and more memory is taken, so that the page's new
 * place is another.  Returns the block, which is offline then, or 0.
 */
static unsigned long unplug_under(int number, unsigned long block_size, uint8_t **filler)
{
	unsigned long block;
	uint8_t *new;
	int i;

	for (i = 0; i < TRIES; i++) {
		ASK(ENTER, .count = 2);
		block = physical_address(number) / block_size;
		if (set_block(block, "offline"))
			return block;
		while (*filler)
			filler++;
		*filler = map_anonymous(NULL, FILLER);
		new = map_anonymous(NULL, PAGE);
		memcpy(new, page(number), PAGE);
		TEST_ASSERT(mremap(new, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, page(number)) ==
			    page(number), "mremap: %s", strerror(errno));
	}
	return 0;
}

/* The memory under each held page is taken away from the kernel. */
void memory_unplugged(void)
{
	unsigned long block_size = 0, block;
	FILE *stream = fopen(BLOCKS "block_size_bytes", "r");
	uint8_t *filler[4 * TRIES + 1] = {};
	unsigned int i;

	if (!stream || fscanf(stream, "%lx", &block_size) != 1) {
		skip_reason = "no memory hot-unplug";
		return;
	}
	fclose(stream);
	for (i = 0; i < 4; i++) {
		block = unplug_under(all_pages[i], block_size, filler);
		EXPECT(block, "page %u is in no block that may go", i);
		if (!block)
			break;
		EXPECT(physical_address(all_pages[i]) / block_size != block, "page %u", i);
		expect_pages_in_use();
		EXPECT(set_block(block, "online_movable"), "block %lu", block);
	}
	for (i = 0; filler[i]; i++)
		munmap(filler[i], FILLER);
}
