/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fields of vmcs12 that are read back from vmcs02 when someone looks at them.
 *
 * At each nested VM exit stock reads back all that L2 may have changed, but for its
 * "rare" fields.  Those stay in vmcs02 until L1's VMREAD, a VMWRITE that makes vmcs12
 * dirty, VMCLEAR, VMPTRLD or KVM_GET_NESTED_STATE asks for them
 * (copy_vmcs02_to_vmcs12_rare(); "KVM: nVMX: Sync rarely accessed guest fields only when
 * needed").  Two more fields need not be in vmcs12 sooner: the access rights of CS and
 * SS.  A nested entry writes them to vmcs02 with the rare ones, and only from a dirty
 * vmcs12.
 *
 * The next entry needs most other fields that are read back (RIP, RSP, RFLAGS, CR0, CR3,
 * CR4, interruptibility).  It does not need the guest linear address.  But a nested entry
 * that the CPU refuses (VMfail) must leave that field as it was, and while the event of
 * that entry was delivered, L0 may have handled an EPT violation.
 *
 * The inputs are vmcs02's fields.  Nothing changes them between a nested exit and the next
 * entry.  Who looks at the two fields, and what happens then:
 *
 * | reader				| then					|
 * |------------------------------------|---------------------------------------|
 * | L1's VMREAD, exiting		| read_back_waits_for() is asked	|
 * | L1's VMREAD, served by the shadow VMCS | a set that has one of the two |
 * |					| demands them at each exit; a field joins |
 * |					| only after such an exit (shadow_set.c) |
 * | everybody who has stock sync the rare fields | read_back_now() is called |
 * | an enlightened VMCS		| stock syncs all at each exit		|
 *
 * SMM is entered from L2 by a nested exit like others, and left by an entry that is not
 * dirty; KVM_GET_NESTED_STATE in SMM syncs.  No tracepoint prints the two fields.  When
 * another vmcs12 becomes current (VMPTRLD, KVM_SET_NESTED_STATE), set_current_vmptr()
 * forgets.
 *
 * When the CPU refuses to enter L2 again after L2 has run (user space can inject an
 * event that the CPU refuses), stock leaves in vmcs12 what CS and SS were before, while
 * vmcs02 and the rare fields are what L2 left; here CS and SS are like the latter.
 *
 * verify=1: what stock would have read at the exit is kept, and compared with what is
 * read late.
 */
#ifndef KVM_INTEL_FAST_READ_BACK_H
#define KVM_INTEL_FAST_READ_BACK_H

#include "vmx/params.h"
#include "nested/shadow.h"

void read_back_verify_begin(struct kvm_vcpu *vcpu);
void read_back_verify(struct kvm_vcpu *vcpu, struct vmcs12 *vmcs12);

static __always_inline void read_back(struct vmcs12 *vmcs12)
{
	vmcs12->guest_cs_ar_bytes = vmcs_read32(GUEST_CS_AR_BYTES);
	vmcs12->guest_ss_ar_bytes = vmcs_read32(GUEST_SS_AR_BYTES);
}

/**
 * read_back_at_exit - read the two fields back at a nested VM exit, or leave them in vmcs02
 * @vcpu: the vCPU, vmcs02 current; need_sync_vmcs02_to_vmcs12_rare is decided
 * @vmcs12: its vmcs12
 *
 * Context: the vCPU's thread.
 */
static __always_inline void read_back_at_exit(struct kvm_vcpu *vcpu, struct vmcs12 *vmcs12)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);
	struct fast_vcpu *fast = &vmx->fast;

	fast->read_back.stale = vmx->nested.need_sync_vmcs02_to_vmcs12_rare &&
				!shadow_wants_late(vcpu) &&
				fast_switch_does(FAST_SWITCH_READ_BACK);
	if (!fast->read_back.stale) {
		read_back(vmcs12);
		fast->counters.read_back_done++;
		return;
	}
	fast->counters.read_back_left_out++;
	if (fast_verify())
		read_back_verify_begin(vcpu);
}

/**
 * read_back_now - read the two fields back late, because the rare fields are synced
 * @vcpu: the vCPU, vmcs02 current
 * @vmcs12: its vmcs12
 *
 * Context: the vCPU's thread.
 */
static __always_inline void read_back_now(struct kvm_vcpu *vcpu, struct vmcs12 *vmcs12)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);
	struct fast_vcpu *fast = &vmx->fast;

	if (!fast->read_back.stale || fast_has_evmcs12(vmx))
		return;
	read_back(vmcs12);
	fast->read_back.stale = false;
	fast->counters.read_back_late++;
	if (fast_verify())
		read_back_verify(vcpu, vmcs12);
}

/**
 * read_back_waits_for - decide whether the rare fields must be synced before L1 reads a field
 * @vcpu: the vCPU, in L1
 * @encoding: of the field
 *
 * Context: the vCPU's thread.
 * Return: true if they must.
 */
static __always_inline bool read_back_waits_for(struct kvm_vcpu *vcpu, unsigned long encoding)
{
	return to_vmx(vcpu)->fast.read_back.stale && read_back_is_late(encoding);
}

/**
 * read_back_forget - forget what waits in vmcs02, because another vmcs12 becomes current
 * @vcpu: the vCPU
 *
 * Context: the vCPU's thread.
 */
static __always_inline void read_back_forget(struct kvm_vcpu *vcpu)
{
	to_vmx(vcpu)->fast.read_back.stale = false;
}

#endif /* KVM_INTEL_FAST_READ_BACK_H */
