/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Random numbers of the differential test, and the MSRs, fields and addresses that its
 * programs choose from by them.  Invariant: none is an MSR that tells the time.
 */
#ifndef DIFFERENTIAL_VALUES_H
#define DIFFERENTIAL_VALUES_H

#include <stdbool.h>
#include <stdint.h>

extern uint64_t random_state;

#define PICK(table)	table[below(ARRAY_SIZE(table))]

uint64_t random64(void);
uint64_t below(uint64_t limit);
bool one_in(unsigned int n);

uint32_t some_msr(void);
uint64_t msr_value(uint32_t msr);
uint64_t some_page(void);
uint64_t some_address(void);
uint64_t some_config(void);
uint32_t some_field(void);

/*
 * An EPTP outside of L1's memory makes stock warn, in nested_vmx_vmexit(), and kill
 * the VM: most programs would end there.
 */
bool is_eptp(uint32_t field);

/*
 * Code that runs somewhere else in the program is another party's: it may do anything,
 * for ever, or execute what has undefined results.  Elsewhere it faults, or finds zeros.
 */
bool is_rip(uint32_t field);

#endif
