// SPDX-License-Identifier: GPL-2.0
/*
 * The tiny L1: see tiny_l1.h.
 */
#include "exit_bench/operations.h"
#include "exit_bench/patterns.h"
#include "exit_bench/tiny_l1.h"
#include "lib/tiny_hypervisor.h"

#define L2_STACK		64
#define INSTRUCTION_LENGTH	2	/* of op_mmio() and op_apic_access() */

static unsigned long l2_stack[MAX_VCPUS][MAX_VMCS][L2_STACK];

struct l1 {
	unsigned int vcpu_index, round_trips, current;
	struct vmx_pages *vmx;
	uint64_t vmcs_gpa[MAX_VMCS], msr_bitmap_gpa[MAX_VMCS], virtual_apic_gpa;
	uint8_t *msr_bitmap[MAX_VMCS];
	uint64_t values[2][MAX_FIELDS];
};

static void set_host_stack(void *data, uint64_t rsp, void *rip)
{
	struct l1 *l1 = data;
	unsigned int i;

	for (i = 0; i < (row->vmcs12s ?: 1); i++) {
		if (row->vmcs12s)
			GUEST_ASSERT(!vmptrld(l1->vmcs_gpa[i]));
		vmwrite(HOST_RSP, rsp);
		vmwrite(HOST_RIP, (uint64_t)rip);
	}
	l1->current = i - 1;
	for (i = 0; i < 2; i++)
		if (row->pattern[i])
			remember(row->pattern[i]->writes, l1->values[i]);
}

static enum l1_next after_exit(void *data)
{
	struct l1 *l1 = data;
	uint64_t reason = read_field(VM_EXIT_REASON);

	GUEST_ASSERT_1(reason == row->reason, reason);
	if (l1->round_trips == row_warm_up())
		begin(l1->vcpu_index);
	if (l1->round_trips++ == row_warm_up() + row->iterations) {
		end(l1->vcpu_index);
		return LEAVE_L2;
	}
	row->handle(l1);
	return row->launches ? LAUNCH_L2 : RESUME_L2;
}

static void skip(struct l1 *l1)
{
	write_field(GUEST_RIP, read_field(GUEST_RIP) + read_field(VM_EXIT_INSTRUCTION_LEN));
}

static void skip_access(struct l1 *l1)
{
	write_field(GUEST_RIP, read_field(GUEST_RIP) + INSTRUCTION_LENGTH);
}

static void wake(struct l1 *l1)
{
	skip(l1);
	write_field(GUEST_INTERRUPTIBILITY_INFO, 0);	/* STI blocked before HLT */
	write_field(VM_ENTRY_INTR_INFO_FIELD, INTR_INFO_WAKE);
}

static void take_interrupt(struct l1 *l1)
{
	GUEST_ASSERT(read_field(VM_EXIT_INTR_INFO) == INTR_INFO_WAKE);
	x2apic_write_reg(APIC_EOI, 0);
	wrmsr(MSR_DEADLINE, rdtsc() + SOON);
}

static void first_timer(void)
{
	enable_timer();
	wrmsr(MSR_DEADLINE, rdtsc() + SOON);
}

/* The next of the vmcs12s. */
static void switch_vmcs(struct l1 *l1)
{
	skip(l1);
	l1->current = (l1->current + 1) % row->vmcs12s;
	GUEST_ASSERT(!vmptrld(l1->vmcs_gpa[l1->current]));
}

/* As a hypervisor that gives its vmcs12 up at each switch, for another processor to take. */
static void clear_vmcs(struct l1 *l1)
{
	skip(l1);
	GUEST_ASSERT(!vmclear(l1->vmcs_gpa[0]));
	GUEST_ASSERT(!vmptrld(l1->vmcs_gpa[0]));
}

/* As a hypervisor that gives VMX up at each switch, for another hypervisor to use. */
static void leave_vmx_operation(struct l1 *l1)
{
	skip(l1);
	GUEST_ASSERT(!vmclear(l1->vmcs_gpa[0]));
	vmxoff();
	GUEST_ASSERT(!vmxon(l1->vmx->vmxon_gpa));
	GUEST_ASSERT(!vmptrld(l1->vmcs_gpa[0]));
}

/*
 * As VMware Workstation, whose host is another kernel, does per world switch.  How many exits of
 * each kind is published ("Where Does the Time Go?", KVM Forum 2017, top VM exits of iperf: per
 * VMXOFF 3.6 WRMSR, two of RDMSR, MOV DR and MOV CR, one of VMXON, VMPTRLD, VMCLEAR, INVEPT and
 * INVVPID); of which register is our choice.
 */
static void switch_worlds(struct l1 *l1)
{
	/* SDM, "INVEPT" and "INVVPID".  Not on the stack, whose alignment is not known here. */
	static uint64_t ept[2], vpid[2] = { 1 };
	uint64_t dr7;

	skip(l1);
	ept[0] = read_field(EPT_POINTER);
	asm volatile("invept %0, %1" : : "m"(ept), "r"(1ul));	/* of one EPTP */
	asm volatile("invvpid %0, %1" : : "m"(vpid), "r"(1ul));	/* of one VPID */
	GUEST_ASSERT(!vmclear(l1->vmcs_gpa[0]));
	vmxoff();
	set_cr4(get_cr4() & ~X86_CR4_VMXE);
	wrmsr(MSR_EFER, rdmsr(MSR_EFER));
	wrmsr(MSR_IA32_CR_PAT, rdmsr(MSR_IA32_CR_PAT));
	wrmsr(MSR_IA32_DEBUGCTLMSR, 0);
	asm volatile("mov %%dr7, %0" : "=r"(dr7));
	asm volatile("mov %0, %%dr7" : : "r"(dr7));
	set_cr4(get_cr4() | X86_CR4_VMXE);
	GUEST_ASSERT(!vmxon(l1->vmx->vmxon_gpa));
	GUEST_ASSERT(!vmptrld(l1->vmcs_gpa[0]));
}

/* SDM, "MSR-Bitmap Address": reads of low and high MSRs, then writes, 1 KiB each. */
static void flip_intercept(uint8_t *bitmap, uint32_t msr, bool write)
{
	uint32_t bit = msr & 0x1fff;

	bitmap[2048 * write + 1024 * (msr >= 0xc0000000) + bit / 8] ^= 1 << bit % 8;
}

/* A plain store that L0 cannot see, to a word that it merges. */
static void change_bitmap(struct l1 *l1)
{
	skip(l1);
	flip_intercept(l1->msr_bitmap[0], MSR_FS_BASE, true);
}

static void follow_pattern(struct l1 *l1)
{
	unsigned int n = row->pattern[1] ? l1->round_trips / ALTERNATE % 2 : 0;

	follow(row->pattern[n], l1->values[n]);
	skip(l1);
}

static void l2_code(void)
{
	for (;;)
		row->execute();
}

static void set_controls(struct l1 *l1, unsigned int n)
{
	uint32_t primary = row->primary, secondary = row->secondary;

	if (!row->no_ept) {
		primary |= CPU_BASED_USE_MSR_BITMAPS;
		secondary |= SECONDARY_EXEC_UNRESTRICTED_GUEST | SECONDARY_EXEC_ENABLE_VPID;
		vmwrite(VIRTUAL_PROCESSOR_ID, 1 + n);
		vmwrite(MSR_BITMAP, l1->msr_bitmap_gpa[n]);
	}
	vmwrite(PIN_BASED_VM_EXEC_CONTROL, vmreadz(PIN_BASED_VM_EXEC_CONTROL) | row->pin);
	vmwrite(CPU_BASED_VM_EXEC_CONTROL, vmreadz(CPU_BASED_VM_EXEC_CONTROL) | primary);
	vmwrite(SECONDARY_VM_EXEC_CONTROL, vmreadz(SECONDARY_VM_EXEC_CONTROL) | secondary);
	vmwrite(VM_EXIT_CONTROLS, vmreadz(VM_EXIT_CONTROLS) | row->vm_exit);
	if (row->primary & CPU_BASED_TPR_SHADOW)
		vmwrite(VIRTUAL_APIC_PAGE_ADDR, l1->virtual_apic_gpa);
	if (row->secondary & SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES)
		vmwrite(APIC_ACCESS_ADDR, l1->vmx->apic_access_gpa);
	if (row->read_msr)
		flip_intercept(l1->msr_bitmap[n], row->read_msr, false);
	if (row->write_msr)
		flip_intercept(l1->msr_bitmap[n], row->write_msr, true);
}

/* The first VMCS and bitmap are vmx's, further ones are pages of "more", from the third on. */
static void allot_pages(struct l1 *l1, uint8_t *more, uint64_t more_gpa)
{
	unsigned int i;

	l1->vmcs_gpa[0] = l1->vmx->vmcs_gpa;
	l1->msr_bitmap_gpa[0] = l1->vmx->msr_gpa;
	l1->msr_bitmap[0] = l1->vmx->msr;
	l1->virtual_apic_gpa = more_gpa;
	for (i = 1; i < row->vmcs12s; i++) {
		l1->vmcs_gpa[i] = more_gpa + 2 * PAGE_SIZE * i;
		l1->msr_bitmap_gpa[i] = l1->vmcs_gpa[i] + PAGE_SIZE;
		l1->msr_bitmap[i] = more + 2 * PAGE_SIZE * i + PAGE_SIZE;
		*(uint32_t *)(more + 2 * PAGE_SIZE * i) = vmcs_revision();
	}
}

void l1_code(unsigned int vcpu_index, struct vmx_pages *vmx, uint8_t *more, uint64_t more_gpa)
{
	struct l1 l1 = { .vcpu_index = vcpu_index, .vmx = vmx };
	unsigned int i;

	GUEST_ASSERT(prepare_for_vmx_operation(vmx));
	GUEST_ASSERT(load_vmcs(vmx));
	allot_pages(&l1, more, more_gpa);
	if (row->prepare)
		row->prepare();
	for (i = 0; i < (row->vmcs12s ?: 1); i++) {
		if (i)
			GUEST_ASSERT(!vmclear(l1.vmcs_gpa[i]) && !vmptrld(l1.vmcs_gpa[i]));
		prepare_vmcs(vmx, row->l2 ?: l2_code, &l2_stack[vcpu_index][i][L2_STACK]);
		set_controls(&l1, i);
		GUEST_ASSERT(!vmlaunch());
	}
	if (row->pattern[0] == &walks)
		find_every_field();
	resume_l2(&l1, set_host_stack, after_exit);
	GUEST_DONE();
}

/* An address without a memslot and without an entry in L1's EPT. */
static void arm_hole(struct kvm_vm *vm)
{
	virt_pg_map(vm, MMIO_GPA, MMIO_GPA);
}

static void log_dirty_pages(struct kvm_vm *vm)
{
	vm_mem_region_set_flags(vm, 0, KVM_MEM_LOG_DIRTY_PAGES);
}

#define CPUID .execute = op_cpuid, .reason = EXIT_REASON_CPUID
#define SKIPPED_CPUID CPUID, .handle = skip
#define PATTERN CPUID, .handle = follow_pattern
#define TURNS(n) CPUID, .handle = switch_vmcs, .vmcs12s = (n), .warm_up = 40 * MAX_VMCS

const struct row tiny_l1_rows[] = {
	{ "cpuid", 1000, SKIPPED_CPUID },
	{ "cpuid_two_vcpus", 1000, SKIPPED_CPUID, .vcpus = 2 },
	{ "cpuid_rewrite_host", 1000, PATTERN, .pattern = { &rewrites_host_stack } },
	{ "cpuid_no_ept", 1000, PATTERN, .pattern = { &rewrites_host_stack }, .no_ept = true },
	{ "cpuid_1_vmcs12", 500, TURNS(1) },
	{ "cpuid_8_vmcs12s", 500, TURNS(8) },
	{ "cpuid_9_vmcs12s", 500, TURNS(9) },
	{ "cpuid_16_vmcs12s", 500, TURNS(16) },
	{ "cpuid_32_vmcs12s", 500, TURNS(32) },
	{ "cpuid_vmclear", 500, CPUID, .handle = clear_vmcs, .launches = true },
	{ "cpuid_vmxoff", 500, CPUID, .handle = leave_vmx_operation, .launches = true },
	{ "cpuid_workstation", 500, CPUID, .handle = switch_worlds, .launches = true },
	{ "cpuid_dirty_log", 500, SKIPPED_CPUID, .primary = CPU_BASED_TPR_SHADOW,
	  .arm = log_dirty_pages },
	{ "cpuid_bitmap_changes", 500, CPUID, .handle = change_bitmap },
	{ "vmcall", 500, .execute = op_vmcall, .reason = EXIT_REASON_VMCALL, .handle = skip },
	{ "rdmsr", 500, .execute = op_rdmsr, .reason = EXIT_REASON_MSR_READ, .handle = skip,
	  .read_msr = MSR_IA32_APICBASE },
	{ "wrmsr_icr", 500, .execute = op_wrmsr_icr, .reason = EXIT_REASON_MSR_WRITE,
	  .handle = skip, .write_msr = APIC_BASE_MSR + (APIC_ICR >> 4) },
	{ "wrmsr_deadline", 500, .execute = op_wrmsr_deadline, .reason = EXIT_REASON_MSR_WRITE,
	  .handle = skip, .write_msr = MSR_DEADLINE },
	{ "out", 500, .execute = op_out, .reason = EXIT_REASON_IO_INSTRUCTION, .handle = skip,
	  .primary = CPU_BASED_UNCOND_IO_EXITING },
	{ "in", 500, .execute = op_in, .reason = EXIT_REASON_IO_INSTRUCTION, .handle = skip,
	  .primary = CPU_BASED_UNCOND_IO_EXITING },
	{ "mmio", 500, .execute = op_mmio, .reason = EXIT_REASON_EPT_VIOLATION,
	  .handle = skip_access, .arm = arm_hole },
	{ "apic_access", 500, .execute = op_apic_access, .reason = EXIT_REASON_APIC_ACCESS,
	  .handle = skip_access, .secondary = SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES },
	{ "hlt", 500, .execute = op_hlt, .reason = EXIT_REASON_HLT, .handle = wake,
	  .primary = CPU_BASED_HLT_EXITING },
	{ "interrupt", 500, .l2 = op_forever, .prepare = first_timer,
	  .reason = EXIT_REASON_EXTERNAL_INTERRUPT, .handle = take_interrupt,
	  .pin = PIN_BASED_EXT_INTR_MASK, .vm_exit = VM_EXIT_ACK_INTR_ON_EXIT },
	{ "zoo_kvm", 500, PATTERN, .pattern = { &as_kvm }, .warm_up = 500 },
	{ "zoo_haxm", 500, PATTERN, .pattern = { &as_haxm }, .warm_up = 500 },
	{ "zoo_rewrite_all_host", 500, PATTERN, .pattern = { &rewrites_host }, .warm_up = 500 },
	{ "zoo_alternate", 512, PATTERN, .pattern = { &as_haxm, &rewrites_host }, .warm_up = 512 },
	{ "zoo_walk", 100, PATTERN, .pattern = { &walks }, .warm_up = 200 },
	{ }
};
