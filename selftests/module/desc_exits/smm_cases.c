// SPDX-License-Identifier: GPL-2.0
/* Accesses in SMM, where an address may be other memory: a case of desc_exits_test. */
#include "lib/cases.h"
#include "lib/vm.h"
#include "module/desc_exits/desc_exits.h"

#define SMM_SPACE	BIT(16)		/* in the number of a slot: its address space */
#define SMRAM		0x1000000ul
#define SMRAM_SIZE	0x10000
#define SMRAM_SLOT	6
#define SMM_ENTRY	0x8000
#define SMM_PORT	0x0e

static const uint8_t handler[] = { 0xe6, SMM_PORT };	/* out %al, $SMM_PORT */

extern const char leave_smm[];

static void __attribute__((used)) smm_code(void)
{
	asm volatile("leave_smm: rsm");
}

static void expect_in_smm(bool expected, const char *when)
{
	struct kvm_vcpu_events events;

	vcpu_events_get(vcpu, &events);
	EXPECT(events.smi.smm == expected, "%s: %u", when, events.smi.smm);
}

/*
 * The handler does nothing but stop.  User space gives the vCPU the state that it had before, so
 * that in SMM it goes on from where it was interrupted.
 */
static void enter_smm(void)
{
	struct kvm_sregs before;
	struct kvm_regs regs;

	vcpu_sregs_get(vcpu, &before);
	vcpu_regs_get(vcpu, &regs);
	vcpu_ioctl(vcpu, KVM_SMI, NULL);
	vcpu_run(vcpu);
	TEST_ASSERT(vcpu->run->exit_reason == KVM_EXIT_IO && vcpu->run->io.port == SMM_PORT,
		    "exit %u, not the SMI handler's", vcpu->run->exit_reason);
	vcpu_sregs_set(vcpu, &before);
	vcpu_regs_set(vcpu, &regs);
}

/* By RSM, when it runs again. */
static void let_it_leave_smm(void)
{
	struct kvm_regs regs;

	vcpu_regs_get(vcpu, &regs);
	regs.rip = (uint64_t)leave_smm;
	vcpu_regs_set(vcpu, &regs);
}

void smm_has_other_memory(void)
{
	const uint64_t size = getpagesize();
	uint8_t *first = new_memory(size), *second = new_memory(size);
	uint8_t *smram = new_memory(SMRAM_SIZE);
	struct userspace_mem_region *all;
	int round;

	create_vm();
	map_target_to(SLOT_GPA);
	all = memslot2region(vm, 0);
	set_slot(SMM_SPACE, all->region.guest_phys_addr, (void *)all->region.userspace_addr,
		 all->region.memory_size, 0);
	set_slot(SMM_SPACE | SMRAM_SLOT, SMRAM, smram, SMRAM_SIZE, 0);
	memcpy(smram + SMM_ENTRY, handler, sizeof(handler));
	set_slot(SLOT, SLOT_GPA, first, size, 0);
	set_slot(SMM_SPACE | SLOT, SLOT_GPA, second, size, 0);
	vcpu_set_msr(vcpu, MSR_IA32_SMBASE, SMRAM);

	expect_written_to(first, second, "before SMM");
	for (round = 0; round < 3 && !case_failed; round++) {
		enter_smm();
		expect_in_smm(true, "after the SMI");
		expect_written_to(second, first, "in SMM");
		let_it_leave_smm();
		expect_written_to(first, second, "after RSM");
		expect_in_smm(false, "after RSM");
	}
	expect_fast(3 + 3 * (3 + 3), "around SMM");
	kvm_vm_free(vm);
}
