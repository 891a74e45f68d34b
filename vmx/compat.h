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

#if LINUX_VERSION_MAJOR != 6 || LINUX_VERSION_PATCHLEVEL != 1
#error "kvm-intel-fast supports the kernel line 6.1 only: build against its headers and source."
#endif

/* 1 if ALLOW_UNREVIEWED=1 let stock code be built that nobody reviewed: see scripts/apply. */
#ifndef FAST_UNREVIEWED
#define FAST_UNREVIEWED 0
#endif

#endif /* KVM_INTEL_FAST_COMPAT_H */
