// SPDX-License-Identifier: GPL-2.0
/*
 * What a nested VM entry leaves out must not show: vmcs12 fields that become invalid
 * after they were valid, another VMCS or another nested state in between, SYSCALL's
 * MSRs, the preemption timer, and VMX operation left and entered again.  Runs under
 * stock and under kvm-intel-fast, with the same results; counters are checked where
 * there are any.
 *
 * L1 enters L2 several times, so that everything is remembered that can be, before it
 * spoils something.
 */
#include "module/entry/entry.h"

static const struct test_case cases[] = {
	CASE(invalid_values_are_refused),
	CASE(memory_is_checked_each_time),
	CASE(another_vmcs_is_checked),
	CASE(restored_state_is_checked),
	CASE(syscall_msrs_are_l1s),
	CASE(tsc_aux_is_l1s),
	CASE(paging_may_change),
	CASE(l1s_mode_is_checked),
	CASE(pmu_refresh_is_noticed),
	CASE(preemption_timer_exits_in_time),
	CASE(vmx_operation_starts_anew),
	CASE(segments_are_read_late),
	CASE(verify_found_nothing),
};

int main(int argc, char **argv)
{
	begin_test();
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_NESTED_STATE));
	run_cases(cases, ARRAY_SIZE(cases), argv + 1);
	ksft_finished();
}
