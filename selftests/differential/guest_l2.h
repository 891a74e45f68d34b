/* SPDX-License-Identifier: GPL-2.0 */
#ifndef DIFFERENTIAL_GUEST_L2_H
#define DIFFERENTIAL_GUEST_L2_H

#include <stdint.h>

extern uint64_t l2_stack[2][512];
void l2_code(void);

#endif
