// SPDX-License-Identifier: GPL-2.0
/*
 * Cases of entry_test: what is L1's is L1's again after an exit.
 */
#include "module/entry/entry.h"

/* Handlers of SYSCALL, in L1's ring 0. */
void syscall_1(void);
void syscall_2(void);
asm(".pushsection .text\n"
	"syscall_1:	mov $1, %eax; jmp *%rcx\n"
	"syscall_2:	mov $2, %eax; jmp *%rcx\n"
	".popsection");

static uint64_t do_syscall(void)
{
	uint64_t rax = 0;

	asm volatile("syscall" : "+a"(rax) : : "rcx", "r11", "memory");
	return rax;
}

/* L2 has no SYSCALL.  While it runs, user space gives L1 another handler, or does not. */
static void l1_syscall(struct vmx_pages *vmx)
{
	int i;

	begin(vmx);
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE);
	vmwrite(HOST_IA32_EFER, rdmsr(MSR_EFER));
	wrmsr(MSR_STAR, (uint64_t)get_cs() << 32);
	wrmsr(MSR_SYSCALL_MASK, 0);
	for (i = 0; i < ROUNDS; i++) {
		wrmsr(MSR_LSTAR, (uint64_t)syscall_1);
		warm_up();
		result[0] += do_syscall() == 1;
		result[1] += enter_at(l2_stops) == VMCALL;
		result[2] += do_syscall() == 1 + i % 2;
		warm_up();
		result[3] += do_syscall() == 1 + i % 2;
		/* Written while it is loaded. */
		wrmsr(MSR_LSTAR, (uint64_t)syscall_1);
		result[4] += do_syscall() == 1;
	}
	GUEST_DONE();
}

static uint32_t tsc_aux(void)
{
	uint32_t eax, edx, ecx;

	asm volatile("rdtscp" : "=a"(eax), "=d"(edx), "=c"(ecx));
	return ecx;
}

/* RDTSCP shows L1's value, also after user space had the CPU. */
static void l1_tsc_aux(struct vmx_pages *vmx)
{
	int i;

	begin(vmx);
	for (i = 0; i < ROUNDS; i++) {
		wrmsr(MSR_TSC_AUX, 0x1234500 + i);
		result[0] += tsc_aux() == 0x1234500 + i;
		result[1] += enter_at(l2_stops) == VMCALL;
		result[2] += tsc_aux() == 0x1234500 + i;
	}
	GUEST_DONE();
}

/*
 * L1 pages in another way when it enters than when L2 exits to it; L2 gets another CR3
 * (but for a bit, the same tables); L1's EPT begins and stops to use accessed flags.
 */
static void l1_paging(struct vmx_pages *vmx)
{
	uint64_t cr4, cr3;
	bool ept;
	int i;

	begin(vmx);
	cr4 = get_cr4();
	ept = vmreadz(SECONDARY_VM_EXEC_CONTROL) & SECONDARY_EXEC_ENABLE_EPT;
	for (i = 0; i < ROUNDS; i++) {
		warm_up();
		set_cr4(cr4 ^ X86_CR4_PSE);
		result[2] += get_cr4() == (cr4 ^ X86_CR4_PSE);
		result[0] += enter() == VMCALL;
		result[1] += get_cr4() == cr4;
		cr3 = vmreadz(GUEST_CR3) ^ CR3_PWT;
		vmwrite(GUEST_CR3, cr3);
		result[3] += enter() == VMCALL && vmreadz(GUEST_CR3) == cr3;
		if (ept)
			vmwrite(EPT_POINTER, vmreadz(EPT_POINTER) ^ EPTP_AD);
		result[4] += enter() == VMCALL;
	}
	GUEST_DONE();
}

/* User space writes an MSR in between. */
static void l1_stops_between(struct vmx_pages *vmx)
{
	int i;

	begin(vmx);
	for (i = 0; i < 3; i++) {
		warm_up();
		GUEST_SYNC(i);
	}
	GUEST_DONE();
}

void syscall_msrs_are_l1s(void)
{
	int i;

	start(l1_syscall);
	for (i = 0; i < ROUNDS; i++) {
		TEST_ASSERT(run() == 0x99, "L2 did not stop");
		if (i % 2)
			vcpu_set_msr(vcpu, MSR_LSTAR, (uint64_t)syscall_2);
	}
	finish();
	for (i = 0; i < 5; i++)
		EXPECT(result[i] == ROUNDS, "%d: %lu", i, result[i]);
	kvm_vm_free(vm);
}

void tsc_aux_is_l1s(void)
{
	int i;

	if (!kvm_cpu_has(X86_FEATURE_RDTSCP)) {
		skip_reason = "no RDTSCP";
		return;
	}
	start(l1_tsc_aux);
	for (i = 0; i < ROUNDS; i++)
		TEST_ASSERT(run() == 0x99, "L2 did not stop");
	finish();
	for (i = 0; i < 3; i++)
		EXPECT(result[i] == ROUNDS, "%d: %lu", i, result[i]);
	kvm_vm_free(vm);
}

void paging_may_change(void)
{
	int i;

	start(l1_paging);
	finish();
	for (i = 0; i < 5; i++)
		EXPECT(result[i] == ROUNDS, "%d: %lu", i, result[i]);
	if (parameter("verify") == 'Y') {
		EXPECT(counter("mmu_roles_verify_mismatches") == 0, "%lu",
		       counter("mmu_roles_verify_mismatches"));
		EXPECT(counter("vmcs02_verify_mismatches") == 0, "%lu",
		       counter("vmcs02_verify_mismatches"));
	}
	/* With unrestricted guest, as everywhere by default. */
	if (quiet_hits() && parameter("unrestricted_guest") == 'Y') {
		EXPECT(counter("vmcs02_shadows_skipped") > ROUNDS, "%lu",
		       counter("vmcs02_shadows_skipped"));
		EXPECT(counter("vmcs02_cr3_skipped") > ROUNDS, "%lu",
		       counter("vmcs02_cr3_skipped"));
	}
	kvm_vm_free(vm);
}

/*
 * What the PMU allows is set up anew when its capabilities are written.  Since 6.12 KVM does
 * so only for a VM that has a PMU: without one nothing that is checked changes.
 */
void pmu_refresh_is_noticed(void)
{
	uint64_t before, between;

	if (kernel_is_at_least(6, 12) && !(kvm_get_supported_cpuid_entry(0xa)->eax & 0xff)) {
		skip_reason = "no PMU, so KVM sets none up";
		return;
	}
	if (!quiet_hits()) {
		skip_reason = "needs the counters of kvm-intel-fast, without verify";
		return;
	}
	start(l1_stops_between);
	TEST_ASSERT(run() == UCALL_SYNC, "guest did not stop");
	before = counter("checks_miss_forgotten");
	TEST_ASSERT(run() == UCALL_SYNC, "guest did not stop");
	between = counter("checks_miss_forgotten");
	EXPECT(between == before, "%lu, %lu", before, between);
	vcpu_set_msr(vcpu, MSR_IA32_PERF_CAPABILITIES, 0);
	TEST_ASSERT(run() == UCALL_SYNC, "guest did not stop");
	EXPECT(counter("checks_miss_forgotten") == between + 1, "%lu, %lu", between,
	       counter("checks_miss_forgotten"));
	kvm_vm_free(vm);
}
