// SPDX-License-Identifier: GPL-2.0
/*
 * vmcs02's controls at a nested VM entry, made when an input changed.
 *
 * Stock makes the pin-based, both processor-based, the VM-entry and the VM-exit controls of
 * vmcs02 from vmcs01's and vmcs12's at each nested VM entry, and writes those that changed.
 * Nearly always none did.
 *
 * Skipped: making them, if the inputs are those of last time, and vmcs02 still has the result
 * of last time.  Never skipped: what stock writes besides, which is the TPR threshold, the
 * guest interrupt status, the event that L1 injects, interruptibility.  Of an event that is
 * not valid, error code and instruction length are not written; the CPU does not look at them.
 *
 * | input | how we know | mutants |
 * |---|---|---|
 * | vmcs01's controls | stock's copies of them, compared | `controls-l1s-ignored` |
 * | vmcs12's controls | compared | `controls-l2s-ignored` |
 * | EFER of L2: vmcs12's, L1's | compared | `controls-efer-ignored` |
 * | CR4.UMIP of L2, where UMIP is emulated | compared | `controls-umip-ignored` |
 * | vmcs02's controls, which stock changes while L2 runs | stock's copies of them, compared |
 *   `controls-result-ignored` |
 * | module parameters, the CPU's features | constant | none: out of reach |
 *
 * What stock does when vmcs12 is dirty, with an enlightened VMCS, when user space or RSM
 * restores a vCPU in guest mode, and with exits of ENCLS, is left to stock.
 *
 * verify=1: stock makes the controls, which must be those that vmcs02 had, and writes the rest.
 */
#include "kvm/vmx/vmx.h"
#include "kvm/vmx/nested.h"
#include "kvm/vmx/vmx_ops.h"
#include "vmx/params.h"
#include "nested/controls.h"

/* Without the tertiary controls, which stock does not make for L2. */
static __always_inline struct controls_words words_of(const struct vmcs_controls_shadow *controls)
{
	const u64 *pairs = (const u64 *)controls;

	BUILD_BUG_ON(offsetof(struct vmcs_controls_shadow, vm_entry) != 0 ||
		     offsetof(struct vmcs_controls_shadow, vm_exit) != 4 ||
		     offsetof(struct vmcs_controls_shadow, pin) != 8 ||
		     offsetof(struct vmcs_controls_shadow, exec) != 12);
	return (struct controls_words) { pairs[0], pairs[1], controls->secondary_exec };
}

static __always_inline struct controls_inputs inputs_of(struct vcpu_vmx *vmx,
							const struct vmcs12 *vmcs12)
{
	return (struct controls_inputs) {
		.vmcs01 = words_of(&vmx->vmcs01.controls_shadow),
		.vmcs02 = words_of(&vmx->nested.vmcs02.controls_shadow),
		.pin_based = vmcs12->pin_based_vm_exec_control,
		.cpu_based = vmcs12->cpu_based_vm_exec_control,
		.secondary = vmcs12->secondary_vm_exec_control,
		.vm_entry = vmcs12->vm_entry_controls,
		.guest_ia32_efer = vmcs12->guest_ia32_efer,
		.guest_cr4 = vmcs12->guest_cr4,
		.l1_efer = vmx->vcpu.arch.efer,
	};
}

static __always_inline bool may_be_reused(struct vcpu_vmx *vmx)
{
	return !vmx->nested.dirty_vmcs12 && fast_nested_run_pending(&vmx->vcpu) &&
	       !fast_has_evmcs12(vmx);
}

/* The rest of controls_reuse(). */
bool controls_do_reuse(struct kvm_vcpu *vcpu, const struct vmcs12 *vmcs12)
{
	const u32 event = vmcs12->vm_entry_intr_info_field;
	struct vcpu_vmx *vmx = to_vmx(vcpu);
	const struct controls_inputs is = inputs_of(vmx, vmcs12);

	if (unlikely(!may_be_reused(vmx) ||
		     !controls_unchanged(&vmx->fast.controls.inputs, &is)))
		return false;
	if (unlikely(fast_verify())) {
		vmx->fast.controls.verifying = true;
		return false;
	}

	vmx->nested.pi_pending = false;
	fast_entry_has_no_posted_intr(vmx);
	if (is.pin_based & PIN_BASED_POSTED_INTR)
		vmx->nested.posted_intr_nv = vmcs12->posted_intr_nv;
	fast_entry_forgets_tpr_threshold(vmx);
	if (exec_controls_get(vmx) & CPU_BASED_TPR_SHADOW)
		vmcs_write32(TPR_THRESHOLD, vmcs12->tpr_threshold);
	if (is.vmcs02.secondary & SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY)
		vmcs_write16(GUEST_INTR_STATUS, vmcs12->guest_intr_status);

	vmcs_write32(VM_ENTRY_INTR_INFO_FIELD, event);
	if (event & INTR_INFO_VALID_MASK) {
		vmcs_write32(VM_ENTRY_EXCEPTION_ERROR_CODE, vmcs12->vm_entry_exception_error_code);
		vmcs_write32(VM_ENTRY_INSTRUCTION_LEN, vmcs12->vm_entry_instruction_len);
	}
	vmcs_write32(GUEST_INTERRUPTIBILITY_INFO, vmcs12->guest_interruptibility_info);
	vmx->loaded_vmcs->nmi_known_unmasked =
		!(vmcs12->guest_interruptibility_info & GUEST_INTR_STATE_NMI);
	vmx->fast.counters.controls_reused++;
	return true;
}

/* verify=1: what stock has made is what vmcs02 had. */
static noinline void verify(struct vcpu_vmx *vmx, const struct controls_inputs *is)
{
	vmx->fast.controls.verifying = false;
	vmx->fast.counters.controls_verify_checks++;
	if (!controls_same_words(&vmx->fast.controls.inputs.vmcs02, &is->vmcs02))
		FAST_MISMATCH(&vmx->fast.counters, controls,
			      "vmcs02's controls are not those that stock makes");
}

/* The rest of controls_made(). */
void controls_remember(struct kvm_vcpu *vcpu, const struct vmcs12 *vmcs12)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);
	struct controls_inputs is;

	vmx->fast.counters.controls_made++;
	/* Nothing is remembered in the entries of an L1 that makes vmcs12 dirty each time. */
	if (!may_be_reused(vmx))
		return;
	is = inputs_of(vmx, vmcs12);
	if (unlikely(vmx->fast.controls.verifying))
		verify(vmx, &is);
	if (is.vmcs02.secondary & SECONDARY_EXEC_ENCLS_EXITING)
		is = (struct controls_inputs) {};
	vmx->fast.controls.inputs = is;
}
