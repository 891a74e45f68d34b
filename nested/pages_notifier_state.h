/* SPDX-License-Identifier: GPL-2.0 */
/* What a VM has to watch the pages that its vCPUs hold: see pages_notifier.c. */
#ifndef KVM_INTEL_FAST_PAGES_NOTIFIER_STATE_H
#define KVM_INTEL_FAST_PAGES_NOTIFIER_STATE_H

#include <linux/atomic.h>
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/rbtree.h>
#include <linux/spinlock.h>

struct pages_notifier {
	struct mmu_notifier notifier;
	struct mutex registering;	/* one vCPU at a time */
	bool registered;
	atomic64_t invalidations;	/* under way, and ended: INVALIDATION_STARTS */
	spinlock_t lock;		/* of what follows */
	struct rb_root holds;		/* of all vCPUs, by user-space address */
};

#endif /* KVM_INTEL_FAST_PAGES_NOTIFIER_STATE_H */
