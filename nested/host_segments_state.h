/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Access rights and limits of L1's segments after a nested VM exit: SDM, "Loading Host
 * Segment and Descriptor-Table Registers", in the format of "Guest Register State".
 */
#ifndef KVM_INTEL_FAST_HOST_SEGMENTS_STATE_H
#define KVM_INTEL_FAST_HOST_SEGMENTS_STATE_H

#include <linux/types.h>

#include <asm/vmx.h>

/* Type, S, P and G; L or D/B. */
#define HOST_CODE	0x809b
#define HOST_CODE_64	(HOST_CODE | 0x2000)
#define HOST_CODE_32	(HOST_CODE | 0x4000)
#define HOST_DATA	0xc093
#define HOST_TSS	0x8b
#define HOST_UNUSABLE	0x10000

#define HOST_FLAT_LIMIT	0xffffffff
#define HOST_TSS_LIMIT	0x67

/**
 * host_cs_access_rights - compute the access rights of CS
 * @exit_controls: VM-exit controls of vmcs12
 *
 * Return: the access rights.
 */
static __always_inline u32 host_cs_access_rights(u32 exit_controls)
{
	return exit_controls & VM_EXIT_HOST_ADDR_SPACE_SIZE ? HOST_CODE_64 : HOST_CODE_32;
}

#endif /* KVM_INTEL_FAST_HOST_SEGMENTS_STATE_H */
