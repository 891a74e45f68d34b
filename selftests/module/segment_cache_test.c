// SPDX-License-Identifier: GPL-2.0
/*
 * L1's SS, as user space sees it, when the vCPU's thread was preempted anywhere in a
 * round trip.
 *
 * KVM caches segments that it has read, and reads SS's access rights for the CPL each
 * time a vCPU's thread is preempted.  L1 loads a null SS before each VMRESUME, and a
 * nested VM exit loads another: a cache that is filled in between, and not emptied,
 * shows the old access rights with the new selector.
 *
 * A thread of higher priority preempts the vCPU's: where the kernel is preemptible
 * (preempt=full), anywhere; elsewhere, where it is about to enter a guest.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include "kvm_util.h"
#include "processor.h"
#include "vmx.h"

#include "lib/cases.h"
#include "lib/vm.h"

#define STOPS		1000
#define HOST_SS		0x10
#define WRITABLE_DATA	3	/* type of a segment that was accessed */

static struct {
	pthread_t vcpu_thread;
	bool stop;
} preemption;

static void l2_guest_code(void)
{
	for (;;)
		asm volatile("vmcall" : : : "rax", "rbx", "rcx", "rdx", "memory");
}

static void l1_guest_code(struct vmx_pages *vmx)
{
	static unsigned long l2_stack[64];
	bool launched = false;

	GUEST_ASSERT(prepare_for_vmx_operation(vmx));
	GUEST_ASSERT(load_vmcs(vmx));
	prepare_vmcs(vmx, l2_guest_code, &l2_stack[63]);
	vmwrite(HOST_SS_SELECTOR, HOST_SS);
	for (;;) {
		/* In 64-bit mode, at CPL 0, a null SS is usable and has no rights. */
		asm volatile("mov %0, %%ss" : : "r"(0));
		GUEST_ASSERT(!(launched ? vmresume() : vmlaunch()));
		launched = true;
		vmwrite(GUEST_RIP, vmreadz(GUEST_RIP) + vmreadz(VM_EXIT_INSTRUCTION_LEN));
	}
}

static void interrupted(int signal)
{
}

static void *preempt(void *unused)
{
	uint64_t random = 1;
	struct timespec delay = {};

	while (!READ_ONCE(preemption.stop)) {
		random = random * 6364136223846793005ull + 1442695040888963407ull;
		delay.tv_nsec = 400000 + (random >> 33) % 900000;
		clock_nanosleep(CLOCK_MONOTONIC, 0, &delay, NULL);
		pthread_kill(preemption.vcpu_thread, SIGUSR1);
	}
	return NULL;
}

static void start_preempting(pthread_t *thread)
{
	struct sched_param priority = { .sched_priority = 10 };
	struct sigaction action = { .sa_handler = interrupted };
	pthread_attr_t attr;

	pin_to_cpu(0);
	TEST_ASSERT(!sigaction(SIGUSR1, &action, NULL), "no handler");
	preemption.vcpu_thread = pthread_self();
	pthread_attr_init(&attr);
	pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED);
	pthread_attr_setschedpolicy(&attr, SCHED_FIFO);
	pthread_attr_setschedparam(&attr, &priority);
	TEST_ASSERT(!pthread_create(thread, &attr, preempt, NULL), "no thread of SCHED_FIFO");
	pthread_attr_destroy(&attr);
}

static void ss_has_the_rights_of_its_selector(void)
{
	unsigned int i, host = 0, null = 0, stale = 0;
	struct kvm_sregs sregs;
	pthread_t thread;

	start_preempting(&thread);
	for (i = 0; i < STOPS; i++) {
		int ret = __vcpu_run(vcpu);

		TEST_ASSERT(ret < 0 && errno == EINTR, "exit %u", vcpu->run->exit_reason);
		vcpu_sregs_get(vcpu, &sregs);
		host += sregs.ss.selector == HOST_SS;
		null += !sregs.ss.selector;
		stale += sregs.ss.selector == HOST_SS &&
			 (sregs.ss.unusable || !sregs.ss.present || sregs.ss.type != WRITABLE_DATA);
	}
	WRITE_ONCE(preemption.stop, true);
	pthread_join(thread, NULL);
	ksft_print_msg("%u stops: %u with L1's SS of an exit, %u with a null one\n", i, host, null);
	EXPECT(!stale, "%u times with the rights of another SS", stale);
	EXPECT(host > STOPS / 10, "only %u with L1's SS of an exit", host);
}

static void verify_found_nothing(void)
{
	if (!verify_is_on())
		return;
	expect_verified("host_state", true);
	expect_verified("known_fields", false);
}

static const struct test_case cases[] = {
	CASE(ss_has_the_rights_of_its_selector),
	CASE(verify_found_nothing),
};

int main(int argc, char **argv)
{
	begin_test();
	create_vm_with_l1(l1_guest_code);
	run_cases(cases, ARRAY_SIZE(cases), argv + 1);
	kvm_vm_free(vm);
	ksft_finished();
}
