// SPDX-License-Identifier: GPL-2.0
/* Fields that are read back late: what verify=1 compares.  See read_back.h. */
#include "kvm/vmx/vmx.h"
#include "kvm/vmx/nested.h"
#include "kvm/vmx/vmx_ops.h"
#include "nested/read_back.h"

/**
 * read_back_verify_begin - verify=1: note what stock reads at this nested exit
 * @vcpu: the vCPU, vmcs02 current
 *
 * Context: the vCPU's thread.
 */
noinline void read_back_verify_begin(struct kvm_vcpu *vcpu)
{
	struct read_back_memo *memo = &to_vmx(vcpu)->fast.read_back;

	memo->cs_ar_bytes = vmcs_read32(GUEST_CS_AR_BYTES);
	memo->ss_ar_bytes = vmcs_read32(GUEST_SS_AR_BYTES);
}

/**
 * read_back_verify - verify=1: compare what was read late with what the exit left
 * @vcpu: the vCPU
 * @vmcs12: its vmcs12, which gets stock's values on a mismatch
 *
 * Context: the vCPU's thread.
 */
noinline void read_back_verify(struct kvm_vcpu *vcpu, struct vmcs12 *vmcs12)
{
	struct fast_vcpu *fast = &to_vmx(vcpu)->fast;
	struct read_back_memo *memo = &fast->read_back;

	fast->counters.read_back_verify_checks++;
	if (vmcs12->guest_cs_ar_bytes == memo->cs_ar_bytes &&
	    vmcs12->guest_ss_ar_bytes == memo->ss_ar_bytes)
		return;
	FAST_MISMATCH(&fast->counters, read_back,
		      "read back late: CS %#x, SS %#x, at the exit %#x, %#x",
		      vmcs12->guest_cs_ar_bytes, vmcs12->guest_ss_ar_bytes,
		      memo->cs_ar_bytes, memo->ss_ar_bytes);
	vmcs12->guest_cs_ar_bytes = memo->cs_ar_bytes;
	vmcs12->guest_ss_ar_bytes = memo->ss_ar_bytes;
}
