/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the host's memory management tells the vCPUs about held pages, and what it asks them:
 * see pages_notifier.c.
 */
#ifndef KVM_INTEL_FAST_PAGES_NOTIFIER_H
#define KVM_INTEL_FAST_PAGES_NOTIFIER_H

#include "kvm/vmx/vmx.h"
#include "nested/context.h"

void pages_notifier_init(struct kvm *kvm);
bool pages_notifier_listen(struct kvm *kvm);
void pages_notifier_stop(struct kvm *kvm);
u64 pages_notifier_invalidations(struct kvm *kvm);
bool pages_notifier_watch(struct kvm_vcpu *vcpu, struct page_hold *hold,
			  u64 invalidations);
void pages_notifier_forget(struct kvm_vcpu *vcpu, struct page_hold *hold);

#endif /* KVM_INTEL_FAST_PAGES_NOTIFIER_H */
