// SPDX-License-Identifier: GPL-2.0
/*
 * Cases of shadow_test: which fields exit, and that all keep their values.
 */
#include "module/shadow/shadow.h"

static bool host_has_pml(void)
{
	FILE *stream = fopen("/proc/cpuinfo", "r");
	bool found = false;
	char line[4096];

	TEST_ASSERT(stream, "/proc/cpuinfo: %s", strerror(errno));
	while (fgets(line, sizeof(line), stream))
		found |= !strncmp(line, "vmx flags", 9) && strstr(line, " pml");
	fclose(stream);
	return found;
}

void pml_index(void)
{
	if (!host_has_pml()) {
		skip_reason = "the CPU has no PML";
		return;
	}
	expect_exits("guest_pml_index", GUEST_PML_INDEX, READ);
}

void interrupt_status(void)
{
	expect_exits("guest_intr_status", GUEST_INTR_STATUS, READ);
}

void preemption_timer(void)
{
	expect_exits("vmx_preemption_timer_value", VMX_PREEMPTION_TIMER_VALUE, WRITE);
}

/* The entry that this test uses writes both each time. */
void host_rsp_and_rip(void)
{
	uint64_t count = exits_of((struct request){ .operation = L1_ROUNDS, .count = MANY });
	uint64_t expected = 2 * MANY;

	if (!fast || left_out("host_rsp"))
		expected += MANY;
	if (!fast || left_out("host_rip"))
		expected += MANY;
	EXPECT(count >= expected && count <= expected + FEW, "%lu exits, expected %lu", count,
	       expected);
}

void fields_join_and_leave(void)
{
	struct line unused, used;
	uint64_t count;

	if (!fast) {
		skip_reason = "no set of our own";
		return;
	}
	ASK(RESTART);
	ASK(ROUNDS, .count = MANY);
	unused = debugfs_line("guest_cr3");
	used = debugfs_line("guest_rip");
	EXPECT(!strcmp(used.set, "rw"), "guest_rip: '%s'", used.set);
	EXPECT(!strcmp(unused.set, adaptive ? "-" : "rw"), "guest_cr3: '%s'", unused.set);

	count = debugfs_line("tsc_offset").writes;
	ASK(ROUNDS, .count = MANY, .field = TSC_OFFSET, .how = WRITE);
	used = debugfs_line("tsc_offset");
	EXPECT(!strcmp(used.set, adaptive ? "rw" : "-"), "tsc_offset: '%s'", used.set);
	count = used.writes - count;
	EXPECT(adaptive ? count < FEW : count == MANY, "%lu writes exited", count);
	ASK(ROUNDS, .count = 1, .field = TSC_OFFSET, .how = WRITE);
}

/* L0 copies all rare fields from vmcs02 while L1 uses one, and soon no longer. */
void rare_fields_leave_soon(void)
{
	struct line line;
	uint64_t count;

	if (!fast || !adaptive) {
		skip_reason = "no set of our own that changes";
		return;
	}
	ASK(RESTART);
	ASK(ROUNDS, .count = QUIET);
	count = debugfs_line("guest_es_selector").reads;
	ASK(ROUNDS, .count = LEAVES_AFTER, .field = GUEST_ES_SELECTOR, .how = READ);
	line = debugfs_line("guest_es_selector");
	EXPECT(!strcmp(line.set, "r"), "guest_es_selector: '%s'", line.set);
	EXPECT(line.reads - count < FEW, "%lu reads exited", line.reads - count);
	ASK(ROUNDS, .count = LEAVES_AFTER);
	line = debugfs_line("guest_es_selector");
	EXPECT(!strcmp(line.set, "-"), "guest_es_selector: '%s'", line.set);
}

/* The shadow VMCS still holds what the field was when it left. */
void a_field_comes_back_as_zero(void)
{
	struct line line;

	ASK(RESTART);
	ASK(ROUNDS, .count = MANY, .value = 700, .field = TSC_OFFSET, .how = WRITE);
	ASK(ROUNDS, .count = 4 * MANY);
	if (fast) {
		line = debugfs_line("tsc_offset");
		EXPECT(!strcmp(line.set, "-"), "tsc_offset: '%s'", line.set);
	}
	ASK(ROUNDS, .count = FEW, .value = 0, .field = TSC_OFFSET, .how = READ);
}

void every_field_without_exits(void)
{
	uint64_t count;

	walk_all();
	count = exits_of((struct request){ .operation = L1_WALK, .count = 10 }) / 10;
	ksft_print_msg("%lu exits for a walk over all fields and a round trip\n", count);
	/* Access rights are never written, some fields never read, without an exit. */
	if (fast && adaptive)
		EXPECT(count < 40, "%lu exits", count);
}

void every_field_keeps_its_value(void)
{
	unsigned int turn;

	walk_all();
	ASK(WRITE_ALL, .value = 1);
	ASK(SELECT, .vmcs = 1);
	ASK(WRITE_ALL, .value = 2);
	for (turn = 0; turn < 3; turn++) {
		ASK(SELECT, .vmcs = 0);
		ASK(READ_ALL, .value = 1);
		ASK(RELOAD);
		ASK(READ_ALL, .value = 1);
		ASK(SELECT, .vmcs = 1);
		ASK(READ_ALL, .value = 2);
		ASK(RELOAD);
	}
	ASK(PUT_BACK);
	ASK(SELECT, .vmcs = 0);
	ASK(PUT_BACK);
	ASK(ROUNDS, .count = 3);
}

static void restore(bool in_new_vm)
{
	struct kvm_x86_state *state;

	if (in_new_vm) {
		move_to_new_vm();
	} else {
		state = vcpu_save_state(vcpu);
		vcpu_nested_state_set(vcpu, &state->nested);
		kvm_x86_state_cleanup(state);
	}
}

void state_saved_and_restored(void)
{
	unsigned int turn;

	for (turn = 0; turn < 4; turn++) {
		walk_all();
		ASK(WRITE_ALL, .value = 3 + turn);
		/* Saved only; then L1 goes on. */
		kvm_x86_state_cleanup(vcpu_save_state(vcpu));
		ASK(READ_ALL, .value = 3 + turn);
		ASK(PUT_BACK);
		ASK(ROUNDS, .count = 3);
		ASK(WRITE_ALL, .value = 13 + turn);
		restore(false);
		ASK(READ_ALL, .value = 13 + turn);
		ASK(PUT_BACK);
		ASK(ROUNDS, .count = 3);
	}
}

/*
 * Reserved bits of access rights get into vmcs12 where user space sets the state, as here, and
 * where L1 stores to the region before VMPTRLD; not by VMWRITE.  L1 may read them or not: some
 * CPUs drop them on VMWRITE, and so where L0 writes the shadow VMCS.
 */
void reserved_bits_of_access_rights(void)
{
	struct kvm_x86_state *state;
	uint32_t *rights;
	unsigned int i;

	walk_all();
	ASK(READ_RIGHTS);
	state = vcpu_save_state(vcpu);
	rights = (void *)&state->nested.data + AR_IN_VMCS12;
	for (i = 0; i < SEGMENT_REGISTERS; i++)
		rights[i] |= ~AR_BITS;
	vcpu_nested_state_set(vcpu, &state->nested);
	ASK(READ_RIGHTS, .how = READ);
	for (i = 0; i < SEGMENT_REGISTERS; i++)
		rights[i] &= AR_BITS;
	vcpu_nested_state_set(vcpu, &state->nested);
	kvm_x86_state_cleanup(state);
	ASK(READ_RIGHTS, .how = READ);
	ASK(ROUNDS, .count = 3);
}

void two_vmcss_alternate(void)
{
	ASK(ALTERNATE, .count = 2 * TURNS);
	walk_all();
	ASK(ALTERNATE, .count = 2 * TURNS);
}

void vmxoff_and_on(void)
{
	unsigned int turn;

	for (turn = 0; turn < 4; turn++) {
		walk_all();
		ASK(WRITE_ALL, .value = 40 + turn);
		ASK(RESTART);
		ASK(ROUNDS, .count = 3);
		ASK(WRITE_ALL, .value = 50 + turn);
		ASK(READ_ALL, .value = 50 + turn);
		ASK(PUT_BACK);
		ASK(ROUNDS, .count = 3);
	}
}

/* The set stays and learns, until L1 has been in VMX operation for longer. */
void vmxoff_at_each_switch(void)
{
	struct line before, after;
	uint64_t writes;

	ASK(RESTART);
	ASK(ROUNDS, .count = MANY);
	ASK(RESTART);
	ASK(LEAVE, .count = FEW, .value = 70, .field = TSC_OFFSET);
	if (!fast)
		return;
	before = debugfs_line("tsc_offset");
	ASK(LEAVE, .count = MANY, .value = 700, .field = TSC_OFFSET);
	after = debugfs_line("tsc_offset");
	writes = after.writes - before.writes;
	EXPECT(!strcmp(after.set, adaptive ? "rw" : "-"), "tsc_offset: '%s'", after.set);
	EXPECT(adaptive ? writes < FEW : writes == MANY, "%lu writes exited", writes);

	ASK(ROUNDS, .count = MANY, .field = TSC_OFFSET, .how = WRITE);
	ASK(RESTART);
	after = debugfs_line("tsc_offset");
	EXPECT(!strcmp(after.set, "-"), "tsc_offset: '%s' after a restart", after.set);
}

void state_restored_in_new_vm(void)
{
	walk_all();
	ASK(WRITE_ALL, .value = 60);
	restore(true);
	ASK(READ_ALL, .value = 60);
	ASK(PUT_BACK);
	ASK(ROUNDS, .count = 3);
	walk_all();
	ASK(SEGMENTS, .count = TURNS, .field = GUEST_FS_BASE, .how = READ);
}
