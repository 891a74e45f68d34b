// SPDX-License-Identifier: GPL-2.0
/*
 * The guests of switch_test: in each case L1 plays the part that user space names.
 */
#include "module/switch/switch.h"

#define L2_STACK	512
#define EVENT_VALID	BIT(31)	/* an external interrupt */
#define CR3_PWT		BIT(3)
#define RFLAGS_IF	BIT(9)
#define PID_ON		32	/* SDM, "Posted-Interrupt Processing": bit 256 */
#define NOTIFICATION_VECTOR 0xef
#define BLOCKING_BY_NMI	BIT(3)
#define MANY		2000	/* round trips */
#define TSC_ONE		BIT(48)	/* a multiplier has 48 bits of fraction */

struct request request;
struct answer answer[8];

static unsigned long l2_stack[L2_STACK];
static uint64_t l2_until;
static volatile uint64_t l2_cr3;
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

static void ENTRY_POINT l2_reads_cr3(void)
{
	l2_cr3 = get_cr3();
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

/* What L2 finds when it begins. */
static struct {
	uint64_t rflags, cr0, cr4, dr7, efer, pat, tsc;
} l2_saw;

static volatile int breakpoints;

void note_breakpoint(struct ex_regs *regs)
{
	breakpoints++;
}

static void ENTRY_POINT l2_looks(void)
{
	asm volatile("pushf; pop %0" : "=r"(l2_saw.rflags));
	l2_saw.cr0 = get_cr0();
	l2_saw.cr4 = get_cr4();
	asm volatile("mov %%dr7, %0" : "=r"(l2_saw.dr7));
	l2_saw.efer = rdmsr(MSR_EFER);
	l2_saw.pat = rdmsr(MSR_IA32_CR_PAT);
	l2_saw.tsc = rdtsc();
	asm volatile("int3");
	VMCALL();
}

static uint64_t with_bit(uint64_t value, uint64_t bit, bool set)
{
	return (value & ~bit) | (set ? bit : 0);
}

/*
 * What an entry loads is another each time.  L1 gives L2 EPT and unrestricted guest, but for
 * some rounds, in which KVM has to load L2's state with more care.
 */
static void l1_guest_state(struct vmx_pages *vmx)
{
	uint64_t pat = rdmsr(MSR_IA32_CR_PAT), efer = rdmsr(MSR_EFER), cr0, cr4, secondary;
	uint64_t l1_efer = efer, tsc_offset, start;
	bool traps, scales, can_scale;
	int i;

	start_vmx(vmx);
	can_scale = rdmsr(MSR_IA32_VMX_PROCBASED_CTLS2) >> 32 & SECONDARY_EXEC_TSC_SCALING;
	cr0 = get_cr0();
	cr4 = get_cr4() & ~X86_CR4_UMIP;
	secondary = vmreadz(SECONDARY_VM_EXEC_CONTROL);
	GUEST_ASSERT(secondary & SECONDARY_EXEC_ENABLE_EPT);
	vmwrite(CPU_BASED_VM_EXEC_CONTROL,
		vmreadz(CPU_BASED_VM_EXEC_CONTROL) | CPU_BASED_USE_TSC_OFFSETTING);
	vmwrite(VM_EXIT_CONTROLS, vmreadz(VM_EXIT_CONTROLS) | VM_EXIT_LOAD_IA32_PAT |
		VM_EXIT_LOAD_IA32_EFER);
	vmwrite(HOST_IA32_PAT, pat);
	vmwrite(HOST_IA32_EFER, l1_efer);
	vmwrite(CR0_GUEST_HOST_MASK, X86_CR0_TS);
	vmwrite(CR4_GUEST_HOST_MASK, X86_CR4_PGE | X86_CR4_VMXE);
	for (i = 0; i < ROUNDS; i++) {
		scales = i % 4 == 3 && can_scale;
		vmwrite(SECONDARY_VM_EXEC_CONTROL,
			secondary | (i % 5 == 4 ? 0 : SECONDARY_EXEC_UNRESTRICTED_GUEST) |
			(can_scale && (i & 1) ? SECONDARY_EXEC_TSC_SCALING : 0));
		if (can_scale)
			vmwrite(TSC_MULTIPLIER, scales ? TSC_ONE / 2 : TSC_ONE);
		vmwrite(VM_ENTRY_CONTROLS,
			with_bit(vmreadz(VM_ENTRY_CONTROLS), VM_ENTRY_LOAD_DEBUG_CONTROLS, i % 3) |
			VM_ENTRY_LOAD_IA32_PAT | VM_ENTRY_LOAD_IA32_EFER);
		vmwrite(GUEST_RFLAGS, with_bit(2, BIT(21), i & 1));
		vmwrite(GUEST_CR0, with_bit(cr0, X86_CR0_WP, i & 2));
		vmwrite(CR0_READ_SHADOW, with_bit(cr0, X86_CR0_TS, i & 1));
		vmwrite(GUEST_CR4, with_bit(cr4, X86_CR4_UMIP, request.has_umip && (i & 4)));
		vmwrite(CR4_READ_SHADOW, with_bit(cr4, X86_CR4_PGE, i & 4));
		vmwrite(GUEST_DR7, with_bit(0x400, 2, i & 4));
		vmwrite(GUEST_IA32_EFER, with_bit(efer, EFER_SCE, i & 2));
		vmwrite(GUEST_IA32_PAT, i & 1 ? pat : (pat & ~0xfful) | 4);
		tsc_offset = i & 1 ? (uint64_t)i << 44 : 0;
		vmwrite(TSC_OFFSET, tsc_offset);
		traps = i & 8;
		vmwrite(EXCEPTION_BITMAP, traps ? BIT(BP_VECTOR) : 0);

		breakpoints = 0;
		start = rdtsc();
		GUEST_ASSERT_1(enter(l2_looks) ==
			       (traps ? EXIT_REASON_EXCEPTION_NMI : EXIT_REASON_VMCALL), i);
		GUEST_ASSERT_2(breakpoints == !traps, i, breakpoints);
		GUEST_ASSERT_2((l2_saw.rflags ^ vmreadz(GUEST_RFLAGS)) < BIT(21), i, l2_saw.rflags);
		GUEST_ASSERT_2(l2_saw.cr0 == with_bit(vmreadz(GUEST_CR0), X86_CR0_TS, i & 1), i,
			       l2_saw.cr0);
		GUEST_ASSERT_2(((l2_saw.cr4 ^ vmreadz(GUEST_CR4)) & X86_CR4_UMIP) == 0, i,
			       l2_saw.cr4);
		GUEST_ASSERT_2(!(l2_saw.cr4 & X86_CR4_PGE) == !(i & 4), i, l2_saw.cr4);
		GUEST_ASSERT_2(l2_saw.dr7 == (i % 3 && (i & 4) ? 0x402 : 0x400), i, l2_saw.dr7);
		GUEST_ASSERT_2(l2_saw.efer == with_bit(efer, EFER_SCE, i & 2), i, l2_saw.efer);
		GUEST_ASSERT_2(l2_saw.pat == vmreadz(GUEST_IA32_PAT), i, l2_saw.pat);
		GUEST_ASSERT_2(l2_saw.tsc - tsc_offset >= start >> scales &&
			       l2_saw.tsc - tsc_offset <= rdtsc() >> scales, i, l2_saw.tsc);
		GUEST_ASSERT_1(rdmsr(MSR_EFER) == l1_efer && get_cr0() == cr0, i);
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

/* An interrupt that L1 has posted before the entry reaches L2's virtual APIC, without an exit. */
static void l1_posts(struct vmx_pages *vmx)
{
	uint8_t *descriptor = vmx->vmwrite, *virr = (uint8_t *)vmx->vmread + APIC_IRR;
	int vector;

	x2apic_enable();
	start_vmx(vmx);
	if (!vmx_can(MSR_IA32_VMX_TRUE_PINBASED_CTLS, PIN_BASED_POSTED_INTR))
		return;
	vmwrite(CPU_BASED_VM_EXEC_CONTROL, vmreadz(CPU_BASED_VM_EXEC_CONTROL) |
		CPU_BASED_TPR_SHADOW | CPU_BASED_ACTIVATE_SECONDARY_CONTROLS);
	vmwrite(SECONDARY_VM_EXEC_CONTROL, SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE |
		SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY);
	vmwrite(PIN_BASED_VM_EXEC_CONTROL, vmreadz(PIN_BASED_VM_EXEC_CONTROL) |
		PIN_BASED_EXT_INTR_MASK | PIN_BASED_POSTED_INTR);
	vmwrite(VM_EXIT_CONTROLS, vmreadz(VM_EXIT_CONTROLS) | VM_EXIT_ACK_INTR_ON_EXIT);
	vmwrite(VIRTUAL_APIC_PAGE_ADDR, vmx->vmread_gpa);
	vmwrite(POSTED_INTR_DESC_ADDR, vmx->vmwrite_gpa);
	vmwrite(POSTED_INTR_NV, NOTIFICATION_VECTOR);
	vmwrite(TPR_THRESHOLD, 0);
	memset(vmx->vmread, 0, getpagesize());
	memset(vmx->vmwrite, 0, getpagesize());
	vector_seen = 0;
	asm volatile("cli");
	for (vector = FIRST_VECTOR; vector < 0x100; vector += VECTOR_STEP) {
		descriptor[vector / 8] = 1 << vector % 8;
		descriptor[PID_ON] = 1;
		vmwrite(GUEST_INTR_STATUS, 0);
		x2apic_write_reg(APIC_SELF_IPI, NOTIFICATION_VECTOR);
		GUEST_ASSERT(enter(l2_nothing) == EXIT_REASON_VMCALL);
		GUEST_ASSERT_1(!descriptor[PID_ON] && !descriptor[vector / 8], vector);
		GUEST_ASSERT_1(virr[vector / 32 * 16 + vector % 32 / 8] & 1 << vector % 8, vector);
		virr[vector / 32 * 16 + vector % 32 / 8] = 0;
	}
	asm volatile("sti; nop; cli" : : : "memory");
	GUEST_ASSERT(!vector_seen);
}

static void ENTRY_POINT l2_reads_tsc(void)
{
	rdtsc();
	VMCALL();
}

static void ENTRY_POINT l2_lowers_tpr(void)
{
	asm volatile("mov %0, %%cr8; mov %1, %%cr8" : : "r"(15ul), "r"(1ul));
	VMCALL();
}

/*
 * What L1 wants of L2 is the same for some rounds, and then another.  L1 writes fields that the
 * shadow VMCS serves, and no other.
 */
static void l1_controls(struct vmx_pages *vmx)
{
	volatile uint32_t *tpr = vmx->vmread + APIC_TASKPRI;
	uint64_t cpu_based, threshold, info, status;
	bool traps;
	int i;

	x2apic_enable();
	start_vmx(vmx);
	cpu_based = vmreadz(CPU_BASED_VM_EXEC_CONTROL) | CPU_BASED_TPR_SHADOW |
		    CPU_BASED_ACTIVATE_SECONDARY_CONTROLS;
	vmwrite(VIRTUAL_APIC_PAGE_ADDR, vmx->vmread_gpa);
	memset(vmx->vmread, 0, getpagesize());
	for (i = 0; i < 3 * ROUNDS; i++) {
		traps = i % 7 > 4;
		*tpr = 0xf0;
		vmwrite(CPU_BASED_VM_EXEC_CONTROL,
			with_bit(cpu_based, CPU_BASED_RDTSC_EXITING, traps));
		info = i % 3 ? 0 : BLOCKING_BY_NMI;
		vmwrite(GUEST_INTERRUPTIBILITY_INFO, info);
		GUEST_ASSERT_1(enter(l2_reads_tsc) ==
			       (traps ? EXIT_REASON_RDTSC : EXIT_REASON_VMCALL), i);
		GUEST_ASSERT_2(vmreadz(GUEST_INTERRUPTIBILITY_INFO) == info, i, info);

		threshold = i % 5 ? 0 : 8;
		vmwrite(TPR_THRESHOLD, threshold);
		GUEST_ASSERT_1(enter(l2_lowers_tpr) == (threshold ?
			       EXIT_REASON_TPR_BELOW_THRESHOLD : EXIT_REASON_VMCALL), i);
	}

	if (!vmx_can(MSR_IA32_VMX_PROCBASED_CTLS2, SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY))
		return;
	vmwrite(CPU_BASED_VM_EXEC_CONTROL, cpu_based);
	vmwrite(SECONDARY_VM_EXEC_CONTROL, SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE |
		SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY);
	vmwrite(PIN_BASED_VM_EXEC_CONTROL,
		vmreadz(PIN_BASED_VM_EXEC_CONTROL) | PIN_BASED_EXT_INTR_MASK);
	vmwrite(TPR_THRESHOLD, 0);
	for (i = 0; i < ROUNDS; i++) {
		status = i & 1 ? 0x31 : 0x44;
		vmwrite(GUEST_INTR_STATUS, status);
		GUEST_ASSERT(enter(l2_nothing) == EXIT_REASON_VMCALL);
		GUEST_ASSERT_2(vmreadz(GUEST_INTR_STATUS) == status, i, status);
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

/*
 * The same page tables have four names: CR3 has two bits for their memory type.  Without a VPID
 * of its own L2 makes KVM flush the TLB at each switch.
 */
static void l1_root(struct vmx_pages *vmx)
{
	uint64_t cr3 = get_cr3();
	int i;

	start_vmx(vmx);
	vmwrite(SECONDARY_VM_EXEC_CONTROL, vmreadz(SECONDARY_VM_EXEC_CONTROL) |
		SECONDARY_EXEC_UNRESTRICTED_GUEST | SECONDARY_EXEC_ENABLE_VPID);
	vmwrite(VIRTUAL_PROCESSOR_ID, 1);
	for (i = 0; i < ROUNDS; i++) {
		vmwrite(HOST_CR3, cr3 | (i & 3) * CR3_PWT);
		vmwrite(GUEST_CR3, cr3 | (i & 1) * CR3_PWT);
		GUEST_ASSERT(enter(l2_reads_cr3) == EXIT_REASON_VMCALL);
		GUEST_ASSERT_1(l2_cr3 == (cr3 | (i & 1) * CR3_PWT), i);
		GUEST_ASSERT_1(get_cr3() == (cr3 | (i & 3) * CR3_PWT), i);
	}
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
		[PART_POSTED] = l1_posts,
		[PART_ROOT] = l1_root,
		[PART_TIMER] = l1_timer,
		[PART_TIMER_LEFT] = l1_timer_left,
		[PART_RESTART] = l1_restart,
		[PART_EVENTS] = l1_events,
		[PART_MANY] = l1_many,
		[PART_HOST_STATE] = l1_host_state,
		[PART_BREAKPOINT] = l1_breakpoint,
		[PART_GUEST_STATE] = l1_guest_state,
		[PART_CONTROLS] = l1_controls,
	};

	parts[request.part](vmx);
	GUEST_DONE();
}
