// SPDX-License-Identifier: GPL-2.0
/*
 * The guests of switch_test: in each case L1 plays the part that user space names.
 */
#include "module/switch/switch.h"

#define L2_STACK	512
#define EVENT_VALID	BIT(31)	/* an external interrupt */
#define RFLAGS_IF	BIT(9)
#define MANY		2000	/* round trips */

struct request request;
struct answer answer[8];

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

struct msr_entry exit_load_list[1];

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

__attribute__((naked)) noinline void here(void)
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

void note_vector(struct ex_regs *regs)
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

void ENTRY_POINT l1_guest_code(struct vmx_pages *vmx)
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
