// SPDX-License-Identifier: GPL-2.0
/*
 * Cached VMCS fields, while the vCPU's thread is scheduled out and in anywhere in a
 * round trip.
 *
 * Where the TSC is unstable (tsc=unstable), KVM writes the TSC offset each time when it
 * schedules a vCPU in.  Both switches between L1 and L2 write it, too.  A thread that
 * only yields makes each yield of the vCPU's thread a switch of threads:
 * host/known_fields_gaps.patch lets it yield wherever a cached value and the VMCS's
 * could part.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>

#include "kvm_util.h"
#include "processor.h"
#include "vmx.h"

#include "lib/cases.h"
#include "lib/vm.h"

#define STOPS	20
#define ROUNDS	200	/* nested round trips from one stop to the next */

static bool done;

static void l2_guest_code(void)
{
	for (;;)
		asm volatile("vmcall" : : : "rax", "rbx", "rcx", "rdx", "memory");
}

static void l1_guest_code(struct vmx_pages *vmx)
{
	unsigned long l2_stack[64];
	bool launched = false;
	int i;

	GUEST_ASSERT(prepare_for_vmx_operation(vmx));
	GUEST_ASSERT(load_vmcs(vmx));
	prepare_vmcs(vmx, l2_guest_code, &l2_stack[63]);
	vmwrite(CPU_BASED_VM_EXEC_CONTROL,
		vmreadz(CPU_BASED_VM_EXEC_CONTROL) | CPU_BASED_USE_TSC_OFFSETTING);
	vmwrite(TSC_OFFSET, 1ul << 50);
	for (;;) {
		for (i = 0; i < ROUNDS; i++) {
			GUEST_ASSERT(!(launched ? vmresume() : vmlaunch()));
			launched = true;
			vmwrite(GUEST_RIP, vmreadz(GUEST_RIP) + vmreadz(VM_EXIT_INSTRUCTION_LEN));
		}
		GUEST_SYNC(0);
	}
}

static void *yield_always(void *unused)
{
	while (!READ_ONCE(done))
		sched_yield();
	return NULL;
}

static void scheduled_in_anywhere(void)
{
	struct rusage before, after;
	pthread_t thread;
	long switches;
	int i;

	pin_to_cpu(0);
	TEST_ASSERT(!pthread_create(&thread, NULL, yield_always, NULL), "no thread");
	getrusage(RUSAGE_THREAD, &before);
	for (i = 0; i < STOPS; i++)
		run_to_sync();
	getrusage(RUSAGE_THREAD, &after);
	WRITE_ONCE(done, true);
	pthread_join(thread, NULL);
	switches = after.ru_nivcsw + after.ru_nvcsw - before.ru_nivcsw - before.ru_nvcsw;
	ksft_print_msg("%u round trips, scheduled out %ld times\n", STOPS * ROUNDS, switches);
	EXPECT(switches >= STOPS, "%ld times scheduled out", switches);
	if (verify_is_on())
		expect_verified("known_fields", true);
}

static const struct test_case cases[] = {
	CASE(scheduled_in_anywhere),
};

int main(int argc, char **argv)
{
	begin_test();
	create_vm_with_l1(l1_guest_code);
	run_cases(cases, ARRAY_SIZE(cases), argv + 1);
	kvm_vm_free(vm);
	ksft_finished();
}
