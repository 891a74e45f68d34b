// SPDX-License-Identifier: GPL-2.0
/*
 * Cases of shadow_test: exits of several kinds, entries that fail, other CPUs.
 */
#include "module/shadow/shadow.h"

void ept_violations(void)
{
	ASK(TOUCH, .count = TURNS);
}

void acknowledged_interrupts(void)
{
	ASK(ACKNOWLEDGE, .count = TURNS);
}

void failed_entries(void)
{
	ASK(FAIL, .count = TURNS);
}

void refused_entries(void)
{
	ASK(VMFAIL, .count = TURNS);
	walk_all();
	ASK(VMFAIL, .count = TURNS);
}

void segments_of_l2(void)
{
	walk_all();
	ASK(SEGMENTS, .count = TURNS, .field = GUEST_FS_BASE, .how = READ);
	ASK(SEGMENTS, .count = MANY, .field = GUEST_FS_BASE, .how = NOT);
	/* No shadowed field is a segment's, but one's write marks vmcs12 dirty. */
	ASK(RESTART);
	ASK(SEGMENTS, .count = MANY, .field = GUEST_SYSENTER_ESP, .how = NOT);
}

void a_write_marks_vmcs12_dirty(void)
{
	ASK(SYSENTER, .count = TURNS);
	walk_all();
	ASK(SYSENTER, .count = TURNS);
	/* A save in between takes the write out of the shadow VMCS. */
	walk_all();
	ASK(WRITE_ALL, .value = 30);
	kvm_x86_state_cleanup(vcpu_save_state(vcpu));
	ASK(PUT_BACK);
	kvm_x86_state_cleanup(vcpu_save_state(vcpu));
	ASK(SYSENTER, .count = TURNS);
}

/*
 * A save that does not find the vCPU's CPU loads vmcs01 and the shadow VMCS where it is,
 * without an entry, and another may follow elsewhere.
 */
void saved_on_each_cpu(void)
{
	int turn;

	if (!two_cpus_are_online())
		return;
	walk_all();
	for (turn = 0; turn < TURNS; turn++) {
		pin_to_cpu(0);
		ASK(WRITE_ALL, .value = 70 + turn);
		pin_to_cpu(1);
		kvm_x86_state_cleanup(vcpu_save_state(vcpu));
		pin_to_cpu(0);
		kvm_x86_state_cleanup(vcpu_save_state(vcpu));
		pin_to_cpu(1);
		ASK(READ_ALL, .value = 70 + turn);
		ASK(PUT_BACK);
	}
	pin_to_cpu(0);
	ASK(ROUNDS, .count = 3);
}

/* vmcs01 is active on the CPU that L1 ran on, vmcs02 on another. */
void moved_while_l2_runs(void)
{
	int turn;

	if (!two_cpus_are_online())
		return;
	walk_all();
	for (turn = 0; turn < TURNS; turn++) {
		pin_to_cpu(turn & 1);
		ASK(PAUSE, .value = turn);
		pin_to_cpu((turn & 1) ^ (turn % 3 > 0));
		run_to_answer();
	}
	pin_to_cpu(0);
	walk_all();
}
