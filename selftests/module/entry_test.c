// SPDX-License-Identifier: GPL-2.0
/*
 * What a nested VM entry leaves out must not show: vmcs12 fields that become invalid
 * after they were valid, another VMCS or another nested state in between, SYSCALL's
 * MSRs, the preemption timer, and VMX operation left and entered again.  Runs under
 * stock and under kvm-intel-fast, with the same results; counters are checked where
 * there are any.
 *
 * L1 enters L2 several times, so that everything is remembered that can be, before it
 * spoils something.
 */
#include <stddef.h>

#include "kvm_util.h"
#include "processor.h"
#include "vmx.h"

#include "lib/cases.h"
#include "lib/vm.h"

#define WARM_UP		4
#define ROUNDS		20
#define UNREAD		60		/* entries after which a field is out of the set */
#define FAILED		0x100		/* + VM-instruction error */
#define CONTROL		(FAILED + 7)	/* SDM, "VM-Instruction Error Numbers" */
#define HOST		(FAILED + 8)
#define GUEST		0x80000021	/* VM-entry failure, invalid guest state */
#define VMCALL		18
#define PREEMPTION_TIMER 52
#define TICKS_PER_UNIT	32	/* of the VMX-preemption timer, as KVM emulates it */
#define NOT_CANONICAL	BIT_ULL(60)
#define EFER_BITS	(EFER_LME | EFER_LMA)
#define RFLAGS_ZF	BIT_ULL(6)
#define CR3_PWT		BIT_ULL(3)
#define AR_UNUSABLE	BIT_ULL(16)
#define EPTP_AD		BIT_ULL(6)	/* accessed and dirty flags */

/* A field, a value that the checks refuse, and how. */
static const struct bad_value {
	uint64_t field, value, result;
} bad_values[] = {
	{ PIN_BASED_VM_EXEC_CONTROL, 0, CONTROL },
	{ CPU_BASED_VM_EXEC_CONTROL, 0, CONTROL },
	{ SECONDARY_VM_EXEC_CONTROL, 0xffffffff, CONTROL },
	{ CR3_TARGET_COUNT, 100, CONTROL },
	{ MSR_BITMAP, 1, CONTROL },
	{ EPT_POINTER, 7, CONTROL },
	{ VIRTUAL_PROCESSOR_ID, 0, CONTROL },
	{ VM_EXIT_CONTROLS, 0, CONTROL },
	{ VM_EXIT_MSR_STORE_COUNT, 1, CONTROL },
	{ VM_EXIT_MSR_LOAD_COUNT, 1, CONTROL },
	{ VM_ENTRY_MSR_LOAD_COUNT, 1, CONTROL },
	{ VM_ENTRY_CONTROLS, 0, CONTROL },
	{ VM_ENTRY_INTR_INFO_FIELD, 0x80000100, CONTROL },
	{ HOST_CR0, 0, HOST },
	{ HOST_CR3, 1ull << 63, HOST },
	{ HOST_CR4, 0, HOST },
	{ HOST_IA32_SYSENTER_ESP, NOT_CANONICAL, HOST },
	{ HOST_IA32_SYSENTER_EIP, NOT_CANONICAL, HOST },
	{ HOST_CS_SELECTOR, 3, HOST },
	{ HOST_SS_SELECTOR, 4, HOST },
	{ HOST_DS_SELECTOR, 4, HOST },
	{ HOST_ES_SELECTOR, 4, HOST },
	{ HOST_FS_SELECTOR, 4, HOST },
	{ HOST_GS_SELECTOR, 4, HOST },
	{ HOST_TR_SELECTOR, 0, HOST },
	{ HOST_FS_BASE, NOT_CANONICAL, HOST },
	{ HOST_GS_BASE, NOT_CANONICAL, HOST },
	{ HOST_TR_BASE, NOT_CANONICAL, HOST },
	{ HOST_GDTR_BASE, NOT_CANONICAL, HOST },
	{ HOST_IDTR_BASE, NOT_CANONICAL, HOST },
	{ HOST_IA32_EFER, 0, HOST },
	{ HOST_IA32_PAT, 2, HOST },
	{ GUEST_CR0, 0, GUEST },
	{ GUEST_CR4, 0, GUEST },
	{ GUEST_DR7, 1ull << 32, GUEST },
	{ GUEST_IA32_DEBUGCTL, 1ull << 63, GUEST },
	{ GUEST_IA32_PAT, 2, GUEST },
	{ GUEST_IA32_EFER, 0, GUEST },
	{ GUEST_ACTIVITY_STATE, 9, GUEST },
	{ VMCS_LINK_POINTER, 8, GUEST },
};

/* What L1 saw. */
static uint64_t result_bad[ARRAY_SIZE(bad_values)], result_good[ARRAY_SIZE(bad_values)];
static uint64_t result[16];
static uint64_t msr_bitmap_gpa;
static struct vmx_pages *vmx_hva;

/* ---------------------------------------------------------------- guest -- */

static unsigned long l2_stack[64];
static bool launched;

/* Registers of L2 are L1's, so these use none. */
void l2_calls(void);
void l2_spins(void);
void l2_works(void);
void l2_stops(void);
void l2_is_undefined(void);
void l2_null_ss(void);
void l2_data_ss(void);
asm(".pushsection .text\n"
	"l2_calls:	vmcall; jmp l2_calls\n"
	"l2_spins:	jmp l2_spins\n"
	"l2_works:	mov $1000000, %ecx\n"
	"1:		dec %ecx; jnz 1b\n"
	"		vmcall\n"
	/* User space sees an access to a port that nobody has. */
	"l2_stops:	xor %eax, %eax\n"
	"		mov $0x99, %dx\n"
	"		out %al, %dx\n"
	"		vmcall\n"
	"l2_is_undefined: ud2\n"
	"l2_null_ss:	xor %eax, %eax; mov %eax, %ss; vmcall\n"
	"l2_data_ss:	mov %ds, %eax; mov %eax, %ss; vmcall\n"
	".popsection");

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

/* The exit reason, or FAILED + error. */
static uint64_t enter_at(void *rip)
{
	vmwrite(GUEST_RIP, (uint64_t)rip);
	if (launched ? vmresume() : vmlaunch())
		return FAILED + vmreadz(VM_INSTRUCTION_ERROR);
	if (!(vmreadz(VM_EXIT_REASON) >> 31))
		launched = true;
	return vmreadz(VM_EXIT_REASON);
}

static uint64_t enter(void)
{
	return enter_at(l2_calls);
}

static void warm_up(void)
{
	int i;

	for (i = 0; i < WARM_UP; i++)
		GUEST_ASSERT_2(enter() == VMCALL, vmreadz(VM_EXIT_REASON), i);
}

static void set_bits(uint64_t field, uint64_t bits)
{
	vmwrite(field, vmreadz(field) | bits);
}

static void prepare(struct vmx_pages *vmx)
{
	launched = false;
	prepare_vmcs(vmx, l2_calls, &l2_stack[64]);
	set_bits(CPU_BASED_VM_EXEC_CONTROL, CPU_BASED_USE_MSR_BITMAPS);
	set_bits(SECONDARY_VM_EXEC_CONTROL, SECONDARY_EXEC_ENABLE_VPID);
	vmwrite(VIRTUAL_PROCESSOR_ID, 1);
	set_bits(VM_EXIT_CONTROLS, VM_EXIT_LOAD_IA32_EFER | VM_EXIT_LOAD_IA32_PAT);
	set_bits(VM_ENTRY_CONTROLS, VM_ENTRY_LOAD_IA32_EFER | VM_ENTRY_LOAD_IA32_PAT |
		 VM_ENTRY_LOAD_DEBUG_CONTROLS);
	vmwrite(HOST_IA32_EFER, rdmsr(MSR_EFER));
	vmwrite(HOST_IA32_PAT, rdmsr(MSR_IA32_CR_PAT));
	vmwrite(GUEST_IA32_EFER, EFER_BITS | (rdmsr(MSR_EFER) & EFER_NX));
	vmwrite(GUEST_IA32_PAT, rdmsr(MSR_IA32_CR_PAT));
	/* Only with a count is an address checked. */
	vmwrite(VM_EXIT_MSR_STORE_ADDR, 8);
	vmwrite(VM_EXIT_MSR_LOAD_ADDR, 8);
	vmwrite(VM_ENTRY_MSR_LOAD_ADDR, 8);
}

static void begin(struct vmx_pages *vmx)
{
	GUEST_ASSERT(prepare_for_vmx_operation(vmx));
	GUEST_ASSERT(load_vmcs(vmx));
	prepare(vmx);
}

/* L2 changes none of its state, so what was written is what will be read back. */
static void l1_bad_values(struct vmx_pages *vmx)
{
	uint64_t old;
	int i;

	begin(vmx);
	for (i = 0; i < ARRAY_SIZE(bad_values); i++) {
		warm_up();
		old = vmreadz(bad_values[i].field);
		vmwrite(bad_values[i].field, bad_values[i].value);
		result_bad[i] = enter();
		vmwrite(bad_values[i].field, old);
		result_good[i] = enter();
	}
	GUEST_DONE();
}

/* The header of the VMCS that the link pointer names is in memory. */
static void l1_linked_vmcs(struct vmx_pages *vmx)
{
	uint32_t *header = vmx->shadow_vmcs;

	begin(vmx);
	*header = vmcs_revision();
	vmwrite(VMCS_LINK_POINTER, vmx->shadow_vmcs_gpa);
	warm_up();
	*header = vmcs_revision() + 1;
	result[0] = enter();
	*header = vmcs_revision();
	result[1] = enter();
	GUEST_DONE();
}

/* A good one and a bad one in turn. */
static void l1_two_vmcss(struct vmx_pages *vmx)
{
	int i;

	begin(vmx);
	*(uint32_t *)vmx->shadow_vmcs = vmcs_revision();
	GUEST_ASSERT(!vmclear(vmx->shadow_vmcs_gpa));
	GUEST_ASSERT(!vmptrld(vmx->shadow_vmcs_gpa));
	prepare(vmx);
	/* Both have run, and are the same but for this. */
	warm_up();
	vmwrite(HOST_TR_BASE, NOT_CANONICAL);
	for (i = 0; i < 4; i++) {
		GUEST_ASSERT(!vmptrld(vmx->vmcs_gpa));
		launched = i > 0;
		warm_up();
		GUEST_ASSERT(!vmptrld(vmx->shadow_vmcs_gpa));
		result[i] = enter();
	}
	GUEST_DONE();
}

/* User space spoils the MSR bitmap's address. */
static void l1_restored(struct vmx_pages *vmx)
{
	begin(vmx);
	msr_bitmap_gpa = vmx->msr_gpa;
	warm_up();
	GUEST_SYNC(0);
	result[0] = enter();
	vmwrite(MSR_BITMAP, vmx->msr_gpa);
	result[1] = enter();
	GUEST_DONE();
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

/* User space takes L1 out of IA-32e mode and lets it execute VMRESUME there. */
static void l1_leaves_long_mode(struct vmx_pages *vmx)
{
	begin(vmx);
	warm_up();
	vmwrite(GUEST_RIP, (uint64_t)l2_stops);
	GUEST_SYNC(0);
	result[0] = FAILED + vmreadz(VM_INSTRUCTION_ERROR);
	result[1] = enter();
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

/* ----------------------------------------------------------- user space -- */

static void start(void *guest_code)
{
	vm_vaddr_t vmx_gva;

	memset(result, 0, sizeof(result));
	vm = vm_create_with_one_vcpu(&vcpu, guest_code);
	vmx_hva = vcpu_alloc_vmx(vm, &vmx_gva);
	if (kvm_vm_has_ept(vm)) {
		prepare_eptp(vmx_hva, vm, 0);
		nested_map_memslot(vmx_hva, vm, 0);
	}
	vcpu_args_set(vcpu, 1, vmx_gva);
}

/* Run until the guest stops for another reason than a port of its own. */
static uint64_t run(void)
{
	struct ucall uc;

	vcpu_run(vcpu);
	if (vcpu->run->exit_reason == KVM_EXIT_IO && vcpu->run->io.port == 0x99)
		return 0x99;
	switch (get_ucall(vcpu, &uc)) {
	case UCALL_ABORT:
		EXPECT(false, "guest, line %llu: %s: %#llx %#llx", uc.args[1],
		       (char *)uc.args[0], uc.args[2], uc.args[3]);
		return UCALL_DONE;
	default:
		return uc.cmd;
	}
}

static void finish(void)
{
	TEST_ASSERT(run() == UCALL_DONE, "the guest is not done");
	sync_global_from_guest(vm, result);
	sync_global_from_guest(vm, result_bad);
	sync_global_from_guest(vm, result_good);
}

static bool fast(void)
{
	return parameter("fast_switch") == '1';
}

static bool quiet_hits(void)
{
	return fast() && parameter("verify") == 'N';
}

static void invalid_values_are_refused(void)
{
	int i;

	start(l1_bad_values);
	finish();
	for (i = 0; i < ARRAY_SIZE(bad_values); i++) {
		EXPECT(result_bad[i] == bad_values[i].result, "field %#lx: %#lx",
		       bad_values[i].field, result_bad[i]);
		EXPECT(result_good[i] == VMCALL, "field %#lx, valid again: %#lx",
		       bad_values[i].field, result_good[i]);
	}
	if (quiet_hits())
		EXPECT(counter("checks_hits") > ARRAY_SIZE(bad_values), "%lu",
		       counter("checks_hits"));
	kvm_vm_free(vm);
}

static void memory_is_checked_each_time(void)
{
	start(l1_linked_vmcs);
	finish();
	EXPECT(result[0] == GUEST, "%#lx", result[0]);
	EXPECT(result[1] == VMCALL, "%#lx", result[1]);
	if (quiet_hits())
		EXPECT(counter("checks_hits") > 0, "none");
	kvm_vm_free(vm);
}

static void another_vmcs_is_checked(void)
{
	int i;

	start(l1_two_vmcss);
	finish();
	for (i = 0; i < 4; i++)
		EXPECT(result[i] == HOST, "%#lx", result[i]);
	kvm_vm_free(vm);
}

static void restored_state_is_checked(void)
{
	struct kvm_x86_state *state;
	uint64_t *word;
	int found = 0;

	start(l1_restored);
	TEST_ASSERT(run() == UCALL_SYNC, "guest did not stop");
	sync_global_from_guest(vm, msr_bitmap_gpa);
	state = vcpu_save_state(vcpu);
	for (word = (uint64_t *)state->nested.data.vmx;
	     word < (uint64_t *)((char *)&state->nested + state->nested.size); word++) {
		if (*word == msr_bitmap_gpa) {
			*word |= 1;
			found++;
		}
	}
	EXPECT(found == 1, "%d", found);
	vcpu_nested_state_set(vcpu, &state->nested);
	kvm_x86_state_cleanup(state);
	finish();
	EXPECT(result[0] == CONTROL, "%#lx", result[0]);
	EXPECT(result[1] == VMCALL, "%#lx", result[1]);
	kvm_vm_free(vm);
}

static void syscall_msrs_are_l1s(void)
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

static void tsc_aux_is_l1s(void)
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

static void paging_may_change(void)
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

/* A page of guest memory, below 1 GiB, to write to. */
static uint64_t *new_page(uint64_t *gpa)
{
	*gpa = vm_alloc_page_table(vm);
	return addr_gpa2hva(vm, *gpa);
}

/* After GUEST_SYNC(): the guest may have to give it again, if its registers were set. */
static void finish_after_sync(void)
{
	uint64_t what;

	do
		what = run();
	while (what == UCALL_SYNC);
	TEST_ASSERT(what == UCALL_DONE, "the guest is not done");
	sync_global_from_guest(vm, result);
}

static void l1s_mode_is_checked(void)
{
	static const uint8_t code[] = {
		0x0f, 0x01, 0xc3,	/* vmresume */
		0xe6, 0x98,		/* out %al, $0x98 */
	};
	uint64_t pdpt_gpa, pd_gpa, code_gpa, *pdpt, *pd;
	struct kvm_sregs sregs, old_sregs;
	struct kvm_regs regs, old_regs;
	int i;

	start(l1_leaves_long_mode);
	TEST_ASSERT(run() == UCALL_SYNC, "guest did not stop");
	vcpu_sregs_get(vcpu, &old_sregs);
	vcpu_regs_get(vcpu, &old_regs);

	/* PAE paging maps the first GiB one to one. */
	pdpt = new_page(&pdpt_gpa);
	pd = new_page(&pd_gpa);
	memcpy(new_page(&code_gpa), code, sizeof(code));
	pdpt[0] = pd_gpa | 1;
	for (i = 0; i < 512; i++)
		pd[i] = (uint64_t)i << 21 | 0x83;
	sregs = old_sregs;
	sregs.efer &= ~(EFER_LME | EFER_LMA);
	sregs.cr3 = pdpt_gpa;
	sregs.cs.l = 0;
	sregs.cs.db = 1;
	vcpu_sregs_set(vcpu, &sregs);
	regs = old_regs;
	regs.rip = code_gpa;
	vcpu_regs_set(vcpu, &regs);

	vcpu_run(vcpu);
	EXPECT(vcpu->run->exit_reason == KVM_EXIT_IO && vcpu->run->io.port == 0x98,
	       "exit %u, port %#x", vcpu->run->exit_reason, vcpu->run->io.port);
	vcpu_regs_get(vcpu, &regs);
	EXPECT(regs.rflags & RFLAGS_ZF, "%#llx", regs.rflags);
	if (!case_failed) {
		vcpu_sregs_set(vcpu, &old_sregs);
		vcpu_regs_set(vcpu, &old_regs);
		finish_after_sync();
		EXPECT(result[0] == HOST, "%#lx", result[0]);
		EXPECT(result[1] == VMCALL, "%#lx", result[1]);
	}
	kvm_vm_free(vm);
}

/* What the PMU allows is set up anew when its capabilities are written. */
static void pmu_refresh_is_noticed(void)
{
	uint64_t before, between;

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

static void preemption_timer_exits_in_time(void)
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

static void vmx_operation_starts_anew(void)
{
	start(l1_restarts);
	finish();
	EXPECT(result[0] == ROUNDS, "%lu", result[0]);
	kvm_vm_free(vm);
}

static void segments_are_read_late(void)
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

static void verify_found_nothing(void)
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

static const struct test_case cases[] = {
	CASE(invalid_values_are_refused),
	CASE(memory_is_checked_each_time),
	CASE(another_vmcs_is_checked),
	CASE(restored_state_is_checked),
	CASE(syscall_msrs_are_l1s),
	CASE(tsc_aux_is_l1s),
	CASE(paging_may_change),
	CASE(l1s_mode_is_checked),
	CASE(pmu_refresh_is_noticed),
	CASE(preemption_timer_exits_in_time),
	CASE(vmx_operation_starts_anew),
	CASE(segments_are_read_late),
	CASE(verify_found_nothing),
};

int main(int argc, char **argv)
{
	begin_test();
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_NESTED_STATE));
	run_cases(cases, ARRAY_SIZE(cases), argv + 1);
	ksft_finished();
}
