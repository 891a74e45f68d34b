/* SPDX-License-Identifier: GPL-2.0 */
#ifndef DIFFERENTIAL_GENERATOR_H
#define DIFFERENTIAL_GENERATOR_H

#include "differential/program.h"

/* Makes every other scene this one: another program for each seed.  False: there is no such. */
bool favour(const char *name);

/* The program of a seed. */
void generate(struct program *p, uint64_t seed);

#endif
