// SPDX-License-Identifier: GPL-2.0
/*
 * Software that breaks one rule about VMCSs, or none.
 *
 * A kernel module for L0 of the emulated machine, and for nothing else, in place of
 * KVM.  Parameter rule: a name of the table below.  The emulator stops the machine
 * (bochs/instrument/strict.cc), but for "none", which does what software may do and
 * looks at what comes of it, and "offline", which leaves a VMCS active on CPU 1 for
 * whoever takes that CPU offline.  Needs two CPUs.
 *
 * The guest runs on L0's own page tables and executes two instructions.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cpumask.h>
#include <linux/module.h>
#include <linux/smp.h>
#include <linux/workqueue.h>
#include <asm/cpufeature.h>

#include "vmx.h"

#define FIELD		GUEST_SYSENTER_ESP
#define VALUE		0xffff818283848586ull

static char *rule = "none";
module_param(rule, charp, 0444);

static void *vmxon_page[2], *vmcs, *other, *shadow, *bitmap;

/* Guests; the field's number is in RCX. */
static __naked void guest_reads(void)
{
	asm("vmread %rcx, %rax\n\t"
	    "vmcall");
}

static __naked void guest_calls(void)
{
	asm("vmcall");
}

/* Return: did it enter?  What the guest left in RAX goes to *rax. */
static noinline bool enter(bool launch, u64 *rax)
{
	unsigned long flags;
	u64 result = launch;
	bool entered = false;

	local_irq_save(flags);
	asm volatile("vmwrite %%rsp, %[rsp]\n\t"
		     "lea 1f(%%rip), %%rdx\n\t"
		     "vmwrite %%rdx, %[rip]\n\t"
		     "test %%rax, %%rax\n\t"
		     "jz 0f\n\t"
		     "vmlaunch\n\t"
		     "jmp 2f\n"
		     "0: vmresume\n\t"
		     "jmp 2f\n"
		     "1: mov $1, %b[entered]\n"
		     "2:"
		     : "+a"(result), [entered] "+b"(entered)
		     : "c"((u64)FIELD), [rsp] "r"((u64)HOST_RSP), [rip] "r"((u64)HOST_RIP)
		     : "rdx", "cc", "memory");
	invalidate_tss_limit();		/* an exit makes it so short that init has no ports */
	local_irq_restore(flags);
	*rax = result;
	return entered;
}

static bool run(bool launch, u64 *rax)
{
	return enter(launch, rax) && read_field(VM_EXIT_REASON) == EXIT_REASON_VMCALL;
}

static void start(void *unused)
{
	cr4_set_bits(X86_CR4_VMXE);
	if (!turn_on(vmxon_page[smp_processor_id()]))
		pr_err("VMXON failed\n");
}

static void stop(void *unused)
{
	turn_off();
	cr4_clear_bits(X86_CR4_VMXE);
}

static void on_other(void (*call)(void *), void *page)
{
	smp_call_function_single(1, call, page, true);
}

static void load_there(void *page)
{
	load(page);
}

static void clear_there(void *page)
{
	clear(page);
}

/* Returns that it read the value, in *page; the VMCS is inactive then. */
static bool read_elsewhere;

static void load_and_read(void *page)
{
	read_elsewhere = load(page) && read_field(FIELD) == VALUE && clear(page);
}

static bool never_cleared(void)
{
	return load(vmcs);
}

static bool written_while_clear(void)
{
	clear(vmcs);
	memset(vmcs + 64, 0x11, 64);
	return load(vmcs);
}

static bool written_while_active(void)
{
	clear(vmcs);
	load(vmcs);
	memset(vmcs + 64, 0x11, 64);
	return clear(vmcs);
}

static bool on_two_cpus(void)
{
	clear(vmcs);
	load(vmcs);
	on_other(load_there, vmcs);
	return true;
}

static bool cleared_on_another(void)
{
	clear(vmcs);
	load(vmcs);
	on_other(clear_there, vmcs);
	return true;
}

static bool read_without(void)
{
	read_field(FIELD);
	return true;
}

static bool written_without(void)
{
	write_field(FIELD, 0);
	return true;
}

static bool read_after_clear(void)
{
	clear(vmcs);
	load(vmcs);
	clear(vmcs);
	read_field(FIELD);
	return true;
}

static bool resume_of_clear(void)
{
	u64 rax;

	clear(vmcs);
	load(vmcs);
	fill(guest_calls, 0, NULL, NULL);
	return enter(false, &rax);
}

static bool launch_of_launched(void)
{
	u64 rax;

	clear(vmcs);
	load(vmcs);
	fill(guest_calls, 0, NULL, NULL);
	return run(true, &rax) && enter(true, &rax);
}

static bool shadow_current(void)
{
	u64 rax;

	clear(shadow);
	load(shadow);
	return enter(true, &rax);
}

static bool link_loaded(void)
{
	u64 rax;

	clear(shadow);
	load(shadow);
	clear(vmcs);
	load(vmcs);
	fill(guest_calls, 0, shadow, bitmap);
	return enter(true, &rax);
}

static bool link_on_another(void)
{
	u64 rax;

	clear(shadow);
	on_other(load_there, shadow);
	clear(vmcs);
	load(vmcs);
	fill(guest_calls, 0, shadow, bitmap);
	return enter(true, &rax);
}

/* The entry made it active here. */
static bool loaded_after_link(void)
{
	u64 rax;

	clear(shadow);
	clear(vmcs);
	load(vmcs);
	fill(guest_calls, 0, shadow, bitmap);
	if (!run(true, &rax))
		return false;
	on_other(load_there, shadow);
	return true;
}

static bool left_active(void)
{
	clear(vmcs);
	load(vmcs);
	turn_off();
	cr4_clear_bits(X86_CR4_VMXE);
	return true;
}

static bool offline(void)
{
	clear(vmcs);
	on_other(load_there, vmcs);
	return true;
}

static bool in_memory(void)
{
	const u64 *word = vmcs;
	unsigned int n;

	for (n = 0; n < PAGE_SIZE / sizeof(*word); n++)
		if (word[n] == VALUE)
			return true;
	return false;
}

/* What software may do, in an order in which each step needs the ones before. */
static bool none(void)
{
	bool good;
	u64 rax;

	good = clear(vmcs) && clear(other) && load(vmcs);
	write_field(FIELD, VALUE);
	good = good && !in_memory() && load(other) && load(vmcs) && read_field(FIELD) == VALUE;
	good = good && clear(vmcs) && in_memory() && clear(other);
	on_other(load_and_read, vmcs);
	if (!good || !read_elsewhere)
		return false;

	good = clear(shadow) && load(shadow);
	write_field(FIELD, VALUE);
	good = good && clear(shadow) && load(vmcs);
	fill(guest_reads, 0, shadow, bitmap);
	good = good && run(true, &rax) && rax == VALUE;
	/* Active by the entry: it may be loaded, and read by the guest again after VMCLEAR. */
	good = good && load(shadow) && read_field(FIELD) == VALUE;
	write_field(FIELD, VALUE + 1);
	good = good && clear(shadow) && load(vmcs);
	write_field(GUEST_RIP, (u64)guest_reads);
	good = good && run(false, &rax) && rax == VALUE + 1;
	write_field(GUEST_RIP, (u64)guest_reads);
	good = good && run(false, &rax) && rax == VALUE + 1;
	return clear(shadow) && clear(vmcs) && good;
}

static const struct {
	const char *name;
	bool (*broken)(void);
} rules[] = {
	{ "none", none },
	{ "never_cleared", never_cleared },
	{ "written_while_clear", written_while_clear },
	{ "written_while_active", written_while_active },
	{ "on_two_cpus", on_two_cpus },
	{ "cleared_on_another", cleared_on_another },
	{ "read_without", read_without },
	{ "written_without", written_without },
	{ "read_after_clear", read_after_clear },
	{ "resume_of_clear", resume_of_clear },
	{ "launch_of_launched", launch_of_launched },
	{ "shadow_current", shadow_current },
	{ "link_loaded", link_loaded },
	{ "link_on_another", link_on_another },
	{ "loaded_after_link", loaded_after_link },
	{ "left_active", left_active },
	{ "offline", offline },
};

static long on_first(void *unused)
{
	unsigned int n;

	for (n = 0; n < ARRAY_SIZE(rules); n++)
		if (!strcmp(rules[n].name, rule))
			break;
	if (n == ARRAY_SIZE(rules))
		return -EINVAL;
	start(NULL);
	on_other(start, NULL);
	if (!rules[n].broken())
		return -EIO;
	if (n)
		return 0;
	stop(NULL);
	on_other(stop, NULL);
	return 0;
}

static int __init rules_init(void)
{
	u32 revision, high;

	if (!boot_cpu_has(X86_FEATURE_VMX) || num_online_cpus() < 2)
		return -ENODEV;
	rdmsr(MSR_IA32_VMX_BASIC, revision, high);
	vmxon_page[0] = page(revision);
	vmxon_page[1] = page(revision);
	vmcs = page(revision);
	other = page(revision);
	shadow = page(revision | BIT(31));
	bitmap = page(0);
	if (!vmxon_page[0] || !vmxon_page[1] || !vmcs || !other || !shadow || !bitmap)
		return -ENOMEM;		/* the machine is switched off soon */
	return work_on_cpu(0, on_first, NULL);
}
module_init(rules_init);

MODULE_DESCRIPTION("Breaks a rule about VMCSs");
MODULE_LICENSE("GPL");
