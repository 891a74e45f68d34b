/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The root of the MMU's page tables, loaded at the end of a nested VM entry or exit.
 *
 * A nested VM entry and exit change the MMU's root.  Stock lets kvm_mmu_new_pgd() find it, which
 * makes a request to load it, and kvm.ko serves that on its way to the VM entry: it goes through
 * all kinds of requests, because one is pending.  Nearly always the MMU has the right root already,
 * and nothing else is requested.  Then no request is made, and the root is loaded at once, by the
 * function of stock that kvm.ko would call: for L1 when stock has loaded L1's CR3, for L2 at the
 * end of the nested entry.  An entry that restores saved state ends elsewhere and is left to stock,
 * and so is L1 without EPT.
 *
 * Skipped: the look at other roots that the MMU remembers, the request, the search for it, and
 * writing a count of zero, which other vCPUs read, to the page of the root.  Nothing is remembered.
 * The last MMIO access is forgotten, as kvm_mmu_new_pgd() does.
 *
 * | input | how we know | mutants |
 * |---|---|---|
 * | the MMU's root, its level and role | read each time | `mmu-root-of-l1` |
 * | L1's EPT pointer | compared; by mmu_ept.c, too | `mmu-ept-pointer-ignored` |
 * | a root that waits, or is found in an exit | loaded before kvm.ko enters the guest |
 *   `mmu-root-not-loaded`, `mmu-root-of-l1-not-loaded` |
 * | kvm.ko's parameter flush_on_reuse | read each time | `mmu-root-flush-ignored` |
 * | other requests, which kvm.ko serves first | there is none, or kvm.ko serves all |
 *   none: out of reach |
 *
 * A request that arrives later, and after which the MMU has another root, makes kvm.ko load that
 * one: kvm_mmu_load() does so whenever it has made a root valid.  The same holds for what user
 * space changes before the vCPU runs again.  Stock has the same state, with the root loaded and
 * no request pending, whenever a VM entry is given up late.
 *
 * verify=1: kvm_mmu_new_pgd() is always called; where it would have been left out it must find the
 * same root.  After the root is loaded the request stays pending, so that kvm.ko loads it again,
 * which must change neither the EPT pointer nor CR3 while the root is the same.
 */
#ifndef KVM_INTEL_FAST_MMU_ROOT_H
#define KVM_INTEL_FAST_MMU_ROOT_H

#include "kvm/mmu.h"
#include "kvm/vmx/vmx.h"
#include "vmx/params.h"

#define NO_PGD		INVALID_PAGE	/* a root that depends on no page tables of the guest's */
#define LOAD_ROOT	BIT_ULL(KVM_REQ_LOAD_MMU_PGD & KVM_REQUEST_MASK)

typedef void (*mmu_root_loader)(struct kvm_vcpu *vcpu, hpa_t root, int level);

void mmu_root_init(void) __init;
bool mmu_root_is_found(struct kvm_vcpu *vcpu, gpa_t pgd);
void mmu_root_remember(struct kvm_vcpu *vcpu);
void mmu_root_verify(struct kvm_vcpu *vcpu);

/**
 * mmu_root_new_pgd_l2 - do what kvm_mmu_new_pgd() does, on the way into L2
 * @vcpu: the vCPU
 * @pgd: the guest's page tables that the MMU shall follow
 *
 * Context: the vCPU's thread.
 */
static __always_inline void mmu_root_new_pgd_l2(struct kvm_vcpu *vcpu, gpa_t pgd)
{
	struct fast_vcpu *fast = &to_vmx(vcpu)->fast;

	if (FAST_HAS(mmu_root) && fast_switch_does(FAST_SWITCH_MMU_ROOT) &&
	    likely(fast->mmu_root_state != MMU_ROOT_BY_STOCK) &&
	    likely(mmu_root_is_found(vcpu, pgd)))
		fast->mmu_root_state = MMU_ROOT_WAITS;
	else
		kvm_mmu_new_pgd(vcpu, pgd);
}

/**
 * mmu_root_new_pgd - do what kvm_mmu_new_pgd() does, on a switch between L1 and L2
 * @vcpu: the vCPU; its VMCS is current
 * @pgd: the guest's page tables that the MMU shall follow
 * @load: stock's function that loads a root
 *
 * Context: the vCPU's thread.
 */
static __always_inline void mmu_root_new_pgd(struct kvm_vcpu *vcpu, gpa_t pgd, mmu_root_loader load)
{
	if (!fast_switch_does(FAST_SWITCH_MMU_ROOT)) {
		kvm_mmu_new_pgd(vcpu, pgd);
	} else if (is_guest_mode(vcpu)) {
		mmu_root_new_pgd_l2(vcpu, pgd);
	} else if (likely(mmu_root_is_found(vcpu, NO_PGD))) {
		load(vcpu, fast_root(vcpu->arch.mmu), fast_root_level(vcpu->arch.mmu));
		to_vmx(vcpu)->fast.counters.mmu_root_loaded++;
	} else {
		kvm_mmu_new_pgd(vcpu, pgd);
	}
}

/**
 * mmu_root_may_wait - let the root of L2's MMU wait for mmu_root_load()
 * @vcpu: the vCPU, on its way into L2
 *
 * Context: the vCPU's thread.
 */
static __always_inline void mmu_root_may_wait(struct kvm_vcpu *vcpu)
{
	if (fast_switch_does(FAST_SWITCH_MMU_ROOT))
		to_vmx(vcpu)->fast.mmu_root_state = MMU_ROOT_MAY_WAIT;
}

/**
 * mmu_root_load - load the MMU's root, if no other request is pending
 * @vcpu: the vCPU; its VMCS is current
 * @load: stock's function that loads a root
 *
 * Context: the vCPU's thread, after a nested VM exit or an entry, which may have failed.
 */
static __always_inline void mmu_root_load(struct kvm_vcpu *vcpu, mmu_root_loader load)
{
	struct fast_vcpu *fast = &to_vmx(vcpu)->fast;
	const struct kvm_mmu *mmu = vcpu->arch.mmu;
	u64 requests;
	bool waits;

	if (!fast_switch_does(FAST_SWITCH_MMU_ROOT))
		return;
	waits = fast->mmu_root_state == MMU_ROOT_WAITS && is_guest_mode(vcpu);
	fast->mmu_root_state = MMU_ROOT_BY_STOCK;
	requests = READ_ONCE(vcpu->requests);
	if (!waits && !requests)
		return;
	if (unlikely(requests != (waits ? 0 : LOAD_ROOT) || !VALID_PAGE(fast_root(mmu)))) {
		if (waits)
			kvm_make_request(KVM_REQ_LOAD_MMU_PGD, vcpu);
		fast->counters.mmu_root_stock++;
		return;
	}
	if (!waits)
		kvm_clear_request(KVM_REQ_LOAD_MMU_PGD, vcpu);
	load(vcpu, fast_root(mmu), fast_root_level(mmu));
	fast->counters.mmu_root_loaded++;
	if (unlikely(fast_verify()))
		mmu_root_remember(vcpu);
}

#endif /* KVM_INTEL_FAST_MMU_ROOT_H */
