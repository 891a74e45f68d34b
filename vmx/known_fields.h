/* SPDX-License-Identifier: GPL-2.0 */
/*
 * VMCS fields that nothing but our own VMWRITE changes.  A VMWRITE of the value that
 * such a field already holds is left out, and so is a VMREAD of the field.
 *
 * Both switches between L1 and L2 write some twenty of these fields, nearly always with
 * the value that the field holds.
 *
 * KNOWN_FIELDS lists the fields.  VM exits do not save them (KVM sets neither "save
 * IA32_PAT" nor "save IA32_EFER" in a VMCS that it runs), and VMFUNC, which could
 * change the EPT pointer, has no function enabled.  VM_ENTRY_INTR_INFO_FIELD is known
 * only while its valid bit is clear, because a VM exit clears that bit and no other.
 * None of the fields is one of the major controls, whose values stock remembers itself.
 *
 * | who writes a field | how we know | mutants |
 * |---|---|---|
 * | vmcs_write*() with a constant field | it calls known_field_write() |
 *   `known-field-value-not-compared` |
 * | the same with a variable field (a segment) | all is forgotten | none: no writer today |
 * | a VM exit | VM_ENTRY_INTR_INFO_FIELD alone | `known-field-cleared-by-exit` |
 * | a new VMCS | alloc_loaded_vmcs() forgets | `known-fields-of-freed-vmcs` |
 * | a thread that is scheduled in meanwhile | preemption is off |
 *   `known-field-written-preemptibly` |
 *
 * __vmcs_writel() writes a shadow VMCS and no other.  VMCLEAR, a move to another CPU and
 * power management change nothing, because a VMCS keeps its contents.
 *
 * The remembered values belong to a struct loaded_vmcs.  The per-CPU pointer is set where
 * per_cpu(current_vmcs) is set.  A thread that is moved to another CPU between reading
 * the pointer and using it still has its own vCPU's values.
 *
 * A preempted thread writes fields when it is scheduled again (kvm_arch_vcpu_load()
 * writes the TSC offset).  So remembering a value and the VMWRITE are one step, with
 * preemption off from known_field_write() to known_field_written(); no interrupt
 * writes one of the fields.  A write that is left out needs no such step, because it is
 * as if it came before the preemption, or after.
 */
#ifndef KVM_INTEL_FAST_KNOWN_FIELDS_H
#define KVM_INTEL_FAST_KNOWN_FIELDS_H

#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/types.h>

#include <asm/vmx.h>

#include "vmx/counters.h"
#include "vmx/params.h"

#define KNOWN_FIELDS(FIELD)			\
	FIELD(TSC_OFFSET)			\
	FIELD(TSC_MULTIPLIER)			\
	FIELD(EXCEPTION_BITMAP)			\
	FIELD(PAGE_FAULT_ERROR_CODE_MASK)	\
	FIELD(PAGE_FAULT_ERROR_CODE_MATCH)	\
	FIELD(CR0_GUEST_HOST_MASK)		\
	FIELD(CR4_GUEST_HOST_MASK)		\
	FIELD(CR0_READ_SHADOW)			\
	FIELD(CR4_READ_SHADOW)			\
	FIELD(VM_ENTRY_MSR_LOAD_COUNT)		\
	FIELD(VM_ENTRY_EXCEPTION_ERROR_CODE)	\
	FIELD(VM_ENTRY_INSTRUCTION_LEN)		\
	FIELD(VM_EXIT_MSR_LOAD_COUNT)		\
	FIELD(VM_EXIT_MSR_STORE_COUNT)		\
	FIELD(TPR_THRESHOLD)			\
	FIELD(EPT_POINTER)			\
	FIELD(VIRTUAL_APIC_PAGE_ADDR)		\
	FIELD(APIC_ACCESS_ADDR)			\
	FIELD(POSTED_INTR_DESC_ADDR)		\
	FIELD(GUEST_IA32_PAT)			\
	FIELD(GUEST_IA32_EFER)			\
	FIELD(VM_ENTRY_INTR_INFO_FIELD)

enum known_field {
#define FIELD(name) KNOWN_##name,
	KNOWN_FIELDS(FIELD)
#undef FIELD
	NR_KNOWN_FIELDS
};

/* Member "known" of struct loaded_vmcs. */
struct known_fields {
	u32 valid;		/* bit n: field n holds value[n] */
	u64 value[NR_KNOWN_FIELDS];
	struct fast_counters *counters;
	u64 skipped;		/* VMWRITEs left out since the VMCS became current */
};

/* The known fields of the current VMCS. */
DECLARE_PER_CPU(struct known_fields *, current_known_fields);

bool known_field_verify(struct known_fields *known, unsigned long field, int n);

/* Returns the field's number, or NR_KNOWN_FIELDS if it is none of KNOWN_FIELDS. */
static __always_inline int known_field(unsigned long field)
{
	static const unsigned int encoding[NR_KNOWN_FIELDS] = {
#define FIELD(name) name,
		KNOWN_FIELDS(FIELD)
#undef FIELD
	};
	int n;

#pragma GCC unroll 32
	for (n = 0; n < NR_KNOWN_FIELDS; n++)
		if (encoding[n] == field)
			break;
	return n;
}

/**
 * known_field_write - decide whether a field of the current VMCS must be written
 * @field: the field's encoding
 * @value: the value to be written
 *
 * Context: any in which VMWRITE is possible.
 * Return: true if the field holds this value, and need not be written.  Otherwise the
 * caller writes the field, and calls known_field_written(); until then preemption is off
 * if the field is one of KNOWN_FIELDS, or variable, and this part of the switch is on.
 */
static __always_inline bool known_field_write(unsigned long field, u64 value)
{
	struct known_fields *known;
	int n;

	n = __builtin_constant_p(field) ? known_field(field) : 0;
	if (n == NR_KNOWN_FIELDS || !fast_switch_does(FAST_SWITCH_KNOWN_FIELDS))
		return false;
	if (!__builtin_constant_p(field)) {
		preempt_disable();
		return false;
	}

	known = this_cpu_read(current_known_fields);
	if ((known->valid & BIT(n)) && known->value[n] == value &&
	    (!fast_verify() || known_field_verify(known, field, n))) {
		known->skipped++;
		return true;
	}
	preempt_disable();
	if (field == VM_ENTRY_INTR_INFO_FIELD && (value & INTR_INFO_VALID_MASK)) {
		known->valid &= ~BIT(n);
	} else {
		known->value[n] = value;
		known->valid |= BIT(n);
	}
	return false;
}

/**
 * known_field_written - end the write of a field for which known_field_write() returned false
 * @field: the field's encoding
 *
 * Context: that of known_field_write().
 */
static __always_inline void known_field_written(unsigned long field)
{
	if ((__builtin_constant_p(field) && known_field(field) == NR_KNOWN_FIELDS) ||
	    !fast_switch_does(FAST_SWITCH_KNOWN_FIELDS))
		return;
	if (!__builtin_constant_p(field))
		this_cpu_read(current_known_fields)->valid = 0;
	preempt_enable();
}

/**
 * known_field_read - read a field of the current VMCS without VMREAD, if its value is known
 * @field: the field's encoding
 * @value: set to the field's value, if that is known
 *
 * Context: any in which VMREAD is possible.
 * Return: true if the value is known; false if the caller must read the field.
 */
static __always_inline bool known_field_read(unsigned long field, unsigned long *value)
{
	struct known_fields *known;
	int n;

	if (!__builtin_constant_p(field))
		return false;
	n = known_field(field);
	if (n == NR_KNOWN_FIELDS)
		return false;

	known = this_cpu_read(current_known_fields);
	if (!(known->valid & BIT(n)) ||
	    (fast_verify() && !known_field_verify(known, field, n)))
		return false;
	*value = known->value[n];
	return true;
}

/**
 * known_fields_forget - forget the values of all fields of a VMCS
 * @known: of this VMCS
 *
 * For a VMCS that is new, or that is about to be dumped: a dump must show what the VMCS holds.
 *
 * Context: any; the vCPU's thread, if the VMCS is in use.
 */
static inline void known_fields_forget(struct known_fields *known)
{
	known->valid = 0;
}

/**
 * known_fields_load - make the known fields of a VMCS the current ones
 * @known: of the VMCS that becomes current
 * @counters: of its vCPU
 *
 * Context: preemption off.
 */
static __always_inline void known_fields_load(struct known_fields *known,
					      struct fast_counters *counters)
{
	counters->vmwrites_unchanged += known->skipped;
	known->skipped = 0;
	known->counters = counters;
	this_cpu_write(current_known_fields, known);
}

#endif /* KVM_INTEL_FAST_KNOWN_FIELDS_H */
