// SPDX-License-Identifier: GPL-2.0
/*
 * wakeups ROW MESSENGERS WORKERS SLEEP COMPUTE ROUNDS - how long a thread waits after
 * it was woken.
 *
 * MESSENGERS threads have WORKERS threads each.  In a round a messenger wakes all of its
 * workers that wait, one after the other, and sleeps SLEEP microseconds.  A worker that
 * was woken notes how long that took, computes for COMPUTE microseconds, and waits again.
 * So more workers than CPUs queue for these.  The first wake-ups nobody counts; then
 * follow MESSENGERS * WORKERS * ROUNDS that are.
 *
 * Prints the row as measure.py reads it, a wake-up being an iteration, and a line
 * "latency ROW p50 N p99 N max N" in nanoseconds of this machine's clock.
 */
#define _GNU_SOURCE
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "mark.h"

#define MOST_THREADS	64
#define MOST_LATENCIES	65536

enum { WAITS, WOKEN };

struct worker {
	atomic_uint state;
	uint64_t woken_at;
} __attribute__((aligned(64)));

struct messenger {
	pthread_t thread;
	struct worker workers[MOST_THREADS];
};

static struct messenger messengers[MOST_THREADS];
static unsigned long workers, sleep_us, compute_us, rounds, wanted;
static uint64_t latencies[MOST_LATENCIES];
static atomic_ulong counted;
static atomic_bool counting, done;

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000ull + time.tv_nsec;
}

static void futex(atomic_uint *word, int operation, unsigned int value)
{
	syscall(SYS_futex, word, operation | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

static void count(uint64_t latency)
{
	unsigned long i;

	if (!atomic_load(&counting))
		return;
	i = atomic_fetch_add(&counted, 1);
	if (i < wanted)
		latencies[i] = latency;
	if (i + 1 >= wanted)
		atomic_store(&done, true);
}

static void *work(void *data)
{
	struct worker *worker = data;
	uint64_t start;

	for (;;) {
		while (atomic_load(&worker->state) == WAITS)
			futex(&worker->state, FUTEX_WAIT, WAITS);
		start = now();
		count(start - worker->woken_at);
		while (now() - start < compute_us * 1000)
			;
		atomic_store(&worker->state, WAITS);
	}
	return NULL;
}

static void wake_all(struct messenger *messenger)
{
	for (unsigned long i = 0; i < workers; i++) {
		struct worker *worker = &messenger->workers[i];

		if (atomic_load(&worker->state) != WAITS)
			continue;
		worker->woken_at = now();
		atomic_store(&worker->state, WOKEN);
		futex(&worker->state, FUTEX_WAKE, 1);
	}
}

static void *send_messages(void *data)
{
	struct messenger *messenger = data;
	pthread_t thread;

	for (unsigned long i = 0; i < workers; i++)
		if (pthread_create(&thread, NULL, work, &messenger->workers[i]))
			abort();
	while (!atomic_load(&done)) {
		wake_all(messenger);
		usleep(sleep_us);
	}
	return NULL;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static uint64_t percentile(unsigned int percent)
{
	return latencies[(wanted - 1) * percent / 100];
}

int main(int argc, char **argv)
{
	unsigned long number;

	if (argc != 7) {
		fprintf(stderr, "usage: wakeups ROW MESSENGERS WORKERS SLEEP COMPUTE ROUNDS\n");
		return 2;
	}
	number = strtoul(argv[2], NULL, 0);
	workers = strtoul(argv[3], NULL, 0);
	sleep_us = strtoul(argv[4], NULL, 0);
	compute_us = strtoul(argv[5], NULL, 0);
	rounds = strtoul(argv[6], NULL, 0);
	wanted = number * workers * rounds;
	if (!wanted || number > MOST_THREADS || workers > MOST_THREADS ||
	    wanted > MOST_LATENCIES) {
		fprintf(stderr, "wakeups: at most %d messengers, workers of each; %d wake-ups\n",
			MOST_THREADS, MOST_LATENCIES);
		return 2;
	}
	for (unsigned long i = 0; i < number; i++)
		if (pthread_create(&messengers[i].thread, NULL, send_messages, &messengers[i]))
			abort();
	/* The first round, with all that the kernel does once for a thread. */
	usleep(sleep_us + number * workers * compute_us);
	window_open(argv[1]);
	atomic_store(&counting, true);
	for (unsigned long i = 0; i < number; i++)
		pthread_join(messengers[i].thread, NULL);
	window_close(argv[1], wanted);
	qsort(latencies, wanted, sizeof(*latencies), compare);
	printf("latency %s p50 %lu p99 %lu max %lu\n", argv[1], (unsigned long)percentile(50),
	       (unsigned long)percentile(99), (unsigned long)percentile(100));
	return 0;
}
