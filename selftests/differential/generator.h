/* SPDX-License-Identifier: GPL-2.0 */
#ifndef DIFFERENTIAL_GENERATOR_H
#define DIFFERENTIAL_GENERATOR_H

#include "differential/program.h"

/* The program of a seed. */
void generate(struct program *p, uint64_t seed);

#endif
