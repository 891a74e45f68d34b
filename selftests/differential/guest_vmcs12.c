// SPDX-License-Identifier: GPL-2.0
/*
 * L1 of the differential test sets up its vmcs12s.
 */
#include "differential/guest_l2.h"
#include "differential/guest_vmcs12.h"

uint64_t l1_config[VMCSS];
uint64_t l1_launched[VMCSS];
uint64_t l1_current;

uint64_t do_vmwrite(uint64_t field, uint64_t value)
{
	uint64_t flags;

	if (box.has_evmcs)
		return evmcs_vmwrite(field, value);
	GUARDED_FLAGS(flags, "vmwrite %[v], %[f]", NO_OUT, IN([v] "r"(value), [f] "r"(field)));
	return flags;
}

uint64_t do_vmread(uint64_t field, uint64_t *value)
{
	uint64_t flags, result = 0;

	if (box.has_evmcs) {
		*value = 0;
		return evmcs_vmread(field, value);
	}
	GUARDED_FLAGS(flags, "vmread %[f], %[v]", OUT([v] "+r"(result)), IN([f] "r"(field)));
	*value = result;
	return flags;
}

uint64_t vmread_value(uint64_t field)
{
	uint64_t value = 0;

	do_vmread(field, &value);
	return value;
}

uint64_t vmcs_address(uint64_t which)
{
	switch (which) {
	case 0:
	case 1:
	case 2:
		return PAGE_GPA(PAGE_VMCS0 + which);
	case 3:
		return PAGE_GPA(PAGE_VMXON);
	case 4:
		return PAGE_GPA(PAGE_SHADOW_VMCS);
	case 5:
		return PAGE_GPA(PAGE_DATA0);
	case 6:
		return PAGE_GPA(PAGE_VMCS0) + 8;
	case 7:
		return 1ul << 50;
	case 8:
		return PAGE_GPA(PAGE_NONE);
	default:
		return PAGE_GPA(PAGE_VMCS0) + MOVED;
	}
}

uint64_t do_vmptrld(uint64_t which)
{
	uint64_t flags;

	if (box.has_evmcs && which < VMCSS) {
		flags = evmcs_vmptrld(PAGE_GPA(PAGE_VMCS0 + which),
				      (void *)PAGE_GPA(PAGE_VMCS0 + which));
		current_evmcs->revision_id = EVMCS_VERSION;
	} else {
		flags = ADDRESS_INSTRUCTION("vmptrld (%[m])", vmcs_address(which));
	}
	if (!flags && which < VMCSS)
		l1_current = which;
	return flags;
}

uint64_t do_vmclear(uint64_t which)
{
	uint64_t flags = ADDRESS_INSTRUCTION("vmclear (%[m])", vmcs_address(which));

	if (!flags && which < VMCSS)
		l1_launched[which] = 0;
	return flags;
}

uint64_t l1_msr(uint32_t msr)
{
	uint64_t value = 0;

	guarded_rdmsr(msr, &value);
	return value;
}

/* The controls wanted, as far as L0 allows them, and those it demands. */
static uint32_t allowed(uint32_t msr, uint32_t wanted)
{
	uint64_t value = l1_msr(msr);

	return (wanted | (uint32_t)value) & (uint32_t)(value >> 32);
}

static void fill(enum handed_page page, uint64_t value)
{
	volatile uint64_t *words = (uint64_t *)PAGE_GPA(page);
	int i;

	for (i = 0; i < PAGE_BYTES / 8; i++)
		words[i] = value;
}

void put(enum handed_page page, unsigned int offset, uint64_t value)
{
	*(volatile uint64_t *)(PAGE_GPA(page) + (offset & 0xff8)) = value;
}

/* Identity: 1 GiB in 2 MiB pages, the pages handed over in small ones. */
static void build_ept(void)
{
	uint64_t i;

	put(PAGE_EPT4, 0, PAGE_GPA(PAGE_EPT3) | 7);
	put(PAGE_EPT3, 0, PAGE_GPA(PAGE_EPT2) | 7);
	for (i = 0; i < 512; i++) {
		put(PAGE_EPT2, i * 8, i << 21 | 0xb7);
		put(PAGE_EPT1, i * 8, PAGES_GPA | i << 12 | 0x37);
	}
	put(PAGE_EPT2, (PAGES_GPA >> 21) * 8, PAGE_GPA(PAGE_EPT1) | 7);
	put(PAGE_EPTP_LIST, 0, PAGE_GPA(PAGE_EPT4) | 0x1e);
	put(PAGE_EPTP_LIST, 8, PAGE_GPA(PAGE_EPT4) | 0x5e);
}

static uint32_t pin_controls(uint64_t config)
{
	return (HAS(EXT_INTR) || HAS(INTR_DELIVERY) ? PIN_BASED_EXT_INTR_MASK : 0) |
	       (HAS(NMI) || HAS(VIRTUAL_NMI) ? PIN_BASED_NMI_EXITING : 0) |
	       (HAS(VIRTUAL_NMI) ? PIN_BASED_VIRTUAL_NMIS : 0) |
	       (HAS(TIMER_ZERO) || HAS(TIMER_FAR) ? PIN_BASED_VMX_PREEMPTION_TIMER : 0) |
	       (HAS(POSTED) && HAS(INTR_DELIVERY) ? PIN_BASED_POSTED_INTR : 0);
}

static bool has_tpr(uint64_t config)
{
	return HAS(TPR_SHADOW) || HAS(X2APIC) || HAS(APIC_REGISTERS) || HAS(INTR_DELIVERY);
}

static uint32_t primary_controls(uint64_t config)
{
	return CPU_BASED_ACTIVATE_SECONDARY_CONTROLS |
	       (HAS(MSR_BITMAP) ? CPU_BASED_USE_MSR_BITMAPS : 0) |
	       (HAS(IO_BITMAP) ? CPU_BASED_USE_IO_BITMAPS : 0) |
	       (HAS(IO) ? CPU_BASED_UNCOND_IO_EXITING : 0) |
	       (has_tpr(config) ? CPU_BASED_TPR_SHADOW : 0) |
	       (HAS(HLT) ? CPU_BASED_HLT_EXITING : 0) |
	       (HAS(CR3) ? CPU_BASED_CR3_LOAD_EXITING | CPU_BASED_CR3_STORE_EXITING : 0) |
	       (HAS(CR8) ? CPU_BASED_CR8_LOAD_EXITING | CPU_BASED_CR8_STORE_EXITING : 0) |
	       (HAS(DR) ? CPU_BASED_MOV_DR_EXITING : 0) |
	       (HAS(MTF) ? CPU_BASED_MONITOR_TRAP : 0) |
	       (HAS(INVLPG) ? CPU_BASED_INVLPG_EXITING : 0) |
	       (HAS(PAUSING) ? CPU_BASED_PAUSE_EXITING | CPU_BASED_MWAIT_EXITING |
			       CPU_BASED_MONITOR_EXITING | CPU_BASED_RDPMC_EXITING : 0) |
	       (HAS(WINDOWS) ? CPU_BASED_INTR_WINDOW_EXITING |
			       (HAS(VIRTUAL_NMI) ? CPU_BASED_NMI_WINDOW_EXITING : 0) : 0);
}

static uint32_t secondary_controls(uint64_t config)
{
	bool ept = HAS(EPT) || HAS(UNRESTRICTED) || HAS(PML);

	return (ept ? SECONDARY_EXEC_ENABLE_EPT : 0) |
	       (HAS(VPID) ? SECONDARY_EXEC_ENABLE_VPID : 0) |
	       (HAS(UNRESTRICTED) ? SECONDARY_EXEC_UNRESTRICTED_GUEST : 0) |
	       (HAS(X2APIC) ? SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE : 0) |
	       (HAS(APIC_REGISTERS) ? SECONDARY_EXEC_APIC_REGISTER_VIRT : 0) |
	       (HAS(INTR_DELIVERY) ? SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY : 0) |
	       (HAS(APIC_ACCESS) && !HAS(X2APIC) ? SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES : 0) |
	       (HAS(SHADOW) ? SECONDARY_EXEC_SHADOW_VMCS : 0) |
	       (HAS(PML) ? SECONDARY_EXEC_ENABLE_PML : 0) |
	       (HAS(INVPCID) ? SECONDARY_EXEC_ENABLE_INVPCID | SECONDARY_EXEC_ENABLE_RDTSCP : 0) |
	       (HAS(XSAVES) ? SECONDARY_ENABLE_XSAV_RESTORE : 0) |
	       (HAS(DESCRIPTOR) ? SECONDARY_EXEC_DESC : 0) |
	       (HAS(VMFUNC) && ept ? SECONDARY_EXEC_ENABLE_VMFUNC : 0) |
	       (HAS(PAUSING) ? SECONDARY_EXEC_WBINVD_EXITING : 0);
}

static void setup_controls(uint64_t config)
{
	uint64_t ad = HAS(EPT_AD) || HAS(PML) ? 0x40 : 0;
	uint32_t exit = VM_EXIT_HOST_ADDR_SPACE_SIZE, entry = VM_ENTRY_IA32E_MODE;

	if (HAS(DEBUG_CONTROLS)) {
		exit |= VM_EXIT_SAVE_DEBUG_CONTROLS;
		entry |= VM_ENTRY_LOAD_DEBUG_CONTROLS;
	}
	if (HAS(PAT_EFER)) {
		exit |= VM_EXIT_SAVE_IA32_PAT | VM_EXIT_LOAD_IA32_PAT |
			VM_EXIT_SAVE_IA32_EFER | VM_EXIT_LOAD_IA32_EFER;
		entry |= VM_ENTRY_LOAD_IA32_PAT | VM_ENTRY_LOAD_IA32_EFER;
	}
	if (HAS(ACK) || HAS(POSTED))
		exit |= VM_EXIT_ACK_INTR_ON_EXIT;
	do_vmwrite(PIN_BASED_VM_EXEC_CONTROL, HAS(LEGACY_DEFAULTS) ?
		   allowed(MSR_IA32_VMX_PINBASED_CTLS, pin_controls(config)) :
		   allowed(MSR_IA32_VMX_TRUE_PINBASED_CTLS, pin_controls(config)));
	do_vmwrite(CPU_BASED_VM_EXEC_CONTROL, HAS(LEGACY_DEFAULTS) ?
		   allowed(MSR_IA32_VMX_PROCBASED_CTLS, primary_controls(config)) :
		   allowed(MSR_IA32_VMX_TRUE_PROCBASED_CTLS, primary_controls(config)));
	do_vmwrite(SECONDARY_VM_EXEC_CONTROL,
		   allowed(MSR_IA32_VMX_PROCBASED_CTLS2, secondary_controls(config)));
	do_vmwrite(VM_EXIT_CONTROLS, allowed(MSR_IA32_VMX_TRUE_EXIT_CTLS, exit));
	do_vmwrite(VM_ENTRY_CONTROLS, allowed(MSR_IA32_VMX_TRUE_ENTRY_CTLS, entry));
	do_vmwrite(VIRTUAL_PROCESSOR_ID, HAS(VPID) ? 1 + l1_current : 0);
	do_vmwrite(POSTED_INTR_NV, 0x51);
	do_vmwrite(EPT_POINTER, PAGE_GPA(PAGE_EPT4) | 0x1e | ad);
	do_vmwrite(EXCEPTION_BITMAP, HAS(EXCEPTIONS) ? 1u << 6 | 1u << 3 | 1u << 14 : 0);
	do_vmwrite(PAGE_FAULT_ERROR_CODE_MASK, 0);
	do_vmwrite(PAGE_FAULT_ERROR_CODE_MATCH, 0);
	do_vmwrite(CR3_TARGET_COUNT, 0);
	do_vmwrite(TPR_THRESHOLD, 0);
	do_vmwrite(CR0_GUEST_HOST_MASK, HAS(CR_MASKS) ? X86_CR0_TS | X86_CR0_EM : 0);
	do_vmwrite(CR4_GUEST_HOST_MASK, HAS(CR_MASKS) ? X86_CR4_PGE | X86_CR4_VMXE : 0);
	do_vmwrite(VMX_PREEMPTION_TIMER_VALUE, HAS(TIMER_ZERO) ? 0 : 0xffffffff);
	do_vmwrite(VM_ENTRY_INTR_INFO_FIELD, 0);
	do_vmwrite(VM_ENTRY_EXCEPTION_ERROR_CODE, 0);
	do_vmwrite(VM_ENTRY_INSTRUCTION_LEN, 0);
}

static void setup_pages(uint64_t config)
{
	uint64_t lists = HAS(LISTS) ? 2 : 0;

	do_vmwrite(IO_BITMAP_A, PAGE_GPA(PAGE_IO_BITMAP_A));
	do_vmwrite(IO_BITMAP_B, PAGE_GPA(PAGE_IO_BITMAP_B));
	do_vmwrite(MSR_BITMAP, PAGE_GPA(l1_current & 1 ? PAGE_MSR_BITMAP1 : PAGE_MSR_BITMAP0));
	do_vmwrite(VM_EXIT_MSR_STORE_ADDR, PAGE_GPA(PAGE_EXIT_STORE));
	do_vmwrite(VM_EXIT_MSR_LOAD_ADDR, PAGE_GPA(PAGE_EXIT_LOAD));
	do_vmwrite(VM_ENTRY_MSR_LOAD_ADDR, PAGE_GPA(PAGE_ENTRY_LOAD));
	do_vmwrite(VM_EXIT_MSR_STORE_COUNT, lists);
	do_vmwrite(VM_EXIT_MSR_LOAD_COUNT, lists);
	do_vmwrite(VM_ENTRY_MSR_LOAD_COUNT, lists);
	do_vmwrite(VIRTUAL_APIC_PAGE_ADDR,
		   PAGE_GPA(l1_current & 1 ? PAGE_VIRTUAL_APIC1 : PAGE_VIRTUAL_APIC0));
	do_vmwrite(APIC_ACCESS_ADDR, PAGE_GPA(PAGE_APIC_ACCESS));
	do_vmwrite(POSTED_INTR_DESC_ADDR, PAGE_GPA(PAGE_POSTED));
	do_vmwrite(PML_ADDRESS, PAGE_GPA(PAGE_PML));
	do_vmwrite(VMREAD_BITMAP, PAGE_GPA(PAGE_VMREAD_BITMAP));
	do_vmwrite(VMWRITE_BITMAP, PAGE_GPA(PAGE_VMWRITE_BITMAP));
	do_vmwrite(VMCS_LINK_POINTER, HAS(SHADOW) ? PAGE_GPA(PAGE_SHADOW_VMCS) : -1ul);
	do_vmwrite(0x2024, PAGE_GPA(PAGE_EPTP_LIST));
	do_vmwrite(0x2018, 1);
	do_vmwrite(EOI_EXIT_BITMAP1, 2);
	do_vmwrite(GUEST_PML_INDEX, 511);
	do_vmwrite(GUEST_INTR_STATUS, 0);
	fill(l1_current & 1 ? PAGE_MSR_BITMAP1 : PAGE_MSR_BITMAP0, HAS(ALL_MSRS) ? -1ul : 0);
}

static void setup_host(void)
{
	do_vmwrite(HOST_ES_SELECTOR, get_es());
	do_vmwrite(HOST_CS_SELECTOR, get_cs());
	do_vmwrite(HOST_SS_SELECTOR, get_ss());
	do_vmwrite(HOST_DS_SELECTOR, get_ds());
	do_vmwrite(HOST_FS_SELECTOR, get_fs());
	do_vmwrite(HOST_GS_SELECTOR, get_gs());
	do_vmwrite(HOST_TR_SELECTOR, get_tr());
	do_vmwrite(HOST_IA32_PAT, l1_msr(MSR_IA32_CR_PAT));
	do_vmwrite(HOST_IA32_EFER, l1_msr(MSR_EFER));
	do_vmwrite(HOST_IA32_SYSENTER_CS, l1_msr(MSR_IA32_SYSENTER_CS));
	do_vmwrite(HOST_IA32_SYSENTER_ESP, l1_msr(MSR_IA32_SYSENTER_ESP));
	do_vmwrite(HOST_IA32_SYSENTER_EIP, l1_msr(MSR_IA32_SYSENTER_EIP));
	do_vmwrite(HOST_CR0, get_cr0());
	do_vmwrite(HOST_CR3, get_cr3());
	do_vmwrite(HOST_CR4, get_cr4());
	do_vmwrite(HOST_FS_BASE, l1_msr(MSR_FS_BASE));
	do_vmwrite(HOST_GS_BASE, l1_msr(MSR_GS_BASE));
	do_vmwrite(HOST_TR_BASE, get_desc64_base((struct desc64 *)(get_gdt().address + get_tr())));
	do_vmwrite(HOST_GDTR_BASE, get_gdt().address);
	do_vmwrite(HOST_IDTR_BASE, get_idt().address);
	do_vmwrite(HOST_RSP, (uint64_t)&guest_host_stack[64]);
	do_vmwrite(HOST_RIP, (uint64_t)&guest_vm_exit);
}

void setup_guest(uint64_t config)
{
	uint64_t i;

	do_vmwrite(GUEST_RIP, (uint64_t)l2_code);
	do_vmwrite(GUEST_RSP, (uint64_t)&l2_stack[1][0] - 8);
	do_vmwrite(GUEST_RFLAGS, HAS(INTERRUPTIBLE) ? 0x202 : 2);
	do_vmwrite(GUEST_CR0, get_cr0());
	do_vmwrite(GUEST_CR3, get_cr3());
	do_vmwrite(GUEST_CR4, get_cr4());
	do_vmwrite(CR0_READ_SHADOW, get_cr0());
	do_vmwrite(CR4_READ_SHADOW, get_cr4());
	do_vmwrite(GUEST_ES_SELECTOR, get_es());
	do_vmwrite(GUEST_CS_SELECTOR, get_cs());
	do_vmwrite(GUEST_SS_SELECTOR, get_ss());
	do_vmwrite(GUEST_DS_SELECTOR, get_ds());
	do_vmwrite(GUEST_FS_SELECTOR, get_fs());
	do_vmwrite(GUEST_GS_SELECTOR, get_gs());
	do_vmwrite(GUEST_LDTR_SELECTOR, 0);
	do_vmwrite(GUEST_TR_SELECTOR, get_tr());
	/* ES, CS, SS, DS, FS, GS, LDTR, TR in the order of their encodings. */
	for (i = 0; i < 8; i++) {
		do_vmwrite(GUEST_ES_LIMIT + 2 * i, i == 7 ? 0x67 : 0xffffffff);
		do_vmwrite(GUEST_ES_AR_BYTES + 2 * i, i == 1 ? 0xa09b : i == 6 ? 0x10000 :
			   i == 7 ? 0x8b : vmread_value(GUEST_ES_SELECTOR + 2 * i) ?
			   0xc093 : 0x10000);
		do_vmwrite(GUEST_ES_BASE + 2 * i, 0);
	}
	do_vmwrite(GUEST_TR_BASE, vmread_value(HOST_TR_BASE));
	do_vmwrite(GUEST_GDTR_BASE, get_gdt().address);
	do_vmwrite(GUEST_IDTR_BASE, get_idt().address);
	do_vmwrite(GUEST_GDTR_LIMIT, get_gdt().size);
	do_vmwrite(GUEST_IDTR_LIMIT, get_idt().size);
	do_vmwrite(GUEST_INTERRUPTIBILITY_INFO, 0);
	do_vmwrite(GUEST_ACTIVITY_STATE, 0);
	do_vmwrite(GUEST_PENDING_DBG_EXCEPTIONS, 0);
	do_vmwrite(GUEST_DR7, 0x400);
	do_vmwrite(GUEST_IA32_DEBUGCTL, 0);
	do_vmwrite(GUEST_IA32_PAT, l1_msr(MSR_IA32_CR_PAT));
	do_vmwrite(GUEST_IA32_EFER, l1_msr(MSR_EFER));
	/* Unlike L1's own, so that a value that is not switched shows. */
	do_vmwrite(GUEST_SYSENTER_CS, 0x18);
	do_vmwrite(GUEST_SYSENTER_ESP, 0x2222000);
	do_vmwrite(GUEST_SYSENTER_EIP, 0x2222100);
	do_vmwrite(GUEST_FS_BASE, 0x2223000);
	do_vmwrite(GUEST_GS_BASE, 0x2224000);
	do_vmwrite(VM_ENTRY_INTR_INFO_FIELD, 0);
	do_vmwrite(VM_ENTRY_CONTROLS, vmread_value(VM_ENTRY_CONTROLS) | VM_ENTRY_IA32E_MODE);
	guest_l2_gprs[0] = 0;
}

void l1_setup(uint64_t which, uint64_t config)
{
	static const uint32_t msrs[] = { 0x277, 0xc0000102, 0x174, 0xc0000100 };
	uint64_t i;

	which %= VMCSS;
	if (!box.has_evmcs) {
		note("vmclear", do_vmclear(which));
		*(volatile uint32_t *)PAGE_GPA(PAGE_VMCS0 + which) = l1_msr(MSR_IA32_VMX_BASIC);
		*(volatile uint32_t *)PAGE_GPA(PAGE_SHADOW_VMCS) =
			l1_msr(MSR_IA32_VMX_BASIC) | 1u << 31;
	}
	note("vmptrld", do_vmptrld(which));
	l1_config[l1_current] = config;
	if (box.has_evmcs)
		l1_launched[l1_current] = 0;
	for (i = 0; i < 2; i++) {
		put(PAGE_ENTRY_LOAD, 16 * i, msrs[i]);
		put(PAGE_ENTRY_LOAD, 16 * i + 8, i ? 0x7000 : 0x0007040600070406);
		put(PAGE_EXIT_STORE, 16 * i, msrs[i + 2]);
		put(PAGE_EXIT_LOAD, 16 * i, msrs[i]);
		put(PAGE_EXIT_LOAD, 16 * i + 8, i ? 0x7000 : 0x0007040600070406);
	}
	build_ept();
	setup_controls(config);
	setup_pages(config);
	setup_host();
	setup_guest(config);
}

void l1_restore(uint64_t field)
{
	uint64_t config = l1_config[l1_current];

	switch (field >> 10 & 3) {
	case 0:
		setup_controls(config);
		setup_pages(config);
		break;
	case 3:
		setup_host();
		break;
	default:
		setup_guest(config);
		do_vmwrite(VMCS_LINK_POINTER, HAS(SHADOW) ? PAGE_GPA(PAGE_SHADOW_VMCS) : -1ul);
		break;
	}
}

uint64_t l1_vmxon(uint64_t address)
{
	*(volatile uint32_t *)PAGE_GPA(PAGE_VMXON) = l1_msr(MSR_IA32_VMX_BASIC);
	return ADDRESS_INSTRUCTION("vmxon (%[m])", address);
}
