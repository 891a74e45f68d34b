// SPDX-License-Identifier: GPL-2.0
/*
 * Every VMCS field, read and written by a tiny L1: what VMREAD shows is what was
 * written or what the last L2 exit left, whether or not the access exits to L0.
 *
 * The cases check what holds on any CPU.  Beside that the program prints, after
 * "#", what L1 saw at each stage; nothing in it depends on time, so that
 * field_walk compares it between stock and fast, line by line.
 */
#include "test_util.h"
#include "kselftest.h"
#include "processor.h"

#include "module/fields/fields.h"

static const char * const names[] = {
	[WRITTEN] = "a_written_field_reads_back",
	[HALVES] = "high_halves_are_the_upper_half",
	[UNKNOWN] = "unknown_fields_are_refused",
	[REPEATED] = "reading_changes_nothing",
	[KEPT] = "an_entry_keeps_what_it_does_not_use",
	[SWITCHED] = "fields_belong_to_their_vmcs",
	[RANDOM] = "written_at_random_is_what_is_read",
	[VMXOFF] = "fields_survive_vmxoff",
};

static void run(struct kvm_vcpu *vcpu)
{
	struct ucall uc;

	vcpu_run(vcpu);
	switch (get_ucall(vcpu, &uc)) {
	case UCALL_DONE:
		return;
	case UCALL_ABORT:
		REPORT_GUEST_ASSERT_1(uc, "value %lu");
	default:
		TEST_FAIL("unexpected exit %u", vcpu->run->exit_reason);
	}
}

static void print_walk(void)
{
	uint32_t i, step;

	for (i = 0; i < walk.count; i++)
		printf("# cleared %04x%s %lx\n", walk.fields[i].number,
		       walk.fields[i].writable ? "" : " read-only", walk.cleared[i]);
	for (step = 0; step < STEPS; step++)
		for (i = 0; i < walk.count; i++)
			printf("# exit %u field %04x %lx\n", step, walk.fields[i].number,
			       walk.seen[step][i]);
	for (step = 0; step < HOT_STEPS; step++)
		printf("# exit %u all %lx\n", STEPS + step, walk.sums[step]);
	for (step = 0; step < ARRAY_SIZE(walk.random_sum); step++)
		printf("# random %u %lx\n", step, walk.random_sum[step]);
}

int main(void)
{
	vm_vaddr_t vmx_gva, other;
	struct kvm_vcpu *vcpu;
	struct vmx_pages *vmx;
	struct kvm_vm *vm;
	unsigned int i;

	ksft_print_header();
	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	vm = vm_create_with_one_vcpu(&vcpu, l1_code);
	vmx = vcpu_alloc_vmx(vm, &vmx_gva);
	prepare_eptp(vmx, vm, 0);
	nested_map_memslot(vmx, vm, 0);
	other = vm_vaddr_alloc_page(vm);
	vcpu_args_set(vcpu, 3, vmx_gva, other, addr_gva2gpa(vm, other));
	run(vcpu);
	sync_global_from_guest(vm, walk);
	print_walk();
	ksft_set_plan(ARRAY_SIZE(names));
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		if (walk.wrong[i])
			ksft_print_msg("%u times, first field %04x\n", walk.wrong[i],
				       walk.first_wrong[i]);
		ksft_test_result(!walk.wrong[i] && walk.count > 100, "%s\n", names[i]);
	}
	kvm_vm_free(vm);
	ksft_finished();
}
