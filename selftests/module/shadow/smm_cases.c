// SPDX-License-Identifier: GPL-2.0
/*
 * Cases of shadow_test: SMIs, whose handler reads and writes VMCS fields.
 */
#include <stddef.h>

#include "module/shadow/shadow.h"

/* What the SMI handler does; it fills in value, of a VMREAD, and result. */
enum { SMM_DONE, SMM_UD, SMM_FAILED, SMM_NEVER };

struct smm_access {
	uint32_t field, value, write, result;
};

struct smram {
	uint64_t gdt[3], idt[UD_VECTOR + 1];
	struct { uint16_t limit; uint32_t base; } __packed gdtr, idtr;
	struct smm_access access[16];	/* ends with field 0 */
};

#define SMM_ENTRY	(SMRAM + 0x8000)
#define SMM_DATA	(SMRAM + 0x9000)
#define SMM_STACK	(SMRAM + 0xb000)

/*
 * The SMI handler, never called, but copied to SMM_ENTRY: through the list of
 * accesses, and to user space.  It is entered in real mode; VMREAD and VMWRITE
 * demand protected mode.  A VMREAD or VMWRITE that raises #UD is left by smm_ud.
 */
extern char smm_start[], smm_ud[], smm_end[];

static void __attribute__((used)) smm_code(void)
{
	asm volatile(".code16\n"
		     "smm_start:\n"
		     "	addr32 lgdtl %%ds:(%c[gdtr])\n"
		     "	addr32 lidtl %%ds:(%c[idtr])\n"
		     "	mov %%cr0, %%eax\n"
		     "	or $1, %%al\n"
		     "	mov %%eax, %%cr0\n"
		     "	ljmpl $8, $%c[entry] + smm_32 - smm_start\n"
		     ".code32\n"
		     "smm_32:\n"
		     "	mov $16, %%eax\n"
		     "	mov %%eax, %%ds\n"
		     "	mov %%eax, %%es\n"
		     "	mov %%eax, %%ss\n"
		     "	mov $%c[stack], %%esp\n"
		     "	mov $%c[access], %%esi\n"
		     "smm_next:\n"
		     "	mov (%%esi), %%eax\n"
		     "	test %%eax, %%eax\n"
		     "	je smm_stop\n"
		     "	mov 4(%%esi), %%ebx\n"
		     "	xor %%ecx, %%ecx\n"
		     "	cmpl $0, 8(%%esi)\n"
		     "	je smm_read\n"
		     "	vmwrite %%ebx, %%eax\n"
		     "	jmp smm_check\n"
		     "smm_read:\n"
		     "	vmread %%eax, %%ebx\n"
		     "smm_check:\n"
		     "	ja smm_store\n"
		     "	mov $%c[failed], %%ecx\n"
		     "smm_store:\n"
		     "	mov %%ebx, 4(%%esi)\n"
		     "	mov %%ecx, 12(%%esi)\n"
		     "	add $16, %%esi\n"
		     "	jmp smm_next\n"
		     "smm_stop:\n"
		     "	out %%al, $%c[port]\n"
		     "	rsm\n"
		     "smm_ud:\n"
		     "	mov $%c[ud], %%ecx\n"
		     "	movl $%c[entry] + smm_store - smm_start, (%%esp)\n"
		     "	iret\n"
		     "smm_end:\n"
		     ".code64\n"
		     : : [gdtr] "i"(SMM_DATA + offsetof(struct smram, gdtr)),
		     [idtr] "i"(SMM_DATA + offsetof(struct smram, idtr)),
		     [access] "i"(SMM_DATA + offsetof(struct smram, access)),
		     [entry] "i"(SMM_ENTRY), [stack] "i"(SMM_STACK), [port] "i"(SMI_PORT),
		     [failed] "i"(SMM_FAILED), [ud] "i"(SMM_UD));
}

enum access_here { ALWAYS, NEVER, EITHER };

/*
 * An SMI handler is outside of VMX operation: VMREAD and VMWRITE ought to raise #UD
 * there (SDM, "Default Treatment of SMI Delivery").  KVM raises it where the access
 * exits; a shadowed field is accessed.  Both modules shadow the "ALWAYS" ones, and
 * neither the "NEVER" ones.
 */
static const struct {
	uint64_t field;
	bool write;
	enum access_here here;
} smm_accesses[] = {
	{ CR4_READ_SHADOW, false, ALWAYS },
	{ VM_EXIT_REASON, false, ALWAYS },
	{ CR4_READ_SHADOW, true, ALWAYS },
	{ CR0_READ_SHADOW, true, ALWAYS },
	{ VM_ENTRY_EXCEPTION_ERROR_CODE, true, ALWAYS },
	{ TSC_OFFSET, true, EITHER },
	{ GUEST_SYSENTER_EIP, true, EITHER },
	{ GUEST_ES_AR_BYTES, true, NEVER },
	{ VM_EXIT_REASON, true, NEVER },
	{ VM_INSTRUCTION_ERROR, false, NEVER },
	{ CR0_READ_SHADOW, false, ALWAYS },
};

#define SMM_ACCESSES	ARRAY_SIZE(smm_accesses)

static struct smram *smram;

void create_smram(void)
{
	char *base;

	vm_userspace_mem_region_add(vm, VM_MEM_SRC_ANONYMOUS, SMRAM, SMRAM_SLOT,
				    SMRAM_SIZE / getpagesize(), 0);
	TEST_ASSERT(vm_phy_pages_alloc(vm, SMRAM_SIZE / getpagesize(), SMRAM, SMRAM_SLOT) == SMRAM,
		    "no SMRAM");
	base = addr_gpa2hva(vm, SMRAM);
	memcpy(base + SMM_ENTRY - SMRAM, smm_start, smm_end - smm_start);
	smram = (void *)(base + SMM_DATA - SMRAM);
	smram->gdt[1] = 0x00cf9b000000ffff;	/* flat: 32-bit code, data */
	smram->gdt[2] = 0x00cf93000000ffff;
	/* A 32-bit interrupt gate; the handler lies in one page. */
	smram->idt[UD_VECTOR] = 0x8e0000080000ull | (SMM_ENTRY & 0xffff0000ull) << 32 |
				((SMM_ENTRY + (smm_ud - smm_start)) & 0xffff);
	smram->gdtr.limit = sizeof(smram->gdt) - 1;
	smram->gdtr.base = SMM_DATA + offsetof(struct smram, gdt);
	smram->idtr.limit = sizeof(smram->idt) - 1;
	smram->idtr.base = SMM_DATA + offsetof(struct smram, idt);
	vcpu_set_msr(vcpu, MSR_IA32_SMBASE, SMRAM);
}

static uint32_t smm_value(unsigned int i, uint64_t salt)
{
	return pattern(smm_accesses[i].field, salt + 1000);
}

/* Let the SMI handler run to its stop. */
static void enter_smm(void)
{
	vcpu_ioctl(vcpu, KVM_SMI, NULL);
	vcpu_run(vcpu);
	TEST_ASSERT(vcpu->run->exit_reason == KVM_EXIT_IO && vcpu->run->io.port == SMI_PORT,
		    "exit %u instead of the SMI handler's", vcpu->run->exit_reason);
}

static void deliver_smi(uint64_t salt)
{
	unsigned int i;

	for (i = 0; i < SMM_ACCESSES; i++)
		smram->access[i] = (struct smm_access){
			smm_accesses[i].field, smm_value(i, salt), smm_accesses[i].write, SMM_NEVER
		};
	smram->access[i].field = 0;
	enter_smm();
}

/*
 * Did the handler's accesses do what they may?  Fills in what L1 shall read, if the
 * values of the first "reach" fields get into vmcs12.
 */
static void judge_smi(uint64_t salt, unsigned int reach, unsigned int *done)
{
	struct smm_access *access = smram->access;
	uint64_t expected;
	unsigned int i, f;

	for (f = 0; f < WRITTEN_BEFORE_SMI; f++)
		expected_after_smi[f] = (uint32_t)pattern(written_before_smi[f], salt);
	for (i = 0; i < SMM_ACCESSES; i++, access++) {
		EXPECT(access->result == SMM_DONE || access->result == SMM_UD,
		       "access %u, of %#x: result %u", i, access->field, access->result);
		EXPECT(smm_accesses[i].here != NEVER || access->result == SMM_UD,
		       "access %u, of %#x, does not raise #UD", i, access->field);
		done[i] += access->result == SMM_DONE;
		if (access->result != SMM_DONE)
			continue;
		for (f = 0; f < reach; f++)
			if (written_before_smi[f] == access->field && access->write)
				expected_after_smi[f] = access->value;
		if (access->write)
			continue;
		if (access->field == VM_EXIT_REASON)
			expected = EXIT_REASON_VMCALL;
		else if (access->field == CR4_READ_SHADOW)
			expected = (uint32_t)pattern(CR4_READ_SHADOW, salt);
		else	/* written above, if that was no #UD */
			expected = access[-7].result == SMM_DONE ? access[-7].value :
				   (uint32_t)pattern(access->field, salt);
		EXPECT(access->value == expected, "the handler reads %#x of %#x, not %#lx",
		       access->value, access->field, expected);
	}
	sync_global_to_guest(vm, expected_after_smi);
}

/*
 * In L1 the handler's values stay, as those of L1's own VMWRITEs.  While L2 runs KVM
 * has left it without telling L1, and enters it again at RSM with vmcs12 as it was: the
 * next nested exit overwrites the handler's values, unless user space saved the state
 * in between, which takes those of the fields that stock shadows to vmcs12.
 */
static void smi(bool in_l2)
{
	unsigned int i, turn, done[SMM_ACCESSES] = {};
	bool two_cpus = sysconf(_SC_NPROCESSORS_ONLN) > 1;
	bool save;

	walk_all();
	for (turn = 0; turn < TURNS; turn++) {
		save = turn & 1;
		if (two_cpus)
			pin_to_cpu(turn >> 1 & 1);
		ASK(SMI, .how = in_l2, .value = turn);
		if (two_cpus)
			pin_to_cpu(turn >> 2 & 1);
		deliver_smi(turn);
		judge_smi(turn, !in_l2 ? WRITTEN_BEFORE_SMI : save ? SHADOWED_IN_STOCK : 0, done);
		if (save)
			kvm_x86_state_cleanup(vcpu_save_state(vcpu));
		if (two_cpus)
			pin_to_cpu(turn >> 3 & 1);
		run_to_answer();
	}
	if (two_cpus)
		pin_to_cpu(0);
	/* Not each time: a census takes all fields out of the set. */
	for (i = 0; i < SMM_ACCESSES; i++)
		EXPECT(smm_accesses[i].here != ALWAYS || done[i] > TURNS / 2,
		       "access %u, of %#lx, raised #UD %u times", i, smm_accesses[i].field,
		       TURNS - done[i]);
	ASK(RESTART);
}

void smi_while_l1_runs(void)
{
	smi(false);
}

void smi_while_l2_runs(void)
{
	smi(true);
}

/*
 * In SMM L1 is out of VMX operation, so KVM lets user space set the VMX capability MSRs;
 * RSM brings VMX operation back, with the same VMCS.  The next entry obeys the new ones.
 */
void capabilities_set_in_smm(void)
{
	const uint64_t bitmaps = (uint64_t)CPU_BASED_USE_MSR_BITMAPS << 32;
	uint64_t controls = vcpu_get_msr(vcpu, MSR_IA32_VMX_TRUE_PROCBASED_CTLS);
	unsigned int turn;

	/* Linux 6.5: "KVM: x86: Disallow writes to immutable feature MSRs after KVM_RUN". */
	if (kernel_is_at_least(6, 5)) {
		skip_reason = "this KVM refuses to set them once the vCPU has run";
		return;
	}
	walk_all();
	for (turn = 0; turn < TURNS; turn++) {
		ASK(ROUNDS, .count = 20);
		smram->access[0].field = 0;
		enter_smm();
		vcpu_set_msr(vcpu, MSR_IA32_VMX_TRUE_PROCBASED_CTLS, controls & ~bitmaps);
		ASK(REFUSED);
		enter_smm();
		vcpu_set_msr(vcpu, MSR_IA32_VMX_TRUE_PROCBASED_CTLS, controls);
		ASK(ROUNDS, .count = 20);
	}
}
