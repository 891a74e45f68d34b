// SPDX-License-Identifier: GPL-2.0
/*
 * What each VMX instruction costs on this CPU, in cycles of the TSC: for "kvm-intel-fast measure".
 *
 * Measures on CPU 0 when it is loaded, with no VM running; the parameter "result" then has a
 * line "NAME MEDIAN SPREAD" for each, in tenths of a cycle, with the empty loop's cost in it.
 * KVM may be loaded.  Where it has VMX operation on while no VM runs, this stays in it.
 *
 * Invariant: interrupts are off from VMXON, or the first VMPTRLD, to VMCLEAR and VMXOFF; and
 * what an exit leaves otherwise of the host is put back.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>
#include <linux/sort.h>
#include <linux/workqueue.h>
#include <asm/cpufeature.h>
#include <asm/debugreg.h>

#include "vmx.h"

#define LOOP		256	/* operations between two looks at the clock */
#define ROUNDS		101
#define VPID		0xffff
#define CR4_FRED	BIT_ULL(32)

static char result[1024];
module_param_string(result, result, sizeof(result), 0444);

static void *vmxon_page, *vmcs, *other;

/* What an exit changes, and no field of the VMCS brings back. */
struct rest {
	struct desc_ptr gdt, idt;
	unsigned long dr7;
	u64 debugctl;
	u16 ldt;
};

static u64 now(void)
{
	u32 low, high;

	asm volatile("lfence\n\trdtsc\n\tlfence" : "=a"(low), "=d"(high) : : "memory");
	return low | (u64)high << 32;
}

/* Says when it began: the clock is in EDX:EAX at its exit. */
static __naked void guest(void)
{
	asm("lfence\n\t"
	    "rdtsc\n\t"
	    "vmcall");
}

/* With interrupts off nobody needs the kernel's shadow of CR4, which 7.x lets KVM alone change. */
static void write_cr4(unsigned long value)
{
	asm volatile("mov %0, %%cr4" : : "r"(value) : "memory");
}

static void save(struct rest *rest)
{
	native_store_gdt(&rest->gdt);
	store_idt(&rest->idt);
	asm("sldt %0" : "=m"(rest->ldt));
	get_debugreg(rest->dr7, 7);
	rest->debugctl = msr_value(MSR_IA32_DEBUGCTLMSR);
}

static void restore(const struct rest *rest)
{
	native_load_gdt(&rest->gdt);
	load_idt(&rest->idt);
	asm volatile("lldt %0" : : "m"(rest->ldt));
	set_debugreg(rest->dr7, 7);
	asm volatile("wrmsr" : : "c"(MSR_IA32_DEBUGCTLMSR), "a"((u32)rest->debugctl),
		     "d"((u32)(rest->debugctl >> 32)));
	/* A worker of the kernel has no I/O bitmap, so its TR need not be loaded now. */
	this_cpu_write(__tss_limit_invalid, true);
}

/* Return: the clock in the guest, 0 if it did not enter. */
static noinline u64 enter(bool launch)
{
	u64 low = launch, high = 0;
	bool entered = false;

	asm volatile("vmwrite %%rsp, %[rsp]\n\t"
		     "lea 1f(%%rip), %%rdx\n\t"
		     "vmwrite %%rdx, %[rip]\n\t"
		     "test %%rax, %%rax\n\t"
		     "jz 0f\n\t"
		     "vmlaunch\n\t"
		     "jmp 2f\n"
		     "0: vmresume\n\t"
		     "jmp 2f\n"
		     "1: endbr64\n\t"
		     "mov $1, %b[entered]\n"
		     "2:"
		     : "+a"(low), "+d"(high), [entered] "+b"(entered)
		     : [rsp] "r"((u64)HOST_RSP), [rip] "r"((u64)HOST_RIP)
		     : "cc", "memory");
	return entered ? (u32)low | high << 32 : 0;
}

/* A whole visit; an NMI that ended it is the host's.  Return: the clock in the guest, or 0. */
static u64 visit(bool launch)
{
	u64 inside;

	write_field(GUEST_RIP, (u64)guest);
	inside = enter(launch);
	if (!inside)
		return 0;
	while ((u16)read_field(VM_EXIT_REASON) == EXIT_REASON_EXCEPTION_NMI) {
		asm volatile("int $2");
		inside = enter(false);
	}
	return read_field(VM_EXIT_REASON) == EXIT_REASON_VMCALL ? inside : 0;
}

static void use_vpid(void)
{
	struct { u64 vpid, address; } all = {};

	write_field(SECONDARY_VM_EXEC_CONTROL,
		    controls(MSR_IA32_VMX_PROCBASED_CTLS2, SECONDARY_EXEC_ENABLE_VPID));
	if (!(read_field(SECONDARY_VM_EXEC_CONTROL) & SECONDARY_EXEC_ENABLE_VPID))
		return;
	write_field(VIRTUAL_PROCESSOR_ID, VPID);
	asm volatile("invvpid %0, %1"
		     : : "m"(all), "r"((u64)VMX_VPID_EXTENT_ALL_CONTEXT) : "cc", "memory");
}

/* Operations, each with its name.  The loop counter is n. */
#define COSTS(COST)								\
	COST(empty, barrier())							\
	COST(vmread, read_field(GUEST_SYSENTER_ESP))				\
	COST(vmread_exit_reason, read_field(VM_EXIT_REASON))			\
	COST(vmwrite_same, write_field(GUEST_SYSENTER_ESP, 0))			\
	COST(vmwrite_changing, write_field(GUEST_SYSENTER_ESP, n))		\
	COST(vmwrite_control, write_field(EXCEPTION_BITMAP, n))			\
	COST(vmptrld_current, load(vmcs))					\
	COST(vmptrld_two_in_turn, load(n % 2 ? vmcs : other))			\
	COST(vmclear_and_vmptrld, ({ clear(vmcs); load(vmcs); }))

#define COST(name, statement)							\
static u64 cost_##name(void)							\
{										\
	u64 begin = now();							\
	unsigned int n;								\
										\
	for (n = 0; n < LOOP; n++) {						\
		statement;							\
		barrier();							\
	}									\
	return now() - begin;							\
}

COSTS(COST)
#undef COST

/* Return: cycles, 0 on an error. */
static u64 of_visits(bool exits)
{
	u64 before, inside, sum = 0;
	unsigned int n;

	if (!visit(true))
		return 0;
	for (n = 0; n < LOOP; n++) {
		before = now();
		inside = visit(false);
		if (!inside)
			return 0;
		sum += exits ? now() - inside : inside - before;
	}
	return sum;
}

static u64 cost_entry(void)
{
	return of_visits(false);
}

static u64 cost_exit(void)
{
	return of_visits(true);
}

static const struct {
	const char *name;
	u64 (*measure)(void);
} costs[] = {
#define COST(name, statement) { #name, cost_##name },
	COSTS(COST)
#undef COST
	{ "entry", cost_entry },
	{ "exit", cost_exit },
};

/* Return: cycles of LOOP operations, 0 on an error. */
static u64 measure_once(u64 (*measure)(void))
{
	unsigned long flags, cr4;
	struct rest rest;
	u64 cycles = 0;
	bool on;

	local_irq_save(flags);
	save(&rest);
	cr4 = __read_cr4();
	on = cr4 & X86_CR4_VMXE;
	if (!on) {
		write_cr4(cr4 | X86_CR4_VMXE);
		if (!turn_on(vmxon_page))
			goto out;
	}
	if (clear(vmcs) && clear(other) && load(other) && load(vmcs)) {
		fill(guest, PIN_BASED_NMI_EXITING, NULL, NULL);
		use_vpid();
		cycles = measure();
	}
	clear(vmcs);
	clear(other);
	if (!on)
		turn_off();
out:
	write_cr4(cr4);
	restore(&rest);
	local_irq_restore(flags);
	return cycles;
}

static int compare(const void *a, const void *b)
{
	u64 one = *(const u64 *)a, two = *(const u64 *)b;

	return one < two ? -1 : one > two;
}

static long measure_all(void *unused)
{
	static u64 cycles[ROUNDS];
	unsigned int cost, n;
	size_t used = 0;

	for (cost = 0; cost < ARRAY_SIZE(costs); cost++) {
		for (n = 0; n < ROUNDS; n++) {
			cycles[n] = measure_once(costs[cost].measure) * 10 / LOOP;
			if (!cycles[n])
				return -EIO;
			cond_resched();
		}
		sort(cycles, ROUNDS, sizeof(*cycles), compare, NULL);
		used += scnprintf(result + used, sizeof(result) - used, "%s %llu %llu\n",
				  costs[cost].name, cycles[ROUNDS / 2],
				  (cycles[3 * ROUNDS / 4] - cycles[ROUNDS / 4]) / 2);
	}
	return 0;
}

static void free_pages_of_ours(void)
{
	free_page((unsigned long)vmxon_page);
	free_page((unsigned long)vmcs);
	free_page((unsigned long)other);
}

static int __init costs_init(void)
{
	u32 revision;
	long ret;

	if (!boot_cpu_has(X86_FEATURE_VMX) || __read_cr4() & CR4_FRED)
		return -ENODEV;
	revision = msr_value(MSR_IA32_VMX_BASIC);
	vmxon_page = page(revision);
	vmcs = page(revision);
	other = page(revision);
	ret = vmxon_page && vmcs && other ? work_on_cpu(0, measure_all, NULL) : -ENOMEM;
	free_pages_of_ours();
	return ret;
}
module_init(costs_init);

static void __exit costs_exit(void)
{
}
module_exit(costs_exit);

MODULE_DESCRIPTION("Measures VMX instructions");
MODULE_LICENSE("GPL");
