/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KVM_INTEL_FAST_PREEMPTION_TIMER_H
#define KVM_INTEL_FAST_PREEMPTION_TIMER_H

#include <linux/hrtimer.h>

struct kvm_vcpu;

void preemption_timer_init(struct kvm_vcpu *vcpu);
void preemption_timer_start(struct kvm_vcpu *vcpu, u64 ticks);
void preemption_timer_stop(struct kvm_vcpu *vcpu);
ktime_t preemption_timer_remaining(struct kvm_vcpu *vcpu);
void preemption_timer_free(struct kvm_vcpu *vcpu);

#endif /* KVM_INTEL_FAST_PREEMPTION_TIMER_H */
