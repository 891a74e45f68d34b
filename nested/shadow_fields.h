/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The one table of the vmcs12 fields that VMCS shadowing can serve: those that
 * L1 may read, and write where the kind says so, without a VM exit.
 *
 * Invariants, checked when shadow_set.c is compiled and by shadow_kunit.c:
 *  - an encoding stands here once, as its full (even) form; the high half of a
 *    64-bit field follows its field in both bitmaps;
 *  - the member of struct vmcs12 has the width that the encoding names;
 *  - VM-exit information is never writable, because IA32_VMX_MISC, which only the exit
 *    handler looks at, decides whether L1's VMWRITE to it fails;
 *  - access rights are never writable, because the exit handler drops reserved bits;
 *  - no field is here that L0 changes while it emulates a VMX instruction of L1, so
 *    VM_INSTRUCTION_ERROR is not here.  GUEST_BNDCFGS and ENCLS_EXITING_BITMAP are not
 *    here either, because few CPUs have them, and no L1 uses them often.
 *
 * A field that the CPU lacks is dropped when the vCPU's first shadow VMCS is there to
 * be asked (shadow_set.c), because hardware would fail the access, and stock does not.
 *
 * The kinds, by when a value is read or written outside L1:
 *  INFO		VM-exit information: L0 writes it at the nested exit.
 *  GUEST_AR	access rights that L0 copies from vmcs02 at every nested exit.
 *  ENTRY	stock's writable fields: L0 uses the value at every nested entry.
 *  HOST	L0 uses the value at every nested exit, and checks it at the entry.
 *  LAZY	L0 may use the value only when vmcs12 is marked dirty.  A copy-in finds a
 *		native write by comparing, and marks vmcs12 dirty.
 *  RARE, RARE_AR	as LAZY; besides, L0 copies the value from vmcs02 only when
 *		someone asks, unless the set holds such a field.
 * The suffix _ON marks members of the set that a vCPU starts with: stock's, and
 * HOST_RSP and HOST_RIP, which many hypervisors write before each entry.
 */
#ifndef KVM_INTEL_FAST_SHADOW_FIELDS_H
#define KVM_INTEL_FAST_SHADOW_FIELDS_H

#include <linux/bits.h>
#include <linux/types.h>
#include <asm/vmx.h>

/* Properties of a kind. */
#define SHADOW_WRITABLE	BIT(0)	/* may be written without an exit */
#define SHADOW_DIRTIES	BIT(1)	/* a native write marks vmcs12 dirty */
#define SHADOW_STALE	BIT(2)	/* stale in vmcs12 until the rare fields are synced */
#define SHADOW_ON	BIT(3)	/* in the set from the start */

#define SHADOW_INFO		0
#define SHADOW_INFO_ON		SHADOW_ON
#define SHADOW_GUEST_AR_ON	SHADOW_ON
#define SHADOW_ENTRY_ON		(SHADOW_WRITABLE | SHADOW_ON)
#define SHADOW_HOST		SHADOW_WRITABLE
#define SHADOW_HOST_ON		(SHADOW_WRITABLE | SHADOW_ON)
#define SHADOW_LAZY		(SHADOW_WRITABLE | SHADOW_DIRTIES)
#define SHADOW_RARE		(SHADOW_WRITABLE | SHADOW_DIRTIES | SHADOW_STALE)
#define SHADOW_RARE_AR		SHADOW_STALE

/* FIELD(encoding, member of struct vmcs12, kind) */
#define SHADOW_FIELDS(FIELD)							\
	/* 16 bits */								\
	FIELD(VIRTUAL_PROCESSOR_ID, virtual_processor_id, LAZY)			\
	FIELD(POSTED_INTR_NV, posted_intr_nv, LAZY)				\
	FIELD(GUEST_ES_SELECTOR, guest_es_selector, RARE)			\
	FIELD(GUEST_CS_SELECTOR, guest_cs_selector, RARE)			\
	FIELD(GUEST_SS_SELECTOR, guest_ss_selector, RARE)			\
	FIELD(GUEST_DS_SELECTOR, guest_ds_selector, RARE)			\
	FIELD(GUEST_FS_SELECTOR, guest_fs_selector, RARE)			\
	FIELD(GUEST_GS_SELECTOR, guest_gs_selector, RARE)			\
	FIELD(GUEST_LDTR_SELECTOR, guest_ldtr_selector, RARE)			\
	FIELD(GUEST_TR_SELECTOR, guest_tr_selector, RARE)			\
	FIELD(GUEST_INTR_STATUS, guest_intr_status, ENTRY_ON)			\
	FIELD(GUEST_PML_INDEX, guest_pml_index, ENTRY_ON)			\
	FIELD(HOST_ES_SELECTOR, host_es_selector, HOST)				\
	FIELD(HOST_CS_SELECTOR, host_cs_selector, HOST)				\
	FIELD(HOST_SS_SELECTOR, host_ss_selector, HOST)				\
	FIELD(HOST_DS_SELECTOR, host_ds_selector, HOST)				\
	FIELD(HOST_FS_SELECTOR, host_fs_selector, HOST_ON)			\
	FIELD(HOST_GS_SELECTOR, host_gs_selector, HOST_ON)			\
	FIELD(HOST_TR_SELECTOR, host_tr_selector, HOST)				\
	/* 64 bits */								\
	FIELD(IO_BITMAP_A, io_bitmap_a, LAZY)					\
	FIELD(IO_BITMAP_B, io_bitmap_b, LAZY)					\
	FIELD(MSR_BITMAP, msr_bitmap, LAZY)					\
	FIELD(VM_EXIT_MSR_STORE_ADDR, vm_exit_msr_store_addr, LAZY)		\
	FIELD(VM_EXIT_MSR_LOAD_ADDR, vm_exit_msr_load_addr, LAZY)		\
	FIELD(VM_ENTRY_MSR_LOAD_ADDR, vm_entry_msr_load_addr, LAZY)		\
	FIELD(PML_ADDRESS, pml_address, LAZY)					\
	FIELD(TSC_OFFSET, tsc_offset, LAZY)					\
	FIELD(TSC_MULTIPLIER, tsc_multiplier, LAZY)				\
	FIELD(VIRTUAL_APIC_PAGE_ADDR, virtual_apic_page_addr, LAZY)		\
	FIELD(APIC_ACCESS_ADDR, apic_access_addr, LAZY)				\
	FIELD(POSTED_INTR_DESC_ADDR, posted_intr_desc_addr, LAZY)		\
	FIELD(VM_FUNCTION_CONTROL, vm_function_control, LAZY)			\
	FIELD(EPT_POINTER, ept_pointer, LAZY)					\
	FIELD(EOI_EXIT_BITMAP0, eoi_exit_bitmap0, LAZY)				\
	FIELD(EOI_EXIT_BITMAP1, eoi_exit_bitmap1, LAZY)				\
	FIELD(EOI_EXIT_BITMAP2, eoi_exit_bitmap2, LAZY)				\
	FIELD(EOI_EXIT_BITMAP3, eoi_exit_bitmap3, LAZY)				\
	FIELD(EPTP_LIST_ADDRESS, eptp_list_address, LAZY)			\
	FIELD(VMREAD_BITMAP, vmread_bitmap, LAZY)				\
	FIELD(VMWRITE_BITMAP, vmwrite_bitmap, LAZY)				\
	FIELD(XSS_EXIT_BITMAP, xss_exit_bitmap, LAZY)				\
	FIELD(GUEST_PHYSICAL_ADDRESS, guest_physical_address, INFO_ON)		\
	FIELD(VMCS_LINK_POINTER, vmcs_link_pointer, LAZY)			\
	FIELD(GUEST_IA32_DEBUGCTL, guest_ia32_debugctl, LAZY)			\
	FIELD(GUEST_IA32_PAT, guest_ia32_pat, LAZY)				\
	FIELD(GUEST_IA32_EFER, guest_ia32_efer, LAZY)				\
	FIELD(GUEST_IA32_PERF_GLOBAL_CTRL, guest_ia32_perf_global_ctrl, LAZY)	\
	FIELD(GUEST_PDPTR0, guest_pdptr0, LAZY)					\
	FIELD(GUEST_PDPTR1, guest_pdptr1, LAZY)					\
	FIELD(GUEST_PDPTR2, guest_pdptr2, LAZY)					\
	FIELD(GUEST_PDPTR3, guest_pdptr3, LAZY)					\
	FIELD(HOST_IA32_PAT, host_ia32_pat, HOST)				\
	FIELD(HOST_IA32_EFER, host_ia32_efer, HOST)				\
	FIELD(HOST_IA32_PERF_GLOBAL_CTRL, host_ia32_perf_global_ctrl, HOST)	\
	/* 32 bits */								\
	FIELD(PIN_BASED_VM_EXEC_CONTROL, pin_based_vm_exec_control, ENTRY_ON)	\
	FIELD(CPU_BASED_VM_EXEC_CONTROL, cpu_based_vm_exec_control, ENTRY_ON)	\
	FIELD(EXCEPTION_BITMAP, exception_bitmap, ENTRY_ON)			\
	FIELD(PAGE_FAULT_ERROR_CODE_MASK, page_fault_error_code_mask, LAZY)	\
	FIELD(PAGE_FAULT_ERROR_CODE_MATCH, page_fault_error_code_match, LAZY)	\
	FIELD(CR3_TARGET_COUNT, cr3_target_count, LAZY)				\
	FIELD(VM_EXIT_CONTROLS, vm_exit_controls, LAZY)				\
	FIELD(VM_EXIT_MSR_STORE_COUNT, vm_exit_msr_store_count, LAZY)		\
	FIELD(VM_EXIT_MSR_LOAD_COUNT, vm_exit_msr_load_count, LAZY)		\
	FIELD(VM_ENTRY_CONTROLS, vm_entry_controls, LAZY)			\
	FIELD(VM_ENTRY_MSR_LOAD_COUNT, vm_entry_msr_load_count, LAZY)		\
	FIELD(VM_ENTRY_INTR_INFO_FIELD, vm_entry_intr_info_field, ENTRY_ON)	\
	FIELD(VM_ENTRY_EXCEPTION_ERROR_CODE, vm_entry_exception_error_code, ENTRY_ON) \
	FIELD(VM_ENTRY_INSTRUCTION_LEN, vm_entry_instruction_len, ENTRY_ON)	\
	FIELD(TPR_THRESHOLD, tpr_threshold, ENTRY_ON)				\
	FIELD(SECONDARY_VM_EXEC_CONTROL, secondary_vm_exec_control, LAZY)	\
	FIELD(VM_EXIT_REASON, vm_exit_reason, INFO_ON)				\
	FIELD(VM_EXIT_INTR_INFO, vm_exit_intr_info, INFO_ON)			\
	FIELD(VM_EXIT_INTR_ERROR_CODE, vm_exit_intr_error_code, INFO_ON)	\
	FIELD(IDT_VECTORING_INFO_FIELD, idt_vectoring_info_field, INFO_ON)	\
	FIELD(IDT_VECTORING_ERROR_CODE, idt_vectoring_error_code, INFO_ON)	\
	FIELD(VM_EXIT_INSTRUCTION_LEN, vm_exit_instruction_len, INFO_ON)	\
	FIELD(VMX_INSTRUCTION_INFO, vmx_instruction_info, INFO)			\
	FIELD(GUEST_ES_LIMIT, guest_es_limit, RARE)				\
	FIELD(GUEST_CS_LIMIT, guest_cs_limit, RARE)				\
	FIELD(GUEST_SS_LIMIT, guest_ss_limit, RARE)				\
	FIELD(GUEST_DS_LIMIT, guest_ds_limit, RARE)				\
	FIELD(GUEST_FS_LIMIT, guest_fs_limit, RARE)				\
	FIELD(GUEST_GS_LIMIT, guest_gs_limit, RARE)				\
	FIELD(GUEST_LDTR_LIMIT, guest_ldtr_limit, RARE)				\
	FIELD(GUEST_TR_LIMIT, guest_tr_limit, RARE)				\
	FIELD(GUEST_GDTR_LIMIT, guest_gdtr_limit, RARE)				\
	FIELD(GUEST_IDTR_LIMIT, guest_idtr_limit, RARE)				\
	FIELD(GUEST_ES_AR_BYTES, guest_es_ar_bytes, RARE_AR)			\
	FIELD(GUEST_CS_AR_BYTES, guest_cs_ar_bytes, GUEST_AR_ON)		\
	FIELD(GUEST_SS_AR_BYTES, guest_ss_ar_bytes, GUEST_AR_ON)		\
	FIELD(GUEST_DS_AR_BYTES, guest_ds_ar_bytes, RARE_AR)			\
	FIELD(GUEST_FS_AR_BYTES, guest_fs_ar_bytes, RARE_AR)			\
	FIELD(GUEST_GS_AR_BYTES, guest_gs_ar_bytes, RARE_AR)			\
	FIELD(GUEST_LDTR_AR_BYTES, guest_ldtr_ar_bytes, RARE_AR)		\
	FIELD(GUEST_TR_AR_BYTES, guest_tr_ar_bytes, RARE_AR)			\
	FIELD(GUEST_INTERRUPTIBILITY_INFO, guest_interruptibility_info, ENTRY_ON) \
	FIELD(GUEST_ACTIVITY_STATE, guest_activity_state, LAZY)			\
	FIELD(GUEST_SYSENTER_CS, guest_sysenter_cs, LAZY)			\
	FIELD(VMX_PREEMPTION_TIMER_VALUE, vmx_preemption_timer_value, ENTRY_ON)	\
	FIELD(HOST_IA32_SYSENTER_CS, host_ia32_sysenter_cs, HOST)		\
	/* natural width */							\
	FIELD(CR0_GUEST_HOST_MASK, cr0_guest_host_mask, ENTRY_ON)		\
	FIELD(CR4_GUEST_HOST_MASK, cr4_guest_host_mask, LAZY)			\
	FIELD(CR0_READ_SHADOW, cr0_read_shadow, ENTRY_ON)			\
	FIELD(CR4_READ_SHADOW, cr4_read_shadow, ENTRY_ON)			\
	FIELD(EXIT_QUALIFICATION, exit_qualification, INFO_ON)			\
	FIELD(GUEST_LINEAR_ADDRESS, guest_linear_address, INFO_ON)		\
	FIELD(GUEST_CR0, guest_cr0, ENTRY_ON)					\
	FIELD(GUEST_CR3, guest_cr3, ENTRY_ON)					\
	FIELD(GUEST_CR4, guest_cr4, ENTRY_ON)					\
	FIELD(GUEST_ES_BASE, guest_es_base, RARE)				\
	FIELD(GUEST_CS_BASE, guest_cs_base, RARE)				\
	FIELD(GUEST_SS_BASE, guest_ss_base, RARE)				\
	FIELD(GUEST_DS_BASE, guest_ds_base, RARE)				\
	FIELD(GUEST_FS_BASE, guest_fs_base, RARE)				\
	FIELD(GUEST_GS_BASE, guest_gs_base, RARE)				\
	FIELD(GUEST_LDTR_BASE, guest_ldtr_base, RARE)				\
	FIELD(GUEST_TR_BASE, guest_tr_base, RARE)				\
	FIELD(GUEST_GDTR_BASE, guest_gdtr_base, RARE)				\
	FIELD(GUEST_IDTR_BASE, guest_idtr_base, RARE)				\
	FIELD(GUEST_DR7, guest_dr7, LAZY)					\
	FIELD(GUEST_RSP, guest_rsp, ENTRY_ON)					\
	FIELD(GUEST_RIP, guest_rip, ENTRY_ON)					\
	FIELD(GUEST_RFLAGS, guest_rflags, ENTRY_ON)				\
	FIELD(GUEST_PENDING_DBG_EXCEPTIONS, guest_pending_dbg_exceptions, RARE)	\
	FIELD(GUEST_SYSENTER_ESP, guest_sysenter_esp, LAZY)			\
	FIELD(GUEST_SYSENTER_EIP, guest_sysenter_eip, LAZY)			\
	FIELD(HOST_CR0, host_cr0, HOST)						\
	FIELD(HOST_CR3, host_cr3, HOST)						\
	FIELD(HOST_CR4, host_cr4, HOST)						\
	FIELD(HOST_FS_BASE, host_fs_base, HOST_ON)				\
	FIELD(HOST_GS_BASE, host_gs_base, HOST_ON)				\
	FIELD(HOST_TR_BASE, host_tr_base, HOST)					\
	FIELD(HOST_GDTR_BASE, host_gdtr_base, HOST)				\
	FIELD(HOST_IDTR_BASE, host_idtr_base, HOST)				\
	FIELD(HOST_IA32_SYSENTER_ESP, host_ia32_sysenter_esp, HOST)		\
	FIELD(HOST_IA32_SYSENTER_EIP, host_ia32_sysenter_eip, HOST)		\
	FIELD(HOST_RSP, host_rsp, HOST_ON)					\
	FIELD(HOST_RIP, host_rip, HOST_ON)

/* A field's number in the table. */
enum shadow_field {
#define FIELD(encoding, member, kind) SHADOW_##encoding,
	SHADOW_FIELDS(FIELD)
#undef FIELD
	NR_SHADOW_FIELDS
};

/* What an encoding says (SDM, "Field Encoding in VMCS"). */
/* 0: 16 bits, 1: 64, 2: 32, 3: natural */
#define SHADOW_ENC_WIDTH(encoding)	(((encoding) >> 13) & 3)
#define SHADOW_ENC_TYPE(encoding)	(((encoding) >> 10) & 3)	/* 1: VM-exit information */
#define SHADOW_ENC_IS_64BIT(encoding)	(SHADOW_ENC_WIDTH(encoding) == 1)
#define SHADOW_ENC_SIZE(encoding)	(SHADOW_ENC_WIDTH(encoding) == 0 ? 2 :	\
					 SHADOW_ENC_WIDTH(encoding) == 2 ? 4 : 8)
#define SHADOW_ENC_MASK(encoding)	(~0ULL >> (64 - 8 * SHADOW_ENC_SIZE(encoding)))

struct shadow_field_info {
	u16 encoding;
	u8 kind;
	const char *name;
};

/* What the set needs to know of a field; its offset is in shadow_offset[]. */
static const struct shadow_field_info shadow_info[NR_SHADOW_FIELDS] = {
#define FIELD(encoding, member, kind) { encoding, SHADOW_##kind, #member },
	SHADOW_FIELDS(FIELD)
#undef FIELD
};

/**
 * shadow_needs_fresh - decide whether a field in the set demands that rare fields be synced
 * @kind: properties of its kind
 * @written: it is in the set of written fields, not of read ones only
 *
 * A stale value must be refreshed before L1 reads it.  And a native write that
 * marks vmcs12 dirty makes the next nested entry write all rare fields to vmcs02.
 * They must not be stale then either, or L2's own changes are lost.
 *
 * Return: true if it does.
 */
static inline bool shadow_needs_fresh(u8 kind, bool written)
{
	return (kind & SHADOW_STALE) || (written && (kind & SHADOW_DIRTIES));
}

#endif /* KVM_INTEL_FAST_SHADOW_FIELDS_H */
