// SPDX-License-Identifier: GPL-2.0
/*
 * User space of page_hold_test: the memory under the pages that vmcs12 names, requests to
 * L1, and whether L2 meets the pages where they now are.
 */
#include <linux/mempolicy.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "module/pages/pages.h"

uint8_t *memory, *fixed;
bool holds, merges;
const int all_pages[4] = { BITMAP, ACCESS, VAPIC, PI };

uint64_t page_misses(void)
{
	return counter("page_hold_miss_empty") + counter("page_hold_miss_gfn") +
		counter("page_hold_miss_memslots");
}

uint64_t merge_misses(void)
{
	return counter("msr_bitmap_miss_new") + counter("msr_bitmap_miss_controls") +
		counter("msr_bitmap_miss_vmcs01") + counter("msr_bitmap_miss_l1");
}

void set_slot(uint32_t slot, uint32_t flags, uint64_t gpa, uint64_t size, void *hva)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.flags = flags,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)hva,
	};

	vm_ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region);
}

void set_test_slot(uint32_t flags)
{
	set_slot(SLOT, flags, slot_gpa, SLOT_PAGES * PAGE, memory);
}

void delete_test_slot(void)
{
	set_slot(SLOT, 0, slot_gpa, 0, memory);
}

uint8_t *map_anonymous(void *where, uint64_t size)
{
	void *at = mmap(where, size, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE | (where ? MAP_FIXED : 0),
			-1, 0);

	TEST_ASSERT(at != MAP_FAILED, "mmap: %s", strerror(errno));
	return at;
}

uint8_t *page(int number)
{
	return memory + number * PAGE;
}

uint64_t page_gpa(int number)
{
	return slot_gpa + number * PAGE;
}

/* Bits in an MSR bitmap: SDM, "MSR-Bitmap Address". */
uint64_t bitmap_bit(uint32_t msr, bool write)
{
	return (write ? 0x4000 : 0) + (msr >= 0xc0000000 ? 0x2000 : 0) + (msr & 0x1fff);
}

void set_bit_in(uint8_t *bitmap, uint64_t bit, bool value)
{
	volatile uint8_t *byte = bitmap + bit / 8;

	*byte = value ? *byte | 1 << bit % 8 : *byte & ~(1 << bit % 8);
}

/* Run until the guest waits for a request, or L2 pauses; returns who it was. */
int run_to_answer(void)
{
	int who = run_to_sync();

	sync_global_from_guest(vm, answer);
	return who;
}

void create_vm(void)
{
	vm_vaddr_t vmx_gva;
	int i;

	vm = vm_create_with_one_vcpu(&vcpu, l1_guest_code);
	vm_init_descriptor_tables(vm);
	vcpu_init_descriptor_tables(vcpu);
	vcpu_alloc_vmx(vm, &vmx_gva);
	vcpu_args_set(vcpu, 1, vmx_gva);
	slot_gpa = SLOT_GPA;
	for (i = 0; i < VMCSS; i++)
		bitmap_gpa[i] = page_gpa(BITMAP + i);
	memset(memory, 0, SLOT_PAGES * PAGE);
	memset(fixed, 0, VMCSS * PAGE);
	memset(page(ACCESS), 0xee, PAGE);
	memset(page(OTHER_ACCESS), 0xdd, PAGE);
	sync_global_to_guest(vm, bitmap_gpa);
	sync_global_to_guest(vm, slot_gpa);
	set_test_slot(0);
	set_slot(FIXED_SLOT, 0, FIXED_GPA, VMCSS * PAGE, fixed);
	virt_map(vm, SLOT_GPA, SLOT_GPA, SLOT_PAGES);
	virt_map(vm, MOVED_GPA, MOVED_GPA, SLOT_PAGES);
	virt_map(vm, FIXED_GPA, FIXED_GPA, VMCSS);
	TEST_ASSERT(run_to_answer() == 1, "L1 did not start");
	sync_global_from_guest(vm, features);
}

void new_vm(void)
{
	kvm_vm_free(vm);
	create_vm();
}

/* L2 accesses @msr; does it exit to L1, and if not, to L0? */
void expect_msr(uint64_t vmcs, uint32_t msr, bool write, bool intercepted, int line)
{
	uint64_t before = exits(), count;

	ASK(ENTER, .vmcs = vmcs, .count = 1, .msr = msr, .reads = READS,
	    .l2_operation = write ? L2_WRMSR : L2_RDMSR);
	count = exits() - before;
	EXPECT(answer.exits == (intercepted ? READS : 0) && !answer.failed,
	       "from line %d: VMCS %lu, %s %#x: %lu exits to L1, reason %lu", line, vmcs,
	       write ? "write" : "read", msr, answer.exits, answer.reason);
	EXPECT(intercepted || count < FEW, "from line %d: %s %#x: %lu exits to L0",
	       line, write ? "write" : "read", msr, count);
}

/* Where VMCS 0 has its pages: for the cases that change it. */
int now_bitmap = BITMAP, now_access = ACCESS, now_vapic = VAPIC, now_pi = PI;

void expect_tpr(uint8_t tpr, int line)
{
	EXPECT(answer.cr8 == tpr >> 4 && !answer.failed,
	       "from line %d: CR8 %#lx, TPR %#x, failed %lu", line, answer.cr8, tpr,
	       answer.failed);
	EXPECT(!features.access || answer.mmio == tpr, "from line %d: MMIO %#lx, TPR %#x",
	       line, answer.mmio, tpr);
}

uint64_t mmio(void)
{
	return features.access ? page_gpa(now_access) : 0;
}

void pause_in_l2(uint8_t tpr)
{
	int who = ASK(ENTER, .count = 1, .l2_operation = L2_PAUSE,
		      .tpr = tpr, .mmio = mmio());

	EXPECT(who == 2, "L2 did not pause");
}

/* Post an interrupt while L2 is in user space. */
void post(void)
{
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = NV };

	page(now_pi)[POSTED_VECTOR / 8] |= 1 << POSTED_VECTOR % 8;
	page(now_pi)[32] |= 1;
	EXPECT(ioctl(vm->fd, KVM_SIGNAL_MSI, &msi) == 1, "%s", strerror(errno));
}

void expect_posted(int line)
{
	uint8_t *virr = page(now_vapic) + VIRR + POSTED_VECTOR / 32 * 16 + POSTED_VECTOR % 32 / 8;

	EXPECT(!(page(now_pi)[32] & 1), "from line %d: descriptor not used", line);
	EXPECT(*virr & 1 << POSTED_VECTOR % 8, "from line %d: no VIRR bit", line);
	*virr = 0;
}

void __expect_pages_in_use(int line)
{
	static uint8_t salt;
	uint8_t tpr;
	int i;

	for (i = 0; i < 2; i++) {
		tpr = (++salt % 15 + 1) << 4;
		set_bit_in(page(now_bitmap), bitmap_bit(MSR_FS_BASE, false), i);
		page(now_vapic)[TPR] = tpr;
		expect_msr(0, MSR_FS_BASE, false, i, line);
		ASK(ENTER, .count = 1, .l2_operation = L2_TPR, .tpr = tpr,
		    .mmio = mmio());
		expect_tpr(tpr, line);
	}
	set_bit_in(page(now_bitmap), bitmap_bit(MSR_FS_BASE, false), false);
	if (!features.pi)
		return;
	pause_in_l2(tpr);
	post();
	EXPECT(run_to_answer() == 1, "from line %d", line);
	expect_tpr(tpr, line);
	expect_posted(line);
}

bool has_two_nodes(void)
{
	return !access("/sys/devices/system/node/node1", F_OK);
}

bool two_nodes(void)
{
	if (has_two_nodes())
		return true;
	skip_reason = "one NUMA node only";
	return false;
}

/* The page's new node, or a negative errno. */
int move_page(int number, int node)
{
	void *address = page(number);
	int status = -1;
	long ret;

	ret = syscall(__NR_move_pages, 0, 1ul, &address, node < 0 ? NULL : &node, &status,
		      MPOL_MF_MOVE);
	return ret < 0 ? -errno : status;
}

/*
 * Nobody has a reference to a page but its own mapping, or whoever has one gives it up
 * when asked: then it moves to the other node at the first try.
 */
void __expect_unreferenced(int number, int line)
{
	volatile uint8_t *there = page(number);
	int node, moved;

	*there = *there;
	node = !move_page(number, -1);
	moved = move_page(number, node);
	EXPECT(moved == node, "from line %d: page %d to node %d: %d", line, number, node, moved);
}

static volatile bool stop;
static volatile uint64_t thread_rounds, thread_wrong;

static void *round_trips(void *unused)
{
	pin_to_cpu(1);
	while (!stop) {
		ASK(ENTER, .count = 5, .l2_operation = L2_TPR, .tpr = 0x50,
		    .mmio = mmio());
		thread_wrong += answer.wrong + answer.failed + answer.exits;
		thread_rounds += 5;
	}
	return NULL;
}

bool start_round_trips(pthread_t *thread)
{
	if (!two_cpus_are_online())
		return false;
	page(VAPIC)[TPR] = 0x50;
	stop = false;
	thread_rounds = thread_wrong = 0;
	pthread_create(thread, NULL, round_trips, NULL);
	return true;
}

void wait_for_round_trips(void)
{
	uint64_t rounds = thread_rounds;

	while (thread_rounds < rounds + 6)
		usleep(50);
}

void stop_round_trips(pthread_t thread)
{
	stop = true;
	pthread_join(thread, NULL);
	ksft_print_msg("%lu round trips meanwhile\n", thread_rounds);
	EXPECT(thread_rounds && !thread_wrong, "%lu wrong", thread_wrong);
	expect_pages_in_use();
}
