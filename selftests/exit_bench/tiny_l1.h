/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A tiny L1: the least that a hypervisor does for an exit of its L2, so that what
 * remains is L0's.
 */
#ifndef EXIT_BENCH_TINY_L1_H
#define EXIT_BENCH_TINY_L1_H

#include "exit_bench/measure.h"

extern const struct row tiny_l1_rows[];

/*
 * L1's entry; @more: a virtual-APIC page and one that is not used, then VMCSs 1 and up and their
 * MSR bitmaps, in pairs.
 */
void l1_code(unsigned int vcpu_index, struct vmx_pages *vmx, uint8_t *more, uint64_t more_gpa);

#endif
