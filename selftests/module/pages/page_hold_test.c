// SPDX-License-Identifier: GPL-2.0
/*
 * The pages that a vmcs12 names (MSR bitmap, APIC-access, virtual-APIC,
 * posted-interrupt descriptor) are those that L1's memory shows at each nested
 * VM entry, whatever L1, user space and the host's memory management do to them
 * in between; and none of it is kept from working.  Runs under stock and under
 * kvm-intel-fast, with the same results; counters are checked where there are any.
 *
 * How a wrong page is found: user space writes to the page where it now is, and
 * expect_pages_in_use() looks at what L2 then meets.  A stale page would not
 * have what was just written.
 */
#include "module/pages/pages.h"

static void verify_found_nothing(void)
{
	if (!verify_is_on())
		return;
	expect_pages_in_use();
	expect_verified("page_hold", holds);
	expect_verified("msr_bitmap", merges);
}

static const struct test_case cases[] = {
	CASE(steady_state),
	CASE(l1_stores_to_its_bitmap),
	CASE(l1_stores_under_x2apic),
	CASE(l1_stores_to_its_bitmap_of_speculation_controls),
	CASE(user_space_filters_an_msr),
	CASE(user_space_filters_speculation_controls),
	CASE(as_many_vmcss_as_are_kept),
	CASE(more_vmcss_than_are_kept),
	CASE(fields_name_other_pages),
	CASE(slot_over_other_memory),
	CASE(slot_moves),
	CASE(slot_is_made_read_only),
	CASE(dirty_log_while_l1_runs),
	CASE(dirty_log_while_l2_runs),
	CASE(dirty_log_read_while_l2_runs),
	CASE(mapping_replaced),
	CASE(mapping_replaced_while_l2_runs),
	CASE(memory_given_back),
	CASE(forked),
	CASE(pages_migrate_while_l1_runs),
	CASE(pages_migrate_after_l2_ran),
	CASE(pages_of_another_vmcs12_migrate_while_l2_runs),
	CASE(pages_migrate_meanwhile),
	CASE(compaction_meanwhile),
	CASE(merged_by_ksm),
	CASE(merged_by_ksm_meanwhile),
	CASE(protection_meanwhile),
	CASE(slots_change_meanwhile),
	CASE(held_whatever_was_under_way),
	CASE(cleared_and_restarted),
	CASE(left_and_entered),
	CASE(entry_fails_in_hardware),
	CASE(verify_found_nothing),
	CASE(access_page_missing),
	CASE(state_restored_in_new_vm),
	CASE(state_restored_in_place),
	CASE(killed_while_l2_runs),
	CASE(destroyed_in_l2),
	CASE(memory_is_freed),
	CASE(memory_unplugged),
	CASE(verify_found_nothing),
};

int main(int argc, char **argv)
{
	begin_test();
	holds = parameter("page_cache") == 'Y';
	merges = parameter("msr_bitmap_cache") == 'Y';
	pin_to_cpu(0);
	memory = map_anonymous(NULL, SLOT_PAGES * PAGE);
	fixed = map_anonymous(NULL, VMCSS * PAGE);
	create_vm();
	ksft_print_msg("holds %d, merges %d; L1 has APIC-access %lu, VID %lu, PI %lu, x2APIC %lu\n",
		       holds, merges, features.access, features.vid, features.pi, features.x2apic);
	run_cases(cases, ARRAY_SIZE(cases), argv + 1);
	kvm_vm_free(vm);
	ksft_finished();
}
