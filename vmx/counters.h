/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the optimisations did, counted per vCPU and shown per VM.
 *
 * One X-macro list names every counter once.  Only the thread that runs the
 * vCPU writes its counters; readers sum over the vCPUs without a lock and may
 * miss the newest increments, as with KVM's own statistics.
 */
#ifndef KVM_INTEL_FAST_COUNTERS_H
#define KVM_INTEL_FAST_COUNTERS_H

#include <linux/types.h>

/*
 * debugctl_pass_through	intercept of L1's RDMSR removed
 * debugctl_intercept_freeze	intercept restored: host set FREEZE_IN_SMM
 * debugctl_intercept_missed	intercept restored: KVM emulated instead of
 *				entering, so the VMCS field was not reloaded
 * debugctl_exit_l1_freeze	read by L1 that exited, host has FREEZE_IN_SMM
 * debugctl_exit_l1_other	read by L1 that exited for another reason:
 *				parameter off, missed reload, emulated RDMSR
 * debugctl_exit_l2		read by L2 that exited: always, by design
 * debugctl_verify_checks	entries at which verify=1 compared
 * debugctl_verify_mismatches	of these, entries that differed from stock
 */
#define FAST_COUNTERS(COUNTER)			\
	COUNTER(debugctl_pass_through)		\
	COUNTER(debugctl_intercept_freeze)	\
	COUNTER(debugctl_intercept_missed)	\
	COUNTER(debugctl_exit_l1_freeze)	\
	COUNTER(debugctl_exit_l1_other)		\
	COUNTER(debugctl_exit_l2)		\
	COUNTER(debugctl_verify_checks)		\
	COUNTER(debugctl_verify_mismatches)

struct fast_counters {
#define COUNTER(name) u64 name;
	FAST_COUNTERS(COUNTER)
#undef COUNTER
};

struct kvm;

void fast_counters_show_in_debugfs(struct kvm *kvm);

#endif /* KVM_INTEL_FAST_COUNTERS_H */
