// SPDX-License-Identifier: GPL-2.0
/*
 * An L2 for guest/field_walk_l1.c: a guest whose exits come in the same order in
 * every run.  Between them it changes what a guest may change without an exit.
 * In L0 it is an L1 like any other, and nobody looks.
 */
#include "test_util.h"
#include "lib/tiny_hypervisor.h"

#define ROUNDS		140	/* of nine exits that the walk counts */
#define IO_PORT		0x80
#define MMIO_GPA	0xc0000000ul	/* in no memslot */

/* No local variable: user space's code keeps them below RSP, where an exception pushes. */
static uint64_t pat;

static void after_ud(struct ex_regs *regs)
{
	regs->rip += 2;
}

/* PAT's last entry, which is not in use, is uncached or write-combining. */
static void guest_code(void)
{
	unsigned long n;

	pat = rdmsr(MSR_IA32_CR_PAT);
	for (n = 0; n < ROUNDS; n++) {
		EXECUTE("cpuid", 0, 0, 0, 0);
		wrmsr(MSR_FS_BASE, n << 12);
		EXECUTE("vmcall", ~0ul, 0, 0, 0);
		asm volatile("mov %0, %%ds" : : "r"(n & 1 ? 0 : 0x10));
		EXECUTE("out %%al, (%%dx)", n & 0xff, 0, IO_PORT, 0);
		asm volatile("ud2");
		wrmsr(MSR_IA32_CR_PAT, pat ^ (n & 1) << 56);
		asm volatile("mov %0, %%cr4" : : "r"(get_cr4() ^ X86_CR4_TSD));
		EXECUTE("in (%%dx), %%al", 0, 0, IO_PORT, 0);
		*(volatile uint32_t *)(MMIO_GPA + 8 * (n & 0xff)) = n;
		EXECUTE("stc; cpuid", 1, 0, 0, 0);
		rdmsr(MSR_IA32_MISC_ENABLE);
	}
	GUEST_DONE();
}

int main(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;

	vm = vm_create_with_one_vcpu(&vcpu, guest_code);
	vm_init_descriptor_tables(vm);
	vcpu_init_descriptor_tables(vcpu);
	vm_install_exception_handler(vm, UD_VECTOR, after_ud);
	virt_pg_map(vm, MMIO_GPA, MMIO_GPA);
	do {
		vcpu_run(vcpu);
	} while (vcpu->run->exit_reason == KVM_EXIT_MMIO ||
		 (vcpu->run->exit_reason == KVM_EXIT_IO && vcpu->run->io.port == IO_PORT));
	TEST_ASSERT(get_ucall(vcpu, NULL) == UCALL_DONE, "unexpected exit %u",
		    vcpu->run->exit_reason);
	kvm_vm_free(vm);
	return 0;
}
