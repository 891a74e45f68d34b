/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The one place that knows which kernel's libkvm our programs are built with.
 *
 * selftests/kvm/build includes it in front of every source.  The programs use the names of
 * 6.1's libkvm; here newer ones get them.  A difference becomes a macro or an inline function,
 * never an #ifdef elsewhere.
 */
#ifndef LIB_COMPAT_H
#define LIB_COMPAT_H

#include <linux/version.h>

#include "kvm_util.h"
#include "processor.h"
#include "vmx.h"
#include "apic.h"

#define LIBKVM_LINE	KERNEL_VERSION(LINUX_VERSION_MAJOR, LINUX_VERSION_PATCHLEVEL, 0)
#define LIBKVM_6_12	KERNEL_VERSION(6, 12, 0)
#define LIBKVM_7_2	KERNEL_VERSION(7, 2, 0)
#define LIBKVM_7_3	KERNEL_VERSION(7, 3, 0)

#if LIBKVM_LINE >= LIBKVM_6_12

#define kvm_vm_has_ept(vm)		kvm_cpu_has_ept()
#define kvm_get_supported_cpuid_entry(function) \
	get_cpuid_entry(kvm_get_supported_cpuid(), function, 0)

/* An assertion of the guest comes as text. */
#define GUEST_ASSERT_1(condition, value) \
	__GUEST_ASSERT(condition, "%ld", (long)(value))
#define GUEST_ASSERT_2(condition, first, second) \
	__GUEST_ASSERT(condition, "%ld, %ld", (long)(first), (long)(second))
#define REPORT_GUEST_ASSERT_1(uc, fmt)	REPORT_GUEST_ASSERT(uc)
#define guest_said(uc)			((uc).buffer)

/* Every VM has these tables from its creation on, and its vCPUs use them. */
#define vm_idt(vm)			((vm)->arch.idt)
#define vm_init_descriptor_tables(vm)	((void)(vm))
#define vcpu_init_descriptor_tables(vcpu) ((void)(vcpu))

#else /* 6.1 */

/* The two values of an assertion. */
static inline const char *guest_said_of(const uint64_t *values)
{
	static char text[64];

	snprintf(text, sizeof(text), "(%ld, %ld)", (long)values[0], (long)values[1]);
	return text;
}

#define guest_said(uc)			guest_said_of(&GUEST_ASSERT_ARG(uc, 0))
#define vm_idt(vm)			((vm)->idt)

#endif

/* What every VM has but one that vm_create_barebones() made. */
static inline void vm_complete(struct kvm_vm *vm)
{
#if LIBKVM_LINE >= LIBKVM_7_2
	kvm_arch_vm_post_create(vm, 1);
#elif LIBKVM_LINE >= LIBKVM_6_12
	kvm_arch_vm_post_create(vm);
#else
	vm_create_irqchip(vm);
#endif
}

#if LIBKVM_LINE >= LIBKVM_7_2

#define vm_vaddr_t			gva_t
#define vm_vaddr_alloc			vm_alloc
#define vm_vaddr_alloc_page		vm_alloc_page
#define vm_pgd(vm)			((vm)->mmu.pgd)

/* A VM has one EPT, which the first of its vCPUs makes: from this page on nothing is mapped. */
static sparsebit_idx_t ept_end __maybe_unused;

static inline void prepare_eptp(struct vmx_pages *vmx, struct kvm_vm *vm, uint32_t memslot)
{
	if (!vm->stage2_mmu.pgd_created) {
		vm_enable_ept(vm);
		ept_end = 0;
	}
	vmx->eptp_gpa = vm->stage2_mmu.pgd;
}

/* The pages of the slot that are in use now, but for those that an earlier call mapped. */
static inline void nested_map_memslot(struct vmx_pages *vmx, struct kvm_vm *vm, uint32_t memslot)
{
	struct userspace_mem_region *region = memslot2region(vm, memslot);
	sparsebit_idx_t i = region->region.guest_phys_addr >> vm->page_shift;
	sparsebit_idx_t end = i + (region->region.memory_size >> vm->page_shift);

	for (i = max(i, ept_end); i < end; i++) {
		if (sparsebit_is_set(region->unused_phy_pages, i))
			continue;
		tdp_map(vm, i << vm->page_shift, i << vm->page_shift, 1 << vm->page_shift);
		ept_end = i + 1;
	}
}

#else

#define APIC_SELF_IPI			0x3f0
#define vm_pgd(vm)			((vm)->pgd)

#endif

#if LIBKVM_LINE >= LIBKVM_7_3
/* It takes L2's stack from vmx_pages. */
#define prepare_vmcs(vmx, rip, rsp) do {					\
	(prepare_vmcs)(vmx, rip);						\
	vmwrite(GUEST_RSP, (unsigned long)(rsp));				\
} while (0)
#endif

#endif
