// SPDX-License-Identifier: GPL-2.0
/*
 * L1 of the differential test in legacy mode: 32-bit or PAE paging, outside of
 * IA-32e mode.  CR0.PG cannot be cleared in VMX operation, so L1 leaves it, changes
 * the mode, enters VMX operation anew, runs a 32-bit L2 for some exits, and comes
 * back the same way.  Invariants: legacy mode maps 1 GiB 1:1; nothing but L2's exits
 * happens there, and what L1 sees at each is kept and logged after the return.
 */
#include "differential/guest_legacy.h"
#include "differential/guest_vmcs12.h"

#define LEGACY_EXITS	12
#define LEGACY_CODE	"0x28"	/* selectors in legacy_gdt */
#define LEGACY_DATA	"0x30"

/* What L1 keeps of an exit, in the order in which the assembly below reads it. */
#define LEGACY_FIELDS(f)						\
	f(VM_EXIT_REASON) f(EXIT_QUALIFICATION) f(VM_EXIT_INSTRUCTION_LEN) \
	f(GUEST_RIP) f(GUEST_CR0) f(GUEST_CR3) f(GUEST_CR4) f(GUEST_CS_AR_BYTES) \
	f(0x280a) f(0x280c)	/* PDPTE 0 and 1 */
#define LEGACY_FIELD(field)	field,
static const uint32_t legacy_fields[] = { LEGACY_FIELDS(LEGACY_FIELD) };

#define LEGACY_VALUES	(sizeof(legacy_fields) / sizeof(*legacy_fields))

/* Not static: assembly below names them. */
uint64_t legacy_gdt[8] = {
	0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0, 0,
	0x00cf9b000000ffff, 0x00cf93000000ffff,
};

struct {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed)) legacy_gdtr, legacy_old_gdtr;

uint64_t legacy_pdpt[4] __attribute__((aligned(32)));
uint64_t legacy_pd_pae[512] __attribute__((aligned(4096)));
uint32_t legacy_pd[1024] __attribute__((aligned(4096)));
uint64_t legacy_vmxon, legacy_vmcs, legacy_rsp, legacy_stack[64], legacy_l2_stack[64];
uint32_t legacy_cr3, legacy_cr4, legacy_old_cr3, legacy_old_cr4, legacy_msr;
/* Pairs of field and value for VMWRITE, ended by a field of -1. */
uint32_t legacy_writes[2 * 48], legacy_failures, legacy_flags;
uint32_t legacy_field_list[LEGACY_VALUES + 1], legacy_exits, legacy_wanted;
uint32_t legacy_log[LEGACY_EXITS * (LEGACY_VALUES + 4)];
extern char legacy_exit, legacy_l2;
void guest_legacy(void);

asm(".pushsection .text\n"
	".globl guest_legacy\nguest_legacy:\n"
	"push %rbp\n\tpush %rbx\n\tpush %r12\n\tpush %r13\n\tpush %r14\n\tpush %r15\n"
	"mov %rsp, legacy_rsp\n\tsgdt legacy_old_gdtr\n\tlgdt legacy_gdtr\n"
	"mov %cr3, %rax\n\tmov %eax, legacy_old_cr3\n"
	"mov %cr4, %rax\n\tmov %eax, legacy_old_cr4\n"
	"push $" LEGACY_CODE "\n\tlea 1f(%rip), %rax\n\tpush %rax\n\tlretq\n"
	".code32\n1:\n"
	"mov $" LEGACY_DATA ", %eax\n\tmov %eax, %ds\n\tmov %eax, %es\n\tmov %eax, %ss\n"
	"mov %cr0, %ebx\n\tmov %ebx, %eax\n\tand $0x7fffffff, %eax\n\tmov %eax, %cr0\n"
	"mov $0xc0000080, %ecx\n\trdmsr\n\tand $~0x100, %eax\n\twrmsr\n"
	"mov legacy_cr4, %eax\n\tmov %eax, %cr4\n\tmov legacy_cr3, %eax\n\tmov %eax, %cr3\n"
	"mov %ebx, %cr0\n\tmov $legacy_stack+512, %esp\n"
	"vmxon legacy_vmxon\n\tvmptrld legacy_vmcs\n"
	"mov $legacy_writes, %esi\n"
	"2:\tmov (%esi), %ecx\n\tcmp $-1, %ecx\n\tje 3f\n\tvmwrite 4(%esi), %ecx\n"
	"setbe %al\n\tmovzbl %al, %eax\n\tadd %eax, legacy_failures\n\tadd $8, %esi\n\tjmp 2b\n"
	"3:\tmov $legacy_log, %edi\n\tvmlaunch\n\tjmp 8f\n"
	".globl legacy_exit\nlegacy_exit:\n"
	"mov $legacy_field_list, %esi\n"
	"4:\tmov (%esi), %ecx\n\tcmp $-1, %ecx\n\tje 5f\n\txor %eax, %eax\n\tvmread %ecx, %eax\n"
	"mov %eax, (%edi)\n\tadd $4, %edi\n\tadd $4, %esi\n\tjmp 4b\n"
	/* L1's own state, as the exit left it. */
	"5:\tmov %cr0, %eax\n\tmov %eax, (%edi)\n\tmov %cr3, %eax\n\tmov %eax, 4(%edi)\n"
	"mov %cr4, %eax\n\tmov %eax, 8(%edi)\n\tmov $0xc0000080, %ecx\n\trdmsr\n"
	"mov %eax, 12(%edi)\n\tadd $16, %edi\n"
	"incl legacy_exits\n\tmov legacy_exits, %eax\n\tcmp legacy_wanted, %eax\n\tjae 9f\n"
	"mov $0x4402, %ecx\n\tvmread %ecx, %eax\n\ttest %eax, %eax\n\tjs 9f\n"
	"mov $0x440c, %ecx\n\tvmread %ecx, %edx\n\tmov $0x681e, %ecx\n\tvmread %ecx, %eax\n"
	"add %edx, %eax\n\tvmwrite %eax, %ecx\n\tvmresume\n"
	"8:\tpushf\n\tpop legacy_flags\n"
	"9:\tvmxoff\n"
	"mov %cr0, %ebx\n\tmov %ebx, %eax\n\tand $0x7fffffff, %eax\n\tmov %eax, %cr0\n"
	"mov legacy_old_cr4, %eax\n\tmov %eax, %cr4\n"
	"mov $0xc0000080, %ecx\n\trdmsr\n\tor $0x100, %eax\n\twrmsr\n"
	"mov legacy_old_cr3, %eax\n\tmov %eax, %cr3\n\tmov %ebx, %cr0\n\tljmp $0x8, $6f\n"
	".code64\n6:\n"
	"mov $0x10, %eax\n\tmov %eax, %ds\n\tmov %eax, %es\n\tmov %eax, %ss\n"
	"lgdt legacy_old_gdtr\n\tmov legacy_rsp, %rsp\n"
	"pop %r15\n\tpop %r14\n\tpop %r13\n\tpop %r12\n\tpop %rbx\n\tpop %rbp\n\tret\n"
	".code32\n"
	".globl legacy_l2\nlegacy_l2:\n"
	"xor %eax, %eax\n\txor %ecx, %ecx\n\tcpuid\n"
	"mov %cr3, %eax\n\tmov %eax, %cr3\n"
	"mov legacy_msr, %ecx\n\trdmsr\n"
	"mov %cr4, %eax\n\tmov %eax, %cr4\n\tvmcall\n\tjmp legacy_l2\n"
	".code64\n.popsection");

static void legacy_tables(void)
{
	unsigned int i;

	for (i = 0; i < 512; i++)
		legacy_pd_pae[i] = (uint64_t)i << 21 | 0x83;
	for (i = 0; i < 256; i++)
		legacy_pd[i] = i << 22 | 0x83;
	legacy_pdpt[0] = (uint64_t)legacy_pd_pae | 1;
	legacy_gdtr.limit = sizeof(legacy_gdt) - 1;
	legacy_gdtr.base = (uint64_t)legacy_gdt;
	for (i = 0; i < LEGACY_VALUES; i++)
		legacy_field_list[i] = legacy_fields[i];
	legacy_field_list[i] = -1;
}

static void legacy_write(uint32_t field, uint64_t value)
{
	static unsigned int used;

	if (field == -1u) {
		legacy_writes[2 * used] = field;
		used = 0;
		return;
	}
	legacy_writes[2 * used] = field;
	legacy_writes[2 * used++ + 1] = value;
}

/* On top of what l1_setup() gave this vmcs12. */
static void legacy_prepare(bool pae)
{
	uint32_t efer = l1_msr(MSR_EFER) & ~0x500u;
	unsigned int i;

	legacy_cr3 = pae ? (uint64_t)legacy_pdpt : (uint64_t)legacy_pd;
	legacy_cr4 = pae ? get_cr4() : (get_cr4() & ~X86_CR4_PAE) | X86_CR4_PSE;
	legacy_write(VM_EXIT_CONTROLS, vmread_value(VM_EXIT_CONTROLS) &
		     ~VM_EXIT_HOST_ADDR_SPACE_SIZE);
	legacy_write(VM_ENTRY_CONTROLS, vmread_value(VM_ENTRY_CONTROLS) & ~VM_ENTRY_IA32E_MODE);
	legacy_write(HOST_CR3, legacy_cr3);
	legacy_write(HOST_CR4, legacy_cr4);
	legacy_write(HOST_IA32_EFER, efer);
	legacy_write(HOST_CS_SELECTOR, 0x28);
	for (i = 0; i < 5; i++)
		if (i)
			legacy_write(HOST_CS_SELECTOR + 2 * i, 0x30);
	legacy_write(HOST_ES_SELECTOR, 0x30);
	legacy_write(HOST_GDTR_BASE, (uint64_t)legacy_gdt);
	legacy_write(HOST_RSP, (uint64_t)legacy_stack + sizeof(legacy_stack));
	legacy_write(HOST_RIP, (uint64_t)&legacy_exit);
	legacy_write(GUEST_CR3, legacy_cr3);
	legacy_write(GUEST_CR4, legacy_cr4);
	legacy_write(GUEST_IA32_EFER, efer);
	legacy_write(GUEST_CS_SELECTOR, 0x28);
	legacy_write(GUEST_CS_AR_BYTES, 0xc09b);
	legacy_write(GUEST_GDTR_BASE, (uint64_t)legacy_gdt);
	legacy_write(GUEST_RSP, (uint64_t)legacy_l2_stack + sizeof(legacy_l2_stack));
	legacy_write(GUEST_RIP, (uint64_t)&legacy_l2);
	for (i = 0; i < 4; i++)
		legacy_write(0x280a + 2 * i, legacy_pdpt[i]);
	legacy_write(-1, 0);
}

void l1_legacy(bool pae, uint64_t config, uint64_t msr)
{
	unsigned int i;

	l1_setup(VMCSS - 1, config);
	legacy_tables();
	legacy_prepare(pae);
	note("vmclear", do_vmclear(VMCSS - 1));
	note("vmxoff", VMX_MEMORY("vmxoff", 0, 0));
	legacy_vmxon = PAGE_GPA(PAGE_VMXON);
	legacy_vmcs = PAGE_GPA(PAGE_VMCS0 + VMCSS - 1);
	legacy_failures = legacy_flags = legacy_exits = 0;
	legacy_wanted = LEGACY_EXITS;
	legacy_msr = msr;
	guest_legacy();
	guarded_wrmsr(MSR_FS_BASE, 0x1112000);
	guarded_wrmsr(MSR_GS_BASE, 0x1113000);
	note("failures", legacy_failures);
	note("flags", legacy_flags);
	note("exits", legacy_exits);
	for (i = 0; i < legacy_exits * (LEGACY_VALUES + 4); i++)
		note("kept", legacy_log[i]);
	note("vmxon", l1_vmxon(PAGE_GPA(PAGE_VMXON)));
	l1_setup(VMCSS - 1, config);
}
