/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The root of the MMU's page tables, loaded at the end of a nested VM entry or exit.
 *
 * A nested VM entry and exit change the MMU's root.  Stock makes a request of that, which
 * kvm.ko serves on its way to the VM entry: it goes through all kinds of requests, because one
 * is pending.  If it is the only one, it is served at once, by the function of stock that
 * kvm.ko would call, with the same root.
 *
 * Skipped: the search for the request.  Nothing is remembered.
 *
 * | input | how we know | mutants |
 * |---|---|---|
 * | the MMU's root and its level | read each time | `mmu-root-of-l1` |
 * | the request | cleared when the root is loaded | `mmu-root-not-loaded` |
 * | other requests, which kvm.ko serves first | there is none, or kvm.ko serves all |
 *   none: out of reach |
 *
 * A request that arrives later, and after which the MMU has another root, makes kvm.ko load that
 * one: kvm_mmu_load() does so whenever it has made a root valid.  The same holds for what user
 * space changes before the vCPU runs again.  Stock has the same state, with the root loaded and
 * no request pending, whenever a VM entry is given up late.
 *
 * verify=1: the request stays pending as well, so that kvm.ko loads the root again, which must
 * change neither the EPT pointer nor CR3 while the root is the same.
 */
#ifndef KVM_INTEL_FAST_MMU_ROOT_H
#define KVM_INTEL_FAST_MMU_ROOT_H

#include "kvm/mmu.h"
#include "kvm/vmx/vmx.h"
#include "vmx/params.h"

#define LOAD_ROOT	BIT_ULL(KVM_REQ_LOAD_MMU_PGD & KVM_REQUEST_MASK)

typedef void (*mmu_root_loader)(struct kvm_vcpu *vcpu, hpa_t root, int level);

void mmu_root_remember(struct kvm_vcpu *vcpu);
void mmu_root_verify(struct kvm_vcpu *vcpu);

/**
 * mmu_root_load - load the MMU's root, if no other request is pending
 * @vcpu: the vCPU; its VMCS is current
 * @load: stock's function that loads a root
 *
 * Context: the vCPU's thread, at the end of a nested VM entry or exit.
 */
static __always_inline void mmu_root_load(struct kvm_vcpu *vcpu, mmu_root_loader load)
{
	struct fast_vcpu *fast = &to_vmx(vcpu)->fast;
	const struct kvm_mmu *mmu = vcpu->arch.mmu;

	if (!fast_switch_does(FAST_SWITCH_MMU_ROOT))
		return;
	if (unlikely(READ_ONCE(vcpu->requests) != LOAD_ROOT || !VALID_PAGE(fast_root(mmu)))) {
		fast->counters.mmu_root_stock++;
		return;
	}
	kvm_clear_request(KVM_REQ_LOAD_MMU_PGD, vcpu);
	load(vcpu, fast_root(mmu), fast_root_level(mmu));
	fast->counters.mmu_root_loaded++;
	if (unlikely(fast_verify()))
		mmu_root_remember(vcpu);
}

#endif /* KVM_INTEL_FAST_MMU_ROOT_H */
