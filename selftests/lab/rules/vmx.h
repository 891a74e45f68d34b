/* SPDX-License-Identifier: GPL-2.0 */
/*
 * VMX by a kernel module of its own, in place of KVM: a VMCS whose host and guest are this CPU
 * as it is.  The guest runs on the kernel's page tables and uses no stack.
 */
#ifndef LAB_RULES_VMX_H
#define LAB_RULES_VMX_H

#include <linux/mm.h>
#include <linux/slab.h>
#include <asm/desc.h>
#include <asm/msr.h>
#include <asm/segment.h>
#include <asm/tlbflush.h>
#include <asm/vmx.h>

#define UNUSABLE	0x10000

static inline u64 msr_value(u32 msr)
{
	u32 low, high;

	asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return low | (u64)high << 32;
}

static inline bool turn_on(void *page)
{
	u64 address = __pa(page);
	bool failed;

	asm volatile("vmxon %1" : "=@ccna"(failed) : "m"(address) : "memory");
	return !failed;
}

static inline bool clear(void *page)
{
	u64 address = __pa(page);
	bool failed;

	asm volatile("vmclear %1" : "=@ccna"(failed) : "m"(address) : "memory");
	return !failed;
}

static inline bool load(void *page)
{
	u64 address = __pa(page);
	bool failed;

	asm volatile("vmptrld %1" : "=@ccna"(failed) : "m"(address) : "memory");
	return !failed;
}

static inline void write_field(unsigned long field, u64 value)
{
	asm volatile("vmwrite %1, %0" : : "r"(field), "rm"(value) : "cc");
}

static inline u64 read_field(unsigned long field)
{
	u64 value = 0;

	asm volatile("vmread %1, %0" : "+r"(value) : "r"(field) : "cc");
	return value;
}

static inline void turn_off(void)
{
	asm volatile("vmxoff" : : : "cc");
}

static inline u32 controls(u32 msr, u32 wanted)
{
	u64 allowed = msr_value(msr);

	return (wanted | (u32)allowed) & (allowed >> 32);
}

static inline void write_segment(unsigned int index, u16 selector, u64 base, u32 rights)
{
	write_field(GUEST_ES_SELECTOR + 2 * index, selector);
	write_field(GUEST_ES_BASE + 2 * index, base);
	write_field(GUEST_ES_LIMIT + 2 * index, rights == 0x8b ? 0x67 : 0xffffffff);
	write_field(GUEST_ES_AR_BYTES + 2 * index, rights);
}

/* The task state segment's base is in the descriptor that TR selects. */
static inline u64 tr_base(u64 gdt, u16 selector)
{
	const struct ldttss_desc *tss = (void *)gdt + selector;

	return tss->base0 | (u64)tss->base1 << 16 | (u64)tss->base2 << 24 | (u64)tss->base3 << 32;
}

/*
 * The current VMCS: the guest begins at RIP.  @link: a shadow VMCS or NULL; @bitmap: for it, the
 * fields whose VMREAD and VMWRITE exit.
 */
static inline void fill(void *rip, u32 pin, void *link, void *bitmap)
{
	struct desc_ptr gdt, idt;
	u16 tr;

	native_store_gdt(&gdt);
	store_idt(&idt);
	asm("str %0" : "=r"(tr));
	write_field(PIN_BASED_VM_EXEC_CONTROL, controls(MSR_IA32_VMX_TRUE_PINBASED_CTLS, pin));
	write_field(CPU_BASED_VM_EXEC_CONTROL, controls(MSR_IA32_VMX_TRUE_PROCBASED_CTLS,
							CPU_BASED_ACTIVATE_SECONDARY_CONTROLS));
	write_field(SECONDARY_VM_EXEC_CONTROL, controls(MSR_IA32_VMX_PROCBASED_CTLS2,
							link ? SECONDARY_EXEC_SHADOW_VMCS : 0));
	write_field(VM_EXIT_CONTROLS, controls(MSR_IA32_VMX_TRUE_EXIT_CTLS,
					       VM_EXIT_HOST_ADDR_SPACE_SIZE));
	write_field(VM_ENTRY_CONTROLS, controls(MSR_IA32_VMX_TRUE_ENTRY_CTLS, VM_ENTRY_IA32E_MODE));
	if (link) {
		write_field(VMREAD_BITMAP, __pa(bitmap));
		write_field(VMWRITE_BITMAP, __pa(bitmap));
	}
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

static inline void *page(u32 revision)
{
	u32 *words = (void *)get_zeroed_page(GFP_KERNEL);

	if (words)
		*words = revision;
	return words;
}

#endif /* LAB_RULES_VMX_H */
