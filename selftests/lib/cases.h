/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What our kselftests share: cases that go on after a failed expectation, and a
 * look at the module's parameters and the VM's debugfs files.
 */
#ifndef FAST_TEST_H
#define FAST_TEST_H

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>

#include "kvm_util.h"
#include "kselftest.h"

/* For functions that are entered without a return address on the stack. */
#define ENTRY_POINT __attribute__((force_align_arg_pointer))

static struct kvm_vm *vm;
static struct kvm_vcpu *vcpu;
static bool case_failed;
static const char *skip_reason;	/* set by a case that cannot run here */

#define EXPECT(condition, fmt, ...) do {					\
	if (!(condition)) {						\
		ksft_print_msg("line %d: %s: " fmt "\n", __LINE__,		\
			       #condition, ##__VA_ARGS__);		\
		case_failed = true;					\
	}								\
} while (0)

/* What a program needs before its first line: VMX, the VMs' files in debugfs. */
static inline void begin_test(void)
{
	setbuf(stdout, NULL);
	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
}

static inline void pin_to_cpu(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	TEST_ASSERT(!sched_setaffinity(0, sizeof(set), &set), "CPU %d", cpu);
}

/* Run until the guest, L1 or L2, executes GUEST_SYNC(); returns what it said. */
static inline uint64_t run_to_sync(void)
{
	struct ucall uc;

	vcpu_run(vcpu);
	TEST_ASSERT(vcpu->run->exit_reason == KVM_EXIT_IO, "exit %d", vcpu->run->exit_reason);
	switch (get_ucall(vcpu, &uc)) {
	case UCALL_SYNC:
		return uc.args[1];
	case UCALL_ABORT:
		REPORT_GUEST_ASSERT(uc);
	default:
		TEST_FAIL("unexpected ucall %lu", uc.cmd);
	}
}

/* 0, or a negative errno. */
static inline int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY), ret = 0;

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		ret = -errno;
	if (fd >= 0)
		close(fd);
	return ret;
}

/* Run one case and print its result; it may set skip_reason. */
static inline void run_case(const char *name, void (*run)(void))
{
	case_failed = false;
	skip_reason = NULL;
	run();
	if (skip_reason)
		ksft_test_result_skip("%s: %s\n", name, skip_reason);
	else
		ksft_test_result(!case_failed, "%s\n", name);
}

/* As after a migration: the state of the VM and its vCPU in a new VM and vCPU. */
static inline void move_to_new_vm(void)
{
	struct kvm_x86_state *state = vcpu_save_state(vcpu);

	kvm_vm_release(vm);
	vcpu = vm_recreate_with_one_vcpu(vm);
	vcpu_load_state(vcpu, state);
	kvm_x86_state_cleanup(state);
}

/* Is the case among those that the command line names?  None are all. */
static inline bool wanted(const char *name, char **names)
{
	if (!*names)
		return true;
	while (*names && strcmp(*names, name))
		names++;
	return *names;
}

static inline uint64_t debugfs_value(const char *file, const char *name)
{
	char path[128], line[128], key[64];
	unsigned long long value = 0;
	bool found = false;
	FILE *stream;

	snprintf(path, sizeof(path), "/sys/kernel/debug/kvm/%d-%d/%s",
		 getpid(), vm->fd, file);
	stream = fopen(path, "r");
	TEST_ASSERT(stream, "%s: %s", path, strerror(errno));
	while (!found && fgets(line, sizeof(line), stream)) {
		if (!name)
			found = sscanf(line, "%llu", &value) == 1;
		else
			found = sscanf(line, "%63s %llu", key, &value) == 2 &&
				!strcmp(key, name);
	}
	fclose(stream);
	TEST_ASSERT(found, "no %s in %s", name ?: "value", path);
	return value;
}

/* Without those for L0's own interrupts: on a debug kernel its tick is in every tenth. */
static inline uint64_t exits(void)
{
	return debugfs_value("exits", NULL) - debugfs_value("irq_exits", NULL);
}

static inline char parameter(const char *name)
{
	char path[128], value = 0;
	FILE *stream;

	snprintf(path, sizeof(path), "/sys/module/kvm_intel/parameters/%s", name);
	stream = fopen(path, "r");
	if (stream) {
		value = fgetc(stream);
		fclose(stream);
	}
	return value;
}

#endif /* FAST_TEST_H */
