// SPDX-License-Identifier: GPL-2.0
/*
 * VMCS shadowing: whichever fields L0 lets L1 access without an exit, L1 reads what
 * it wrote and what L2, the nested exit and user space made of it; and the fields
 * that should not exit do not.  Runs under stock and under kvm-intel-fast, with the
 * same values; exits are counted where the module says which to expect.
 *
 * Each case is a short sequence of requests that user space makes to L1.  A case
 * that is about values first lets L1 walk all fields until all that can be are
 * shadowed (under stock: they exit, and the values are the same).
 */
#include "module/shadow/shadow.h"

static void verify_found_nothing(void)
{
	if (!fast)
		skip_reason = "shadow_copy is off";
	else if (verify_is_on())
		expect_verified("shadow", true);
}

static const struct test_case cases[] = {
	CASE(pml_index),
	CASE(interrupt_status),
	CASE(preemption_timer),
	CASE(host_rsp_and_rip),
	CASE(fields_join_and_leave),
	CASE(rare_fields_leave_soon),
	CASE(a_field_comes_back_as_zero),
	CASE(every_field_without_exits),
	CASE(every_field_keeps_its_value),
	CASE(state_saved_and_restored),
	CASE(reserved_bits_of_access_rights),
	CASE(two_vmcss_alternate),
	CASE(ept_violations),
	CASE(acknowledged_interrupts),
	CASE(failed_entries),
	CASE(refused_entries),
	CASE(segments_of_l2),
	CASE(a_write_marks_vmcs12_dirty),
	CASE(saved_on_each_cpu),
	CASE(moved_while_l2_runs),
	CASE(smi_while_l1_runs),
	CASE(smi_while_l2_runs),
	CASE(capabilities_set_in_smm),
	CASE(preempted_all_the_time),
	CASE(vmxoff_and_on),
	CASE(vmxoff_at_each_switch),
	CASE(verify_found_nothing),
	/* Last: the counters of the old VM are gone. */
	CASE(state_restored_in_new_vm),
	CASE(verify_found_nothing),
};

int main(int argc, char **argv)
{
	begin_test();
	fast = parameter("shadow_copy") == 'Y';
	adaptive = fast && parameter("adaptive_shadow") == 'Y';
	ksft_print_msg("the set of shadowed fields is %s\n",
		       adaptive ? "adaptive" : fast ? "fixed" : "stock's");
	create_vm();
	run_cases(cases, ARRAY_SIZE(cases), argv + 1);
	kvm_vm_free(vm);
	ksft_finished();
}
