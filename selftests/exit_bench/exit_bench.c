// SPDX-License-Identifier: GPL-2.0
/*
 * What the bench runs: a guest that does one thing in a loop, between two marks
 * that the emulator counts between.
 *
 *   exit_bench guest [ROW...]   this VM's guest does it: an L1 if started in
 *                               L0, an L2 if started in a Linux L1 (guest.c)
 *   exit_bench nested [ROW...]  an L2 of a tiny L1 does it (tiny_l1.c)
 *   exit_bench host [ROW...]    user space does it, beside a VM (host.c)
 *
 * The rows are at the end of those files; default: cpuid, or invalidation.  Each is measured in a
 * VM of its own, and prints "row NAME iterations N ticks T": RDTSC cycles per
 * iteration as the guest saw them; in the emulator these are instructions, of host
 * and guest together.
 */
#include <pthread.h>
#include <sched.h>

#include "test_util.h"
#include "exit_bench/guest.h"
#include "exit_bench/host.h"
#include "exit_bench/operations.h"
#include "exit_bench/tiny_l1.h"

static bool from_port_or_page(struct kvm_run *run)
{
	return run->exit_reason == KVM_EXIT_MMIO ||
	       (run->exit_reason == KVM_EXIT_IO && run->io.port == IO_PORT);
}

static void *run_vcpu(void *data)
{
	struct kvm_vcpu *vcpu = data;
	struct ucall uc;
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(vcpu->id, &cpus);
	TEST_ASSERT(!sched_setaffinity(0, sizeof(cpus), &cpus), "no CPU %u", vcpu->id);
	for (;;) {
		vcpu_run(vcpu);
		if (from_port_or_page(vcpu->run))
			continue;
		switch (get_ucall(vcpu, &uc)) {
		case UCALL_SYNC:
			printf("row %s iterations %u ticks %lu\n", row->name, row->iterations,
			       uc.args[1]);
			break;
		case UCALL_DONE:
			return NULL;
		case UCALL_ABORT:
			REPORT_GUEST_ASSERT_1(uc, "exit reason %lu");
		default:
			TEST_FAIL("unexpected exit %u", vcpu->run->exit_reason);
		}
	}
}

static void give_vmx(struct kvm_vm *vm, struct kvm_vcpu *vcpu)
{
	struct vmx_pages *vmx;
	vm_vaddr_t vmx_gva, more;

	vmx = vcpu_alloc_vmx(vm, &vmx_gva);
	more = vm_vaddr_alloc(vm, 2 * (row->vmcs12s ?: 1) * getpagesize(), KVM_UTIL_MIN_VADDR);
	if (row->secondary & SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES) {
		prepare_virtualize_apic_accesses(vmx, vm);
		apic_address = (unsigned long)vmx->apic_access + APIC_TMCCT;
		sync_global_to_guest(vm, apic_address);
	}
	if (!row->no_ept) {
		prepare_eptp(vmx, vm, 0);
		nested_map_memslot(vmx, vm, 0);
	}
	vcpu_args_set(vcpu, 4, vcpu->id, vmx_gva, more, addr_gva2gpa(vm, more));
}

static void measure(bool nested)
{
	struct kvm_vcpu *vcpus[MAX_VCPUS];
	pthread_t threads[MAX_VCPUS];
	struct kvm_vm *vm;
	unsigned int i;

	vm = vm_create_with_vcpus(row_vcpus(), nested ? (void *)l1_code : (void *)guest_code,
				  vcpus);
	sync_global_to_guest(vm, row);
	vm_init_descriptor_tables(vm);
	vm_install_exception_handler(vm, WAKE_VECTOR, woken);
	if (row->arm)
		row->arm(vm);
	for (i = 0; i < row_vcpus(); i++) {
		vcpu_init_descriptor_tables(vcpus[i]);
		vcpu_set_cpuid_feature(vcpus[i], X86_FEATURE_TSC_DEADLINE_TIMER);
		if (nested)
			give_vmx(vm, vcpus[i]);
		else
			vcpu_args_set(vcpus[i], 1, i);
	}
	for (i = 1; i < row_vcpus(); i++)
		TEST_ASSERT(!pthread_create(&threads[i], NULL, run_vcpu, vcpus[i]),
			    "pthread_create");
	run_vcpu(vcpus[0]);
	for (i = 1; i < row_vcpus(); i++)
		pthread_join(threads[i], NULL);
	kvm_vm_free(vm);
}

static void choose(const struct row *rows, const char *name)
{
	for (row = rows; *row->name && strcmp(row->name, name); row++)
		;
	TEST_ASSERT(*row->name, "no row '%s'", name);
}

int main(int argc, char **argv)
{
	bool nested = argc > 1 && !strcmp(argv[1], "nested");
	bool host = argc > 1 && !strcmp(argv[1], "host");
	const struct row *rows = nested ? tiny_l1_rows : host ? host_rows : guest_rows;
	int i;

	TEST_ASSERT(argc > 1 && (nested || host || !strcmp(argv[1], "guest")),
		    "usage: exit_bench guest|nested|host [ROW...]");
	if (nested || host)
		TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	for (i = 2; i < argc || i == 2; i++) {
		choose(rows, i < argc ? argv[i] : host ? "invalidation" : "cpuid");
		if (host)
			measure_host();
		else
			measure(nested);
	}
	return 0;
}
