// SPDX-License-Identifier: GPL-2.0
/* What verify=1 compares of the state of L1 and of L2: see level_state.h. */
#include <linux/jhash.h>

#include "nested/level_state.h"

#define READ_SEGMENT(NAME)						\
	vmcs_read16(GUEST_##NAME##_SELECTOR), vmcs_readl(GUEST_##NAME##_BASE), \
	vmcs_read32(GUEST_##NAME##_LIMIT), vmcs_read32(GUEST_##NAME##_AR_BYTES)

#define DIGEST(...) ({							\
	const u64 values[] = { __VA_ARGS__ };				\
									\
	jhash(values, sizeof(values), 0);				\
})

/**
 * level_state_digest - sum up what stock loads when L1 or L2 gets its state, but for CR3
 * @vcpu: the vCPU; the VMCS of the level is current
 * @to: the digest
 *
 * Without the TSC offset, which a thread that is scheduled in again may write meanwhile.
 *
 * Context: the vCPU's thread.
 */
noinline void level_state_digest(struct kvm_vcpu *vcpu, struct level_digest *to)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);
	struct kvm_vcpu_arch *arch = &vcpu->arch;

	*to = (struct level_digest){
		.valid = true,
		.segments = DIGEST(READ_SEGMENT(CS), READ_SEGMENT(DS), READ_SEGMENT(ES),
				   READ_SEGMENT(SS), READ_SEGMENT(FS), READ_SEGMENT(GS),
				   READ_SEGMENT(TR), READ_SEGMENT(LDTR)),
		.control_registers = DIGEST(__vmcs_readl(GUEST_CR0), __vmcs_readl(CR0_READ_SHADOW),
					    __vmcs_readl(GUEST_CR4), __vmcs_readl(CR4_READ_SHADOW),
					    __vmcs_readl(CR0_GUEST_HOST_MASK),
					    secondary_exec_controls_get(vmx),
					    vm_entry_controls_get(vmx), vm_exit_controls_get(vmx)),
		.others = DIGEST(vmcs_readl(GUEST_IDTR_BASE), vmcs_read32(GUEST_IDTR_LIMIT),
				 vmcs_readl(GUEST_GDTR_BASE), vmcs_read32(GUEST_GDTR_LIMIT),
				 vmcs_readl(GUEST_SYSENTER_ESP), vmcs_readl(GUEST_SYSENTER_EIP),
				 vmcs_read32(GUEST_SYSENTER_CS), vmcs_readl(GUEST_DR7),
				 vmcs_readl(GUEST_RFLAGS), vmcs_read32(GUEST_INTERRUPTIBILITY_INFO),
				 vmcs_read64(GUEST_IA32_DEBUGCTL), __vmcs_readl(EXCEPTION_BITMAP),
				 kvm_mpx_supported() ? vmcs_read64(GUEST_BNDCFGS) : 0,
				 cpu_has_load_ia32_efer() ? __vmcs_readl(GUEST_IA32_EFER) : 0,
				 vmcs_config.vmentry_ctrl & VM_ENTRY_LOAD_IA32_PAT ?
				 __vmcs_readl(GUEST_IA32_PAT) : 0),
		.vcpu = DIGEST(arch->efer, arch->cr0, arch->cr0_guest_owned_bits, arch->cr4,
			       arch->cr4_guest_owned_bits, arch->pat, arch->dr7,
			       arch->switch_db_regs, kvm_rsp_read(vcpu), kvm_rip_read(vcpu),
			       vmx->rflags, fast_emulation_required(vmx)),
	};
}

/**
 * level_state_differs - verify=1: compare what was loaded with what stock has loaded on top
 * @vcpu: the vCPU; the VMCS of the level is current
 * @differs: each member but valid is set to 1 if stock changed something of it
 *
 * Context: the vCPU's thread.
 * Return: true if stock changed something.
 */
bool level_state_differs(struct kvm_vcpu *vcpu, struct level_digest *differs)
{
	const struct level_digest *was = &to_vmx(vcpu)->fast.level_digest;
	struct level_digest is;

	level_state_digest(vcpu, &is);
	*differs = (struct level_digest){
		.segments = was->segments != is.segments,
		.control_registers = was->control_registers != is.control_registers,
		.others = was->others != is.others,
		.vcpu = was->vcpu != is.vcpu,
	};
	return memcmp(was, &is, sizeof(is));
}
