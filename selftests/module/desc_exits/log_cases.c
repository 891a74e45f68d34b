// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that are logged as dirty, after they were remembered: cases of desc_exits_test.
 *
 * The page is written by KVM alone, so that nothing but the accesses makes it dirty.
 */
#include "lib/cases.h"
#include "lib/mailbox.h"
#include "lib/vm.h"
#include "module/desc_exits/desc_exits.h"

#define PAGES		2	/* of the slot; the second is never written */
#define RING_ENTRIES	1024
#define RESERVED	64	/* of them by KVM */
#define RESERVED_PML	512	/* and for PML */

static const enum form storing[] = { FORM_SGDT, FORM_SIDT, FORM_SLDT, FORM_STR };

static void execute_each(const char *when)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(storing); i++) {
		execute_at(storing[i], target, 0);
		expect_no_exception(when);
	}
}

/* What was remembered when the page was not logged must not be used afterwards. */
static void begin_to_log(void)
{
	const uint64_t size = PAGES * getpagesize();
	uint8_t *memory = new_memory(size);

	map_target_to(SLOT_GPA);
	set_slot(SLOT, SLOT_GPA, memory, size, 0);
	execute_each("before the log");
	execute_each("before the log");
	set_slot(SLOT, SLOT_GPA, memory, size, KVM_MEM_LOG_DIRTY_PAGES);
}

static void expect_log(unsigned long expected, const char *when)
{
	unsigned long log = ~0ul;

	kvm_vm_get_dirty_log(vm, SLOT, &log);
	EXPECT(log == expected, "%s: dirty log %#lx, not %#lx", when, log, expected);
}

static void clear_log(unsigned long log)
{
	kvm_vm_clear_dirty_log(vm, SLOT, &log, 0, PAGES);
}

/* @protect: flags of KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2; with them user space clears the log. */
static void log_accesses(uint64_t protect)
{
	int round, i;

	create_vm();
	if (protect)
		vm_enable_cap(vm, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, protect);
	begin_to_log();
	if (protect & KVM_DIRTY_LOG_INITIALLY_SET) {
		expect_log(BIT(PAGES) - 1, "log initially set");
		clear_log(BIT(PAGES) - 1);
	}
	expect_log(0, "before the first access");
	for (round = 0; round < 3 && !case_failed; round++) {
		for (i = 0; i < ARRAY_SIZE(storing) && !case_failed; i++) {
			execute_at(storing[i], target, 0);
			expect_no_exception("a store");
			expect_log(1, "a store");
			if (protect) {
				expect_log(1, "log read, and not cleared");
				clear_log(1);
			}
			expect_log(0, "log cleared");
		}
		execute_at(FORM_SGDT, target, 0);
		expect_log(1, "SGDT");
		if (protect)
			clear_log(1);
		execute_at(FORM_LGDT, target, 0);
		expect_no_exception("LGDT");
		expect_log(0, "LGDT, which reads");
	}
	expect_fast(2 * ARRAY_SIZE(storing) + 3 * (ARRAY_SIZE(storing) + 2), "logged accesses");
	kvm_vm_free(vm);
}

void dirty_log_read(void)
{
	log_accesses(0);
}

void dirty_log_read_and_cleared(void)
{
	log_accesses(KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE);
}

void dirty_log_initially_set(void)
{
	log_accesses(KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET);
}

static struct kvm_dirty_gfn *ring;
static unsigned int next_in_ring;

/* Return: how many entries there were. */
static unsigned int empty_ring(void)
{
	unsigned int found = 0, reset;

	for (;; found++, next_in_ring++) {
		struct kvm_dirty_gfn *entry = &ring[next_in_ring % RING_ENTRIES];

		if (!(READ_ONCE(entry->flags) & KVM_DIRTY_GFN_F_DIRTY))
			break;
		EXPECT(entry->slot == SLOT && !entry->offset, "slot %u, page %llu", entry->slot,
		       entry->offset);
		WRITE_ONCE(entry->flags, KVM_DIRTY_GFN_F_RESET);
	}
	reset = kvm_vm_reset_dirty_ring(vm);
	EXPECT(reset == found, "%u entries reset, not %u", reset, found);
	return found;
}

/* With verify=1 an access is executed twice. */
static unsigned int entries_of_an_access(void)
{
	return parameter("verify") == 'Y' && parameter("desc_exits") == 'Y' ? 2 : 1;
}

static void create_vm_with_log_in_ring(void)
{
	create_vm_with_ring(RING_ENTRIES * sizeof(*ring));
	ring = vcpu_map_dirty_ring(vcpu);
	next_in_ring = 0;
	begin_to_log();
}

void dirty_ring(void)
{
	unsigned int round, found;

	create_vm_with_log_in_ring();
	found = empty_ring();
	EXPECT(!found, "%u entries before the first access", found);
	for (round = 1; round < 5 && !case_failed; round++) {
		unsigned int expected = round * ARRAY_SIZE(storing) * entries_of_an_access();
		unsigned int times;

		for (times = 0; times < round; times++)
			execute_each("logged in a ring");
		execute_at(FORM_SIDT, target, 0);
		execute_at(FORM_LIDT, target, 0);
		expect_no_exception("LIDT");
		found = empty_ring();
		EXPECT(found == expected + entries_of_an_access(), "round %u: %u entries", round,
		       found);
	}
	kvm_vm_free(vm);
}

/* The guest stops for user space when it must, not at the next exit that takes long. */
void dirty_ring_full(void)
{
	const unsigned int limit = RING_ENTRIES - RESERVED -
				   (parameter("pml") == 'Y' ? RESERVED_PML : 0);
	unsigned int found, total = 0;

	create_vm_with_log_in_ring();
	count_from_here();
	hand_over(((struct request){ .form = FORM_SGDT_MANY, .rdi = target }));
	for (vcpu_run(vcpu); vcpu->run->exit_reason == KVM_EXIT_DIRTY_RING_FULL; vcpu_run(vcpu)) {
		found = empty_ring();
		EXPECT(found == limit, "full with %u entries, not %u", found, limit);
		total += found;
	}
	TEST_ASSERT(vcpu->run->exit_reason == KVM_EXIT_IO, "exit %u", vcpu->run->exit_reason);
	total += empty_ring();
	EXPECT(total == MANY * entries_of_an_access(), "%u entries", total);
	expect_fast(MANY, "SGDTs");
	kvm_vm_free(vm);
}
