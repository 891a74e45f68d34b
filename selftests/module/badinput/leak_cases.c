// SPDX-License-Identifier: GPL-2.0
/*
 * Cases of badinput_test: VMs live and die, and nothing stays behind.
 */
#include <fcntl.h>
#include <sys/wait.h>

#include "module/badinput/badinput.h"

/* Free memory, in pages: also that which waits in each CPU's lists. */
static long free_pages(void)
{
	FILE *stream = fopen("/proc/zoneinfo", "r");
	char line[256];
	long count, sum = 0;

	while (stream && fgets(line, sizeof(line), stream))
		if (sscanf(line, " pages free %ld", &count) == 1 ||
		    sscanf(line, " count: %ld", &count) == 1)
			sum += count;
	if (stream)
		fclose(stream);
	return sum;
}

/* Objects in use, of KVM's caches and of kmalloc; 0 where there is no slabinfo. */
static long slab_objects(void)
{
	FILE *stream = fopen("/proc/slabinfo", "r");
	char line[256], name[64];
	long count, sum = 0;

	while (stream && fgets(line, sizeof(line), stream))
		if (sscanf(line, "%63s %ld", name, &count) == 2 &&
		    (!strncmp(name, "kvm", 3) || !strncmp(name, "kmalloc", 7)))
			sum += count;
	if (stream)
		fclose(stream);
	return sum;
}

/* A VM in each state that it can be destroyed in, with pages of L1 in use. */
static void live_and_die(unsigned int round)
{
	int fd;

	create_vm(round & 1);
	fd = open_counters(O_RDONLY);
	if (fd >= 0)
		close(fd);
	if (round % 3) {
		rewind_vm();
		valid_image();
		if (round % 3 == 2)
			spoil_vmcs12();
		try_image(&image);
	}
	destroy_vm();
}

/* In a process of its own: the library keeps some memory for each VM. */
static void live_and_die_often(void)
{
	unsigned int i;
	int status = -1;
	pid_t child;

	child = fork();
	TEST_ASSERT(child >= 0, "fork: %s", strerror(errno));
	if (!child) {
		for (i = 0; i < LEAK_ROUNDS; i++)
			live_and_die(i);
		_exit(case_failed);
	}
	waitpid(child, &status, 0);
	EXPECT(!status, "wait status %#x", status);
	usleep(300000);		/* what is freed late */
}

static void kmemleak_finds_nothing(void)
{
	static const char *path = "/sys/kernel/debug/kmemleak";
	char text[512];
	ssize_t n;
	int fd = open(path, O_RDWR);

	if (fd < 0)
		return;
	sleep(6);		/* younger objects are not reported */
	EXPECT(write(fd, "scan", 4) == 4, "kmemleak: %s", strerror(errno));
	EXPECT(write(fd, "scan", 4) == 4, "kmemleak: %s", strerror(errno));
	n = read(fd, text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = 0;
	EXPECT(!n, "kmemleak: %s", text);
	close(fd);
}

void nothing_is_leaked(void)
{
	long free_before, objects_before, lost, objects;

	live_and_die_often();
	free_before = free_pages();
	objects_before = slab_objects();
	live_and_die_often();
	lost = free_before - free_pages();
	objects = slab_objects() - objects_before;
	skip_reason = NULL;
	ksft_print_msg("%d VMs: %ld pages and %ld slab objects less\n",
		       LEAK_ROUNDS, lost, objects);
	EXPECT(free_before && lost < LEAK_ROUNDS, "%ld pages", lost);
	EXPECT(objects < LEAK_ROUNDS / 2, "%ld objects", objects);
	EXPECT(!references(), "%d references to kvm_intel", references());
	kmemleak_finds_nothing();
}
