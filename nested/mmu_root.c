// SPDX-License-Identifier: GPL-2.0
/* The root of the MMU's page tables: what verify=1 compares.  See mmu_root.h. */
#include "kvm/vmx/vmx_ops.h"
#include "nested/mmu_root.h"

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
