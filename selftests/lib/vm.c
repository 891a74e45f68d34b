// SPDX-License-Identifier: GPL-2.0
/*
 * The VM of a test: see vm.h.
 */
#include <fcntl.h>
#include <sched.h>

#include "processor.h"
#include "vmx.h"

#include "lib/vm.h"

struct kvm_vm *vm;
struct kvm_vcpu *vcpu;

void create_vm_with_l1(void *l1_guest_code)
{
	vm_vaddr_t gva;

	vm = vm_create_with_one_vcpu(&vcpu, l1_guest_code);
	vcpu_alloc_vmx(vm, &gva);
	vcpu_args_set(vcpu, 1, gva);
}

void pin_to_cpu(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	TEST_ASSERT(!sched_setaffinity(0, sizeof(set), &set), "CPU %d", cpu);
}

uint64_t run_to_sync(void)
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

void move_to_new_vm(void)
{
	struct kvm_x86_state *state = vcpu_save_state(vcpu);

	kvm_vm_release(vm);
	vcpu = vm_recreate_with_one_vcpu(vm);
	vcpu_load_state(vcpu, state);
	kvm_x86_state_cleanup(state);
}

int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY), ret = 0;

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		ret = -errno;
	if (fd >= 0)
		close(fd);
	return ret;
}

char parameter(const char *name)
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

uint64_t debugfs_value(const char *file, const char *name)
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

uint64_t counter(const char *name)
{
	return parameter("verify") ? debugfs_value("kvm_intel_fast", name) : 0;
}

uint64_t exits(void)
{
	return debugfs_value("exits", NULL) - debugfs_value("irq_exits", NULL);
}
