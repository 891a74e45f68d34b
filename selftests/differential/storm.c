// SPDX-License-Identifier: GPL-2.0
/*
 * A storm of the differential test: see storm.h.
 */
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "differential/image.h"
#include "differential/memory.h"
#include "differential/storm.h"
#include "differential/user.h"

#define STORM_SLOT_NUMBER	(SMRAM_SLOT + 1)
#define STORM_GPA		(SMRAM_GPA - 0x10000ul)

struct storm storm;

/* Pages that neither a CPU nor L0 writes to, so that a copy of them stays right. */
static unsigned int storm_page(unsigned int page)
{
	static const uint8_t constant[] = {
		PAGE_MSR_BITMAP0, PAGE_MSR_BITMAP1, PAGE_IO_BITMAP_A, PAGE_IO_BITMAP_B,
		PAGE_ENTRY_LOAD, PAGE_EXIT_LOAD, PAGE_VMREAD_BITMAP, PAGE_VMWRITE_BITMAP,
	};

	return constant[page % ARRAY_SIZE(constant)];
}

static void storm_flip(void)
{
	volatile uint8_t *byte = (uint8_t *)page_memory(PAGE_MSR_BITMAP0 + storm.page % 2) +
				 (storm.bit / 8 & 0xfff);

	*byte ^= 1 << (storm.bit & 7);
	*byte ^= 1 << (storm.bit & 7);
}

static void storm_remap(void)
{
	void *memory = page_memory(storm_page(storm.page));
	void *copy = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	TEST_ASSERT(copy != MAP_FAILED, "mmap: %s", strerror(errno));
	copy_words(copy, memory, PAGE_BYTES / 8);
	TEST_ASSERT(mremap(copy, PAGE_BYTES, PAGE_BYTES, MREMAP_MAYMOVE | MREMAP_FIXED, memory) ==
		    memory, "mremap: %s", strerror(errno));
}

static void storm_slot(void)
{
	struct kvm_userspace_memory_region region = {
		.slot = STORM_SLOT_NUMBER,
		.guest_phys_addr = STORM_GPA,
		.memory_size = PAGE_BYTES,
		.userspace_addr = (uint64_t)page_memory(PAGES),
	};

	__vm_ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region);
	region.memory_size = 0;
	__vm_ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region);
}

static void storm_filter(void)
{
	static uint8_t denied;
	struct kvm_msr_filter filter = {
		.ranges[0] = { .flags = 3, .base = 0xc0000100 + storm.bit % 3, .nmsrs = 1,
			       .bitmap = &denied },
	};

	__vm_ioctl(vm, KVM_X86_SET_MSR_FILTER, &filter);
	filter.ranges[0] = (struct kvm_msr_filter_range){};
	__vm_ioctl(vm, KVM_X86_SET_MSR_FILTER, &filter);
}

static void storm_cpu(void)
{
	static unsigned int cpu;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(++cpu % sysconf(_SC_NPROCESSORS_ONLN), &set);
	sched_setaffinity(storm.vcpu_thread, sizeof(set), &set);
}

static void storm_round(void)
{
	if (storm.kinds & STORM_FLIP)
		storm_flip();
	if (storm.kinds & STORM_REMAP)
		storm_remap();
	if (storm.kinds & STORM_SLOT)
		storm_slot();
	if (storm.kinds & STORM_FILTER)
		storm_filter();
	if (storm.kinds & STORM_CPU)
		storm_cpu();
}

static void *storm_body(void *unused)
{
	while (!__atomic_load_n(&storm.stop, __ATOMIC_ACQUIRE))
		storm_round();
	return NULL;
}

/* On one CPU the thread would only take the vCPU's time: one round must do. */
void storm_begin(void)
{
	sigset_t all, before;

	storm.ran = true;
	storm.stop = false;
	storm.vcpu_thread = syscall(SYS_gettid);
	storm_round();
	storm.blows = sysconf(_SC_NPROCESSORS_ONLN) > 1;
	if (!storm.blows)
		return;
	mail->stormed = 1;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	TEST_ASSERT(!pthread_create(&storm.thread, NULL, storm_body, NULL), "pthread_create");
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void storm_end(void)
{
	__atomic_store_n(&storm.stop, true, __ATOMIC_RELEASE);
	if (storm.blows)
		pthread_join(storm.thread, NULL);
	storm.next = false;
	user_cpu(0);
}
