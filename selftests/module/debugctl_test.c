// SPDX-License-Identifier: GPL-2.0
/*
 * L1's and L2's reads of IA32_DEBUGCTL give what stock KVM gives, whatever the
 * host, user space and L1 do in between; and L1's reads exit exactly when the
 * module says so.  Runs under stock (every read exits) and under kvm-intel-fast.
 *
 * Each case is a short sequence of requests that user space makes to the guest:
 * L1 waits in a loop for the next one, and so does L2.
 */
#include <pthread.h>
#include <sched.h>
#include <sys/ioctl.h>

#include "kvm_util.h"
#include "processor.h"
#include "vmx.h"

#include "lib/cases.h"
#include "lib/mailbox.h"
#include "lib/vm.h"

#define MSR_DEBUGCTL		0x1d9
#define DEBUGCTL_LBR		BIT(0)
#define DEBUGCTL_BTF		BIT(1)
#define DEBUGCTL_FREEZE_IN_SMM	BIT(14)
#define QUIRK_ALLOW_FREEZE_IN_SMM	BIT(10)	/* KVM_X86_QUIRK_VMCS12_..., not in 6.1 */

#define MANY		1000	/* reads in a row */
#define FEW		100	/* exits for other reasons meanwhile: timer ticks */
#define TOGGLES		200	/* of the host's bit by the other CPU */

#define NO_FAULT	0
#define L2_STACK	256
#define FAILED_ENTRY	BIT(31)

enum operation {
	L1_READ,	/* read the MSR "count" times; "value": KVM cannot emulate that */
	L1_WRITE,	/* write "value" to the MSR */
	L1_ENTER_L2,	/* VM entry; answer with the exit reason */
	L1_INTERCEPT,	/* set the MSR's read bit in L1's bitmap to "value" */
	L1_DEBUG_CTLS,	/* load/save debug controls of vmcs12: "count"; field: "value" */
	L2_READ,
	L2_PAUSE,	/* L2 hands over to user space before it exits to L1 */
};

struct request {
	uint64_t operation;
	uint64_t l2_operation;
	uint64_t count;
	uint64_t value;
};

struct answer {
	uint64_t value;		/* bits seen in any of the reads */
	uint64_t fault;		/* vector of the last access */
	uint64_t exit_reason;	/* of L2, as L1 sees it */
	uint64_t field;		/* vmcs12's GUEST_IA32_DEBUGCTL after the exit */
};

static struct request request;
static struct answer answer;

/* ---------------------------------------------------------------- guest -- */

static void read_debugctl(uint64_t count)
{
	uint64_t value;

	answer.value = 0;
	while (count--) {
		value = 0;
		answer.fault = rdmsr_safe(MSR_DEBUGCTL, &value);
		answer.value |= value;
	}
}

/* As read_debugctl(), for when L1 may handle the exit: L1 keeps no registers. */
static void l2_read_debugctl_once(void)
{
	uint32_t low;

	asm volatile("push %%rbp; rdmsr; pop %%rbp" : "=a"(low) : "c"(MSR_DEBUGCTL) :
		     "rbx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11",
		     "r12", "r13", "r14", "r15", "memory");
	answer.value = low;
}

static void l2_guest_code(void)
{
	for (;;) {
		if (request.l2_operation == L2_PAUSE)
			GUEST_SYNC_ARGS(2, 0, 0, 0, 0);
		else if (request.count > 1)
			read_debugctl(request.count);
		else
			l2_read_debugctl_once();
		vmcall();
	}
}

static void set_l1_intercept(struct vmx_pages *vmx, bool intercept)
{
	uint8_t *byte = (uint8_t *)vmx->msr + MSR_DEBUGCTL / 8;
	uint8_t bit = 1 << (MSR_DEBUGCTL % 8);

	*byte = intercept ? *byte | bit : *byte & ~bit;
}

static void set_debug_controls(bool load_and_save, uint64_t field)
{
	uint64_t entry = vmreadz(VM_ENTRY_CONTROLS) & ~VM_ENTRY_LOAD_DEBUG_CONTROLS;
	uint64_t exit = vmreadz(VM_EXIT_CONTROLS) & ~VM_EXIT_SAVE_DEBUG_CONTROLS;

	if (load_and_save) {
		entry |= VM_ENTRY_LOAD_DEBUG_CONTROLS;
		exit |= VM_EXIT_SAVE_DEBUG_CONTROLS;
	}
	vmwrite(VM_ENTRY_CONTROLS, entry);
	vmwrite(VM_EXIT_CONTROLS, exit);
	vmwrite(GUEST_IA32_DEBUGCTL, field);
}

static void guest_enters_l2(void)
{
	static bool launched;

	GUEST_ASSERT(!(launched ? vmresume() : vmlaunch()));
	answer.exit_reason = vmreadz(VM_EXIT_REASON);
	answer.field = vmreadz(GUEST_IA32_DEBUGCTL);
	if (answer.exit_reason & FAILED_ENTRY)
		return;
	launched = true;
	vmwrite(GUEST_RIP, vmreadz(GUEST_RIP) + vmreadz(VM_EXIT_INSTRUCTION_LEN));
}

static void l1_guest_code(struct vmx_pages *vmx)
{
	unsigned long l2_stack[L2_STACK];

	GUEST_ASSERT(prepare_for_vmx_operation(vmx));
	GUEST_ASSERT(load_vmcs(vmx));
	prepare_vmcs(vmx, l2_guest_code, &l2_stack[L2_STACK]);
	vmwrite(CPU_BASED_VM_EXEC_CONTROL,
		vmreadz(CPU_BASED_VM_EXEC_CONTROL) | CPU_BASED_USE_MSR_BITMAPS);

	for (;;) {
		GUEST_SYNC_ARGS(1, answer.value, answer.fault,
				answer.exit_reason, answer.field);
		switch (request.operation) {
		case L1_READ:
			if (request.value)	/* its emulator lacks POPCNT */
				asm volatile("popcnt %%eax, %%eax" : : : "eax", "cc");
			read_debugctl(request.count);
			break;
		case L1_WRITE:
			answer.fault = wrmsr_safe(MSR_DEBUGCTL, request.value);
			break;
		case L1_ENTER_L2:
			guest_enters_l2();
			break;
		case L1_INTERCEPT:
			set_l1_intercept(vmx, request.value);
			break;
		case L1_DEBUG_CTLS:
			set_debug_controls(request.count, request.value);
			break;
		}
	}
}

/* ----------------------------------------------------------- user space -- */

static bool passes;	/* is the pass-through on in this module? */
static bool single_stepping;

static void host_debugctl_set(int cpu, bool freeze)
{
	char path[64];
	uint64_t value;
	int fd;

	snprintf(path, sizeof(path), "/dev/cpu/%d/msr", cpu);
	fd = open(path, O_RDWR);
	TEST_ASSERT(fd >= 0, "%s: %s (is the msr module loaded?)", path, strerror(errno));
	TEST_ASSERT(pread(fd, &value, 8, MSR_DEBUGCTL) == 8, "read of IA32_DEBUGCTL");
	value = freeze ? value | DEBUGCTL_FREEZE_IN_SMM : value & ~DEBUGCTL_FREEZE_IN_SMM;
	TEST_ASSERT(pwrite(fd, &value, 8, MSR_DEBUGCTL) == 8, "write of IA32_DEBUGCTL");
	close(fd);
}

static void set_guest_debug(uint32_t control)
{
	struct kvm_guest_debug debug = {
		.control = control,
		.arch.debugreg[7] = 0x400,	/* no breakpoint is armed */
	};

	vcpu_guest_debug_set(vcpu, &debug);
	single_stepping = control & KVM_GUESTDBG_SINGLESTEP;
}

/* The library completes I/O by a KVM_RUN, in which it expects no debug exit. */
static void step_to_exit(void)
{
	do {
		TEST_ASSERT(!__vcpu_run(vcpu), "KVM_RUN: %s", strerror(errno));
	} while (vcpu->run->exit_reason == KVM_EXIT_DEBUG);
	set_guest_debug(0);
}

/* Run until the guest waits for a request; false if it stops for another reason. */
static bool run_to_answer(void)
{
	struct ucall uc;

	if (single_stepping)
		step_to_exit();
	else
		vcpu_run(vcpu);
	if (vcpu->run->exit_reason != KVM_EXIT_IO)
		return false;

	switch (get_ucall(vcpu, &uc)) {
	case UCALL_SYNC:
		answer = (struct answer){ uc.args[2], uc.args[3], uc.args[4], uc.args[5] };
		return true;
	case UCALL_ABORT:
		REPORT_GUEST_ASSERT(uc);
	default:
		TEST_FAIL("unexpected ucall %lu", uc.cmd);
	}
}

/* MANY reads by L1; each exits, or none does. */
static void expect_l1_reads(uint64_t value, bool exiting)
{
	uint64_t before = exits(), count;

	ASK(READ, .count = MANY);
	count = exits() - before;
	EXPECT(answer.fault == NO_FAULT, "vector %lu", answer.fault);
	EXPECT(answer.value == value, "read %#lx, expected %#lx", answer.value, value);
	if (exiting)
		EXPECT(count >= MANY, "%lu exits in %d reads", count, MANY);
	else
		EXPECT(count < FEW, "%lu exits in %d reads", count, MANY);
}

static void enter_l2(uint64_t l2_operation, uint64_t count)
{
	struct request what = {
		.operation = L1_ENTER_L2,
		.l2_operation = l2_operation,
		.count = count,
	};

	ask(what);
}

/* L2 has paused and user space has done its part: let it exit to L1. */
static void resume_l2(void)
{
	EXPECT(run_to_answer(), "exit %d", vcpu->run->exit_reason);
	EXPECT(answer.exit_reason == EXIT_REASON_VMCALL, "%lu", answer.exit_reason);
}

static void create_vm(void)
{
	vm_vaddr_t vmx_gva;

	vm = vm_create_with_one_vcpu(&vcpu, l1_guest_code);
	vm_init_descriptor_tables(vm);
	vcpu_init_descriptor_tables(vcpu);
	vcpu_alloc_vmx(vm, &vmx_gva);
	vcpu_args_set(vcpu, 1, vmx_gva);
	TEST_ASSERT(run_to_answer(), "L1 did not start");
}

/* ---------------------------------------------------------------- cases -- */

static void l1_reads_pass(void)
{
	expect_l1_reads(0, !passes);
}

static void freeze_set_before_first_entry(void)
{
	host_debugctl_set(0, true);
	kvm_vm_free(vm);
	create_vm();
	expect_l1_reads(0, true);
	host_debugctl_set(0, false);
	expect_l1_reads(0, !passes);
}

static void freeze_set_and_cleared(void)
{
	uint64_t frozen = passes ? counter("debugctl_intercept_freeze") : 0;
	uint64_t reads = passes ? counter("debugctl_exit_l1_freeze") : 0;

	host_debugctl_set(0, true);
	expect_l1_reads(0, true);
	if (passes) {
		EXPECT(counter("debugctl_intercept_freeze") == frozen + 1, "not counted");
		EXPECT(counter("debugctl_exit_l1_freeze") == reads + MANY, "not counted");
	}
	host_debugctl_set(0, false);
	expect_l1_reads(0, !passes);
}

static void freeze_set_while_l2_runs(void)
{
	enter_l2(L2_PAUSE, 0);
	host_debugctl_set(0, true);
	resume_l2();
	expect_l1_reads(0, true);

	enter_l2(L2_PAUSE, 0);
	host_debugctl_set(0, false);
	resume_l2();
	expect_l1_reads(0, !passes);
}

static void *toggle_from_cpu1(void *unused)
{
	int i;

	pin_to_cpu(1);
	for (i = 0; i < TOGGLES; i++)
		host_debugctl_set(0, !(i & 1));
	return NULL;
}

static void freeze_toggled_by_another_cpu(void)
{
	pthread_t thread;
	int rounds = 0;

	if (!two_cpus_are_online())
		return;
	pthread_create(&thread, NULL, toggle_from_cpu1, NULL);
	do {
		ASK(READ, .count = MANY);
		EXPECT(!answer.value, "guest saw %#lx", answer.value);
		rounds++;
	} while (pthread_tryjoin_np(thread, NULL));
	ksft_print_msg("%d rounds of %d reads against %d toggles\n", rounds, MANY, TOGGLES);
	expect_l1_reads(0, !passes);
}

/*
 * Change the host's bit, let KVM emulate until it meets an instruction that it
 * cannot, and go on natively from there: the change was announced meanwhile.
 */
static void change_while_emulating(bool host_freeze)
{
	struct kvm_sregs usual, emulated;
	struct kvm_vcpu_events events;

	/* TR unusable and no unrestricted guest: not a state to enter with. */
	vcpu_sregs_get(vcpu, &usual);
	emulated = usual;
	emulated.tr.unusable = 1;
	vcpu_sregs_set(vcpu, &emulated);
	host_debugctl_set(0, host_freeze);
	EXPECT(!ASK(READ, .count = 3, .value = true) &&
	       vcpu->run->exit_reason == KVM_EXIT_INTERNAL_ERROR,
	       "exit %d", vcpu->run->exit_reason);
	vcpu_sregs_set(vcpu, &usual);
	vcpu_events_get(vcpu, &events);
	events.exception.injected = 0;	/* the #UD that KVM would report it by */
	events.exception.pending = 0;
	vcpu_events_set(vcpu, &events);
	EXPECT(run_to_answer(), "exit %d", vcpu->run->exit_reason);
	EXPECT(!answer.value && !answer.fault, "%#lx, vector %lu", answer.value, answer.fault);
}

/* KVM does not reload the field then: reads exit until the bit changes again. */
static void freeze_changed_while_kvm_emulates(void)
{
	uint64_t missed = passes ? counter("debugctl_intercept_missed") : 0;

	if (parameter("unrestricted_guest") == 'Y') {
		skip_reason = "unrestricted guest is on";
		return;
	}
	change_while_emulating(true);
	expect_l1_reads(0, true);
	change_while_emulating(false);
	expect_l1_reads(0, true);
	if (passes)
		EXPECT(counter("debugctl_intercept_missed") == missed + 2, "not counted");

	host_debugctl_set(0, true);
	expect_l1_reads(0, true);
	host_debugctl_set(0, false);
	expect_l1_reads(0, !passes);
}

static void under_guest_debug(void)
{
	set_guest_debug(KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP);
	expect_l1_reads(0, !passes);

	set_guest_debug(KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP);
	ASK(READ, .count = 3);
	EXPECT(!answer.value && !answer.fault, "%#lx, vector %lu", answer.value, answer.fault);

	set_guest_debug(0);
	expect_l1_reads(0, !passes);
}

static void l1_writes(void)
{
	static const struct {
		uint64_t value, fault;
	} writes[] = {
		{ 0, NO_FAULT },
		{ DEBUGCTL_LBR, NO_FAULT },	/* dropped without an LBR PMU */
		{ DEBUGCTL_BTF, NO_FAULT },	/* always dropped */
		{ DEBUGCTL_LBR | DEBUGCTL_BTF, NO_FAULT },
		{ DEBUGCTL_FREEZE_IN_SMM, GP_VECTOR },
		{ BIT(5), GP_VECTOR },
		{ BIT(63), GP_VECTOR },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(writes); i++) {
		ASK(WRITE, .value = writes[i].value);
		EXPECT(answer.fault == writes[i].fault, "write of %#lx: vector %lu",
		       writes[i].value, answer.fault);
		expect_l1_reads(0, !passes);
	}
}

static void set_filter(bool deny_read, bool deny_write)
{
	static uint8_t denied;
	struct kvm_msr_filter filter = {
		.flags = KVM_MSR_FILTER_DEFAULT_ALLOW,
		.ranges[0] = {
			.flags = (deny_read ? KVM_MSR_FILTER_READ : 0) |
				 (deny_write ? KVM_MSR_FILTER_WRITE : 0),
			.base = MSR_DEBUGCTL,
			.nmsrs = deny_read || deny_write,
			.bitmap = &denied,
		},
	};

	vm_ioctl(vm, KVM_X86_SET_MSR_FILTER, &filter);
}

/* The filter denies reads: user space answers each, or L1 gets #GP. */
static void expect_filtered(void)
{
	vm_enable_cap(vm, KVM_CAP_X86_USER_SPACE_MSR, KVM_MSR_EXIT_REASON_FILTER);
	EXPECT(!ASK(READ, .count = 1), "no exit");
	EXPECT(vcpu->run->exit_reason == KVM_EXIT_X86_RDMSR, "%d", vcpu->run->exit_reason);
	EXPECT(vcpu->run->msr.index == MSR_DEBUGCTL, "%#x", vcpu->run->msr.index);
	vcpu->run->msr.data = 0xabcd;
	vcpu->run->msr.error = 0;
	EXPECT(run_to_answer(), "exit %d", vcpu->run->exit_reason);
	EXPECT(answer.value == 0xabcd, "L1 read %#lx", answer.value);

	vm_enable_cap(vm, KVM_CAP_X86_USER_SPACE_MSR, 0);
	ASK(READ, .count = 1);
	EXPECT(answer.fault == GP_VECTOR, "vector %lu", answer.fault);
}

static void filter_between_entries(void)
{
	set_filter(true, false);
	expect_filtered();
	set_filter(false, true);
	expect_l1_reads(0, !passes);
	set_filter(true, true);
	expect_filtered();
	set_filter(false, false);
	expect_l1_reads(0, !passes);
}

static void filter_while_l2_runs(void)
{
	enter_l2(L2_PAUSE, 0);
	set_filter(true, false);
	resume_l2();
	expect_filtered();

	enter_l2(L2_PAUSE, 0);
	set_filter(false, true);
	resume_l2();
	expect_l1_reads(0, !passes);

	set_filter(true, false);
	enter_l2(L2_PAUSE, 0);
	set_filter(false, false);
	resume_l2();
	expect_l1_reads(0, !passes);
}

static void filter_and_freeze(void)
{
	set_filter(true, false);
	host_debugctl_set(0, true);
	expect_filtered();
	host_debugctl_set(0, false);
	expect_filtered();
	host_debugctl_set(0, true);
	set_filter(false, false);
	expect_l1_reads(0, true);
	host_debugctl_set(0, false);
	expect_l1_reads(0, !passes);
}

static void user_space_sets_the_msr(void)
{
	static const struct {
		uint64_t value;
		int result;
	} sets[] = {
		{ 0, 1 },
		{ DEBUGCTL_BTF, 1 },
		{ DEBUGCTL_FREEZE_IN_SMM, 0 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sets); i++) {
		EXPECT(_vcpu_set_msr(vcpu, MSR_DEBUGCTL, sets[i].value) == sets[i].result,
		       "KVM_SET_MSRS of %#lx", sets[i].value);
		EXPECT(!vcpu_get_msr(vcpu, MSR_DEBUGCTL), "KVM_GET_MSRS");
		expect_l1_reads(0, !passes);
	}

	/* The same while the host owns the bit: it must not show. */
	host_debugctl_set(0, true);
	expect_l1_reads(0, true);
	EXPECT(!vcpu_get_msr(vcpu, MSR_DEBUGCTL), "KVM_GET_MSRS shows the host's bit");
	host_debugctl_set(0, false);
	expect_l1_reads(0, !passes);
}

static void state_restored_in_new_vm(void)
{
	enter_l2(L2_PAUSE, 0);
	move_to_new_vm();
	resume_l2();
	expect_l1_reads(0, !passes);
}

static void vmcs12_debug_controls(void)
{
	static const struct {
		bool load_and_save;
		uint64_t field;
		uint64_t exit_reason;
		bool with_quirk, without;	/* the quirk of newer kernels, by which it may */
	} entries[] = {
		{ false, 0, EXIT_REASON_VMCALL },
		{ false, DEBUGCTL_FREEZE_IN_SMM, EXIT_REASON_VMCALL },
		{ true, 0, EXIT_REASON_VMCALL },
		{ true, DEBUGCTL_BTF, EXIT_REASON_VMCALL },
		{ true, DEBUGCTL_FREEZE_IN_SMM, EXIT_REASON_VMCALL, .with_quirk = true },
		{ true, DEBUGCTL_FREEZE_IN_SMM, FAILED_ENTRY | EXIT_REASON_INVALID_STATE,
		  .without = true },
		{ true, 0, EXIT_REASON_VMCALL },
	};
	unsigned int i;
	bool has_quirk = kvm_check_cap(KVM_CAP_DISABLE_QUIRKS2) & QUIRK_ALLOW_FREEZE_IN_SMM;

	for (i = 0; i < ARRAY_SIZE(entries); i++) {
		struct request what = {
			.operation = L1_DEBUG_CTLS,
			.count = entries[i].load_and_save,
			.value = entries[i].field,
		};

		if (entries[i].with_quirk && !has_quirk)
			continue;
		if (entries[i].without && has_quirk)
			vm_enable_cap(vm, KVM_CAP_DISABLE_QUIRKS2, QUIRK_ALLOW_FREEZE_IN_SMM);
		ask(what);
		enter_l2(L2_READ, MANY);
		EXPECT(answer.exit_reason == entries[i].exit_reason, "entry %u: reason %#lx",
		       i, answer.exit_reason);
		EXPECT(answer.field == entries[i].field, "entry %u: vmcs12 field %#lx",
		       i, answer.field);
		expect_l1_reads(0, !passes);
	}
}

static void l2_reads_exit(void)
{
	uint64_t reads = passes ? counter("debugctl_exit_l2") : 0;
	uint64_t before = exits(), count;

	/* L1 lets them pass: L0 must still see each. */
	ASK(INTERCEPT, .value = false);
	enter_l2(L2_READ, MANY);
	count = exits() - before;
	EXPECT(answer.exit_reason == EXIT_REASON_VMCALL, "%#lx", answer.exit_reason);
	EXPECT(!answer.value, "L2 read %#lx", answer.value);
	EXPECT(count >= MANY, "%lu exits in %d reads", count, MANY);
	if (passes)
		EXPECT(counter("debugctl_exit_l2") == reads + MANY, "not counted");

	/* L1 intercepts: L1 must see them. */
	ASK(INTERCEPT, .value = true);
	enter_l2(L2_READ, 1);
	EXPECT(answer.exit_reason == EXIT_REASON_MSR_READ, "%#lx", answer.exit_reason);
	enter_l2(L2_READ, 1);
	EXPECT(answer.exit_reason == EXIT_REASON_VMCALL, "%#lx", answer.exit_reason);
	ASK(INTERCEPT, .value = false);
}

/* Each vCPU counts for itself; the file shows the VM. */
static void counters_are_summed(void)
{
	struct kvm_vcpu *two[2];
	struct kvm_vm *usual = vm;

	if (!passes) {
		skip_reason = "this module counts nothing here";
		return;
	}
	vm = vm_create_with_vcpus(2, l1_guest_code, two);
	EXPECT(counter("debugctl_pass_through") == 2, "%lu at the creation of 2 vCPUs",
	       counter("debugctl_pass_through"));
	kvm_vm_free(vm);
	vm = usual;
}

static void verify_found_nothing(void)
{
	if (!verify_is_on())
		return;
	expect_verified("debugctl", passes);
}

static const struct test_case cases[] = {
	CASE(l1_reads_pass),
	CASE(freeze_set_before_first_entry),
	CASE(freeze_set_and_cleared),
	CASE(freeze_set_while_l2_runs),
	CASE(freeze_toggled_by_another_cpu),
	CASE(freeze_changed_while_kvm_emulates),
	CASE(under_guest_debug),
	CASE(l1_writes),
	CASE(filter_between_entries),
	CASE(filter_while_l2_runs),
	CASE(filter_and_freeze),
	CASE(user_space_sets_the_msr),
	CASE(vmcs12_debug_controls),
	CASE(l2_reads_exit),
	CASE(counters_are_summed),
	CASE(verify_found_nothing),
	/* Last: the counters of the old VM are gone. */
	CASE(state_restored_in_new_vm),
	CASE(verify_found_nothing),
};

int main(int argc, char **argv)
{
	begin_test();
	passes = parameter("debugctl_passthrough") == 'Y';
	ksft_print_msg("L1's reads are expected %s\n", passes ? "not to exit" : "to exit");
	pin_to_cpu(0);
	host_debugctl_set(0, false);
	create_vm();
	run_cases(cases, ARRAY_SIZE(cases), argv + 1);
	kvm_vm_free(vm);
	ksft_finished();
}
