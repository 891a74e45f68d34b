// SPDX-License-Identifier: GPL-2.0
/*
 * L1's segment registers after a nested VM exit, written to vmcs01 directly.
 *
 * L1 loads segments without a VM exit, so what vmcs01 holds is not known, and each
 * of the 32 fields costs a VMREAD to compare or a VMWRITE.  host_segments_load() writes
 * all of them.  The SDM, "Loading Host Segment and Descriptor-Table Registers", gives
 * constants for all but the selectors and the bases of FS, GS and TR.
 *
 * Skipped: nothing that reaches hardware.  Stock describes each segment in a
 * struct kvm_segment first, and works out the access rights from that; this is left out.
 *
 * Inputs: vmcs12's host state and one VM-exit control, read each time; and whether KVM
 * emulates real mode by vm86, in which case stock keeps segments elsewhere.
 */
#include <linux/jhash.h>

#include "kvm/vmx/vmx.h"
#include "kvm/vmx/nested.h"
#include "kvm/vmx/vmx_ops.h"
#include "vmx/params.h"
#include "nested/host_segments.h"
#include "nested/host_segments_state.h"

/* Writes segment NAME, without its access rights. */
#define WRITE_SEGMENT(NAME, SELECTOR, BASE, LIMIT) do {			\
	vmcs_write16(GUEST_##NAME##_SELECTOR, SELECTOR);	\
	vmcs_writel(GUEST_##NAME##_BASE, BASE);			\
	vmcs_write32(GUEST_##NAME##_LIMIT, LIMIT);		\
} while (0)

#define READ_SEGMENT(NAME)						\
	vmcs_read16(GUEST_##NAME##_SELECTOR), vmcs_readl(GUEST_##NAME##_BASE), \
	vmcs_read32(GUEST_##NAME##_LIMIT), vmcs_read32(GUEST_##NAME##_AR_BYTES)

static u32 digest(void)
{
	u64 fields[] = {
		READ_SEGMENT(CS), READ_SEGMENT(DS), READ_SEGMENT(ES), READ_SEGMENT(SS),
		READ_SEGMENT(FS), READ_SEGMENT(GS), READ_SEGMENT(TR), READ_SEGMENT(LDTR)
	};

	return jhash(fields, sizeof(fields), 0);
}

static void mismatch(struct vcpu_vmx *vmx)
{
	FAST_MISMATCH(&vmx->fast.counters, host_segments,
		      "L1's segments are not those that stock loads");
}

/*
 * True if the access rights of SS that KVM caches are those in the VMCS.  KVM reads the CPL
 * from them when a vCPU's thread is preempted.  Preemption is off here, so that the two
 * values that are compared belong together.
 */
static bool cached_ss_is_right(struct vcpu_vmx *vmx)
{
	bool right;

	preempt_disable();
	right = !(vmx->segment_cache.bitmask &
		  BIT(VCPU_SREG_SS * SEG_FIELD_NR + SEG_FIELD_AR)) ||
		vmx->segment_cache.seg[VCPU_SREG_SS].ar == vmcs_read32(GUEST_SS_AR_BYTES);
	preempt_enable();
	return right;
}

/**
 * host_segments_load - load L1's segments from vmcs12's host state
 * @vcpu: the vCPU; vmcs01 is current
 * @vmcs12: the current vmcs12
 *
 * Context: the vCPU's thread.
 * Return: true if the segments are loaded; false if stock must load them, which with
 * verify=1 it does as well.
 */
bool host_segments_load(struct kvm_vcpu *vcpu, struct vmcs12 *vmcs12)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);

	if (!fast_switch_does(FAST_SWITCH_HOST_SEGMENTS) || vmx->rmode.vm86_active) {
		vmx->fast.counters.host_segments_stock++;
		return false;
	}

	WRITE_SEGMENT(CS, vmcs12->host_cs_selector, 0, HOST_FLAT_LIMIT);
	vmcs_write32(GUEST_CS_AR_BYTES, host_cs_access_rights(vmcs12->vm_exit_controls));
	WRITE_SEGMENT(DS, vmcs12->host_ds_selector, 0, HOST_FLAT_LIMIT);
	vmcs_write32(GUEST_DS_AR_BYTES, HOST_DATA);
	WRITE_SEGMENT(ES, vmcs12->host_es_selector, 0, HOST_FLAT_LIMIT);
	vmcs_write32(GUEST_ES_AR_BYTES, HOST_DATA);
	WRITE_SEGMENT(SS, vmcs12->host_ss_selector, 0, HOST_FLAT_LIMIT);
	vmcs_write32(GUEST_SS_AR_BYTES, HOST_DATA);
	WRITE_SEGMENT(FS, vmcs12->host_fs_selector, vmcs12->host_fs_base, HOST_FLAT_LIMIT);
	vmcs_write32(GUEST_FS_AR_BYTES, HOST_DATA);
	WRITE_SEGMENT(GS, vmcs12->host_gs_selector, vmcs12->host_gs_base, HOST_FLAT_LIMIT);
	vmcs_write32(GUEST_GS_AR_BYTES, HOST_DATA);
	WRITE_SEGMENT(TR, vmcs12->host_tr_selector, vmcs12->host_tr_base, HOST_TSS_LIMIT);
	vmcs_write32(GUEST_TR_AR_BYTES, HOST_TSS);
	WRITE_SEGMENT(LDTR, 0, 0, 0);
	vmcs_write32(GUEST_LDTR_AR_BYTES, HOST_UNUSABLE);
	/*
	 * The cache is emptied after the writes, because a thread that is preempted
	 * between them reads the CPL, and so caches the old access rights of SS.
	 */
	vmx->segment_cache.bitmask = 0;
	vmx->fast.counters.host_segments_written++;

	if (fast_verify()) {
		vmx->fast.host_segments_digest = digest();
		if (!cached_ss_is_right(vmx))
			mismatch(vmx);
		return false;
	}
	return true;
}

/**
 * host_segments_verify - verify=1: compare the segments with those that stock has loaded
 * @vcpu: the vCPU; vmcs01 is current
 *
 * Context: the vCPU's thread, verify=1.
 */
void host_segments_verify(struct kvm_vcpu *vcpu)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);

	if (!fast_switch_does(FAST_SWITCH_HOST_SEGMENTS) || vmx->rmode.vm86_active)
		return;
	vmx->fast.counters.host_segments_verify_checks++;
	if (vmx->fast.host_segments_digest != digest())
		mismatch(vmx);
}
