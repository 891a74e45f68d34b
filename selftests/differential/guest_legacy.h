/* SPDX-License-Identifier: GPL-2.0 */
#ifndef DIFFERENTIAL_GUEST_LEGACY_H
#define DIFFERENTIAL_GUEST_LEGACY_H

#include <stdbool.h>
#include <stdint.h>

/* A 32-bit or PAE hypervisor with a guest of its own kind, for some exits. */
void l1_legacy(bool pae, uint64_t config, uint64_t msr);

#endif
