/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How L1 of the differential test treats its vmcs12s.
 */
#ifndef DIFFERENTIAL_GUEST_VMCS12_H
#define DIFFERENTIAL_GUEST_VMCS12_H

#include "differential/guest.h"

extern uint64_t l1_config[VMCSS];	/* how each vmcs12 was set up */
extern uint64_t l1_launched[VMCSS];
extern uint64_t l1_current;

#define HAS(bit)	(config >> CFG_##bit & 1)

#define ADDRESS_INSTRUCTION(insn, address)					\
({	static uint64_t __operand;						\
	__operand = address;							\
	VMX_MEMORY(insn, &__operand, 0); })

uint64_t l1_msr(uint32_t msr);
/* Write to a page that is handed over. */
void put(enum handed_page page, unsigned int offset, uint64_t value);

/* Return: the flags, or FAULTED and the vector. */
uint64_t do_vmwrite(uint64_t field, uint64_t value);
uint64_t do_vmread(uint64_t field, uint64_t *value);
uint64_t do_vmptrld(uint64_t which);
uint64_t do_vmclear(uint64_t which);
uint64_t l1_vmxon(uint64_t address);

uint64_t vmread_value(uint64_t field);
/* 0 to 2: a vmcs12; then places where none should be. */
uint64_t vmcs_address(uint64_t which);
void l1_setup(uint64_t which, uint64_t config);
/* L2 starts afresh: all that it or a failed experiment may have changed. */
void setup_guest(uint64_t config);
/* The value that setup gave to a field, as far as an experiment needs it back. */
void l1_restore(uint64_t field);

#endif
