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
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/workqueue.h>
#include <asm/cpufeature.h>
#include <asm/desc.h>
#include <asm/msr.h>
#include <asm/segment.h>
#include <asm/tlbflush.h>
#include <asm/vmx.h>

#define FIELD		GUEST_SYSENTER_ESP
#define VALUE		0xffff818283848586ull
#define UNUSABLE	0x10000

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

static bool turn_on(void *page)
{
	u64 address = __pa(page);
	bool failed;

	asm volatile("vmxon %1" : "=@ccna"(failed) : "m"(address) : "memory");
	return !failed;
}

static bool clear(void *page)
{
	u64 address = __pa(page);
	bool failed;

	asm volatile("vmclear %1" : "=@ccna"(failed) : "m"(address) : "memory");
	return !failed;
}

static bool load(void *page)
{
	u64 address = __pa(page);
	bool failed;

	asm volatile("vmptrld %1" : "=@ccna"(failed) : "m"(address) : "memory");
	return !failed;
}

static void write_field(unsigned long field, u64 value)
{
	asm volatile("vmwrite %1, %0" : : "r"(field), "rm"(value) : "cc");
}

static u64 read_field(unsigned long field)
{
	u64 value = 0;

	asm volatile("vmread %1, %0" : "+r"(value) : "r"(field) : "cc");
	return value;
}

static void turn_off(void)
{
	asm volatile("vmxoff" : : : "cc");
	cr4_clear_bits(X86_CR4_VMXE);
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

static u64 msr_value(u32 msr)
{
	u64 value;

	rdmsrl(msr, value);
	return value;
}

static u32 controls(u32 msr, u32 wanted)
{
	u32 low, high;

	rdmsr(msr, low, high);
	return (wanted | low) & high;
}

static void write_segment(unsigned int index, u16 selector, u64 base, u32 rights)
{
	write_field(GUEST_ES_SELECTOR + 2 * index, selector);
	write_field(GUEST_ES_BASE + 2 * index, base);
	write_field(GUEST_ES_LIMIT + 2 * index, rights == 0x8b ? 0x67 : 0xffffffff);
	write_field(GUEST_ES_AR_BYTES + 2 * index, rights);
}

/* The task state segment's base is in the descriptor that TR selects. */
static u64 tr_base(u64 gdt, u16 selector)
{
	const struct ldttss_desc *tss = (void *)gdt + selector;

	return tss->base0 | (u64)tss->base1 << 16 | (u64)tss->base2 << 24 | (u64)tss->base3 << 32;
}

/* The current VMCS: host and guest are this CPU as it is; the guest begins at RIP. */
static void fill(void *rip, void *link)
{
	struct desc_ptr gdt, idt;
	u16 tr;

	native_store_gdt(&gdt);
	store_idt(&idt);
	asm("str %0" : "=r"(tr));
	write_field(PIN_BASED_VM_EXEC_CONTROL, controls(MSR_IA32_VMX_TRUE_PINBASED_CTLS, 0));
	write_field(CPU_BASED_VM_EXEC_CONTROL, controls(MSR_IA32_VMX_TRUE_PROCBASED_CTLS,
							CPU_BASED_ACTIVATE_SECONDARY_CONTROLS));
	write_field(SECONDARY_VM_EXEC_CONTROL, controls(MSR_IA32_VMX_PROCBASED_CTLS2,
							link ? SECONDARY_EXEC_SHADOW_VMCS : 0));
	write_field(VM_EXIT_CONTROLS, controls(MSR_IA32_VMX_TRUE_EXIT_CTLS,
					       VM_EXIT_HOST_ADDR_SPACE_SIZE));
	write_field(VM_ENTRY_CONTROLS, controls(MSR_IA32_VMX_TRUE_ENTRY_CTLS, VM_ENTRY_IA32E_MODE));
	write_field(VMREAD_BITMAP, __pa(bitmap));
	write_field(VMWRITE_BITMAP, __pa(bitmap));
	write_field(VMCS_LINK_POINTER, link ? __pa(link) : ~0ull);

	write_field(HOST_CR0, read_cr0());
	write_field(HOST_CR3, __read_cr3());
	write_field(HOST_CR4, __read_cr4());
	write_field(HOST_CS_SELECTOR, __KERNEL_CS);
	write_field(HOST_SS_SELECTOR, __KERNEL_DS);
	write_field(HOST_TR_SELECTOR, tr);
	write_field(HOST_FS_BASE, msr_value(MSR_FS_BASE));
	write_field(HOST_GS_BASE, msr_value(MSR_GS_BASE));
	write_field(HOST_TR_BASE, tr_base(gdt.address, tr));
	write_field(HOST_GDTR_BASE, gdt.address);
	write_field(HOST_IDTR_BASE, idt.address);
	write_field(HOST_IA32_SYSENTER_CS, msr_value(MSR_IA32_SYSENTER_CS));
	write_field(HOST_IA32_SYSENTER_ESP, msr_value(MSR_IA32_SYSENTER_ESP));
	write_field(HOST_IA32_SYSENTER_EIP, msr_value(MSR_IA32_SYSENTER_EIP));

	write_field(GUEST_CR0, read_cr0());
	write_field(GUEST_CR3, __read_cr3());
	write_field(GUEST_CR4, __read_cr4());
	write_field(GUEST_DR7, 0x400);
	write_field(GUEST_RFLAGS, X86_EFLAGS_FIXED);
	write_field(GUEST_RIP, (u64)rip);
	write_segment(0, 0, 0, UNUSABLE);
	write_segment(1, __KERNEL_CS, 0, 0xa09b);
	write_segment(2, __KERNEL_DS, 0, 0xc093);
	write_segment(3, 0, 0, UNUSABLE);
	write_segment(4, 0, 0, UNUSABLE);
	write_segment(5, 0, 0, UNUSABLE);
	write_segment(6, 0, 0, UNUSABLE);
	write_segment(7, tr, tr_base(gdt.address, tr), 0x8b);
	write_field(GUEST_GDTR_BASE, gdt.address);
	write_field(GUEST_GDTR_LIMIT, gdt.size);
	write_field(GUEST_IDTR_BASE, idt.address);
	write_field(GUEST_IDTR_LIMIT, idt.size);
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
	fill(guest_calls, NULL);
	return enter(false, &rax);
}

static bool launch_of_launched(void)
{
	u64 rax;

	clear(vmcs);
	load(vmcs);
	fill(guest_calls, NULL);
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
	fill(guest_calls, shadow);
	return enter(true, &rax);
}

static bool link_on_another(void)
{
	u64 rax;

	clear(shadow);
	on_other(load_there, shadow);
	clear(vmcs);
	load(vmcs);
	fill(guest_calls, shadow);
	return enter(true, &rax);
}

/* The entry made it active here. */
static bool loaded_after_link(void)
{
	u64 rax;

	clear(shadow);
	clear(vmcs);
	load(vmcs);
	fill(guest_calls, shadow);
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
	fill(guest_reads, shadow);
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

static void *page(u32 revision)
{
	u32 *words = (void *)get_zeroed_page(GFP_KERNEL);

	if (words)
		*words = revision;
	return words;
}

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
