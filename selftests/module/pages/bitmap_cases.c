// SPDX-License-Identifier: GPL-2.0
/*
 * Cases of page_hold_test: L1 and user space change which MSRs L2 may access, and vmcs12
 * names other pages.
 */
#include "module/pages/pages.h"

void steady_state(void)
{
	uint64_t pages, merged, hits, merge_hits;

	ASK(ENTER, .count = 2);
	pages = page_misses();
	merged = merge_misses();
	hits = counter("page_hold_reused");
	merge_hits = counter("msr_bitmap_hits");
	ASK(ENTER, .count = MANY);
	EXPECT(!answer.failed && !answer.exits, "%lu failed", answer.failed);
	EXPECT(page_misses() == pages, "%lu", page_misses() - pages);
	EXPECT(merge_misses() == merged, "%lu", merge_misses() - merged);
	hits = counter("page_hold_reused") - hits;
	EXPECT(hits == (holds && merges ? MANY : 0), "%lu entries", hits);
	EXPECT(counter("msr_bitmap_hits") - merge_hits == (merges ? MANY : 0), "%lu",
	       counter("msr_bitmap_hits") - merge_hits);
	expect_pages_in_use();
}

/* L1 intercepts an MSR of L2's and lets it pass, by a plain store to its bitmap. */
static void store_to_bitmap(uint32_t msr, bool write)
{
	uint64_t bit = bitmap_bit(msr, write);
	unsigned int value;

	for (value = 0; value < 4; value++) {
		ASK(BIT, .gpa = page_gpa(BITMAP), .bit = bit,
		    .value = !(value & 1));
		expect_msr(0, msr, write, !(value & 1), __LINE__);
	}
}

void l1_stores_to_its_bitmap(void)
{
	store_to_bitmap(MSR_FS_BASE, false);
	store_to_bitmap(MSR_KERNEL_GS_BASE, true);
	store_to_bitmap(MSR_KERNEL_GS_BASE, false);
	store_to_bitmap(MSR_GS_BASE, false);
}

/* KVM lets a guest have these once it has written them. */
static bool has_speculation_controls(void)
{
	if (!kvm_cpu_has(X86_FEATURE_SPEC_CTRL)) {
		skip_reason = "the CPU has no SPEC_CTRL";
		return false;
	}
	vcpu_set_msr(vcpu, MSR_IA32_SPEC_CTRL, 1);
	/* The libkvm of 7.x reads back what vcpu_set_msr() wrote, and this MSR cannot be read. */
	TEST_ASSERT(_vcpu_set_msr(vcpu, MSR_IA32_PRED_CMD, 1) == 1, "no IA32_PRED_CMD");
	return true;
}

void l1_stores_to_its_bitmap_of_speculation_controls(void)
{
	if (!has_speculation_controls())
		return;
	store_to_bitmap(MSR_IA32_SPEC_CTRL, false);
	store_to_bitmap(MSR_IA32_SPEC_CTRL, true);
	store_to_bitmap(MSR_IA32_PRED_CMD, true);
}

/* User space denies an MSR, and allows it again; L1 has nothing to do with it. */
static void filter_an_msr(uint32_t msr, bool write)
{
	struct kvm_msr_filter filter = {
		.ranges[0] = { .flags = write ? KVM_MSR_FILTER_WRITE : KVM_MSR_FILTER_READ,
			       .base = msr, .nmsrs = 1 },
	};
	const uint32_t exit = write ? KVM_EXIT_X86_WRMSR : KVM_EXIT_X86_RDMSR;
	static uint8_t denied;
	int i;

	filter.ranges[0].bitmap = &denied;
	vm_enable_cap(vm, KVM_CAP_X86_USER_SPACE_MSR, KVM_MSR_EXIT_REASON_FILTER);
	for (i = 0; i < 3; i++) {
		/* From 7.2 on KVM intercepts it anew while it is 0, which L2 writes. */
		if (msr == MSR_IA32_SPEC_CTRL)
			vcpu_set_msr(vcpu, msr, 1);
		expect_msr(0, msr, write, false, __LINE__);
		filter.ranges[0].nmsrs = 1;
		vm_ioctl(vm, KVM_X86_SET_MSR_FILTER, &filter);
		HAND_OVER(ENTER, .count = 1, .reads = 1, .msr = msr,
			  .l2_operation = write ? L2_WRMSR : L2_RDMSR);
		vcpu_run(vcpu);
		EXPECT(vcpu->run->exit_reason == exit, "%s of %#x not filtered: exit %d",
		       write ? "write" : "read", msr, vcpu->run->exit_reason);
		if (vcpu->run->exit_reason == exit) {
			vcpu->run->msr.data = 0x77;
			EXPECT(run_to_answer() == 1 && (write || answer.value == 0x77), "read %#lx",
			       answer.value);
		}
		filter.ranges[0].nmsrs = 0;
		vm_ioctl(vm, KVM_X86_SET_MSR_FILTER, &filter);
	}
}

void user_space_filters_an_msr(void)
{
	filter_an_msr(MSR_FS_BASE, false);
	expect_pages_in_use();
}

void user_space_filters_speculation_controls(void)
{
	if (!has_speculation_controls())
		return;
	/* Stock of 6.12 lets SPEC_CTRL pass, whatever the filter says. */
	if (!kernel_is_at_least(6, 12) || kernel_is_at_least(7, 2)) {
		filter_an_msr(MSR_IA32_SPEC_CTRL, false);
		filter_an_msr(MSR_IA32_SPEC_CTRL, true);
	}
	filter_an_msr(MSR_IA32_PRED_CMD, true);
}

static void set_x2apic(bool x2apic)
{
	ASK(MODE, .value = x2apic);
}

void l1_stores_under_x2apic(void)
{
	uint64_t bit = bitmap_bit(MSR_TPR, false);
	int i;

	if (!features.x2apic) {
		skip_reason = "no virtual x2APIC";
		return;
	}
	/* The mode changes with the bit, and without it. */
	for (i = 0; i < 8; i++) {
		set_x2apic(!(i & 1));
		page(VAPIC)[TPR] = 0x70 + i;
		ASK(BIT, .gpa = page_gpa(BITMAP), .bit = bit, .value = i >> 1 & 1);
		ASK(ENTER, .count = 1, .l2_operation = L2_RDMSR,
		    .msr = MSR_TPR, .reads = READS);
		EXPECT(answer.exits == (i & 2 ? READS : 0) && !answer.failed,
		       "step %d: %lu exits to L1", i, answer.exits);
		if (!(i & 2))
			EXPECT(answer.value == (i & 1 ? 0 : 0x70 + i),
			       "step %d: read %#lx", i, answer.value);
	}
	ASK(BIT, .gpa = page_gpa(BITMAP), .bit = bit, .value = 0);
	set_x2apic(false);
	page(VAPIC)[TPR] = 0;
	expect_pages_in_use();
}

/* Each VMCS has its own bitmap: the number's bits say what is intercepted. */
static void alternate(int vmcss, int rounds)
{
	int round, i;

	for (round = 0; round < rounds; round++) {
		for (i = 0; i < vmcss; i++) {
			if (round) {
				ASK(BIT, .gpa = page_gpa(BITMAP + i),
				    .bit = bitmap_bit(MSR_FS_BASE, false), .value = i & 1);
				ASK(BIT, .gpa = page_gpa(BITMAP + i),
				    .bit = bitmap_bit(MSR_KERNEL_GS_BASE, true),
				    .value = (i + round) & 2);
			}
			ASK(SELECT, .vmcs = i);
			expect_msr(i, MSR_FS_BASE, false, round && (i & 1), __LINE__);
			expect_msr(i, MSR_KERNEL_GS_BASE, true, round && ((i + round) & 2),
				   __LINE__);
		}
	}
}

static void vmcss_alternate(int vmcss)
{
	uint64_t invalidated, misses, evictions;
	int i;

	new_vm();
	alternate(vmcss, 3);
	do {	/* until the host does not look at the pages meanwhile */
		invalidated = counter("page_hold_invalidated");
		ASK(ALTERNATE, .count = 1, .value = vmcss);
		misses = page_misses() + merge_misses();
		evictions = counter("nested_context_evictions");
		ASK(ALTERNATE, .count = TURNS, .value = vmcss);
		EXPECT(!answer.failed && !answer.exits, "%lu", answer.failed);
		misses = page_misses() + merge_misses() - misses;
		evictions = counter("nested_context_evictions") - evictions;
	} while (invalidated != counter("page_hold_invalidated"));
	if (vmcss <= KEPT_VMCSS)
		EXPECT(!misses && !evictions, "%lu misses, %lu evictions", misses, evictions);
	else
		EXPECT(evictions == (holds || merges ? TURNS * vmcss : 0), "%lu", evictions);
	for (i = 0; i < vmcss; i++)
		memset(page(BITMAP + i), 0, PAGE);
	ASK(SELECT, .vmcs = 0);
	expect_pages_in_use();
}

void as_many_vmcss_as_are_kept(void)
{
	vmcss_alternate(KEPT_VMCSS);
}

void more_vmcss_than_are_kept(void)
{
	vmcss_alternate(VMCSS);
}

void name_pages(bool others)
{
	now_bitmap = others ? OTHER_BITMAP : BITMAP;
	now_access = others ? OTHER_ACCESS : ACCESS;
	now_vapic = others ? OTHER_VAPIC : VAPIC;
	now_pi = others ? OTHER_PI : PI;
}

void write_page_fields(void)
{
	ASK(VMWRITE, .bit = MSR_BITMAP, .value = page_gpa(now_bitmap));
	ASK(VMWRITE, .bit = APIC_ACCESS_ADDR, .value = page_gpa(now_access));
	ASK(VMWRITE, .bit = VIRTUAL_APIC_PAGE_ADDR, .value = page_gpa(now_vapic));
	ASK(VMWRITE, .bit = POSTED_INTR_DESC_ADDR, .value = page_gpa(now_pi));
}

void fields_name_other_pages(void)
{
	static int *const one[] = { &now_bitmap, &now_access, &now_vapic, &now_pi };
	static const int other[] = { OTHER_BITMAP, OTHER_ACCESS, OTHER_VAPIC, OTHER_PI };
	unsigned int i;

	for (i = 0; i < 4; i++) {
		*one[i] = other[i];
		write_page_fields();
		expect_pages_in_use();
		name_pages(false);
		write_page_fields();
		expect_pages_in_use();
	}
	name_pages(true);
	write_page_fields();
	expect_pages_in_use();
	name_pages(false);
	write_page_fields();
	expect_pages_in_use();
	for (i = 0; has_two_nodes() && i < 4; i++) {
		expect_unreferenced(other[i]);
		expect_unreferenced(*one[i]);
	}
	expect_pages_in_use();
}
