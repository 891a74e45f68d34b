// SPDX-License-Identifier: GPL-2.0
/*
 * Cases of page_hold_test: VMCSs, VMX operation, state and VMs end and begin anew.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "module/pages/pages.h"

void cleared_and_restarted(void)
{
	uint64_t enters[] = { L1_CLEAR, L1_RESTART, L1_CLEAR, L1_RESTART };
	uint64_t misses;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(enters); i++) {
		ASK(ENTER, .count = 2);
		misses = page_misses();
		ask(((struct request){ .operation = enters[i] }));
		expect_pages_in_use();
		EXPECT(!holds || page_misses() > misses, "held over it");
	}
}

/* VMCS 0, which is not current then, goes on after VMXOFF and VMXON. */
void left_and_entered(void)
{
	uint64_t misses;
	int i;

	for (i = 0; i < 3; i++) {
		expect_pages_in_use();
		ASK(SELECT, .vmcs = 1);
		ASK(ENTER, .vmcs = 1, .count = 1);
		misses = page_misses();
		ASK(LEAVE, .vmcs = 1);
		ASK(SELECT, .vmcs = 0);
		expect_msr(0, MSR_FS_BASE, false, false, __LINE__);
		EXPECT(!holds || page_misses() > misses, "held over it");
		expect_pages_in_use();
		ASK(CLEAR, .vmcs = 1);
		ASK(SELECT, .vmcs = 0);
	}
}

/* An APIC-access page outside memory: KVM gives up; then it is there again. */
void access_page_missing(void)
{
	int i;

	if (!features.access) {
		skip_reason = "no APIC-access page";
		return;
	}
	for (i = 0; i < 2; i++) {
		ASK(VMWRITE, .bit = APIC_ACCESS_ADDR, .value = 0x40000000);
		HAND_OVER(ENTER, .count = 1);
		vcpu_run(vcpu);
		EXPECT(vcpu->run->exit_reason == KVM_EXIT_INTERNAL_ERROR, "exit %d",
		       vcpu->run->exit_reason);
		new_vm();
		expect_pages_in_use();
	}
	/* No hold may survive the failed entry: L2 does not run. */
	if (!has_two_nodes())
		return;
	ASK(VMWRITE, .bit = APIC_ACCESS_ADDR, .value = 0x40000000);
	HAND_OVER(ENTER, .count = 1);
	vcpu_run(vcpu);
	for (i = 0; i < 4; i++)
		expect_unreferenced(all_pages[i]);
	new_vm();
}

/*
 * The CPU refuses an entry of VMCS 1, which named another APIC-access page: VMCS 0 has
 * its own again.
 */
void entry_fails_in_hardware(void)
{
	int i;

	for (i = 0; i < 3; i++) {
		expect_pages_in_use();
		ASK(SELECT, .vmcs = 1);
		ASK(VMWRITE, .vmcs = 1, .bit = VIRTUAL_APIC_PAGE_ADDR,
		    .value = 0x40000000);
		ASK(VMWRITE, .vmcs = 1, .bit = APIC_ACCESS_ADDR,
		    .value = page_gpa(OTHER_ACCESS));
		ASK(ENTER, .vmcs = 1, .count = 1);
		EXPECT(answer.failed == 1, "%lu entries failed, exit reason %lu", answer.failed,
		       answer.reason);
		ASK(SELECT, .vmcs = 0);
		ASK(ENTER, .count = 1, .l2_operation = L2_TPR,
		    .tpr = page(VAPIC)[TPR], .mmio = mmio());
		expect_tpr(page(VAPIC)[TPR], __LINE__);
		expect_pages_in_use();
		ASK(CLEAR, .vmcs = 1);
		ASK(SELECT, .vmcs = 0);
	}
}

void state_restored_in_new_vm(void)
{
	struct kvm_lapic_state lapic;
	struct kvm_x86_state *state;
	int i;

	for (i = 0; i < 3; i++) {
		expect_pages_in_use();
		page(VAPIC)[TPR] = 0x60;
		pause_in_l2(0x60);
		state = vcpu_save_state(vcpu);
		vcpu_ioctl(vcpu, KVM_GET_LAPIC, &lapic);
		kvm_vm_release(vm);
		vcpu = vm_recreate_with_one_vcpu(vm);
		set_test_slot(0);
		set_slot(FIXED_SLOT, 0, FIXED_GPA, VMCSS * PAGE, fixed);
		vcpu_load_state(vcpu, state);
		vcpu_ioctl(vcpu, KVM_SET_LAPIC, &lapic);
		kvm_x86_state_cleanup(state);
		if (features.pi && i)
			post();
		EXPECT(run_to_answer() == 1, "L2");
		expect_tpr(0x60, __LINE__);
		if (features.pi && i)
			expect_posted(__LINE__);
		expect_pages_in_use();
	}
}

/* The same state again in the same vCPU: nested operation ends and begins. */
void state_restored_in_place(void)
{
	struct kvm_x86_state *state;
	int i;

	for (i = 0; i < 3; i++) {
		page(VAPIC)[TPR] = 0x60;
		pause_in_l2(0x60);
		state = vcpu_save_state(vcpu);
		if (i == 1)
			map_anonymous(page(PI), PAGE);
		vcpu_sregs_set(vcpu, &state->sregs);
		vcpu_nested_state_set(vcpu, &state->nested);
		vcpu_regs_set(vcpu, &state->regs);
		kvm_x86_state_cleanup(state);
		EXPECT(run_to_answer() == 1, "L2");
		expect_tpr(0x60, __LINE__);
		expect_pages_in_use();
	}
}

void killed_while_l2_runs(void)
{
	int i, status;
	pid_t child;

	for (i = 0; i < KILLED; i++) {
		child = fork();
		if (!child) {
			create_vm();
			for (;;)
				ASK(ENTER, .count = MANY,
				    .l2_operation = L2_TPR, .mmio = mmio());
		}
		usleep(30000 + i * 1700);
		kill(child, SIGKILL);
		EXPECT(waitpid(child, &status, 0) == child && WIFSIGNALED(status) &&
		       WTERMSIG(status) == SIGKILL, "status %#x", status);
	}
	expect_pages_in_use();
}

void destroyed_in_l2(void)
{
	struct kvm_vm *usual = vm;
	struct kvm_vcpu *usual_vcpu = vcpu;
	uint8_t *usual_fixed = fixed;
	int i;

	for (i = 0; i < 6; i++) {
		fixed = map_anonymous(NULL, VMCSS * PAGE);
		create_vm();
		pause_in_l2(0);
		if (i & 1)
			map_anonymous(page(VAPIC), PAGE);
		if (i & 2) {	/* the VM's descriptor first, the vCPU's last */
			munmap(vcpu->run, sizeof(*vcpu->run));
			close(vm->fd);
			usleep(1000);
			map_anonymous(page(PI), PAGE);
			close(vcpu->fd);
		} else {
			kvm_vm_free(vm);
		}
		munmap(fixed, VMCSS * PAGE);
	}
	vm = usual;
	vcpu = usual_vcpu;
	fixed = usual_fixed;
	memset(page(BITMAP), 0, PAGE);
	expect_pages_in_use();
}

/*
 * New pages for each VM, which it leaves behind in L2, in L1, or having used many
 * vmcs12s: after its end none of them may have a reference too many.  In L2 one of
 * them was invalidated before, every other time.
 */
void memory_is_freed(void)
{
	int i, number;

	if (!two_nodes())
		return;
	for (i = 0; i < GONE_VMS; i++) {
		map_anonymous(page(0), SLOT_PAGES * PAGE);
		new_vm();
		switch (i % 3) {
		case 0:
			pause_in_l2(0);
			if (i & 1)
				move_page(VAPIC, 1);	/* L2 uses it: it stays where it is */
			break;
		case 1:
			ASK(ENTER, .count = 2);
			break;
		default:
			ASK(ALTERNATE, .count = 2, .value = KEPT_VMCSS);
			break;
		}
		kvm_vm_free(vm);
		for (number = 0; number < SLOT_PAGES; number++)
			expect_unreferenced(number);
		create_vm();
	}
	expect_pages_in_use();
}
