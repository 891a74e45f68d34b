// SPDX-License-Identifier: GPL-2.0
/*
 * The host's rows: see host.h.
 */
#include <sys/mman.h>

#include "exit_bench/host.h"

#define HOLDERS		64	/* vCPUs, each with nested entries behind it */

static void l2_of_holder(void)
{
	asm volatile("vmcall");
}

static void holder(struct vmx_pages *vmx)
{
	unsigned long l2_stack[64];

	GUEST_ASSERT(prepare_for_vmx_operation(vmx));
	GUEST_ASSERT(load_vmcs(vmx));
	prepare_vmcs(vmx, l2_of_holder, &l2_stack[63]);
	vmwrite(CPU_BASED_VM_EXEC_CONTROL,
		vmreadz(CPU_BASED_VM_EXEC_CONTROL) | CPU_BASED_USE_MSR_BITMAPS |
		CPU_BASED_TPR_SHADOW);
	vmwrite(VIRTUAL_APIC_PAGE_ADDR, vmx->apic_access_gpa);
	GUEST_ASSERT(!vmlaunch());
	GUEST_DONE();
}

/* A vCPU's marks around what user space does meanwhile. */
static void marker(void)
{
	mark_begin();
	GUEST_SYNC(0);
	mark();
	GUEST_DONE();
}

/* A page that no vmcs12 names, between those that some do; nothing is mapped there. */
static void invalidate(void *gap)
{
	TEST_ASSERT(!madvise(gap, getpagesize(), MADV_DONTNEED), "madvise");
}

static void run_to(struct kvm_vcpu *vcpu, uint64_t expected)
{
	struct ucall uc;

	vcpu_run(vcpu);
	TEST_ASSERT(get_ucall(vcpu, &uc) == expected, "vCPU %u", vcpu->id);
}

void measure_host(void)
{
	struct kvm_vcpu *vcpus[HOLDERS + 1];
	struct vmx_pages *vmx;
	struct kvm_vm *vm;
	vm_vaddr_t vmx_gva, gap_gva = 0;
	uint64_t ticks;
	unsigned int i;
	void *gap;

	/* With memory for more vCPUs, which goes to the VMX pages of these. */
	vm = vm_create(4 * HOLDERS);
	for (i = 0; i < HOLDERS; i++) {
		if (i == HOLDERS / 2)
			gap_gva = vm_vaddr_alloc_page(vm);
		vcpus[i] = vm_vcpu_add(vm, i, holder);
		vmx = vcpu_alloc_vmx(vm, &vmx_gva);
		prepare_virtualize_apic_accesses(vmx, vm);
		vcpu_args_set(vcpus[i], 1, vmx_gva);
	}
	gap = addr_gva2hva(vm, gap_gva);
	sync_global_to_guest(vm, row);
	vcpus[HOLDERS] = vm_vcpu_add(vm, HOLDERS, marker);
	for (i = 0; row->holders && i < HOLDERS; i++)
		run_to(vcpus[i], UCALL_DONE);
	for (i = 0; i < row_warm_up(); i++)
		invalidate(gap);
	run_to(vcpus[HOLDERS], UCALL_SYNC);
	ticks = rdtsc();
	for (i = 0; i < row->iterations; i++)
		invalidate(gap);
	ticks = rdtsc() - ticks;
	run_to(vcpus[HOLDERS], UCALL_DONE);
	printf("row %s iterations %u ticks %lu\n", row->name, row->iterations,
	       ticks / row->iterations);
	kvm_vm_free(vm);
}

const struct row host_rows[] = {
	{ "invalidation_without_nesting", 5000 },
	{ "invalidation", 5000, .holders = true },
	{ }
};
