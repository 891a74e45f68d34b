// SPDX-License-Identifier: GPL-2.0
/*
 * The guests of page_hold_test: L2 accesses MSRs and its TPR, L1 does as user space asks.
 */
#include "apic.h"

#include "lib/guest.h"
#include "module/pages/pages.h"

struct request request;
struct answer answer;
struct features features;
uint64_t bitmap_gpa[VMCSS];
uint64_t slot_gpa = SLOT_GPA;

static unsigned long l2_stack[VMCSS][L2_STACK];
static bool launched[VMCSS];
static uint64_t l2_left;

static void l2_rdmsr(void)
{
	uint32_t low, high;

	asm volatile("push %%rbp; rdmsr; pop %%rbp" : "=a"(low), "=d"(high) :
		     "c"(READ_ONCE(request.msr)) : L2_CLOBBERS);
	answer.value = low | (uint64_t)high << 32;
}

static void l2_wrmsr(void)
{
	uint32_t eax = answer.value, edx = answer.value >> 32;

	asm volatile("push %%rbp; wrmsr; pop %%rbp" : "+a"(eax), "+d"(edx) :
		     "c"(READ_ONCE(request.msr)) : L2_CLOBBERS);
}

static void l2_tpr(void)
{
	uint64_t cr8;

	asm volatile("mov %%cr8, %0" : "=r"(cr8));
	answer.cr8 = cr8;
	if (cr8 != request.tpr >> 4)
		answer.wrong++;
	if (!READ_ONCE(request.mmio))
		return;
	answer.mmio = *(volatile uint32_t *)(request.mmio + TPR);
	if (answer.mmio != request.tpr)
		answer.wrong++;
}

static void ENTRY_POINT l2_guest_code(void)
{
	for (;;) {
		switch (READ_ONCE(request.l2_operation)) {
		case L2_RDMSR:
			for (l2_left = request.reads; READ_ONCE(l2_left); l2_left--)
				l2_rdmsr();
			break;
		case L2_WRMSR:
			for (l2_left = request.reads; READ_ONCE(l2_left); l2_left--)
				l2_wrmsr();
			break;
		case L2_PAUSE:
			GUEST_SYNC(2);
			/* fall through */
		case L2_TPR:
			l2_tpr();
			break;
		}
		asm volatile("push %%rbp; vmcall; pop %%rbp" : : :
			     "rax", "rcx", "rdx", L2_CLOBBERS);
	}
}

static uint64_t vmcs_gpa(uint64_t vmcs)
{
	return FIXED_GPA + vmcs * PAGE;
}

static void set_mode(uint64_t mode)
{
	uint32_t secondary = 0, exits = CPU_BASED_CR8_LOAD_EXITING | CPU_BASED_CR8_STORE_EXITING;
	uint32_t pin = vmreadz(PIN_BASED_VM_EXEC_CONTROL) & ~PIN_BASED_POSTED_INTR;

	vmwrite(CPU_BASED_VM_EXEC_CONTROL,
		(vmreadz(CPU_BASED_VM_EXEC_CONTROL) & ~exits) | CPU_BASED_TPR_SHADOW |
		CPU_BASED_USE_MSR_BITMAPS | CPU_BASED_ACTIVATE_SECONDARY_CONTROLS);
	if (mode == NO_APIC) {
		vmwrite(CPU_BASED_VM_EXEC_CONTROL,
			vmreadz(CPU_BASED_VM_EXEC_CONTROL) & ~CPU_BASED_TPR_SHADOW);
		vmwrite(SECONDARY_VM_EXEC_CONTROL, 0);
		vmwrite(PIN_BASED_VM_EXEC_CONTROL, pin);
		return;
	}
	if (mode == X2APIC)
		secondary |= SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE;
	else if (features.access)
		secondary |= SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES;
	if (features.vid) {
		secondary |= SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY;
		pin |= PIN_BASED_EXT_INTR_MASK;
	}
	if (features.pi) {
		pin |= PIN_BASED_POSTED_INTR;
		vmwrite(VM_EXIT_CONTROLS, vmreadz(VM_EXIT_CONTROLS) | VM_EXIT_ACK_INTR_ON_EXIT);
	}
	vmwrite(SECONDARY_VM_EXEC_CONTROL, secondary);
	vmwrite(PIN_BASED_VM_EXEC_CONTROL, pin);
}

static void start_vmcs(struct vmx_pages *vmx, uint64_t vmcs)
{
	struct vmx_pages this = *vmx;

	this.vmcs_gpa = vmcs_gpa(vmcs);
	this.vmcs = (void *)this.vmcs_gpa;
	this.msr_gpa = bitmap_gpa[vmcs];
	GUEST_ASSERT(load_vmcs(&this));
	prepare_vmcs(&this, l2_guest_code, &l2_stack[vmcs][L2_STACK]);
	launched[vmcs] = false;
	vmwrite(APIC_ACCESS_ADDR, slot_gpa + ACCESS * PAGE);
	vmwrite(VIRTUAL_APIC_PAGE_ADDR, slot_gpa + VAPIC * PAGE);
	vmwrite(POSTED_INTR_DESC_ADDR, slot_gpa + PI * PAGE);
	vmwrite(POSTED_INTR_NV, NV);
	vmwrite(TPR_THRESHOLD, 0);
	set_mode(XAPIC);
}

static void enter(uint64_t vmcs)
{
	uint64_t reason;

	for (;;) {
		vmwrite(GUEST_INTR_STATUS, 0);
		if (launched[vmcs] ? vmresume() : vmlaunch()) {
			answer.failed++;
			return;
		}
		launched[vmcs] = true;
		reason = vmreadz(VM_EXIT_REASON);
		if (reason & BIT(31)) {
			answer.failed++;
			answer.reason = reason;
			return;
		}
		vmwrite(GUEST_RIP, vmreadz(GUEST_RIP) + vmreadz(VM_EXIT_INSTRUCTION_LEN));
		if (reason == EXIT_REASON_VMCALL)
			return;
		answer.exits++;
		answer.reason = reason;
	}
}

static void find_features(void)
{
	features.access = vmx_can(MSR_IA32_VMX_PROCBASED_CTLS2,
				  SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES);
	features.vid = vmx_can(MSR_IA32_VMX_PROCBASED_CTLS2,
			       SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY);
	features.pi = features.vid && vmx_can(MSR_IA32_VMX_TRUE_PINBASED_CTLS,
					      PIN_BASED_POSTED_INTR);
	features.x2apic = vmx_can(MSR_IA32_VMX_PROCBASED_CTLS2,
				  SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE);
	features.started = 1;
}

static void select_vmcs(uint64_t vmcs)
{
	GUEST_ASSERT(!vmptrld(vmcs_gpa(vmcs)));
}

static void store_bit(void)
{
	uint8_t *byte = (uint8_t *)request.gpa + request.bit / 8;
	uint8_t bit = 1 << (request.bit % 8);

	WRITE_ONCE(*byte, request.value ? *byte | bit : *byte & ~bit);
}

static void l1_do(struct vmx_pages *vmx)
{
	uint64_t i, vmcs = request.vmcs;

	switch (request.operation) {
	case L1_SELECT:
		select_vmcs(vmcs);
		break;
	case L1_BIT:
		store_bit();
		break;
	case L1_VMWRITE:
		GUEST_ASSERT(!vmwrite(request.bit, request.value));
		break;
	case L1_MODE:
		set_mode(request.value);
		break;
	case L1_ENTER:
		for (i = 0; i < request.count; i++)
			enter(vmcs);
		break;
	case L1_ALTERNATE:
		for (i = 0; i < request.count * request.value; i++) {
			select_vmcs(i % request.value);
			enter(i % request.value);
		}
		select_vmcs(vmcs);
		break;
	case L1_LEAVE:
		GUEST_ASSERT(!vmclear(vmcs_gpa(vmcs)));
		asm volatile("vmxoff" : : : "cc", "memory");
		GUEST_ASSERT(prepare_for_vmx_operation(vmx));
		break;
	case L1_RESTART:
		asm volatile("vmxoff" : : : "cc", "memory");
		GUEST_ASSERT(prepare_for_vmx_operation(vmx));
		/* fall through */
	case L1_CLEAR:
		start_vmcs(vmx, vmcs);
		break;
	}
}

void ENTRY_POINT l1_guest_code(struct vmx_pages *vmx)
{
	int i;

	x2apic_enable();
	GUEST_ASSERT(prepare_for_vmx_operation(vmx));
	find_features();
	for (i = VMCSS - 1; i >= 0; i--)
		start_vmcs(vmx, i);
	for (;;) {
		GUEST_SYNC(1);
		memset(&answer, 0, sizeof(answer));
		l1_do(vmx);
	}
}
