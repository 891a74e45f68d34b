// SPDX-License-Identifier: GPL-2.0
/* VMCS fields that nothing but our own VMWRITE changes: see known_fields.h. */
#include "kvm/vmx/vmx.h"
#include "kvm/vmx/vmx_ops.h"
#include "vmx/known_fields.h"

DEFINE_PER_CPU(struct known_fields *, current_known_fields);

/**
 * known_field_verify - verify=1: compare a field with its remembered value
 * @known: of the current VMCS
 * @field: the field's encoding
 * @n: the field's number in @known
 *
 * Context: any in which VMREAD is possible.
 * Return: true if the field holds the value; if not, the value is forgotten.
 */
noinline bool known_field_verify(struct known_fields *known, unsigned long field, int n)
{
	known->counters->known_fields_verify_checks++;
	if (__vmcs_readl(field) == known->value[n])
		return true;
	known->valid &= ~BIT(n);
	FAST_MISMATCH(known->counters, known_fields,
		      "VMCS field %#lx does not hold its cached value", field);
	return false;
}
