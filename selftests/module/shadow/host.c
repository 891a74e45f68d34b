// SPDX-License-Identifier: GPL-2.0
/*
 * User space of shadow_test: requests to L1, and how many accesses exit.
 */
#include "module/shadow/shadow.h"

bool fast;
bool adaptive;

void run_to_answer(void)
{
	struct ucall uc;

	vcpu_run(vcpu);
	switch (get_ucall(vcpu, &uc)) {
	case UCALL_SYNC:
		if (uc.args[1])
			ksft_print_msg("%lu wrong; guest line %lu, field %#lx: %#lx, not %#lx\n",
				       uc.args[1], uc.args[2], uc.args[3], uc.args[4], uc.args[5]);
		case_failed |= uc.args[1];
		break;
	case UCALL_ABORT:
		REPORT_GUEST_ASSERT(uc);
	default:
		TEST_FAIL("unexpected exit %u, ucall %lu", vcpu->run->exit_reason, uc.cmd);
	}
}

bool left_out(const char *name)
{
	char text[256] = ",", want[64];
	FILE *stream;

	stream = fopen("/sys/module/kvm_intel/parameters/shadow_fields", "r");
	if (!stream)
		return false;
	if (!fgets(text + 1, sizeof(text) - 2, stream))
		text[0] = 0;
	fclose(stream);
	text[strcspn(text, "\n")] = ',';
	snprintf(want, sizeof(want), ",-%s,", name);
	return strstr(text, want);
}

struct line debugfs_line(const char *name)
{
	struct line line = { "-" };
	char path[128], text[128], field[64];
	FILE *stream;

	snprintf(path, sizeof(path), "/sys/kernel/debug/kvm/%d-%d/kvm_intel_fast_shadow",
		 getpid(), vm->fd);
	stream = fopen(path, "r");
	TEST_ASSERT(stream, "%s: %s", path, strerror(errno));
	while (fgets(text, sizeof(text), stream)) {
		struct line found;

		if (sscanf(text, "%*d %63s %3s %lu %lu", field, found.set, &found.reads,
			   &found.writes) == 4 && !strcmp(field, name))
			line = found;
	}
	fclose(stream);
	return line;
}

uint64_t exits_of(struct request what)
{
	uint64_t count = exits();

	ask(what);
	return exits() - count;
}

/* MANY round trips, with or without an access in each. */
void expect_exits(const char *name, uint64_t field, enum how how)
{
	struct request what = { .operation = L1_ROUNDS, .count = MANY, .value = 5 };
	bool exiting = left_out(name);
	struct line line;
	uint64_t base, count;

	base = exits_of(what);
	what.field = field;
	what.how = how;
	count = exits_of(what);
	ksft_print_msg("%s: %lu exits in %d round trips, %lu without the access\n", name, count,
		       MANY, base);
	if (exiting)
		EXPECT(count >= base + MANY - FEW, "%s does not exit", name);
	else
		EXPECT(count <= base + FEW, "%s exits", name);
	if (!fast)
		return;
	line = debugfs_line(name);
	EXPECT((how == READ ? line.reads : line.writes) >= (exiting ? MANY : 0), "not counted");
	EXPECT(!strcmp(line.set, "-") == exiting, "the set of %s is '%s'", name, line.set);
}

void walk_all(void)
{
	ASK(WALK, .count = WALKS);
}

void create_vm(void)
{
	struct vmx_pages *pages[VMCSS];
	vm_vaddr_t gva;
	int i;

	vm = vm_create_with_one_vcpu(&vcpu, l1_guest_code);
	vm_init_descriptor_tables(vm);
	vcpu_init_descriptor_tables(vcpu);
	for (i = 0; i < VMCSS; i++) {
		pages[i] = vcpu_alloc_vmx(vm, &gva);
		vmx[i] = (void *)gva;
	}
	vm_userspace_mem_region_add(vm, VM_MEM_SRC_ANONYMOUS, SLOT_GPA, SLOT, TOUCHED, 0);
	virt_map(vm, TOUCHED_GVA, SLOT_GPA, TOUCHED);

	create_smram();

	/* Last: L1's EPT maps the pages of slot 0 that are in use now. */
	prepare_eptp(pages[0], vm, 0);
	nested_map_memslot(pages[0], vm, 0);
	pages[1]->eptp_gpa = pages[0]->eptp_gpa;
	sync_global_to_guest(vm, vmx);
	run_to_answer();
}
