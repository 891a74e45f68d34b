// SPDX-License-Identifier: GPL-2.0
/*
 * The host's memory management can do with the pages that a vmcs12 names what it can do
 * with them under stock: swap them out, split and collapse huge pages, take memory
 * offline, reclaim.  Each is tried while L1 idles after nested entries, while L2 is
 * active (stock has references to three of the pages then), and after L1 left VMX
 * operation.  What is expected is what stock does; the test runs under stock and under
 * kvm-intel-fast.  After each, L2 must meet what the pages now hold.
 *
 * Needs /dev/ram0 for swap, debugfs and the memory controller of cgroup v2.
 */
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>

#include "kvm_util.h"
#include "processor.h"
#include "vmx.h"

#include "lib/cases.h"
#include "lib/guest.h"
#include "lib/mailbox.h"
#include "lib/vm.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT	21
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif
#ifndef MADV_HWPOISON
#define MADV_HWPOISON	100
#endif
#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE 101
#endif

#define PAGE		4096ul
#define HUGE_PAGE	(2ul << 20)
#define HUGE_KB		2048l
#define KB(pages)	((pages) * 4l)
#define SLOT		10
#define SLOT_GPA	0x10000000ul
#define SLOT_PAGES	(HUGE_PAGE / PAGE)
#define TPR		0x80		/* in a virtual-APIC page */
#define TRIES		3
#define RECLAIMS	60
#define REFERENCED	3		/* pages to which stock has references in L2 */
#define COLD_RECLAIM	(2ul << 20)
#define COLD_ROUNDS	60
#define COLD_ENTRIES	50
#define COLD_FILLER	(24ul << 20)
#define SWAP		"/dev/ram0"
#define GROUP		"/tmp/cgroup/vm"

/* Pages of the slot; "OTHER" is none that a vmcs12 names. */
enum { BITMAP = 3, ACCESS = 9, VAPIC = 17, PI = 33, OTHER = 100 };

static const int named_pages[] = { BITMAP, ACCESS, VAPIC, PI };

enum operation {
	L1_ENTER,	/* enter L2 "count" times, until it executes VMCALL */
	L1_PAUSE,	/* enter L2, which stops in user space before its VMCALL */
	L1_LEAVE,	/* VMCLEAR, VMXOFF */
	L1_START,	/* VMXON, and the VMCS anew */
};

enum { IN_L1 = 1, IN_L2 };

static struct request {
	uint64_t operation, count;
} request;

static struct {
	uint64_t cr8;		/* what L2 read last */
	uint64_t exits;		/* other than VMCALL */
	uint64_t reason;	/* of the last of these */
} answer;

static bool has_access;

/* ---------------------------------------------------------------- guest -- */

static void ENTRY_POINT l2_guest_code(void)
{
	uint32_t low, high, msr;
	uint64_t cr8;

	for (;;) {
		if (READ_ONCE(request.operation) == L1_PAUSE)
			GUEST_SYNC(IN_L2);
		asm volatile("mov %%cr8, %0" : "=r"(cr8));
		answer.cr8 = cr8;
		asm volatile("push %%rbp; rdmsr; pop %%rbp" :
			     "=a"(low), "=d"(high), "=c"(msr) : "c"(MSR_FS_BASE) : L2_CLOBBERS);
		asm volatile("push %%rbp; vmcall; pop %%rbp" : : :
			     "rax", "rcx", "rdx", L2_CLOBBERS);
	}
}

static void start(struct vmx_pages *vmx)
{
	static unsigned long l2_stack[256];
	uint32_t secondary = 0, pin = 0;

	vmx->msr_gpa = SLOT_GPA + BITMAP * PAGE;
	GUEST_ASSERT(prepare_for_vmx_operation(vmx));
	GUEST_ASSERT(load_vmcs(vmx));
	prepare_vmcs(vmx, l2_guest_code, &l2_stack[255]);
	vmwrite(APIC_ACCESS_ADDR, SLOT_GPA + ACCESS * PAGE);
	vmwrite(VIRTUAL_APIC_PAGE_ADDR, SLOT_GPA + VAPIC * PAGE);
	vmwrite(POSTED_INTR_DESC_ADDR, SLOT_GPA + PI * PAGE);
	vmwrite(POSTED_INTR_NV, 0xf2);
	vmwrite(TPR_THRESHOLD, 0);
	if (vmx_can(MSR_IA32_VMX_PROCBASED_CTLS2, SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES))
		secondary |= SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES;
	if (vmx_can(MSR_IA32_VMX_PROCBASED_CTLS2, SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY) &&
	    vmx_can(MSR_IA32_VMX_TRUE_PINBASED_CTLS, PIN_BASED_POSTED_INTR)) {
		secondary |= SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY;
		pin = PIN_BASED_EXT_INTR_MASK | PIN_BASED_POSTED_INTR;
		vmwrite(VM_EXIT_CONTROLS, vmreadz(VM_EXIT_CONTROLS) | VM_EXIT_ACK_INTR_ON_EXIT);
	}
	has_access = secondary & SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES && pin;
	vmwrite(SECONDARY_VM_EXEC_CONTROL, secondary);
	vmwrite(PIN_BASED_VM_EXEC_CONTROL, vmreadz(PIN_BASED_VM_EXEC_CONTROL) | pin);
	vmwrite(CPU_BASED_VM_EXEC_CONTROL,
		(vmreadz(CPU_BASED_VM_EXEC_CONTROL) &
		 ~(CPU_BASED_CR8_LOAD_EXITING | CPU_BASED_CR8_STORE_EXITING)) |
		CPU_BASED_TPR_SHADOW | CPU_BASED_USE_MSR_BITMAPS |
		CPU_BASED_ACTIVATE_SECONDARY_CONTROLS);
}

static void enter(bool *launched)
{
	uint64_t reason;

	for (;;) {
		vmwrite(GUEST_INTR_STATUS, 0);
		GUEST_ASSERT(!(*launched ? vmresume() : vmlaunch()));
		*launched = true;
		reason = vmreadz(VM_EXIT_REASON);
		vmwrite(GUEST_RIP, vmreadz(GUEST_RIP) + vmreadz(VM_EXIT_INSTRUCTION_LEN));
		if (reason == EXIT_REASON_VMCALL)
			return;
		answer.exits++;
		answer.reason = reason;
	}
}

static void ENTRY_POINT l1_guest_code(struct vmx_pages *vmx)
{
	bool launched = false;

	start(vmx);
	for (;;) {
		GUEST_SYNC(IN_L1);
		answer.exits = 0;
		switch (request.operation) {
		case L1_LEAVE:
			GUEST_ASSERT(!vmclear(vmx->vmcs_gpa));
			asm volatile("vmxoff" : : : "cc", "memory");
			launched = false;
			break;
		case L1_START:
			start(vmx);
			break;
		default:
			while (request.count--)
				enter(&launched);
		}
	}
}

/* ----------------------------------------------------------- user space -- */

static uint8_t *memory;		/* of the slot, on a border of a huge page */

static uint8_t *page(int number)
{
	return memory + number * PAGE;
}

static int run_to_answer(void)
{
	int who = run_to_sync();

	sync_global_from_guest(vm, answer);
	return who;
}

static void set_bit_in_bitmap(bool value)
{
	uint32_t bit = 0x2000 + (MSR_FS_BASE & 0x1fff);	/* SDM, "MSR-Bitmap Address" */
	volatile uint8_t *byte = page(BITMAP) + bit / 8;

	*byte = value ? *byte | 1 << bit % 8 : *byte & ~(1 << bit % 8);
}

/* What user space writes to the pages where they now are is what L2 meets. */
static void __expect_pages_in_use(int line)
{
	static uint8_t salt;
	int i;

	for (i = 0; i < 2; i++) {
		uint8_t tpr = ++salt % 15 + 1;

		page(VAPIC)[TPR] = tpr << 4;
		set_bit_in_bitmap(i);
		ASK(ENTER, .count = 1);
		EXPECT(answer.cr8 == tpr, "from line %d: CR8 %#lx, not %#x", line, answer.cr8, tpr);
		EXPECT(answer.exits == i, "from line %d: %lu exits, reason %lu, bit %d", line,
		       answer.exits, answer.reason, i);
	}
	set_bit_in_bitmap(false);
}

#define expect_pages_in_use() __expect_pages_in_use(__LINE__)

/* New memory, in huge pages or small ones, of which vmcs12 names four. */
static void new_memory(bool huge)
{
	void *at = mmap(memory, HUGE_PAGE, PROT_READ | PROT_WRITE,
			MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	TEST_ASSERT(at == memory, "mmap: %s", strerror(errno));
	madvise(memory, HUGE_PAGE, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	memset(memory, 0x5a, HUGE_PAGE);
	memset(page(BITMAP), 0, PAGE);
	memset(page(VAPIC), 0, PAGE);
	memset(page(PI), 0, PAGE);
	if (huge)
		madvise(memory, HUGE_PAGE, MADV_COLLAPSE);
}

static void create_vm(void)
{
	struct kvm_userspace_memory_region region = {
		.slot = SLOT,
		.guest_phys_addr = SLOT_GPA,
		.memory_size = HUGE_PAGE,
	};
	vm_vaddr_t gva;
	uint8_t *at;

	at = mmap(NULL, 2 * HUGE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memory = (uint8_t *)(((uintptr_t)at + HUGE_PAGE - 1) & -HUGE_PAGE);
	new_memory(false);
	region.userspace_addr = (uintptr_t)memory;
	vm = vm_create_with_one_vcpu(&vcpu, l1_guest_code);
	vcpu_alloc_vmx(vm, &gva);
	vcpu_args_set(vcpu, 1, gva);
	vm_ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region);
	virt_map(vm, SLOT_GPA, SLOT_GPA, SLOT_PAGES);
	TEST_ASSERT(run_to_answer() == IN_L1, "L1 did not start");
	sync_global_from_guest(vm, has_access);
}

/* A number of the mapping that holds the test's memory, in kB. */
static long kb_of(const char *key)
{
	unsigned long start, end, value;
	char line[512], name[64];
	bool in = false;
	long found = -1;
	FILE *stream = fopen("/proc/self/smaps", "r");

	TEST_ASSERT(stream, "/proc/self/smaps: %s", strerror(errno));
	while (fgets(line, sizeof(line), stream)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			in = start < (uintptr_t)memory + HUGE_PAGE && (uintptr_t)memory < end;
		else if (in && sscanf(line, "%63[^:]: %lu kB", name, &value) == 2 &&
			 !strcmp(name, key))
			found = (found < 0 ? 0 : found) + value;
	}
	fclose(stream);
	return found;
}

static long events(const char *key)
{
	char name[64];
	long value, found = -1;
	FILE *stream = fopen("/proc/vmstat", "r");

	while (stream && fscanf(stream, "%63s %ld", name, &value) == 2)
		if (!strcmp(name, key))
			found = value;
	if (stream)
		fclose(stream);
	return found;
}

/* -------------------------------------------- what is done to the memory -- */

/* kB that are swapped out then. */
static long page_out(void)
{
	int i;

	for (i = 0; i < TRIES; i++)
		madvise(memory, HUGE_PAGE, MADV_PAGEOUT);
	return kb_of("Swap");
}

/* Huge pages that are split then. */
static long split(void)
{
	long before = events("thp_split_page");
	char text[64];

	snprintf(text, sizeof(text), "%d,%#lx,%#lx", getpid(), (unsigned long)memory,
		 (unsigned long)memory + HUGE_PAGE);
	write_file("/sys/kernel/debug/split_huge_pages", text);
	return events("thp_split_page") - before;
}

/* kB in huge pages then. */
static long collapse(void)
{
	int i;

	madvise(memory, HUGE_PAGE, MADV_HUGEPAGE);
	for (i = 0; i < TRIES; i++)
		madvise(memory, HUGE_PAGE, MADV_COLLAPSE);
	return kb_of("AnonHugePages");
}

static long advise(int number, int advice)
{
	return madvise(page(number), PAGE, advice) ? -errno : 0;
}

static long soft_offline_other(void)
{
	return advise(OTHER, MADV_SOFT_OFFLINE);
}

static long soft_offline_named(void)
{
	return advise(VAPIC, MADV_SOFT_OFFLINE);
}

static void look_away(int signal_number)
{
}

/*
 * As after an error of the memory.  What could not be split may be given out again.  From 6.12 on
 * whoever asks for this gets a SIGBUS, as if the page had been read, and another error number.
 */
static long poison_other(void)
{
	static int attempt;
	long ret;

	signal(SIGBUS, look_away);
	ret = advise(OTHER + attempt++, MADV_HWPOISON);
	signal(SIGBUS, SIG_DFL);
	return ret == -EHWPOISON ? -EBUSY : ret;
}

/* As a balloon or free page reporting does; huge pages that reclaim splits then. */
static long give_back_half(void)
{
	long before = events("thp_split_page");

	madvise(memory + HUGE_PAGE / 2, HUGE_PAGE / 2, MADV_DONTNEED);
	write_file("/proc/sys/vm/drop_caches", "2");
	return events("thp_split_page") - before;
}

/* kB that are swapped out then. */
static long reclaim_memory(void)
{
	int i;

	for (i = 0; i < RECLAIMS && kb_of("Swap") < HUGE_KB; i++)
		write_file(GROUP "/memory.reclaim", "2M");
	return kb_of("Swap");
}

enum { L1_IDLES, L2_IS_ACTIVE, L1_LEFT_VMX, STATES };
static const char * const state_names[] = { "l1_idles", "l2_is_active", "l1_left_vmx" };

static const struct {
	const char *name;
	long (*attempt)(void);
	bool huge;
	long stock[STATES];
	unsigned int or_more_from;	/* 6.x: reclaim may take the mapping of a page in use */
} attempts[] = {
	/* 6.12 swaps it as a whole; stock's references keep it, because it might be split. */
	{ "huge_page_is_swapped_out", page_out, true, { HUGE_KB, 0, HUGE_KB }, 12 },
	{ "small_pages_are_swapped_out", page_out, false,
	  { HUGE_KB, HUGE_KB - KB(REFERENCED), HUGE_KB }, 1 },
	{ "huge_page_is_split", split, true, { 1, 0, 1 } },
	{ "small_pages_collapse", collapse, false, { HUGE_KB, 0, HUGE_KB } },
	{ "other_page_of_a_huge_one_goes_offline", soft_offline_other, true, { 0, -EBUSY, 0 } },
	{ "named_page_of_a_huge_one_goes_offline", soft_offline_named, true, { 0, -EBUSY, 0 } },
	{ "named_page_goes_offline", soft_offline_named, false, { 0, -EBUSY, 0 } },
	{ "other_page_of_a_huge_one_fails", poison_other, true, { 0, -EBUSY, 0 } },
	{ "half_a_huge_page_is_given_back", give_back_half, true, { 1, 0, 1 } },
	{ "small_pages_are_reclaimed", reclaim_memory, false,
	  { HUGE_KB, HUGE_KB - KB(REFERENCED), HUGE_KB }, 1 },
};

static void try(int attempt, int state)
{
	long result, expected = attempts[attempt].stock[state];
	bool may_be_more = attempts[attempt].or_more_from &&
			   kernel_is_at_least(6, attempts[attempt].or_more_from);

	new_memory(attempts[attempt].huge);
	if (attempts[attempt].huge && kb_of("AnonHugePages") != HUGE_KB) {
		skip_reason = "no huge page to be had";
		return;
	}
	ASK(ENTER, .count = 2);
	if (state == L2_IS_ACTIVE)
		EXPECT(ASK(PAUSE, .count = 1) == IN_L2, "L2 did not pause");
	else if (state == L1_LEFT_VMX)
		ASK(LEAVE);
	/* Pages that a CPU is about to put on a list have a reference more. */
	write_file("/proc/sys/vm/drop_caches", "1");
	result = attempts[attempt].attempt();
	EXPECT(result == expected || (may_be_more && result > expected),
	       "%ld; under stock it is %ld", result, expected);
	if (state == L2_IS_ACTIVE)
		EXPECT(run_to_answer() == IN_L1, "L2 did not go on");
	else if (state == L1_LEFT_VMX)
		ASK(START);
	expect_pages_in_use();
	new_memory(false);
	expect_pages_in_use();
}

static void attempt_in_state(void)
{
	try(case_number / STATES, case_number % STATES);
}

/* ---------------------------------------------------------- userfaultfd -- */

static struct {
	int fd;
	int missing, protected;
	bool stop;
} faults;

static void *answer_faults(void *unused)
{
	struct pollfd descriptor = { .fd = faults.fd, .events = POLLIN };
	static uint8_t content[PAGE] __attribute__((aligned(4096)));
	struct uffd_msg message;

	while (!READ_ONCE(faults.stop)) {
		if (poll(&descriptor, 1, 10) < 1 ||
		    read(faults.fd, &message, sizeof(message)) != sizeof(message) ||
		    message.event != UFFD_EVENT_PAGEFAULT)
			continue;
		if (message.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP) {
			struct uffdio_writeprotect protect = {
				.range = { message.arg.pagefault.address & -PAGE, PAGE },
			};

			faults.protected++;
			ioctl(faults.fd, UFFDIO_WRITEPROTECT, &protect);
		} else {
			struct uffdio_copy copy = {
				.dst = message.arg.pagefault.address & -PAGE,
				.src = (uintptr_t)content,
				.len = PAGE,
			};

			faults.missing++;
			ioctl(faults.fd, UFFDIO_COPY, &copy);
		}
	}
	return NULL;
}

/* From 7.2 on stock maps the MSR bitmap to read it. */
static bool stock_may_write(int number)
{
	return number != BITMAP || !kernel_is_at_least(7, 2);
}

/* A nested entry waits for user space to bring the page, or to let it be written. */
static void pages_come_by_userfaultfd(void)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_PAGEFAULT_FLAG_WP };
	struct uffdio_register area = {
		.range = { (uintptr_t)memory, HUGE_PAGE },
		.mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP,
	};
	struct uffdio_writeprotect protect = { .mode = UFFDIO_WRITEPROTECT_MODE_WP };
	pthread_t thread;
	unsigned int i, p;

	new_memory(false);
	ASK(ENTER, .count = 2);
	faults.fd = syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (faults.fd < 0 || ioctl(faults.fd, UFFDIO_API, &api)) {
		skip_reason = "no userfaultfd";
		return;
	}
	EXPECT(!ioctl(faults.fd, UFFDIO_REGISTER, &area), "%s", strerror(errno));
	faults.stop = false;
	pthread_create(&thread, NULL, answer_faults, NULL);
	for (i = 0; i < 3; i++) {
		for (p = 0; p < ARRAY_SIZE(named_pages); p++) {
			if (!has_access && named_pages[p] != BITMAP && named_pages[p] != VAPIC)
				continue;
			faults.missing = faults.protected = 0;
			madvise(page(named_pages[p]), PAGE, MADV_DONTNEED);
			ASK(ENTER, .count = 2);
			EXPECT(faults.missing == 1, "page %d: %d faults", named_pages[p],
			       faults.missing);
			protect.range.start = (uintptr_t)page(named_pages[p]);
			protect.range.len = PAGE;
			EXPECT(!ioctl(faults.fd, UFFDIO_WRITEPROTECT, &protect), "%s",
			       strerror(errno));
			ASK(ENTER, .count = 2);
			EXPECT(faults.protected == stock_may_write(named_pages[p]),
			       "page %d: %d faults by protection", named_pages[p],
			       faults.protected);
		}
		expect_pages_in_use();
	}
	WRITE_ONCE(faults.stop, true);
	pthread_join(thread, NULL);
	close(faults.fd);
	expect_pages_in_use();
}

/* ----------------------------------------------------------- cold pages -- */

static int swapped_out(void)
{
	unsigned char in;
	unsigned int p;
	int out = 0;

	for (p = 0; p < ARRAY_SIZE(named_pages); p++) {
		mincore(page(named_pages[p]), PAGE, &in);
		out += !(in & 1);
	}
	return out;
}

/* The group has 2 MiB too much: the kernel reclaims them before the write returns. */
static void lower_limit(void)
{
	FILE *file = fopen(GROUP "/memory.current", "r");
	unsigned long bytes = 0;
	char high[32];

	TEST_ASSERT(file && fscanf(file, "%lu", &bytes) == 1, "no memory.current");
	fclose(file);
	snprintf(high, sizeof(high), "%lu", bytes - COLD_RECLAIM);
	TEST_ASSERT(!write_file(GROUP "/memory.high", high), "no memory.high");
}

/*
 * Nested entries, and reclaim of memory of which most is touched as often: the pages
 * that the entries use are not those that go first.
 */
static void enter_and_reclaim(bool by_limit)
{
	struct rusage before, after;
	uint8_t *filler;
	unsigned long i;
	int round, out = 0;
	long major = 0;

	new_memory(false);
	filler = mmap(NULL, COLD_FILLER, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		      -1, 0);
	madvise(filler, COLD_FILLER, MADV_NOHUGEPAGE);
	for (round = 0; round < COLD_ROUNDS; round++) {
		for (i = 0; i < COLD_FILLER; i += PAGE)
			filler[i]++;
		getrusage(RUSAGE_SELF, &before);
		ASK(ENTER, .count = COLD_ENTRIES);
		getrusage(RUSAGE_SELF, &after);
		major += after.ru_majflt - before.ru_majflt;
		if (by_limit)
			lower_limit();
		else
			write_file(GROUP "/memory.reclaim", "2M");
		out += swapped_out();
		write_file(GROUP "/memory.high", "max");
	}
	munmap(filler, COLD_FILLER);
	ksft_print_msg("%d times a named page was swapped out, %ld major faults of entries\n", out,
		       major);
	EXPECT(out <= COLD_ROUNDS / 3, "%d times in %d rounds", out, COLD_ROUNDS);
	expect_pages_in_use();
}

static bool stock_keeps_used_pages(void)
{
	if (!kernel_is_at_least(6, 12))
		return true;
	skip_reason = "this kernel reclaims them under stock, too";
	return false;
}

static void used_pages_are_not_cold(void)
{
	if (!stock_keeps_used_pages())
		return;
	enter_and_reclaim(false);
}

static void used_pages_are_not_cold_under_memory_high(void)
{
	if (!stock_keeps_used_pages())
		return;
	enter_and_reclaim(true);
}

static void verify_found_nothing(void)
{
	if (verify_is_on())
		expect_verified("page_hold", true);
}

/* -------------------------------------------------------------------------- */

/* The header of a swap area, as mkswap writes it. */
static void use_swap(void)
{
	static struct {
		char boot[1024];
		uint32_t version, last_page, bad_pages;
		char unused[PAGE - 1024 - 12 - 10], magic[10];
	} header = { .version = 1, .magic = "SWAPSPACE2" };
	int fd = open(SWAP, O_RDWR);
	off_t size = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);

	TEST_ASSERT(size > 0, SWAP ": %s", strerror(errno));
	header.last_page = size / PAGE - 1;
	TEST_ASSERT(pwrite(fd, &header, sizeof(header), 0) == sizeof(header), SWAP);
	close(fd);
	TEST_ASSERT(!swapon(SWAP, 0), "swapon: %s", strerror(errno));
}

static void join_cgroup(void)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", getpid());
	mkdir("/tmp/cgroup", 0755);
	TEST_ASSERT(!mount("none", "/tmp/cgroup", "cgroup2", 0, NULL), "cgroup2: %s",
		    strerror(errno));
	TEST_ASSERT(!write_file("/tmp/cgroup/cgroup.subtree_control", "+memory"), "no +memory");
	TEST_ASSERT(!mkdir(GROUP, 0755) && !write_file(GROUP "/cgroup.procs", pid), GROUP);
}

static const struct test_case other_cases[] = {
	CASE(pages_come_by_userfaultfd),
	CASE(used_pages_are_not_cold),
	CASE(used_pages_are_not_cold_under_memory_high),
	CASE(verify_found_nothing),
};

/* Each attempt in each state, then the others. */
static struct test_case cases[ARRAY_SIZE(attempts) * STATES + ARRAY_SIZE(other_cases)];

static void name_cases(void)
{
	static char names[ARRAY_SIZE(attempts) * STATES][128];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(names[i], sizeof(names[i]), "%s_while_%s", attempts[i / STATES].name,
			 state_names[i % STATES]);
		cases[i] = (struct test_case){ names[i], attempt_in_state };
	}
	memcpy(cases + i, other_cases, sizeof(other_cases));
}

int main(int argc, char **argv)
{
	begin_test();
	name_cases();
	pin_to_cpu(0);
	use_swap();
	join_cgroup();
	create_vm();
	run_cases(cases, ARRAY_SIZE(cases), argv + 1);
	kvm_vm_free(vm);
	ksft_finished();
}
