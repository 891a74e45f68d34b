// SPDX-License-Identifier: GPL-2.0
/* The root of the MMU's page tables: is it found, and what verify=1 compares.  See mmu_root.h. */
#include <linux/module.h>

#include "kvm/mmu.h"
#include "kvm/x86.h"
#include "kvm/mmu/spte.h"
#include "kvm/vmx/vmx_ops.h"
#include "nested/mmu_root.h"

/* kvm.ko's parameter of that name, which may change at any time; true if it is not found. */
static bool unknown = true;
static const bool *flush_on_reuse __read_mostly = &unknown;

/**
 * mmu_root_init - find kvm.ko's parameter flush_on_reuse
 *
 * kvm.ko exports no such variable, so that its table of parameters is searched.  This module uses
 * kvm.ko, which therefore stays.
 *
 * Context: when the module is loaded; may sleep.
 */
void __init mmu_root_init(void)
{
	struct kobject *found = kset_find_obj(THIS_MODULE->mkobj.kobj.kset, "kvm");
	const struct module *kvm;
	unsigned int i;

	if (!found)
		return;
	kvm = container_of(found, struct module_kobject, kobj)->mod;
	for (i = 0; kvm && i < kvm->num_kp; i++)
		if (!strcmp(kvm->kp[i].name, "flush_on_reuse"))
			flush_on_reuse = kvm->kp[i].arg;
	kobject_put(found);
}

/*
 * The page of the root that the MMU has, if it is the one that is_root_usable() looks for; else
 * NULL.  Stores nothing.
 */
static __always_inline struct kvm_mmu_page *usable_root(const struct kvm_mmu *mmu, gpa_t pgd)
{
	struct kvm_mmu_page *sp;

	if (!VALID_PAGE(mmu->root.hpa))
		return NULL;
	sp = fast_root_to_sp(mmu->root.hpa);
	if (!sp || sp->role.word != mmu->root_role.word ||
	    (!mmu->root_role.direct && mmu->root.pgd != pgd))
		return NULL;
	return sp;
}

/* Stock finds the root; it must be the one that the MMU had. */
static noinline void verify_found(struct kvm_vcpu *vcpu, gpa_t pgd)
{
	struct fast_counters *counters = &to_vmx(vcpu)->fast.counters;
	const struct kvm_mmu *mmu = vcpu->arch.mmu;
	const struct kvm_mmu_root_info was = mmu->root;

	kvm_mmu_new_pgd(vcpu, pgd);
	counters->mmu_root_verify_checks++;
	if (mmu->root.hpa != was.hpa || mmu->root.pgd != was.pgd ||
	    !kvm_test_request(KVM_REQ_LOAD_MMU_PGD, vcpu))
		FAST_MISMATCH(counters, mmu_root,
			      "the MMU has the root %#llx, and stock takes %#llx",
			      was.hpa, mmu->root.hpa);
}

/**
 * mmu_root_is_found - decide whether kvm_mmu_new_pgd() would find the root that the MMU has
 * @vcpu: the vCPU
 * @pgd: the guest's page tables that the MMU shall follow, or NO_PGD
 *
 * Forgets what kvm_mmu_new_pgd() would forget.
 *
 * Context: the vCPU's thread.
 * Return: true if it may be left out, and nothing but the load of the root is left to do.
 */
bool mmu_root_is_found(struct kvm_vcpu *vcpu, gpa_t pgd)
{
	const struct kvm_mmu *mmu = vcpu->arch.mmu;
	struct kvm_mmu_page *sp;

	if (READ_ONCE(vcpu->requests) || READ_ONCE(*flush_on_reuse))
		return false;
	sp = usable_root(mmu, pgd);
	if (!sp)
		return false;
	if (unlikely(fast_verify())) {
		verify_found(vcpu, pgd);
		return false;
	}
	vcpu_clear_mmio_info(vcpu, MMIO_GVA_ANY);
	if (!mmu->root_role.direct && atomic_read(&sp->write_flooding_count))
		atomic_set(&sp->write_flooding_count, 0);
	return true;
}

/**
 * mmu_root_remember - verify=1: note what was loaded, and let kvm.ko load it again
 * @vcpu: the vCPU; its VMCS is current
 *
 * Context: the vCPU's thread.
 */
noinline void mmu_root_remember(struct kvm_vcpu *vcpu)
{
	to_vmx(vcpu)->fast.mmu_root = (struct mmu_root_memo){
		.vmcs = to_vmx(vcpu)->loaded_vmcs,
		.root = fast_root(vcpu->arch.mmu),
		.guest_cr3 = vcpu->arch.cr3,
		.ept_pointer = enable_ept ? __vmcs_readl(EPT_POINTER) : 0,
		.cr3 = vmcs_readl(GUEST_CR3),
	};
	kvm_make_request(KVM_REQ_LOAD_MMU_PGD, vcpu);
}

/**
 * mmu_root_verify - verify=1: compare what was loaded with what kvm.ko has loaded on top
 * @vcpu: the vCPU; its VMCS is current
 *
 * Context: the vCPU's thread, before a VM entry, interrupts off.
 */
noinline void mmu_root_verify(struct kvm_vcpu *vcpu)
{
	struct fast_vcpu *fast = &to_vmx(vcpu)->fast;
	const struct mmu_root_memo was = fast->mmu_root;
	unsigned long cr3;
	u64 ept_pointer;

	fast->mmu_root.vmcs = NULL;
	if (was.vmcs != to_vmx(vcpu)->loaded_vmcs || was.root != fast_root(vcpu->arch.mmu) ||
	    was.guest_cr3 != vcpu->arch.cr3)
		return;
	ept_pointer = enable_ept ? __vmcs_readl(EPT_POINTER) : 0;
	cr3 = vmcs_readl(GUEST_CR3);
	fast->counters.mmu_root_verify_checks++;
	if (ept_pointer != was.ept_pointer || cr3 != was.cr3)
		FAST_MISMATCH(&fast->counters, mmu_root,
			      "the MMU's root: EPT pointer %#llx, CR3 %#lx, under stock %#llx, %#lx",
			      was.ept_pointer, was.cr3, ept_pointer, cr3);
}
