// SPDX-License-Identifier: GPL-2.0
/*
 * Cases of badinput_test: the counter file in debugfs, read in every way.
 */
#include <fcntl.h>
#include <glob.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "module/badinput/badinput.h"

/* The counter file of our VM, or -1 under stock. */
int open_counters(int flags)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/sys/kernel/debug/kvm/%d-%d/kvm_intel_fast",
		 getpid(), vm->fd);
	fd = open(path, flags | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		skip_reason = "stock has no counter file";
	return fd;
}

void counter_file(void)
{
	char whole[4096], part[4096];
	ssize_t size, n, at;
	int fd;

	create_vm(false);
	fd = open_counters(O_RDONLY);
	if (fd < 0)
		goto out;
	size = read(fd, whole, sizeof(whole));
	EXPECT(size > 0 && whole[size - 1] == '\n', "read: %ld", size);
	EXPECT(!read(fd, part, sizeof(part)), "read at the end");
	EXPECT(!lseek(fd, 0, SEEK_SET), "seek: %s", strerror(errno));
	for (at = 0; (n = read(fd, part + at, 1)) == 1; at++)
		;
	EXPECT(at == size && !memcmp(whole, part, size), "byte by byte: %ld of %ld", at, size);
	for (at = 1; at < size; at += 7) {
		n = pread(fd, part, 5, at);
		EXPECT(n > 0 && !memcmp(whole + at, part, n), "pread at %ld: %ld", at, n);
	}
	EXPECT(pread(fd, part, 1, 1 << 20) == 0, "pread far beyond the end");
	EXPECT(pread(fd, part, 1, -1) == -1 && errno == EINVAL, "pread at -1");
	EXPECT(read(fd, (void *)-4096ul, 64) == -1 && errno == EFAULT, "read to nowhere");
	EXPECT(ioctl(fd, KVM_RUN, 0) == -1, "ioctl");
	EXPECT(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED, "mmap");
	close(fd);
	fd = open_counters(O_RDWR);
	if (fd >= 0) {
		EXPECT(write(fd, "0", 1) == -1, "written");
		close(fd);
	}
out:
	destroy_vm();
}

int references(void)
{
	FILE *stream = fopen("/sys/module/kvm_intel/refcnt", "r");
	int count = -1;

	if (stream) {
		if (fscanf(stream, "%d", &count) != 1)
			count = -1;
		fclose(stream);
	}
	return count;
}

void counter_file_outlives_its_vm(void)
{
	char text[64];
	ssize_t n;
	int fd;

	create_vm(false);
	fd = open_counters(O_RDONLY);
	if (fd < 0) {
		destroy_vm();
		return;
	}
	EXPECT(read(fd, text, 10) == 10, "read");
	destroy_vm();
	n = read(fd, text, sizeof(text));
	EXPECT(n <= 0, "read %ld bytes of a VM that is gone", n);
	EXPECT(pread(fd, text, sizeof(text), 0) <= 0, "and again");
	EXPECT(syscall(SYS_delete_module, "kvm_intel", O_NONBLOCK) && errno == EWOULDBLOCK,
	       "rmmod while the file is open: %s", strerror(errno));
	EXPECT(references() == 1, "%d references", references());
	close(fd);
	EXPECT(!references(), "%d references", references());
}

static bool stop_reading;
static unsigned long files_read;

static void read_in_parts(const char *path)
{
	int fd = open(path, O_RDONLY);
	char text[100];
	int i;

	if (fd < 0)
		return;
	for (i = 0; i < 4; i++) {
		if (read(fd, text, 1 + 33 * i) < 0)
			break;
		files_read++;
	}
	lseek(fd, 3, SEEK_SET);
	if (read(fd, text, sizeof(text)) < 0 && errno != EIO && errno != ENODEV)
		files_read = 0;
	close(fd);
}

static void *reader(void *unused)
{
	glob_t found;
	size_t i;

	while (!__atomic_load_n(&stop_reading, __ATOMIC_RELAXED)) {
		if (!glob(COUNTER_FILES, 0, NULL, &found)) {
			for (i = 0; i < found.gl_pathc; i++)
				read_in_parts(found.gl_pathv[i]);
			globfree(&found);
		}
		sched_yield();
	}
	return NULL;
}

void counter_file_while_vms_come_and_go(void)
{
	struct kvm_vm *other;
	pthread_t thread;
	int i;

	create_vm(false);
	close(open_counters(O_RDONLY));
	destroy_vm();
	if (skip_reason)
		return;
	stop_reading = false;
	files_read = 0;
	pthread_create(&thread, NULL, reader, NULL);
	for (i = 0; i < COMING_AND_GOING; i++) {
		create_vm(false);
		other = vm_create_barebones();
		__vm_vcpu_add(other, 0);
		__vm_vcpu_add(other, 7);
		expect_sync(1);
		kvm_vm_free(other);
		destroy_vm();
	}
	__atomic_store_n(&stop_reading, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	EXPECT(files_read > COMING_AND_GOING, "%lu reads succeeded", files_read);
	ksft_print_msg("%lu reads\n", files_read);
}
