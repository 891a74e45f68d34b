// SPDX-License-Identifier: GPL-2.0
/*
 * Cases of shadow_test: the vCPU's thread is preempted anywhere.
 */
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <time.h>

#include "module/shadow/shadow.h"

static struct {
	struct kvm_vcpu *vcpu;	/* of another VM, on the same CPU */
	uint64_t round_trip;	/* ns */
	uint64_t wakeups;
	bool stop;
} crowd;

static void other_guest_code(void)
{
	for (;;)
		GUEST_SYNC(0);
}

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000ull + time.tv_nsec;
}

/* Preempts the vCPU's thread after up to two round trips; each other time only. */
static void *preempt(void *unused)
{
	uint64_t random = 1;
	struct timespec delay = {};

	while (!READ_ONCE(crowd.stop)) {
		random = random * 6364136223846793005ull + 1442695040888963407ull;
		delay.tv_nsec = (random >> 33) % (2 * crowd.round_trip);
		clock_nanosleep(CLOCK_MONOTONIC, 0, &delay, NULL);
		crowd.wakeups++;
		if (random >> 32 & 1) {
			vcpu_run(crowd.vcpu);
			TEST_ASSERT(crowd.vcpu->run->exit_reason == KVM_EXIT_IO, "exit %u",
				    crowd.vcpu->run->exit_reason);
		}
	}
	return NULL;
}

/*
 * A thread of higher priority, which has a VMCS of its own, interferes anywhere in a
 * round trip where the kernel is preemptible; else where it is about to enter a guest.
 */
void preempted_all_the_time(void)
{
	struct sched_param priority = { .sched_priority = 10 };
	struct rusage before_it, after;
	struct kvm_vm *other;
	pthread_attr_t attr;
	pthread_t thread;
	unsigned int count = CROWDED;
	uint64_t start;
	long switches;

	pin_to_cpu(0);
	walk_all();
	start = now();
	ASK(BOTH_WAYS, .count = MANY);
	memset(&crowd, 0, sizeof(crowd));
	crowd.round_trip = (now() - start) / MANY;
	if (crowd.round_trip > SLOW_NS)
		count /= 4;
	other = vm_create_with_one_vcpu(&crowd.vcpu, other_guest_code);

	pthread_attr_init(&attr);
	pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED);
	pthread_attr_setschedpolicy(&attr, SCHED_FIFO);
	pthread_attr_setschedparam(&attr, &priority);
	getrusage(RUSAGE_THREAD, &before_it);
	TEST_ASSERT(!pthread_create(&thread, &attr, preempt, NULL), "no thread of SCHED_FIFO");
	ASK(BOTH_WAYS, .count = count);
	ASK(ALTERNATE, .count = count / 10);
	ASK(ACKNOWLEDGE, .count = count / 10);
	ASK(VMFAIL, .count = count / 10);
	crowd.stop = true;
	pthread_join(thread, NULL);
	getrusage(RUSAGE_THREAD, &after);
	pthread_attr_destroy(&attr);
	kvm_vm_free(other);

	switches = after.ru_nivcsw - before_it.ru_nivcsw;
	ksft_print_msg("a round trip is %lu ns; %lu wake-ups, preempted %ld times\n",
		       crowd.round_trip, crowd.wakeups, switches);
	EXPECT(switches > count / 4, "preempted %ld times", switches);
}
