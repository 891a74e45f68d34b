// SPDX-License-Identifier: GPL-2.0
/*
 * What a switch between L1 and L2 leaves behind is what the SDM and stock KVM say,
 * though most of it is not worked out anew: CPUID bits that follow CR4, the MSRs of
 * SYSCALL, L1's segments, a pending interrupt, L2's preemption timer, VMCS fields
 * of a new VMCS.  Runs under stock and under kvm-intel-fast, with the same results.
 *
 * Each case has a VM of its own, in which L1 plays the part that the case names.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>

#include "kvm_util.h"
#include "processor.h"
#include "vmx.h"
#include "apic.h"

#include "lib/cases.h"
#include "lib/guest.h"
#include "lib/mailbox.h"
#include "lib/vm.h"

#define L2_STACK	512
#define ROUNDS		20
#define XCR0_X87	1ul
#define XCR0_AVX	4ul
#define DATA_SELECTOR	0x10
#define FIRST_VECTOR	0x31
#define VECTOR_STEP	0x13	/* so that each word of the IRR has its turn */
#define EXIT_REASON_TIMER	52
#define EVENT_VALID	BIT(31)	/* an external interrupt */
#define SLOWNESS	10	/* of L2's microseconds: the debug kernel needs time */
#define RFLAGS_IF	BIT(9)
#define MANY		2000	/* round trips */
#define TSX_CTRL	0x122
#define RTM_DISABLE	1

/* Where the VM stopped. */
enum { IN_L1 = 1, IN_L2, FINISHED };

enum part { PART_CPUID, PART_SYSCALL, PART_SEGMENTS, PART_INTERRUPTS, PART_TIMER,
	    PART_TIMER_LEFT, PART_RESTART, PART_EVENTS, PART_MANY, PART_HOST_STATE,
	    PART_BREAKPOINT };

static struct request {
	uint64_t part, tsc_khz, list_gpa, has_umip;
} request;

/* Of the timer; times are in microseconds, SLOWNESS times as long. */
static struct {
	uint64_t reason, elapsed;
} answer[8];

/* ---------------------------------------------------------------- guest -- */

static unsigned long l2_stack[L2_STACK];
static uint64_t l2_until;
static bool launched;
static volatile uint64_t vector_seen;

#define VMCALL() asm volatile("vmcall" : : : "memory")

static void ENTRY_POINT l2_sync(void)
{
	GUEST_SYNC(IN_L2);
	VMCALL();
}

static void ENTRY_POINT l2_nothing(void)
{
	VMCALL();
}

static void ENTRY_POINT l2_spin(void)
{
	while (rdtsc() < READ_ONCE(l2_until))
		;
	VMCALL();
}

/* Runs an L2 function from its start; the exit reason. */
static uint64_t enter(void (*function)(void))
{
	vmwrite(GUEST_RIP, (uint64_t)function);
	vmwrite(GUEST_RSP, (uint64_t)&l2_stack[L2_STACK]);
	GUEST_ASSERT(!(launched ? vmresume() : vmlaunch()));
	launched = true;
	return vmreadz(VM_EXIT_REASON);
}

static void start_vmx(struct vmx_pages *vmx)
{
	GUEST_ASSERT(prepare_for_vmx_operation(vmx));
	GUEST_ASSERT(load_vmcs(vmx));
	prepare_vmcs(vmx, l2_nothing, &l2_stack[L2_STACK]);
	vmwrite(CPU_BASED_VM_EXEC_CONTROL,
		vmreadz(CPU_BASED_VM_EXEC_CONTROL) | CPU_BASED_USE_MSR_BITMAPS);
	launched = false;
}

/* L1 has CR4.OSXSAVE, L2 has not. */
static void l1_cpuid(struct vmx_pages *vmx)
{
	uint32_t eax, ebx, ecx, edx;

	set_cr4(get_cr4() | X86_CR4_OSXSAVE);
	start_vmx(vmx);
	vmwrite(GUEST_CR4, get_cr4() & ~X86_CR4_OSXSAVE);
	for (;;) {
		GUEST_ASSERT(enter(l2_sync) == EXIT_REASON_VMCALL);
		cpuid(1, &eax, &ebx, &ecx, &edx);
		GUEST_ASSERT(ecx & BIT(27));
		GUEST_SYNC(IN_L1);
	}
}

/* SYSCALL leaves the address after it in RCX. */
static __attribute__((naked)) void syscall_first(void)
{
	asm("mov $1, %eax; jmp *%rcx");
}

static __attribute__((naked)) void syscall_second(void)
{
	asm("mov $2, %eax; jmp *%rcx");
}

static uint64_t do_syscall(void)
{
	uint64_t where = 0;

	asm volatile("syscall" : "+a"(where) : : "rcx", "r11", "memory");
	return where;
}

static void ENTRY_POINT l2_moves_syscall(void)
{
	wrmsr(MSR_LSTAR, (uint64_t)syscall_second);
	VMCALL();
}

/* L1 has EFER.SCE, L2 has not, and yet writes LSTAR, which an exit does not load. */
static void l1_syscall(struct vmx_pages *vmx)
{
	int i;

	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE);
	wrmsr(MSR_STAR, (uint64_t)get_cs() << 32);
	wrmsr(MSR_SYSCALL_MASK, 0);
	start_vmx(vmx);
	vmwrite(VM_EXIT_CONTROLS, vmreadz(VM_EXIT_CONTROLS) | VM_EXIT_LOAD_IA32_EFER);
	vmwrite(VM_ENTRY_CONTROLS, vmreadz(VM_ENTRY_CONTROLS) | VM_ENTRY_LOAD_IA32_EFER);
	vmwrite(HOST_IA32_EFER, rdmsr(MSR_EFER));
	vmwrite(GUEST_IA32_EFER, rdmsr(MSR_EFER) & ~EFER_SCE);
	for (i = 0; i < ROUNDS; i++) {
		wrmsr(MSR_LSTAR, (uint64_t)syscall_first);
		GUEST_ASSERT_1(do_syscall() == 1, i);
		GUEST_ASSERT(enter(l2_nothing) == EXIT_REASON_VMCALL);
		GUEST_ASSERT_1(do_syscall() == 1, i);
		GUEST_ASSERT(enter(l2_moves_syscall) == EXIT_REASON_VMCALL);
		GUEST_ASSERT_1(do_syscall() == 2, i);
	}
}

#define SEGMENT_BASE(n) (0x123450000ul * (n))

/* L1 runs with other segments than those that an exit loads. */
static void l1_segments(struct vmx_pages *vmx)
{
	struct desc_ptr gdt = get_gdt();
	uint16_t none = 0, data = DATA_SELECTOR;
	int i;

	start_vmx(vmx);
	vmwrite(HOST_ES_SELECTOR, 0);
	vmwrite(HOST_DS_SELECTOR, data);
	vmwrite(HOST_FS_SELECTOR, data);
	vmwrite(HOST_GS_SELECTOR, 0);
	vmwrite(HOST_FS_BASE, SEGMENT_BASE(1));
	vmwrite(HOST_GS_BASE, SEGMENT_BASE(2));
	for (i = 0; i < ROUNDS; i++) {
		gdt.size = 0x7f;
		asm volatile("mov %0, %%es; mov %0, %%gs; mov %1, %%fs; mov %1, %%ds; lgdt %2" : :
			     "r"(data), "r"(none), "m"(gdt));
		GUEST_ASSERT(enter(l2_nothing) == EXIT_REASON_VMCALL);
		GUEST_SYNC(IN_L1);
	}
}

static struct {
	uint32_t index, reserved;
	uint64_t value;
} __attribute__((aligned(16))) exit_load_list[1];

/* What an exit loads is another each time. */
static void l1_host_state(struct vmx_pages *vmx)
{
	uint64_t cr4, pat = rdmsr(MSR_IA32_CR_PAT);
	int i;

	start_vmx(vmx);
	cr4 = get_cr4() & ~X86_CR4_UMIP;
	vmwrite(VM_EXIT_CONTROLS, vmreadz(VM_EXIT_CONTROLS) | VM_EXIT_LOAD_IA32_PAT);
	vmwrite(VM_ENTRY_CONTROLS, vmreadz(VM_ENTRY_CONTROLS) | VM_ENTRY_LOAD_IA32_PAT);
	vmwrite(GUEST_IA32_PAT, pat);
	exit_load_list[0].index = MSR_KERNEL_GS_BASE;
	vmwrite(VM_EXIT_MSR_LOAD_ADDR, request.list_gpa);
	for (i = 0; i < ROUNDS; i++) {
		if (request.has_umip)
			vmwrite(HOST_CR4, cr4 | (i & 2 ? X86_CR4_UMIP : 0));
		vmwrite(HOST_IA32_PAT, i & 1 ? pat : (pat & ~0xfful) | 4);
		vmwrite(VM_EXIT_MSR_LOAD_COUNT, i % 3 == 2);
		exit_load_list[0].value = 0x1000 * i;
		wrmsr(MSR_KERNEL_GS_BASE, 8 * i);
		GUEST_ASSERT(enter(l2_nothing) == EXIT_REASON_VMCALL);
		GUEST_ASSERT_1(get_cr4() == vmreadz(HOST_CR4), i);
		GUEST_ASSERT_1(rdmsr(MSR_IA32_CR_PAT) == vmreadz(HOST_IA32_PAT), i);
		GUEST_ASSERT_1(rdmsr(MSR_KERNEL_GS_BASE) == (i % 3 == 2 ? 0x1000 : 8) * i, i);
	}
}

static __attribute__((naked)) noinline void here(void)
{
	asm("ret");
}

static void l1_breakpoint(struct vmx_pages *vmx)
{
	int i;

	start_vmx(vmx);
	for (i = 0; i < ROUNDS; i++) {
		GUEST_ASSERT(enter(l2_nothing) == EXIT_REASON_VMCALL);
		here();
	}
}

static void note_vector(struct ex_regs *regs)
{
	vector_seen = regs->vector;
	x2apic_write_reg(APIC_EOI, 0);
}

/* A pending interrupt outlives an exit to L0 and a trip to L2. */
static void l1_interrupts(struct vmx_pages *vmx)
{
	uint32_t eax, ebx, ecx, edx;
	uint64_t pin_based;
	int vector;

	x2apic_enable();
	start_vmx(vmx);
	pin_based = vmreadz(PIN_BASED_VM_EXEC_CONTROL);
	for (vector = FIRST_VECTOR; vector < 0x100; vector += VECTOR_STEP) {
		asm volatile("cli");
		x2apic_write_reg(APIC_SELF_IPI, vector);
		cpuid(0, &eax, &ebx, &ecx, &edx);
		if (vector & 1) {
			GUEST_ASSERT(enter(l2_nothing) == EXIT_REASON_VMCALL);
			/* Exits for interrupts: this one ends L2 before its first instruction. */
			vmwrite(PIN_BASED_VM_EXEC_CONTROL, pin_based | PIN_BASED_EXT_INTR_MASK);
			GUEST_ASSERT(enter(l2_nothing) == EXIT_REASON_EXTERNAL_INTERRUPT);
			GUEST_ASSERT(vmreadz(GUEST_RIP) == (uint64_t)l2_nothing);
			vmwrite(PIN_BASED_VM_EXEC_CONTROL, pin_based);
		}
		vector_seen = 0;
		asm volatile("sti; nop; cli" : : : "memory");
		GUEST_ASSERT_2(vector_seen == vector, vector, vector_seen);
	}
}

static uint64_t tsc_of(uint64_t microseconds)
{
	return microseconds * request.tsc_khz / 1000;
}

static void spin(uint64_t microseconds)
{
	uint64_t until = rdtsc() + tsc_of(microseconds);

	while (rdtsc() < until)
		;
}

/* L2 runs for @run microseconds, with its timer set to @timer. */
static void count_down(int n, uint64_t timer, uint64_t run)
{
	uint64_t start, rate = rdmsr(MSR_IA32_VMX_MISC) & 0x1f;

	vmwrite(VMX_PREEMPTION_TIMER_VALUE, tsc_of(timer) >> rate);
	start = rdtsc();
	l2_until = run ? start + tsc_of(run) : 0;
	answer[n].reason = enter(l2_spin);
	answer[n].elapsed = (rdtsc() - start) * 1000 / request.tsc_khz;
}

static void use_timer(struct vmx_pages *vmx)
{
	start_vmx(vmx);
	vmwrite(PIN_BASED_VM_EXEC_CONTROL,
		vmreadz(PIN_BASED_VM_EXEC_CONTROL) | PIN_BASED_VMX_PREEMPTION_TIMER);
}

static void l1_timer(struct vmx_pages *vmx)
{
	use_timer(vmx);
	/* Armed for long, then needed soon. */
	count_down(0, 100000, 0);
	count_down(1, 2000, 20000);
	/* Armed for soon, fires while L1 runs. */
	count_down(2, 2000, 0);
	spin(4000);
	count_down(3, 20000, 6000);
	/* Armed for soon, then needed later. */
	count_down(4, 3000, 0);
	count_down(5, 10000, 30000);
	/* The same, but not needed at all. */
	count_down(6, 3000, 0);
	count_down(7, 20000, 6000);
}

/* Armed for long after user space has destroyed the VM, however slow the kernel is. */
static void l1_timer_left(struct vmx_pages *vmx)
{
	use_timer(vmx);
	count_down(0, 2000000, 0);
	GUEST_SYNC(IN_L1);
}

static void l1_many(struct vmx_pages *vmx)
{
	int i;

	start_vmx(vmx);
	for (i = 0; i < MANY; i++)
		GUEST_ASSERT(enter(l2_nothing) == EXIT_REASON_VMCALL);
	GUEST_DONE();
}

/* L1 injects the same event each time. */
static void l1_events(struct vmx_pages *vmx)
{
	int i;

	x2apic_enable();
	start_vmx(vmx);
	for (i = 0; i < ROUNDS; i++) {
		vector_seen = 0;
		vmwrite(VM_ENTRY_INTR_INFO_FIELD, EVENT_VALID | FIRST_VECTOR);
		vmwrite(GUEST_RFLAGS, RFLAGS_IF | 2);
		GUEST_ASSERT(enter(l2_nothing) == EXIT_REASON_VMCALL);
		GUEST_ASSERT_2(vector_seen == FIRST_VECTOR, i, vector_seen);
	}
}

/* VMXOFF frees vmcs02, VMXON makes another. */
static void l1_restart(struct vmx_pages *vmx)
{
	int i, j;

	for (i = 0; i < ROUNDS; i++) {
		start_vmx(vmx);
		for (j = 0; j < 3; j++)
			GUEST_ASSERT(enter(l2_nothing) == EXIT_REASON_VMCALL);
		asm volatile("vmxoff" : : : "cc", "memory");
	}
}

static void ENTRY_POINT l1_guest_code(struct vmx_pages *vmx)
{
	static void (* const parts[])(struct vmx_pages *vmx) = {
		[PART_CPUID] = l1_cpuid,
		[PART_SYSCALL] = l1_syscall,
		[PART_SEGMENTS] = l1_segments,
		[PART_INTERRUPTS] = l1_interrupts,
		[PART_TIMER] = l1_timer,
		[PART_TIMER_LEFT] = l1_timer_left,
		[PART_RESTART] = l1_restart,
		[PART_EVENTS] = l1_events,
		[PART_MANY] = l1_many,
		[PART_HOST_STATE] = l1_host_state,
		[PART_BREAKPOINT] = l1_breakpoint,
	};

	parts[request.part](vmx);
	GUEST_DONE();
}

/* ----------------------------------------------------------- user space -- */

static void create_vm(enum part part)
{
	vm_vaddr_t vmx_gva;
	int vector;

	vm = vm_create_with_one_vcpu(&vcpu, l1_guest_code);
	vm_init_descriptor_tables(vm);
	vcpu_init_descriptor_tables(vcpu);
	for (vector = FIRST_VECTOR; vector < 0x100; vector += VECTOR_STEP)
		vm_install_exception_handler(vm, vector, note_vector);
	vcpu_alloc_vmx(vm, &vmx_gva);
	vcpu_args_set(vcpu, 1, vmx_gva);
	hand_over(((struct request){
		.part = part,
		.tsc_khz = __vcpu_ioctl(vcpu, KVM_GET_TSC_KHZ, NULL) * SLOWNESS,
		.list_gpa = addr_gva2gpa(vm, (vm_vaddr_t)exit_load_list),
		.has_umip = kvm_cpu_has(X86_FEATURE_UMIP),
	}));
}

static int run(void)
{
	struct ucall uc;

	vcpu_run(vcpu);
	if (vcpu->run->exit_reason != KVM_EXIT_IO) {
		EXPECT(false, "exit reason %u (%s)", vcpu->run->exit_reason,
		       exit_reason_str(vcpu->run->exit_reason));
		return FINISHED;
	}
	switch (get_ucall(vcpu, &uc)) {
	case UCALL_SYNC:
		return uc.args[1];
	case UCALL_ABORT:
		EXPECT(false, "in the guest, line %lu: %s %s", (unsigned long)uc.args[GUEST_LINE],
		       (char *)uc.args[0], guest_said(uc));
		return FINISHED;
	default:
		return FINISHED;
	}
}

static void run_to_the_end(enum part part)
{
	create_vm(part);
	while (run() != FINISHED)
		;
	kvm_vm_free(vm);
}

static void set_xcr0(uint64_t value)
{
	struct kvm_xcrs xcrs;

	vcpu_xcrs_get(vcpu, &xcrs);
	xcrs.xcrs[0].value = value;
	vcpu_xcrs_set(vcpu, &xcrs);
}

static uint64_t xcr0(void)
{
	struct kvm_xcrs xcrs;

	vcpu_xcrs_get(vcpu, &xcrs);
	return xcrs.xcrs[0].value;
}

static struct kvm_cpuid2 *get_cpuid(void)
{
	struct kvm_cpuid2 *entries = allocate_kvm_cpuid2(vcpu->cpuid->nent);

	vcpu_ioctl(vcpu, KVM_GET_CPUID2, entries);
	return entries;
}

/*
 * CPUID must be what KVM makes of it when XCR0 changes, an update that kvm.ko does
 * by itself; and CPUID.1:ECX.OSXSAVE what CR4 says.
 */
static void expect_cpuid(bool osxsave, const char *when)
{
	struct kvm_cpuid2 *before = get_cpuid(), *after;
	uint64_t value = xcr0();
	int i;

	set_xcr0(value ^ (XCR0_AVX | 2));
	set_xcr0(value);
	after = get_cpuid();
	for (i = 0; i < after->nent; i++) {
		EXPECT(!memcmp(&before->entries[i], &after->entries[i], sizeof(after->entries[i])),
		       "%s: leaf %#x.%u is %#x %#x %#x %#x, not %#x %#x %#x %#x", when,
		       after->entries[i].function, after->entries[i].index,
		       before->entries[i].eax, before->entries[i].ebx,
		       before->entries[i].ecx, before->entries[i].edx,
		       after->entries[i].eax, after->entries[i].ebx,
		       after->entries[i].ecx, after->entries[i].edx);
		if (after->entries[i].function == 1)
			EXPECT(!!(before->entries[i].ecx & BIT(27)) == osxsave, "%s", when);
	}
	free(before);
	free(after);
}

static void expect_cpuid_after_round_trips(const char *when)
{
	int i;

	for (i = 0; i < 3 && !case_failed; i++) {
		EXPECT(run() == IN_L2, "%s", when);
		expect_cpuid(false, when);
		EXPECT(run() == IN_L1, "%s", when);
		expect_cpuid(true, when);
	}
}

static void set_osxsave(bool on)
{
	struct kvm_sregs sregs;

	vcpu_sregs_get(vcpu, &sregs);
	if (on)
		sregs.cr4 |= X86_CR4_OSXSAVE;
	else
		sregs.cr4 &= ~X86_CR4_OSXSAVE;
	vcpu_sregs_set(vcpu, &sregs);
}

static void cpuid_follows_cr4(void)
{
	create_vm(PART_CPUID);
	vcpu_set_cpuid_feature(vcpu, X86_FEATURE_MWAIT);
	set_xcr0(XCR0_X87);
	/* KVM knows the entries now, and then gets others. */
	set_osxsave(true);
	set_osxsave(false);
	vcpu_set_cpuid(vcpu);
	expect_cpuid_after_round_trips("CPUID set anew");

	set_xcr0(XCR0_X87 | 2 | XCR0_AVX);
	expect_cpuid_after_round_trips("larger XCR0");
	set_xcr0(XCR0_X87);
	expect_cpuid_after_round_trips("smaller XCR0");

	/* Of no effect before CPUID is updated the next time. */
	vm_enable_cap(vm, KVM_CAP_DISABLE_QUIRKS2, KVM_X86_QUIRK_MISC_ENABLE_NO_MWAIT);
	expect_cpuid_after_round_trips("MWAIT follows IA32_MISC_ENABLE");
	kvm_vm_free(vm);
}

static void syscall_goes_where_l2_said(void)
{
	run_to_the_end(PART_SYSCALL);
}

static void expect_segment(const char *name, const struct kvm_segment *is, uint64_t base,
			   uint32_t limit, uint16_t selector, int type, bool code)
{
	EXPECT(is->base == base && is->limit == limit && is->selector == selector,
	       "%s: base %#llx, limit %#x, selector %#x", name, is->base, is->limit, is->selector);
	EXPECT(is->type == type && is->s == (limit != 0x67) && is->g == (limit != 0x67) &&
	       !is->dpl && is->present && !is->unusable,
	       "%s: type %u, s %u, g %u, dpl %u, present %u, unusable %u", name, is->type, is->s,
	       is->g, is->dpl, is->present, is->unusable);
	EXPECT(is->l == code && is->db == (!code && limit != 0x67), "%s: l %u, db %u", name,
	       is->l, is->db);
}

static void segments_after_exit(void)
{
	struct kvm_sregs first, sregs;
	int i;

	create_vm(PART_SEGMENTS);
	vcpu_sregs_get(vcpu, &first);
	for (i = 0; i < ROUNDS && !case_failed; i++) {
		EXPECT(run() == IN_L1, "round %d", i);
		vcpu_sregs_get(vcpu, &sregs);
		expect_segment("CS", &sregs.cs, 0, ~0, first.cs.selector, 11, true);
		expect_segment("SS", &sregs.ss, 0, ~0, first.ss.selector, 3, false);
		expect_segment("DS", &sregs.ds, 0, ~0, DATA_SELECTOR, 3, false);
		expect_segment("ES", &sregs.es, 0, ~0, 0, 3, false);
		expect_segment("FS", &sregs.fs, SEGMENT_BASE(1), ~0, DATA_SELECTOR, 3, false);
		expect_segment("GS", &sregs.gs, SEGMENT_BASE(2), ~0, 0, 3, false);
		expect_segment("TR", &sregs.tr, first.tr.base, 0x67, first.tr.selector, 11, false);
		EXPECT(sregs.ldt.unusable && !sregs.ldt.selector, "LDTR");
		EXPECT(sregs.gdt.limit == 0xffff && sregs.gdt.base == first.gdt.base, "GDTR");
		EXPECT(sregs.idt.limit == 0xffff && sregs.idt.base == first.idt.base, "IDTR");
	}
	kvm_vm_free(vm);
}

static void host_state_is_loaded(void)
{
	run_to_the_end(PART_HOST_STATE);
}

/* User space's breakpoint, in the debug registers of the vCPU, outlives an exit of L2. */
static void breakpoint_stays(void)
{
	struct kvm_guest_debug debug = {
		.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP,
		.arch.debugreg = { [0] = (unsigned long)here, [7] = 0x402 },
	};
	int i;

	create_vm(PART_BREAKPOINT);
	vcpu_guest_debug_set(vcpu, &debug);
	for (i = 0; i < ROUNDS; i++) {
		vcpu_run(vcpu);
		EXPECT(vcpu->run->exit_reason == KVM_EXIT_DEBUG &&
		       vcpu->run->debug.arch.pc == (unsigned long)here, "round %d: exit %u", i,
		       vcpu->run->exit_reason);
		if (case_failed)
			break;
		/* On from there, without the breakpoint for one instruction. */
		debug.control |= KVM_GUESTDBG_SINGLESTEP;
		debug.arch.debugreg[7] = 0x400;
		vcpu_guest_debug_set(vcpu, &debug);
		vcpu_run(vcpu);
		debug.control &= ~KVM_GUESTDBG_SINGLESTEP;
		debug.arch.debugreg[7] = 0x402;
		vcpu_guest_debug_set(vcpu, &debug);
	}
	kvm_vm_free(vm);
}

static void interrupt_stays_pending(void)
{
	run_to_the_end(PART_INTERRUPTS);
}

static void expect_time(int n, uint64_t reason, uint64_t least, uint64_t most)
{
	EXPECT(answer[n].reason == reason && answer[n].elapsed >= least &&
	       answer[n].elapsed <= most, "%d: exit reason %lu after %lu us", n,
	       answer[n].reason, answer[n].elapsed);
}

static void l2s_timer_in_time(void)
{
	create_vm(PART_TIMER);
	while (run() != FINISHED)
		;
	sync_global_from_guest(vm, answer);
	expect_time(0, EXIT_REASON_VMCALL, 0, 5000);
	expect_time(1, EXIT_REASON_TIMER, 2000, 8000);
	expect_time(2, EXIT_REASON_VMCALL, 0, 2000);
	expect_time(3, EXIT_REASON_VMCALL, 6000, 15000);
	expect_time(4, EXIT_REASON_VMCALL, 0, 3000);
	expect_time(5, EXIT_REASON_TIMER, 9990, 16000);
	expect_time(6, EXIT_REASON_VMCALL, 0, 3000);
	expect_time(7, EXIT_REASON_VMCALL, 6000, 15000);
	kvm_vm_free(vm);
}

/* Found by the debug kernel, or by a crash. */
static void destroyed_with_timer_armed(void)
{
	int i;

	for (i = 0; i < 5; i++) {
		create_vm(PART_TIMER_LEFT);
		EXPECT(run() == IN_L1, "try %d", i);
		kvm_vm_free(vm);
		usleep(40000);
	}
}

static void l2_gets_each_event(void)
{
	run_to_the_end(PART_EVENTS);
}

static void vmx_restarted(void)
{
	run_to_the_end(PART_RESTART);
}

static struct {
	int fd;			/* of CPU 0's MSRs */
	bool stop;
	int others, guests;	/* times that the MSR had the host's value, or the guest's */
} tsx_ctrl;

static void *look_at_tsx_ctrl(void *unused)
{
	uint64_t value;

	pin_to_cpu(1);
	while (!READ_ONCE(tsx_ctrl.stop)) {
		if (pread(tsx_ctrl.fd, &value, sizeof(value), TSX_CTRL) != sizeof(value))
			continue;
		if (value & RTM_DISABLE)
			tsx_ctrl.guests++;
		else
			tsx_ctrl.others++;
	}
	return NULL;
}

/* What user space gave L1 is in the MSR while the vCPU runs, also after EFER was written. */
static void tsx_ctrl_is_loaded(void)
{
	pthread_t thread;

	tsx_ctrl.fd = open("/dev/cpu/0/msr", O_RDONLY);
	if (!kvm_cpu_has(X86_FEATURE_RTM) || tsx_ctrl.fd < 0 || sysconf(_SC_NPROCESSORS_ONLN) < 2) {
		skip_reason = "no RTM, no /dev/cpu/0/msr or one CPU only";
		return;
	}
	pin_to_cpu(0);
	create_vm(PART_MANY);
	vcpu_set_msr(vcpu, TSX_CTRL, RTM_DISABLE);
	pthread_create(&thread, NULL, look_at_tsx_ctrl, NULL);
	EXPECT(run() == FINISHED, "L1");
	WRITE_ONCE(tsx_ctrl.stop, true);
	pthread_join(thread, NULL);
	ksft_print_msg("the guest's value %d times, the host's %d times\n", tsx_ctrl.guests,
		       tsx_ctrl.others);
	EXPECT(tsx_ctrl.guests > 2 * tsx_ctrl.others, "not loaded");
	kvm_vm_free(vm);
	close(tsx_ctrl.fd);
}

static void verify_found_nothing(void)
{
	static const char * const subjects[] = {
		"user_return", "host_state", "known_fields",
	};
	unsigned int i;

	if (!verify_is_on())
		return;
	create_vm(PART_CPUID);
	for (i = 0; i < 2 * ROUNDS; i++)
		EXPECT(run() != FINISHED, "round %u", i);
	for (i = 0; i < ARRAY_SIZE(subjects); i++)
		expect_verified(subjects[i], true);
	expect_verified("cpuid", !kernel_is_at_least(7, 2));	/* patch 0008 is not needed there */
	expect_verified("preemption_timer", false);	/* this L1 has none */
	kvm_vm_free(vm);
}

static const struct test_case cases[] = {
	CASE(cpuid_follows_cr4),
	CASE(syscall_goes_where_l2_said),
	CASE(segments_after_exit),
	CASE(host_state_is_loaded),
	CASE(breakpoint_stays),
	CASE(interrupt_stays_pending),
	CASE(l2s_timer_in_time),
	CASE(destroyed_with_timer_armed),
	CASE(vmx_restarted),
	CASE(l2_gets_each_event),
	CASE(tsx_ctrl_is_loaded),
	CASE(verify_found_nothing),
};

int main(int argc, char **argv)
{
	begin_test();
	run_cases(cases, ARRAY_SIZE(cases), argv + 1);
	ksft_finished();
}
