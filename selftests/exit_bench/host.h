/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the host's memory management pays beside a VM with nested guests: user space
 * does it between the marks, while no vCPU runs.
 */
#ifndef EXIT_BENCH_HOST_H
#define EXIT_BENCH_HOST_H

#include "exit_bench/measure.h"

extern const struct row host_rows[];

/* Measure the row in a VM of its own, and print what main() prints of others. */
void measure_host(void);

#endif
