/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The measured guest directly under KVM: an L1 when started in L0, an L2 when
 * started in a Linux L1, whose KVM and user space then handle what exits.
 */
#ifndef EXIT_BENCH_GUEST_H
#define EXIT_BENCH_GUEST_H

#include "exit_bench/measure.h"

extern const struct row guest_rows[];

/* The guest's entry. */
void guest_code(unsigned int vcpu_index);

#endif
