/* SPDX-License-Identifier: GPL-2.0 */
/*
 * From vmcs01 to vmcs02 and back, on a CPU that has both active.
 *
 * Stock asks whether the new VMCS must be moved to this CPU, whether it is current already and
 * whether an IBPB is due, and brings five selectors and two bases of the host state up to date.
 * On a nested VM entry or exit both VMCSs are nearly always active on this CPU, with the same
 * host state.
 *
 * Skipped, if that is so: all but VMPTRLD, what KVM notes of it, and the comparisons.  Stock
 * does no IBPB between two VMCSs of one vCPU.
 *
 * Inputs, all read each time, with preemption off: the CPU on which the new VMCS is active, the
 * CPU's current VMCS, and stock's copies of the host state of both, which count while
 * guest_state_loaded is set.
 *
 * verify=1: VMPTRST must say that the new VMCS is current.
 */
#ifndef KVM_INTEL_FAST_VMCS_SWITCH_H
#define KVM_INTEL_FAST_VMCS_SWITCH_H

#include "kvm/vmx/vmx.h"
#include "kvm/vmx/vmx_ops.h"
#include "vmx/params.h"

void vmcs_switch_verify(struct kvm_vcpu *vcpu);

static __always_inline bool same_host_state(const struct vmcs_host_state *one,
					    const struct vmcs_host_state *other)
{
	const size_t size = offsetofend(struct vmcs_host_state, es_sel) -
			    offsetof(struct vmcs_host_state, fs_sel);

	BUILD_BUG_ON(size != 5 * sizeof(one->fs_sel));	/* of FS, GS, LDTR, DS and ES */
	return one->gs_base == other->gs_base && one->fs_base == other->fs_base &&
	       !memcmp(&one->fs_sel, &other->fs_sel, size);
}

/**
 * vmcs_switch - make the vCPU's new VMCS current, if that takes no more than VMPTRLD
 * @vcpu: the vCPU; its loaded_vmcs is the new one
 * @cpu: this CPU
 * @prev: its loaded_vmcs before
 *
 * Context: the vCPU's thread, preemption off.
 * Return: true if the new VMCS is current; false if stock must load it.
 */
static __always_inline bool vmcs_switch(struct kvm_vcpu *vcpu, int cpu, struct loaded_vmcs *prev)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);
	struct loaded_vmcs *next = vmx->loaded_vmcs;

	if (unlikely(!fast_switch_does(FAST_SWITCH_VMCS) || next->cpu != cpu ||
		     this_cpu_read(current_vmcs) != prev->vmcs ||
		     (fast_guest_state_loaded(vmx) &&
		      !same_host_state(&prev->host_state, &next->host_state)))) {
		vmx->fast.counters.vmcs_switch_stock++;
		return false;
	}
	this_cpu_write(current_vmcs, next->vmcs);
	if (FAST_HAS(known_fields))
		known_fields_load(&next->known, &vmx->fast.counters);
	vmcs_load(next->vmcs);
	vmx->fast.counters.vmcs_switch_short++;
	if (unlikely(fast_verify()))
		vmcs_switch_verify(vcpu);
	return true;
}

#endif /* KVM_INTEL_FAST_VMCS_SWITCH_H */
