/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Access rights and limits of the segments of a 64-bit L1 after a nested VM exit: SDM, "Loading
 * Host Segment and Descriptor-Table Registers", in the format of "Guest Register State".
 */
#ifndef KVM_INTEL_FAST_HOST_SEGMENTS_H
#define KVM_INTEL_FAST_HOST_SEGMENTS_H

/* Type, S, P and G; L or D/B. */
#define HOST_CODE_64	0xa09b
#define HOST_DATA	0xc093
#define HOST_TSS	0x8b
#define HOST_UNUSABLE	0x10000

#define HOST_FLAT_LIMIT	0xffffffff
#define HOST_TSS_LIMIT	0x67

#endif /* KVM_INTEL_FAST_HOST_SEGMENTS_H */
