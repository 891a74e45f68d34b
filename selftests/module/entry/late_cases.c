// SPDX-License-Identifier: GPL-2.0
/*
 * Cases of entry_test: the preemption timer, VMX operation anew, fields that are read late.
 */
#include "module/entry/entry.h"

static void set_timer(uint32_t value)
{
	vmwrite(VMX_PREEMPTION_TIMER_VALUE, value);
}

static void l1_preemption_timer(struct vmx_pages *vmx)
{
	uint64_t start;
	uint32_t soon;
	int i;

	begin(vmx);
	/* Longer than it takes to get to L2 and back, on a debug kernel too. */
	start = rdtsc();
	enter();
	soon = max((rdtsc() - start) / TICKS_PER_UNIT * 2, 1000ul);
	set_bits(PIN_BASED_VM_EXEC_CONTROL, PIN_BASED_VMX_PREEMPTION_TIMER);
	for (i = 0; i < ROUNDS; i++) {
		/* Earlier than the timer that is armed: it must not be late. */
		set_timer(-1);
		result[0] += enter() == VMCALL && enter() == VMCALL;
		set_timer(soon);
		result[1] += enter_at(l2_spins) == PREEMPTION_TIMER;
		/* Later: the armed timer's expiry means nothing. */
		set_timer(soon);
		result[2] += enter() == VMCALL;
		set_timer(-1);
		result[3] += enter_at(l2_works) == VMCALL;
		/* Later, and due while L2 runs. */
		set_timer(soon);
		result[4] += enter() == VMCALL;
		set_timer(3 * soon);
		result[5] += enter_at(l2_spins) == PREEMPTION_TIMER;
		set_timer(0);
		result[6] += enter_at(l2_spins) == PREEMPTION_TIMER;
		/* It expires while L1 runs. */
		set_timer(soon);
		result[7] += enter() == VMCALL;
		for (start = rdtsc(); rdtsc() - start < 3 * soon * TICKS_PER_UNIT; )
			;
	}
	GUEST_DONE();
}

/* vmcs02 is made anew, and the timer is armed. */
static void l1_restarts(struct vmx_pages *vmx)
{
	int i;

	for (i = 0; i < ROUNDS; i++) {
		begin(vmx);
		set_bits(PIN_BASED_VM_EXEC_CONTROL, PIN_BASED_VMX_PREEMPTION_TIMER);
		set_timer(-1);
		vmwrite(EXCEPTION_BITMAP, 1u << UD_VECTOR);
		vmwrite(CR0_GUEST_HOST_MASK, ~0ull);
		vmwrite(CR4_GUEST_HOST_MASK, ~0ull);
		warm_up();
		result[0] += enter_at(l2_is_undefined) == 0;
		asm volatile("vmxoff" : : : "cc", "memory");
	}
	GUEST_DONE();
}

/* Make SS null, or not; as long as L1 does not read it, vmcs12 need not have it. */
static void unread(void *rip)
{
	int i;

	for (i = 0; i < UNREAD; i++)
		GUEST_ASSERT(enter() == VMCALL);
	GUEST_ASSERT(enter_at(rip) == VMCALL);
}

static bool ss_is_null(void)
{
	return vmreadz(GUEST_SS_AR_BYTES) & AR_UNUSABLE;
}

static void l1_reads_late(struct vmx_pages *vmx)
{
	uint64_t cr0;
	int i;

	begin(vmx);
	unread(l2_null_ss);
	result[0] = ss_is_null();

	/* Written to memory, and read from there. */
	unread(l2_data_ss);
	GUEST_ASSERT(!vmclear(vmx->vmcs_gpa));
	GUEST_ASSERT(!vmptrld(vmx->vmcs_gpa));
	launched = false;
	result[1] = !ss_is_null();

	/* Another VMCS in between, whose SS is another. */
	unread(l2_null_ss);
	*(uint32_t *)vmx->shadow_vmcs = vmcs_revision();
	GUEST_ASSERT(!vmclear(vmx->shadow_vmcs_gpa));
	GUEST_ASSERT(!vmptrld(vmx->shadow_vmcs_gpa));
	result[2] = !ss_is_null();
	GUEST_ASSERT(!vmptrld(vmx->vmcs_gpa));
	result[3] = ss_is_null();

	/* A write of a field that makes the next entry write all of vmcs12 to vmcs02. */
	unread(l2_null_ss);
	vmwrite(GUEST_GDTR_LIMIT, 0xffff);
	result[4] = enter() == VMCALL && ss_is_null();

	/* Lost with the VMX operation that it belonged to: memory has a null SS. */
	unread(l2_data_ss);
	asm volatile("vmxoff" : : : "cc", "memory");
	GUEST_ASSERT(prepare_for_vmx_operation(vmx));
	GUEST_ASSERT(load_vmcs(vmx));
	vmwrite(GUEST_GDTR_LIMIT, 0xffff);
	GUEST_ASSERT(!vmptrld(vmx->shadow_vmcs_gpa));
	GUEST_ASSERT(!vmptrld(vmx->vmcs_gpa));
	result[5] = ss_is_null();
	prepare(vmx);

	/* While the field joins the set, with entries that fail before L2 runs. */
	unread(l2_data_ss);
	cr0 = vmreadz(GUEST_CR0);
	for (i = 0; i < ROUNDS; i++) {
		GUEST_ASSERT(enter_at(i & 1 ? l2_null_ss : l2_data_ss) == VMCALL);
		vmwrite(GUEST_CR0, 0);
		GUEST_ASSERT(enter() == GUEST);
		vmwrite(GUEST_CR0, cr0);
		result[6] += ss_is_null() == (i & 1);
	}
	unread(l2_null_ss);
	GUEST_SYNC(0);
	result[7] = ss_is_null();
	GUEST_DONE();
}

void preemption_timer_exits_in_time(void)
{
	int i;

	start(l1_preemption_timer);
	finish();
	for (i = 0; i < 8; i++)
		EXPECT(result[i] == ROUNDS, "%d: %lu", i, result[i]);
	if (fast()) {
		EXPECT(counter("preemption_timer_kept") > 0, "none");
		EXPECT(counter("preemption_timer_started") > ROUNDS, "%lu",
		       counter("preemption_timer_started"));
	}
	kvm_vm_free(vm);
}

void vmx_operation_starts_anew(void)
{
	start(l1_restarts);
	finish();
	EXPECT(result[0] == ROUNDS, "%lu", result[0]);
	kvm_vm_free(vm);
}

void segments_are_read_late(void)
{
	int i;

	start(l1_reads_late);
	TEST_ASSERT(run() == UCALL_SYNC, "guest did not stop");
	if (fast()) {
		EXPECT(counter("read_back_left_out") > 4 * UNREAD, "%lu",
		       counter("read_back_left_out"));
		EXPECT(counter("read_back_late") >= 6, "%lu", counter("read_back_late"));
		EXPECT(counter("read_back_done") > 0, "none");
	}
	move_to_new_vm();
	finish();
	for (i = 0; i < 8; i++)
		EXPECT(result[i] == (i == 6 ? ROUNDS : 1), "step %d: %lu", i, result[i]);
	kvm_vm_free(vm);
}

void verify_found_nothing(void)
{
	static const char * const subjects[] = {
		"user_return", "known_fields", "checks", "mmu_roles", "preemption_timer",
		"vmcs02", "read_back",
	};
	unsigned int i;

	if (!verify_is_on())
		return;
	start(l1_preemption_timer);
	finish();
	for (i = 0; i < ARRAY_SIZE(subjects); i++)
		expect_verified(subjects[i], true);
	kvm_vm_free(vm);
}
