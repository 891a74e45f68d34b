// SPDX-License-Identifier: GPL-2.0
/*
 * The measured guest directly under KVM: see guest.h.
 */
#include "exit_bench/guest.h"
#include "exit_bench/operations.h"

#define MMIO_SLOT	1
#define TICKS_PER_SECOND	250	/* CONFIG_HZ of Debian's kernels */

void guest_code(unsigned int vcpu_index)
{
	unsigned int i;

	if (row->prepare)
		row->prepare();
	for (i = 0; i < row_warm_up(); i++)
		row->execute();
	begin(vcpu_index);
	for (i = 0; i < row->iterations; i++)
		row->execute();
	end(vcpu_index);
	GUEST_DONE();
}

/* A write of a page that may only be read is MMIO, by an EPT violation each time. */
static void arm_mmio(struct kvm_vm *vm)
{
	vm_userspace_mem_region_add(vm, VM_MEM_SRC_ANONYMOUS, MMIO_GPA, MMIO_SLOT, 1,
				    KVM_MEM_READONLY);
	virt_pg_map(vm, MMIO_GPA, MMIO_GPA);
}

static void arm_apic_access(struct kvm_vm *vm)
{
	virt_pg_map(vm, APIC_DEFAULT_GPA, APIC_DEFAULT_GPA);
}

/* One period of the scheduler's tick, whose interrupt comes while the guest runs. */
static void arm_interrupts(struct kvm_vm *vm)
{
	struct kvm_vcpu *vcpu = list_first_entry(&vm->vcpus, struct kvm_vcpu, list);

	period = (uint64_t)__vcpu_ioctl(vcpu, KVM_GET_TSC_KHZ, NULL) * 1000 / TICKS_PER_SECOND;
	sync_global_to_guest(vm, period);
}

/* L1 CPUID is cheap: many, so that a timer tick of L0 more or less is below 0.2%. */
const struct row guest_rows[] = {
	{ "l1_cpuid", 10000, .execute = op_cpuid },
	{ "l1_sgdt", 1000, .execute = op_sgdt, .prepare = set_umip },
	{ "l1_sidt", 1000, .execute = op_sidt, .prepare = set_umip },
	{ "l1_sldt", 1000, .execute = op_sldt, .prepare = set_umip },
	{ "l1_str", 1000, .execute = op_str, .prepare = set_umip },
	{ "l1_lgdt", 1000, .execute = op_lgdt, .prepare = set_umip },
	{ "l1_lidt", 1000, .execute = op_lidt, .prepare = set_umip },
	{ "l1_lldt", 1000, .execute = op_lldt, .prepare = set_umip },
	{ "l1_ltr", 1000, .execute = op_ltr, .prepare = set_umip },
	{ "known", 1000, .execute = op_known },
	{ "cpuid", 1000, .execute = op_cpuid },
	{ "cpuid_timer", 1000, .execute = op_cpuid, .prepare = arm_distant_timer },
	{ "cpuid_two_vcpus", 1000, .execute = op_cpuid, .vcpus = 2 },
	{ "vmcall", 500, .execute = op_vmcall },
	{ "rdmsr", 500, .execute = op_rdmsr },
	{ "wrmsr_icr", 500, .execute = op_wrmsr_icr, .prepare = x2apic_enable },
	{ "wrmsr_deadline", 500, .execute = op_wrmsr_deadline, .prepare = enable_timer },
	{ "out", 200, .execute = op_out },
	{ "in", 200, .execute = op_in },
	{ "mmio", 200, .execute = op_mmio, .arm = arm_mmio },
	{ "apic_access", 500, .execute = op_apic_access, .prepare = xapic_enable,
	  .arm = arm_apic_access },
	{ "hlt", 200, .execute = op_wait_for_timer, .prepare = enable_timer },
	{ "interrupt", 100, .warm_up = 10, .execute = op_spin, .arm = arm_interrupts },
	{ }
};
