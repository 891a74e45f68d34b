/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The one place that knows which kernel line is being built.
 *
 * Everything else is written once, for all lines.  A difference between lines
 * becomes a macro or an inline function here, never an #ifdef elsewhere.
 */
#ifndef KVM_INTEL_FAST_COMPAT_H
#define KVM_INTEL_FAST_COMPAT_H

#include <linux/version.h>

#define FAST_LINE	KERNEL_VERSION(LINUX_VERSION_MAJOR, LINUX_VERSION_PATCHLEVEL, 0)
#define FAST_LINE_6_1	KERNEL_VERSION(6, 1, 0)
#define FAST_LINE_6_12	KERNEL_VERSION(6, 12, 0)

#if FAST_LINE != FAST_LINE_6_1 && FAST_LINE != FAST_LINE_6_12
#error "kvm-intel-fast supports the kernel lines 6.1 and 6.12"
#endif

#if FAST_LINE >= FAST_LINE_6_12
#include <linux/unaligned.h>
/* Bits of vcpu->arch.hflags */
#define FAST_HFLAGS_GUEST_MODE		BIT_ULL(0)
#define FAST_HFLAGS_SMM			BIT_ULL(1)
/* L1 may let L2 write IA32_FLUSH_CMD. */
#define FAST_MSR_BITMAP_FLUSH_CMD	1
#define fast_has_evmcs12(vmx)		nested_vmx_is_evmptr12_valid(vmx)
#define fast_kvm_cpuid_base(vcpu)	((vcpu)->arch.kvm_cpuid.base)
#else
#include <asm/unaligned.h>
#define FAST_HFLAGS_GUEST_MODE		BIT_ULL(5)
#define FAST_HFLAGS_SMM			BIT_ULL(6)
#define FAST_MSR_BITMAP_FLUSH_CMD	0
#define fast_has_evmcs12(vmx)		evmptr_is_valid((vmx)->nested.hv_evmcs_vmptr)
#define fast_kvm_cpuid_base(vcpu)	((vcpu)->arch.kvm_cpuid_base)
#endif

/* 1 if ALLOW_UNREVIEWED=1 let stock code be built that nobody reviewed: see scripts/apply. */
#ifndef FAST_UNREVIEWED
#define FAST_UNREVIEWED 0
#endif

#endif /* KVM_INTEL_FAST_COMPAT_H */
