// SPDX-License-Identifier: GPL-2.0
/*
 * The row that is measured, and the marks around it: see measure.h.
 */
#include "exit_bench/measure.h"

const struct row *row;
unsigned int arrived[2];
uint64_t first_tsc;
