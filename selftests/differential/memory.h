/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The memslots and pages that user space of the differential test gives to L1.
 */
#ifndef DIFFERENTIAL_MEMORY_H
#define DIFFERENTIAL_MEMORY_H

#include "differential/layout.h"

#define FIRST_SLOT	10
#define SMRAM_SLOT	(FIRST_SLOT + PAGES)

enum { SLOT_DELETE, SLOT_ADD, SLOT_MOVE, SLOT_LOG, SLOT_READONLY, SLOT_PLAIN, SLOT_AWAY_AND_BACK };

extern uint8_t *pages;			/* those of layout.h, one after the other */

void *page_memory(unsigned int page);
long slot_set(unsigned int page, bool present);
bool slot_is_logged(unsigned int page);
void smram_set(void);
/* All memslots anew, in a VM that has none of them yet. */
void slots_add(void);

void user_slot(unsigned int page, unsigned int what);
void user_dirty_log(unsigned int page);
/* Another page of the host with the same content: MMU notifiers fire. */
void user_remap(unsigned int page);
void user_discard(unsigned int page, bool restore);

#endif
