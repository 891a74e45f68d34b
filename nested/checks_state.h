/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The inputs of the consistency checks of a VM entry that are compared each time:
 * see checks.c.
 */
#ifndef KVM_INTEL_FAST_CHECKS_STATE_H
#define KVM_INTEL_FAST_CHECKS_STATE_H

#include <linux/types.h>

#include "vmx/compat.h"

/*
 * Fields of vmcs12 that change without a trapped VMWRITE: L1 writes them in the
 * shadow VMCS, or L0 writes them on a nested VM exit, while L2 runs, or for a VMFUNC
 * of L2.
 */
#define CHECKS_VMCS12_FIELDS(FIELD)		\
	FIELD(ept_pointer)			\
	FIELD(guest_ia32_debugctl)		\
	FIELD(guest_ia32_pat)			\
	FIELD(guest_ia32_efer)			\
	FIELD(guest_ia32_perf_global_ctrl)	\
	FIELD(guest_bndcfgs)			\
	FIELD(guest_cr0)			\
	FIELD(guest_cr4)			\
	FIELD(guest_dr7)			\
	FIELD(host_fs_base)			\
	FIELD(host_gs_base)			\
	FIELD(host_rip)				\
	FIELD(pin_based_vm_exec_control)	\
	FIELD(cpu_based_vm_exec_control)	\
	FIELD(vm_entry_controls)		\
	FIELD(vm_entry_intr_info_field)		\
	FIELD(vm_entry_exception_error_code)	\
	FIELD(vm_entry_instruction_len)		\
	FIELD(guest_activity_state)		\
	FIELD(host_fs_selector)			\
	FIELD(host_gs_selector)			\
	FAST_CHECKED_FIELDS(FIELD)

/*
 * The other fields that are checked, and that stock copies from an enlightened VMCS
 * (copy_enlightened_to_vmcs12()): L1 writes these by a plain store.
 */
#define CHECKS_EVMCS_FIELDS(FIELD)		\
	FIELD(vm_exit_controls)			\
	FIELD(secondary_vm_exec_control)	\
	FIELD(io_bitmap_a)			\
	FIELD(io_bitmap_b)			\
	FIELD(msr_bitmap)			\
	FIELD(virtual_apic_page_addr)		\
	FIELD(virtual_processor_id)		\
	FIELD(tsc_multiplier)			\
	FIELD(host_ia32_pat)			\
	FIELD(host_ia32_efer)			\
	FIELD(host_ia32_perf_global_ctrl)	\
	FIELD(host_cr0)				\
	FIELD(host_cr3)				\
	FIELD(host_cr4)				\
	FIELD(host_ia32_sysenter_esp)		\
	FIELD(host_ia32_sysenter_eip)		\
	FIELD(host_tr_base)			\
	FIELD(host_gdtr_base)			\
	FIELD(host_idtr_base)			\
	FIELD(host_es_selector)			\
	FIELD(host_cs_selector)			\
	FIELD(host_ss_selector)			\
	FIELD(host_ds_selector)			\
	FIELD(host_tr_selector)

/* The state of the vCPU and the VM when L1 executes VMRESUME. */
#define CHECKS_VCPU_INPUTS(INPUT)		\
	INPUT(l1_efer)				\
	INPUT(l1_cr4_la57)			\
	INPUT(disabled_quirks)

/* u64 each, so that a comparison is one XOR and one OR. */
struct checks_inputs {
#define INPUT(name) u64 name;
	CHECKS_VMCS12_FIELDS(INPUT)
	CHECKS_VCPU_INPUTS(INPUT)
#undef INPUT
};

/* Of an L1 that may use an enlightened VMCS. */
struct checks_evmcs_inputs {
	gpa_t address;		/* INVALID_GPA: vmcs12 was no enlightened one */
#define FIELD(name) u64 name;
	CHECKS_EVMCS_FIELDS(FIELD)
#undef FIELD
};

/* SDM, "VMCS Layout": bits 11:10 of an encoding. */
enum { CHECKS_CONTROL, CHECKS_READ_ONLY, CHECKS_GUEST_STATE, CHECKS_HOST_STATE };

#define CHECKS_HOST_RSP	0x6c14
#define CHECKS_HOST_RIP	0x6c16

/**
 * checks_depend_on - decide whether a trapped VMWRITE of L1 makes the checks necessary
 * @field: the encoding of the field that L1 writes
 *
 * No check reads read-only fields and HOST_RSP.  HOST_RIP, which selftests and small
 * hypervisors write each time, and the guest state that is checked are compared instead.
 *
 * Return: true if the checks are necessary.
 */
static __always_inline bool checks_depend_on(unsigned long field)
{
	unsigned int type = (field >> 10) & 3;

	if (field == CHECKS_HOST_RSP || field == CHECKS_HOST_RIP)
		return false;
	return type == CHECKS_CONTROL || type == CHECKS_HOST_STATE;
}

/* Kept per vCPU. */
struct checks_memo {
	bool valid;		/* inputs passed, and no other input changed since */
	bool hit;		/* the VM entry that is under way leaves the checks out */
	bool verifying;		/* verify=1: it would, but stock checks */
	struct checks_inputs inputs;
	struct checks_evmcs_inputs evmcs;
};

#endif /* KVM_INTEL_FAST_CHECKS_STATE_H */
