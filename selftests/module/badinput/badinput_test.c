// SPDX-License-Identifier: GPL-2.0
/*
 * Bad input from user space ends in an error or an exit: never in a splat of the
 * host, and nothing stays behind.  Runs under stock and under kvm-intel-fast;
 * the lines "# verdicts" must be the same in both.
 *
 * The input: images for KVM_SET_NESTED_STATE, each a valid one with some of it
 * spoilt, and the counter file in debugfs, read in every way while VMs come
 * and go.  Everything random comes from a fixed seed.
 *
 * Guest memory is a memfd.  It can be sealed against writing only when nobody
 * holds a page of it: so a page that the module kept is found, exactly.
 */
#include "module/badinput/badinput.h"

static const struct test_case cases[] = {
	CASE(valid_image_is_accepted),
	CASE(header_of_the_image),
	CASE(contents_of_the_image),
	CASE(counter_file),
	CASE(counter_file_outlives_its_vm),
	CASE(counter_file_while_vms_come_and_go),
	CASE(nothing_is_leaked),
};

int main(int argc, char **argv)
{
	begin_test();
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_NESTED_STATE));
	run_cases(cases, ARRAY_SIZE(cases), argv + 1);
	ksft_finished();
}
