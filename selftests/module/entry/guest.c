// SPDX-License-Identifier: GPL-2.0
/*
 * The guests of entry_test: what L2 does, and what each L1 begins with.
 */
#include "module/entry/entry.h"

uint64_t result[16];

static unsigned long l2_stack[64];
bool launched;

/* Registers of L2 are L1's, so these use none. */
asm(".pushsection .text\n"
	".globl l2_calls, l2_spins, l2_works, l2_stops, l2_is_undefined, l2_null_ss, l2_data_ss\n"
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

/* The exit reason, or FAILED + error. */
uint64_t enter_at(void *rip)
{
	vmwrite(GUEST_RIP, (uint64_t)rip);
	if (launched ? vmresume() : vmlaunch())
		return FAILED + vmreadz(VM_INSTRUCTION_ERROR);
	if (!(vmreadz(VM_EXIT_REASON) >> 31))
		launched = true;
	return vmreadz(VM_EXIT_REASON);
}

uint64_t enter(void)
{
	return enter_at(l2_calls);
}

void warm_up(void)
{
	int i;

	for (i = 0; i < WARM_UP; i++)
		GUEST_ASSERT_2(enter() == VMCALL, vmreadz(VM_EXIT_REASON), i);
}

void set_bits(uint64_t field, uint64_t bits)
{
	vmwrite(field, vmreadz(field) | bits);
}

void prepare(struct vmx_pages *vmx)
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

void begin(struct vmx_pages *vmx)
{
	GUEST_ASSERT(prepare_for_vmx_operation(vmx));
	GUEST_ASSERT(load_vmcs(vmx));
	prepare(vmx);
}
