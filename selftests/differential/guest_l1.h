/* SPDX-License-Identifier: GPL-2.0 */
/*
 * L1 of the differential test: takes one operation after the other from user
 * space.  It handles any exit of L2 such that L2 makes progress or starts afresh.
 */
#ifndef DIFFERENTIAL_GUEST_L1_H
#define DIFFERENTIAL_GUEST_L1_H

#define HAS(bit)	(config >> CFG_##bit & 1)
#define MAGIC_VECTOR	0x41

static uint64_t l1_config[VMCSS];	/* how each vmcs12 was set up */
static uint64_t l1_launched[VMCSS];
static uint64_t l1_current;

/* -------------------------------------------------- the VMX instructions -- */

static uint64_t do_vmwrite(uint64_t field, uint64_t value)
{
	uint64_t flags;

	if (box.has_evmcs)
		return evmcs_vmwrite(field, value);
	GUARDED_FLAGS(flags, "vmwrite %[v], %[f]", , [v] "r"(value) WITH [f] "r"(field));
	return flags;
}

static uint64_t do_vmread(uint64_t field, uint64_t *value)
{
	uint64_t flags, result = 0;

	if (box.has_evmcs) {
		*value = 0;
		return evmcs_vmread(field, value);
	}
	GUARDED_FLAGS(flags, "vmread %[f], %[v]", WITH [v] "+r"(result), [f] "r"(field));
	*value = result;
	return flags;
}

static uint64_t vmread_value(uint64_t field)
{
	uint64_t value = 0;

	do_vmread(field, &value);
	return value;
}

/* 0 to 2: a vmcs12; then places where none should be. */
static uint64_t vmcs_address(uint64_t which)
{
	switch (which) {
	case 0: case 1: case 2: return PAGE_GPA(PAGE_VMCS0 + which);
	case 3: return PAGE_GPA(PAGE_VMXON);
	case 4: return PAGE_GPA(PAGE_SHADOW_VMCS);
	case 5: return PAGE_GPA(PAGE_DATA0);
	case 6: return PAGE_GPA(PAGE_VMCS0) + 8;
	case 7: return 1ul << 50;
	case 8: return PAGE_GPA(PAGE_NONE);
	default: return PAGE_GPA(PAGE_VMCS0) + MOVED;
	}
}

#define ADDRESS_INSTRUCTION(insn, address)					\
({	static uint64_t __operand;						\
	__operand = address;							\
	VMX_MEMORY(insn, &__operand, 0); })

static uint64_t do_vmptrld(uint64_t which)
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

static uint64_t do_vmclear(uint64_t which)
{
	uint64_t flags = ADDRESS_INSTRUCTION("vmclear (%[m])", vmcs_address(which));

	if (!flags && which < VMCSS)
		l1_launched[which] = 0;
	return flags;
}

/* ------------------------------------------------------ setting up vmcs12 -- */

static uint64_t l1_msr(uint32_t msr)
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

static void put(enum handed_page page, unsigned int offset, uint64_t value)
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

/* L2 starts afresh: all that it or a failed experiment may have changed. */
static void setup_guest(uint64_t config)
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

static void l1_setup(uint64_t which, uint64_t config)
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

/* ------------------------------------------------------------- the exits -- */

static void note_short(void)
{
	note("qualification", vmread_value(EXIT_QUALIFICATION));
	note("length", vmread_value(VM_EXIT_INSTRUCTION_LEN));
	note("interruption", vmread_value(VM_EXIT_INTR_INFO));
	note("vectoring", vmread_value(IDT_VECTORING_INFO_FIELD));
	note("guest rip", vmread_value(GUEST_RIP));
	note("guest rflags", vmread_value(GUEST_RFLAGS));
}

static void note_long(void)
{
	note("interruption error", vmread_value(VM_EXIT_INTR_ERROR_CODE));
	note("vectoring error", vmread_value(IDT_VECTORING_ERROR_CODE));
	note("information", vmread_value(VMX_INSTRUCTION_INFO));
	note("linear", vmread_value(GUEST_LINEAR_ADDRESS));
	note("physical", vmread_value(GUEST_PHYSICAL_ADDRESS));
	note("guest rsp", vmread_value(GUEST_RSP));
	note("cr0", vmread_value(GUEST_CR0));
	note("cr3", vmread_value(GUEST_CR3));
	note("cr4", vmread_value(GUEST_CR4));
	note("cs", vmread_value(GUEST_CS_AR_BYTES));
	note("ss", vmread_value(GUEST_SS_AR_BYTES));
	note("activity", vmread_value(GUEST_ACTIVITY_STATE));
	note("interruptibility", vmread_value(GUEST_INTERRUPTIBILITY_INFO));
	note("injection", vmread_value(VM_ENTRY_INTR_INFO_FIELD));
	note("interrupt status", vmread_value(GUEST_INTR_STATUS));
	note("pml index", vmread_value(GUEST_PML_INDEX));
	note("l1 cr0", get_cr0());
	note("l1 cr4", get_cr4());
	note("l1 fs", l1_msr(MSR_FS_BASE));
	note("l1 pat", l1_msr(MSR_IA32_CR_PAT));
	note("l1 efer", l1_msr(MSR_EFER));
	note("l1 gs", l1_msr(MSR_GS_BASE));
	note("l1 sysenter cs", l1_msr(MSR_IA32_SYSENTER_CS));
	note("l1 sysenter esp", l1_msr(MSR_IA32_SYSENTER_ESP));
	note("l1 sysenter eip", l1_msr(MSR_IA32_SYSENTER_EIP));
}

/*
 * The fields that may be copied to and from a shadow VMCS.  L1 reads them after
 * each exit, and after whatever else changes vmcs12: one that is left out of a copy
 * shows as soon as its value is another.
 */
static void note_shadowed(void)
{
	static const uint16_t fields[] = {
		GUEST_INTR_STATUS, GUEST_PML_INDEX, HOST_FS_SELECTOR, HOST_GS_SELECTOR,
		VM_EXIT_REASON, VM_EXIT_INTR_INFO, VM_EXIT_INSTRUCTION_LEN,
		IDT_VECTORING_INFO_FIELD, IDT_VECTORING_ERROR_CODE, VM_EXIT_INTR_ERROR_CODE,
		GUEST_CS_AR_BYTES, GUEST_SS_AR_BYTES, CPU_BASED_VM_EXEC_CONTROL,
		PIN_BASED_VM_EXEC_CONTROL, EXCEPTION_BITMAP, VM_ENTRY_EXCEPTION_ERROR_CODE,
		VM_ENTRY_INTR_INFO_FIELD, VM_ENTRY_INSTRUCTION_LEN, TPR_THRESHOLD,
		GUEST_INTERRUPTIBILITY_INFO, VMX_PREEMPTION_TIMER_VALUE, EXIT_QUALIFICATION,
		GUEST_LINEAR_ADDRESS, GUEST_RIP, GUEST_RSP, GUEST_CR0, GUEST_CR3, GUEST_CR4,
		GUEST_RFLAGS, CR0_GUEST_HOST_MASK, CR0_READ_SHADOW, CR4_READ_SHADOW,
		HOST_FS_BASE, HOST_GS_BASE, GUEST_PHYSICAL_ADDRESS,
	};
	uint64_t digest = 0, value, flags;
	unsigned int i;

	for (i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
		value = 0;
		flags = do_vmread(fields[i], &value);
		digest = (digest ^ value ^ flags << 56) * 0x100000001b3ul + fields[i];
		if (box.verbose) {
			note("shadowed field", fields[i]);
			note("its value", value);
		}
	}
	note("shadowed", digest);
}

/* Every field there is, and encodings between them that there are not. */
static void l1_digest(void)
{
	static const uint16_t groups[][2] = {
		{ 0x0000, 3 }, { 0x0800, 10 }, { 0x0c00, 7 }, { 0x2000, 27 }, { 0x2400, 1 },
		{ 0x2800, 11 }, { 0x2c00, 3 }, { 0x4000, 18 }, { 0x4400, 8 }, { 0x4800, 23 },
		{ 0x4c00, 1 }, { 0x6000, 8 }, { 0x6400, 6 }, { 0x6800, 20 }, { 0x6c00, 12 },
	};
	uint64_t value, flags, field = 0, digest = 0;
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(groups); i++) {
		for (j = 0; j < groups[i][1]; j++) {
			field = groups[i][0] + 2 * j;
			value = 0;
			flags = do_vmread(field, &value);
			digest = (digest ^ value ^ flags << 56) * 0x100000001b3ul + field;
		}
		note("fields up to", field);
		note("digest", digest);
	}
}

enum what_next { NEXT_GO_ON, NEXT_SKIP, NEXT_AFRESH };

static enum what_next after_exit(uint32_t reason)
{
	switch (reason) {
	case 10: case 12 ... 16: case 18 ... 28: case 29 ... 32: case 36: case 39: case 40:
	case 46: case 47: case 50: case 51: case 53 ... 55: case 57 ... 59: case 61: case 63: case 64:
		return NEXT_SKIP;
	case 1: case 7: case 8: case 37: case 43: case 45: case 52: case 56: case 62:
		return NEXT_GO_ON;
	default:
		return NEXT_AFRESH;
	}
}

/* What an L1 has to do so that the next entry gets further. */
static void handle_exit(uint32_t reason)
{
	enum what_next next = after_exit(reason);

	if (reason == EXIT_REASON_EXTERNAL_INTERRUPT)
		interrupt_window();
	if (reason == 52)	/* preemption timer */
		do_vmwrite(PIN_BASED_VM_EXEC_CONTROL,
			   vmread_value(PIN_BASED_VM_EXEC_CONTROL) & ~0x40ul);
	if (reason == 7 || reason == 8)
		do_vmwrite(CPU_BASED_VM_EXEC_CONTROL,
			   vmread_value(CPU_BASED_VM_EXEC_CONTROL) & ~0x400004ul);
	if (reason == 62)
		do_vmwrite(GUEST_PML_INDEX, 511);
	if (box.l2_died)
		next = NEXT_AFRESH;
	if (next == NEXT_SKIP)
		do_vmwrite(GUEST_RIP, vmread_value(GUEST_RIP) +
			   vmread_value(VM_EXIT_INSTRUCTION_LEN));
	else if (next == NEXT_AFRESH)
		setup_guest(l1_config[l1_current]);
	box.l2_died = 0;
}

/* How to enter L2; the rest of the word is of user space, see l1_step(). */
enum {
	HOW_WRONG = 3,		/* 1: VMLAUNCH, 2: VMRESUME, whatever is right */
	HOW_LONG = 1 << 4,
	HOW_DIGEST = 1 << 5,
	HOW_QUIET = 1 << 6,	/* one digest of all exits */
};

static uint64_t enter_once(uint64_t how)
{
	static uint64_t l2_fixup;
	uint64_t wrong = how & HOW_WRONG;
	uint64_t resume = wrong == 1 ? 0 : wrong == 2 ? 1 : l1_launched[l1_current];
	uint64_t flags;

	guest_fault = NO_FAULT;
	guest_fixup = l2_fixup;
	box.in_l2 = 1;
	if (box.has_evmcs) {
		current_evmcs->hv_clean_fields = resume ? how >> 8 & 0xffff : 0;
		resume = wrong == 1 ? 0 : resume;
	}
	flags = guest_enter(resume);
	box.in_l2 = 0;
	if (flags == -1ul) {
		l2_fixup = guest_fixup;
		guest_fixup = 0;
		l1_launched[l1_current] = 1;
		return 0;
	}
	flags &= 0x41;
	return guest_fault ? guest_fault : flags ? flags : 0x1000;
}

static void note_exit(uint32_t reason, uint64_t how)
{
	note("exit", reason);
	note_short();
	note_shadowed();
	if (how & HOW_LONG)
		note_long();
	if (how & HOW_DIGEST)
		l1_digest();
}

/* A field that L1 reads, and may write, after each exit: field | write << 16. */
static uint64_t hammer(uint64_t what)
{
	uint64_t value = vmread_value(what & 0xffff);

	if (what >> 16 & 1)
		do_vmwrite(what & 0xffff, value);
	return value;
}

static void flip_bit(uint64_t edit)
{
	volatile uint8_t *page = (uint8_t *)PAGE_GPA(edit >> 16 & 31);

	page[(edit & 0x7fff) / 8] ^= 1 << (edit & 7);
}

/*
 * Enter L2 until it pauses, but for "most" exits at the most.  "edit": after each
 * exit flip this bit of a page, page << 16 | bit, by a plain store, when its low
 * half is not 0; hammer() on its high half.
 */
static void l1_enter(uint64_t most, uint64_t how, uint64_t edit)
{
	uint64_t i, failed, digest = 0;
	uint32_t reason;

	for (i = 0; i < most; i++) {
		failed = enter_once(how);
		if (failed) {
			note("no entry", failed);
			note("error", vmread_value(VM_INSTRUCTION_ERROR));
			return;
		}
		reason = vmread_value(VM_EXIT_REASON);
		if (how & HOW_QUIET)
			digest = (digest ^ reason) * 0x100000001b3ul;
		else
			note_exit(reason, how);
		if (reason & EXIT_REASON_FAILED_VMENTRY) {
			l1_launched[l1_current] = 0;
			note_long();
			return;
		}
		handle_exit(reason);
		if (edit & 0xffffffff)
			flip_bit(edit);
		if (edit >> 32)
			digest = (digest ^ hammer(edit >> 32)) * 0x100000001b3ul;
		if (box.stop)
			break;
		how &= ~(uint64_t)HOW_WRONG;
	}
	note("digest", digest);
}

/* -------------------------------------------------------- the operations -- */

/* The value that setup gave to a field, as far as an experiment needs it back. */
static void l1_restore(uint64_t field)
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

static uint64_t l1_vmxon(uint64_t address)
{
	*(volatile uint32_t *)PAGE_GPA(PAGE_VMXON) = l1_msr(MSR_IA32_VMX_BASIC);
	return ADDRESS_INSTRUCTION("vmxon (%[m])", address);
}

#include "differential/guest_legacy.h"

static void l1_toggle_cr(unsigned int cr, uint64_t bits, uint64_t back)
{
	uint64_t value = 0;

	read_cr(cr, &value);
	note("fault", write_cr(cr, value ^ bits));
	if (back)
		note("fault back", write_cr(cr, value));
	read_cr(cr, &value);
	note("value", value);
}

/* VMX instructions whose operand lies at a bad address. */
static uint64_t l1_operand(uint64_t which, uint64_t address)
{
	switch (which) {
	case 0: return VMX_MEMORY("vmptrld (%[m])", address, 0);
	case 1: return VMX_MEMORY("vmclear (%[m])", address, 0);
	case 2: return VMX_MEMORY("vmptrst (%[m])", address, 0);
	case 3: return VMX_MEMORY("vmread %[t], (%[m])", address, GUEST_RIP);
	case 4: return VMX_MEMORY("vmwrite (%[m]), %[t]", address, GUEST_RIP);
	case 5: return VMX_MEMORY("invept (%[m]), %[t]", address, 1);
	case 6: return VMX_MEMORY("invvpid (%[m]), %[t]", address, 1);
	case 7: return VMX_MEMORY("vmxon (%[m])", address, 0);
	case 8: return VMX_MEMORY("vmread %[t], -8(%[m],%[t],8)", address, 0);
	default: return VMX_MEMORY("vmread %[t], %%fs:(%[m])", address, GUEST_RIP);
	}
}

static void l1_do(const struct guest_operation *op)
{
	static uint64_t memory[2];
	uint64_t a = op->arg[0], b = op->arg[1], c = op->arg[2], value = 0, flags = 0;

	switch (op->operation) {
	case L1_setup: l1_setup(a, b); break;
	case L1_enter: l1_enter(a, b, c); break;
	case L1_vmwrite:
		if (c)
			b ^= vmread_value(a);
		if (a == VM_EXIT_CONTROLS)	/* that would show the time */
			b &= ~(uint64_t)VM_EXIT_SAVE_VMX_PREEMPTION_TIMER;
		flags = do_vmwrite(a, b);
		break;
	case L1_restore: l1_restore(a); break;
	case L1_vmread: flags = do_vmread(a, &value); break;
	case L1_digest: l1_digest(); break;
	case L1_vmptrld: flags = do_vmptrld(a); break;
	case L1_vmclear: flags = do_vmclear(a); break;
	case L1_vmptrst:
		flags = VMX_MEMORY("vmptrst (%[m])", memory, 0);
		value = memory[0];
		break;
	case L1_vmxon: flags = l1_vmxon(vmcs_address(a)); break;
	case L1_vmxoff: flags = VMX_MEMORY("vmxoff", memory, 0); break;
	case L1_store: flags = guarded_store(PAGE_GPA(a) + (b & 0xff8), c); break;
	case L1_flip:
		flags = guarded_load(PAGE_GPA(a) + (b / 64 % 512) * 8, &value);
		flags = flags ?: guarded_store(PAGE_GPA(a) + (b / 64 % 512) * 8,
					       value ^ 1ul << (b & 63));
		break;
	case L1_load: flags = guarded_load(PAGE_GPA(a) + (b & 0xff8), &value); break;
	case L1_list:
		put(PAGE_ENTRY_LOAD + a % 3, 16 * (c >> 8 & 1), b);
		put(PAGE_ENTRY_LOAD + a % 3, 16 * (c >> 8 & 1) + 8, c >> 16);
		break;
	case L1_rdmsr: flags = guarded_rdmsr(a, &value); break;
	case L1_wrmsr: flags = guarded_wrmsr(a, b); break;
	case L1_invept:
		memory[0] = b;
		memory[1] = c;
		flags = VMX_MEMORY("invept (%[m]), %[t]", memory, a);
		break;
	case L1_invvpid:
		memory[0] = b;
		memory[1] = c;
		flags = VMX_MEMORY("invvpid (%[m]), %[t]", memory, a);
		break;
	case L1_cr0: l1_toggle_cr(0, a, b); break;
	case L1_cr3: flags = GUARDED("mov %%cr3, %%rax; mov %%rax, %%cr3"); break;
	case L1_cr4: l1_toggle_cr(4, a, b); break;
	case L1_cpuid: guest_cpuid(a, b); break;
	case L1_window: interrupt_window(); break;
	case L1_hypercall:
		value = a;
		GUARDED_FLAGS(flags, "vmcall", WITH "+a"(value), "b"(0), "rcx", "rdx");
		break;
	case L1_vmread_memory:
		memory[0] = 0;
		flags = VMX_MEMORY("vmread %[t], (%[m])", memory, a);
		value = memory[0];
		break;
	case L1_vmwrite_memory:
		memory[0] = b;
		if (a != VM_EXIT_CONTROLS)
			flags = VMX_MEMORY("vmwrite (%[m]), %[t]", memory, a);
		break;
	case L1_xsetbv: flags = guarded_xsetbv(a, b); break;
	case L1_vmfunc: GUARDED_FLAGS(flags, "vmfunc", , "a"(a) WITH "c"(b)); break;
	case L1_operand: flags = l1_operand(a, b); break;
	case L1_address:
		flags = a & 1 ? ADDRESS_INSTRUCTION("vmclear (%[m])", b) :
				ADDRESS_INSTRUCTION("vmptrld (%[m])", b);
		break;
	case L1_ept: put(PAGE_EPT1, (a & 511) * 8, (PAGES_GPA | (a & 511) << 12 | 0x37) ^ b); break;
	case L1_legacy: l1_legacy(a, b, c); break;
	case L1_pause: break;
	}
	switch (op->operation) {
	case L1_setup: case L1_vmwrite: case L1_restore: case L1_vmptrld: case L1_vmwrite_memory:
		note_shadowed();
	}
	note("value", value);
	note("flags", flags);
	if (flags & 0x41 && !(flags & FAULTED))
		note("error", vmread_value(VM_INSTRUCTION_ERROR));
}

static void l1_code(void)
{
	uint64_t cr4 = get_cr4(), cr0 = get_cr0();

	write_cr(0, (cr0 & l1_msr(MSR_IA32_VMX_CR0_FIXED1)) | l1_msr(MSR_IA32_VMX_CR0_FIXED0));
	write_cr(4, cr4 | X86_CR4_VMXE | 0x10000 /* FSGSBASE */);
	guarded_wrmsr(0x3a, l1_msr(0x3a) | FEAT_CTL_VMX_ENABLED_OUTSIDE_SMX | FEAT_CTL_LOCKED);
	guarded_wrmsr(0x1b, l1_msr(0x1b) | 0xc00);	/* x2APIC */
	guarded_wrmsr(0x80f, 0x1ff);
	guarded_wrmsr(MSR_IA32_SYSENTER_CS, 0x10);
	guarded_wrmsr(MSR_IA32_SYSENTER_ESP, 0x1111000);
	guarded_wrmsr(MSR_IA32_SYSENTER_EIP, 0x1111100);
	guarded_wrmsr(MSR_FS_BASE, 0x1112000);
	guarded_wrmsr(MSR_GS_BASE, 0x1113000);
	if (box.has_evmcs)
		enable_vp_assist(PAGE_GPA(PAGE_DATA1), (void *)PAGE_GPA(PAGE_DATA1));
	note("vmxon", l1_vmxon(PAGE_GPA(PAGE_VMXON)));
	if (box.mark)
		asm volatile("xchg %bx, %bx");
	for (;;) {
		to_user(PORT_L1);
		l1_do(&box.l1);
	}
}

#endif
