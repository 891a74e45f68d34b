// SPDX-License-Identifier: GPL-2.0
/*
 * The CPU refuses to enter L2 again after L2 has run: what L1 reads of the guest-state
 * fields that stock calls rare.
 *
 * L2 changes ES, then stops at an exit that L0 handles.  User space injects an event
 * that no CPU accepts (#UD with an error code), so VMRESUME fails (VMfail), and L1 sees
 * its own VMRESUME fail.  By the SDM a VMfail changes no guest-state field.  Stock reads
 * the rare fields back from vmcs02 when L1 next looks at one, unless L1 looked at one
 * since the exit before.  Where L1 reads ES without an exit, nobody knows whether it
 * looked; there L1 reads what the SDM says in both cases.
 */
#define _GNU_SOURCE

#include "kvm_util.h"
#include "processor.h"
#include "vmx.h"

#include "lib/cases.h"
#include "lib/vm.h"

#define ROUNDS	2000	/* nested round trips until ES is read without an exit */
#define LAST	100	/* of which none may exit for ES */
#define PORT	0x80
#define BEFORE	0x10	/* ES that L1 saw at the last exit */
#define AFTER	0	/* ES that L2 loaded since */
#define INVALID_CONTROLS 7	/* VM-instruction error number */

/* L1 and L2 share all registers but RSP; RBP is saved where it matters. */
#define EVERYTHING "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", \
		   "r12", "r13", "r14", "r15", "memory"

enum { READY = 1, REFUSED };

/* Does L1 read ES after the exit before the refused entry? */
static bool looks;
static bool stops;

static void l2_guest_code(void)
{
	for (;;) {
		asm volatile("mov %0, %%es" : : "r"(READ_ONCE(stops) ? AFTER : BEFORE));
		if (READ_ONCE(stops))
			asm volatile("outb %%al, %0" : : "N"(PORT));
		asm volatile("push %%rbp; vmcall; pop %%rbp" : : : EVERYTHING);
	}
}

/*
 * The host state is written once: a VMWRITE that exits would count as a look.  RSP is
 * that of the caller's frame less the same amount each time.
 */
static noinline bool enter_l2(uint64_t first)
{
	uint64_t rsp = HOST_RSP, rip = HOST_RIP;
	bool failed;

	asm volatile("push %%rbp; test %1, %1; jz 1f;"
		     "vmwrite %%rsp, %2; lea 2f(%%rip), %%rax; vmwrite %%rax, %3;"
		     "vmlaunch; jmp 3f;"
		     "1: vmresume;"
		     "3: pop %%rbp; mov $1, %%eax; jmp 4f;"
		     "2: pop %%rbp; mov $0, %%eax; 4: mov %%al, %0"
		     : "=m"(failed), "+D"(first), "+S"(rsp), "+d"(rip) :
		     : "rax", "rbx", "rcx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
		       "memory", "cc");
	return failed;
}

static void enter_and_skip(uint64_t first)
{
	GUEST_ASSERT(!enter_l2(first));
	vmwrite(GUEST_RIP, vmreadz(GUEST_RIP) + vmreadz(VM_EXIT_INSTRUCTION_LEN));
}

static void l1_guest_code(struct vmx_pages *vmx)
{
	unsigned long l2_stack[64];
	int i;

	GUEST_ASSERT(prepare_for_vmx_operation(vmx));
	GUEST_ASSERT(load_vmcs(vmx));
	prepare_vmcs(vmx, l2_guest_code, &l2_stack[63]);
	enter_and_skip(true);
	for (;;) {
		WRITE_ONCE(stops, false);
		for (i = 0; i < ROUNDS; i++) {
			enter_and_skip(false);
			GUEST_ASSERT(vmreadz(GUEST_ES_SELECTOR) == BEFORE);
			if (i == ROUNDS - LAST)
				GUEST_SYNC(READY);
		}
		enter_and_skip(false);
		if (READ_ONCE(looks))
			GUEST_ASSERT(vmreadz(GUEST_ES_SELECTOR) == BEFORE);
		GUEST_SYNC(READY);
		WRITE_ONCE(stops, true);
		GUEST_ASSERT(enter_l2(false));
		GUEST_ASSERT(vmreadz(VM_INSTRUCTION_ERROR) == INVALID_CONTROLS);
		GUEST_SYNC(REFUSED | vmreadz(GUEST_ES_SELECTOR) << 8);
	}
}

static bool shadowed(void)
{
	return parameter("adaptive_shadow") == 'Y';
}

static uint64_t vmread_exits(void)
{
	return counter("shadow_exit_vmread");
}

/* Return: ES, as L1 reads it after its VMRESUME failed. */
static uint64_t refused(bool l1_looks)
{
	struct kvm_vcpu_events events;
	uint64_t before, said;

	WRITE_ONCE(looks, l1_looks);
	sync_global_to_guest(vm, looks);
	TEST_ASSERT(run_to_sync() == READY, "no round trips");
	before = vmread_exits();
	TEST_ASSERT(run_to_sync() == READY, "no round trips");
	EXPECT(vmread_exits() == before, "%lu exits for ES", vmread_exits() - before);
	vcpu_run(vcpu);
	TEST_ASSERT(vcpu->run->exit_reason == KVM_EXIT_IO && vcpu->run->io.port == PORT,
		    "L2 did not stop");
	vcpu_events_get(vcpu, &events);
	events.exception.injected = 1;
	events.exception.nr = UD_VECTOR;
	events.exception.has_error_code = 1;
	vcpu_events_set(vcpu, &events);
	said = run_to_sync();
	TEST_ASSERT((said & 0xff) == REFUSED, "L1 said %lu", said);
	return said >> 8;
}

static void l1_looked_before(void)
{
	uint64_t es = refused(true);

	EXPECT(es == BEFORE, "ES %#lx", es);
}

static void l1_did_not_look(void)
{
	uint64_t es = refused(false);

	EXPECT(es == (shadowed() ? BEFORE : AFTER), "ES %#lx", es);
}

static void verify_found_nothing(void)
{
	if (!verify_is_on())
		return;
	expect_verified("shadow", true);
	expect_verified("read_back", false);
	expect_verified("l1_cr3", kernel_is_at_least(7, 2));
}

static const struct test_case cases[] = {
	CASE(l1_looked_before),
	CASE(l1_did_not_look),
	CASE(verify_found_nothing),
};

int main(int argc, char **argv)
{
	begin_test();
	create_vm_with_l1(l1_guest_code);
	run_cases(cases, ARRAY_SIZE(cases), argv + 1);
	kvm_vm_free(vm);
	ksft_finished();
}
