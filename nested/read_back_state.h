/* SPDX-License-Identifier: GPL-2.0 */
/* Fields that are read back late: see read_back.h. */
#ifndef KVM_INTEL_FAST_READ_BACK_STATE_H
#define KVM_INTEL_FAST_READ_BACK_STATE_H

#include <linux/types.h>

#include <asm/vmx.h>

/* Kept per vCPU. */
struct read_back_memo {
	bool stale;		/* vmcs02 has the fields, vmcs12 does not */
	/* verify=1: what vmcs02 had at the exit. */
	u32 cs_ar_bytes, ss_ar_bytes;
};

/**
 * read_back_is_late - tell whether a field is one that is read back late
 * @encoding: of a field that vmcs12 has
 *
 * Return: true for the access rights of CS and SS.
 */
static inline bool read_back_is_late(unsigned long encoding)
{
	return encoding == GUEST_CS_AR_BYTES || encoding == GUEST_SS_AR_BYTES;
}

#endif /* KVM_INTEL_FAST_READ_BACK_STATE_H */
