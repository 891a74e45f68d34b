// SPDX-License-Identifier: GPL-2.0
/*
 * What the bench runs: a guest that executes CPUID in a loop, between two marks
 * that the emulator counts between.
 *
 *   exit_bench guest          this VM's guest executes the CPUIDs: an L1 when
 *                             started in L0, an L2 when started in a Linux L1
 *   exit_bench nested [no-ept] [rewrite-host]
 *                             the guest is a tiny L1 and its L2 executes them.
 *                             rewrite-host: L1 writes HOST_RSP and HOST_RIP
 *                             before each VM entry, as most hypervisors do not
 *
 * Prints "ticks N": RDTSC cycles per iteration as the guest saw them; in the
 * emulator these are instructions, of host and guest together.
 */
#include "test_util.h"
#include "kvm_util.h"
#include "processor.h"
#include "vmx.h"

#define WARM_UP		50
#define ITERATIONS	1000
#define L2_STACK	64

struct options {
	bool nested, no_ept, rewrite_host;
};

/* Runs natively in a guest, exits nowhere, changes nothing: the emulator's cue. */
static void mark(void)
{
	asm volatile("xchg %%bx, %%bx" : : : "memory");
}

static void execute_cpuid(void)
{
	uint32_t eax = 0, ebx, ecx = 0, edx;

	asm volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
}

static void guest_code(void)
{
	uint64_t start, end;
	int i;

	for (i = 0; i < WARM_UP; i++)
		execute_cpuid();
	mark();
	start = rdtsc();
	for (i = 0; i < ITERATIONS; i++)
		execute_cpuid();
	end = rdtsc();
	mark();
	GUEST_SYNC((end - start) / ITERATIONS);
	GUEST_DONE();
}

static void l2_guest_code(void)
{
	for (;;)
		execute_cpuid();
}

/*
 * unsigned long resume_l2(unsigned long n): n VM entries into L2, HOST_RSP and
 * HOST_RIP written once.  Returns 0, or the exit reason that was not CPUID's.
 * The counter lives on the stack: L1's registers are L2's after an exit.
 */
extern unsigned long resume_l2(unsigned long n);
asm(".pushsection .text\n"
	"resume_l2:\n"
	"push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
	"push %rdi\n"
	"mov $0x6c14, %eax\n"		/* HOST_RSP */
	"vmwrite %rsp, %rax\n"
	"lea 2f(%rip), %rbx\n"
	"mov $0x6c16, %eax\n"		/* HOST_RIP */
	"vmwrite %rbx, %rax\n"
	"1:	mov $0x681e, %ecx\n"		/* GUEST_RIP */
	"vmread %rcx, %rax\n"
	"mov $0x440c, %edx\n"		/* VM_EXIT_INSTRUCTION_LEN */
	"vmread %rdx, %rdx\n"
	"add %rdx, %rax\n"
	"vmwrite %rax, %rcx\n"
	"vmresume\n"
	"ud2\n"
	"2:	mov $0x4402, %ecx\n"		/* VM_EXIT_REASON */
	"vmread %rcx, %rax\n"
	"cmp $10, %eax\n"		/* CPUID */
	"jne 3f\n"
	"decq (%rsp)\n"
	"jnz 1b\n"
	"xor %eax, %eax\n"
	"3:	pop %rdi\n"
	"pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
	"ret\n"
	".popsection\n");

static void resume_l2_rewriting(unsigned long n)
{
	while (n--) {
		vmwrite(GUEST_RIP, vmreadz(GUEST_RIP) + vmreadz(VM_EXIT_INSTRUCTION_LEN));
		GUEST_ASSERT(!vmresume());
		GUEST_ASSERT(vmreadz(VM_EXIT_REASON) == EXIT_REASON_CPUID);
	}
}

static void run_l2(struct options *options, unsigned long n)
{
	if (options->rewrite_host)
		resume_l2_rewriting(n);
	else
		GUEST_ASSERT(!resume_l2(n));
}

static void l1_guest_code(struct vmx_pages *vmx, bool no_ept, bool rewrite_host)
{
	struct options options = { true, no_ept, rewrite_host };
	unsigned long l2_stack[L2_STACK];
	uint64_t start, end;

	GUEST_ASSERT(prepare_for_vmx_operation(vmx));
	GUEST_ASSERT(load_vmcs(vmx));
	prepare_vmcs(vmx, l2_guest_code, &l2_stack[L2_STACK]);
	if (!no_ept) {
		vmwrite(CPU_BASED_VM_EXEC_CONTROL,
			vmreadz(CPU_BASED_VM_EXEC_CONTROL) | CPU_BASED_USE_MSR_BITMAPS);
		vmwrite(SECONDARY_VM_EXEC_CONTROL,
			vmreadz(SECONDARY_VM_EXEC_CONTROL) |
			SECONDARY_EXEC_UNRESTRICTED_GUEST | SECONDARY_EXEC_ENABLE_VPID);
		vmwrite(VIRTUAL_PROCESSOR_ID, 1);
	}
	GUEST_ASSERT(!vmlaunch());
	GUEST_ASSERT_1(vmreadz(VM_EXIT_REASON) == EXIT_REASON_CPUID,
		       vmreadz(VM_EXIT_REASON));

	run_l2(&options, WARM_UP);
	mark();
	start = rdtsc();
	run_l2(&options, ITERATIONS);
	end = rdtsc();
	mark();
	GUEST_SYNC((end - start) / ITERATIONS);
	GUEST_DONE();
}

static struct kvm_vm *create_vm(struct kvm_vcpu **vcpu, struct options *options)
{
	struct vmx_pages *vmx;
	struct kvm_vm *vm;
	vm_vaddr_t vmx_gva;

	if (!options->nested)
		return vm_create_with_one_vcpu(vcpu, guest_code);

	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	vm = vm_create_with_one_vcpu(vcpu, l1_guest_code);
	vmx = vcpu_alloc_vmx(vm, &vmx_gva);
	if (!options->no_ept) {
		prepare_eptp(vmx, vm, 0);
		nested_map_memslot(vmx, vm, 0);
	}
	vcpu_args_set(*vcpu, 3, vmx_gva, options->no_ept, options->rewrite_host);
	return vm;
}

static struct options parse(int argc, char **argv)
{
	struct options options = {};
	int i;

	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "nested"))
			options.nested = true;
		else if (!strcmp(argv[i], "no-ept"))
			options.no_ept = true;
		else if (!strcmp(argv[i], "rewrite-host"))
			options.rewrite_host = true;
		else if (strcmp(argv[i], "guest"))
			TEST_FAIL("unknown '%s': guest | nested [no-ept] [rewrite-host]", argv[i]);
	}
	return options;
}

int main(int argc, char **argv)
{
	struct options options = parse(argc, argv);
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = create_vm(&vcpu, &options);
	struct ucall uc;

	printf("iterations %d\n", ITERATIONS);
	for (;;) {
		vcpu_run(vcpu);
		switch (get_ucall(vcpu, &uc)) {
		case UCALL_SYNC:
			printf("ticks %lu\n", uc.args[1]);
			break;
		case UCALL_DONE:
			kvm_vm_free(vm);
			return 0;
		case UCALL_ABORT:
			REPORT_GUEST_ASSERT_1(uc, "exit reason %lu");
		default:
			TEST_FAIL("unexpected exit %u", vcpu->run->exit_reason);
		}
	}
}
