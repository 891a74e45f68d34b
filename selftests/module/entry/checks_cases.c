// SPDX-License-Identifier: GPL-2.0
/*
 * Cases of entry_test: what an entry must refuse it does refuse, whatever was checked before.
 */
#include "module/entry/entry.h"

/* A field, a value that the checks refuse, and how. */
static const struct bad_value {
	uint64_t field, value, result;
} bad_values[] = {
	{ PIN_BASED_VM_EXEC_CONTROL, 0, CONTROL },
	{ CPU_BASED_VM_EXEC_CONTROL, 0, CONTROL },
	{ SECONDARY_VM_EXEC_CONTROL, 0xffffffff, CONTROL },
	{ CR3_TARGET_COUNT, 100, CONTROL },
	{ MSR_BITMAP, 1, CONTROL },
	{ EPT_POINTER, 7, CONTROL },
	{ VIRTUAL_PROCESSOR_ID, 0, CONTROL },
	{ VM_EXIT_CONTROLS, 0, CONTROL },
	{ VM_EXIT_MSR_STORE_COUNT, 1, CONTROL },
	{ VM_EXIT_MSR_LOAD_COUNT, 1, CONTROL },
	{ VM_ENTRY_MSR_LOAD_COUNT, 1, CONTROL },
	{ VM_ENTRY_CONTROLS, 0, CONTROL },
	{ VM_ENTRY_INTR_INFO_FIELD, 0x80000100, CONTROL },
	{ HOST_CR0, 0, HOST },
	{ HOST_CR3, 1ull << 63, HOST },
	{ HOST_CR4, 0, HOST },
	{ HOST_IA32_SYSENTER_ESP, NOT_CANONICAL, HOST },
	{ HOST_IA32_SYSENTER_EIP, NOT_CANONICAL, HOST },
	{ HOST_CS_SELECTOR, 3, HOST },
	{ HOST_SS_SELECTOR, 4, HOST },
	{ HOST_DS_SELECTOR, 4, HOST },
	{ HOST_ES_SELECTOR, 4, HOST },
	{ HOST_FS_SELECTOR, 4, HOST },
	{ HOST_GS_SELECTOR, 4, HOST },
	{ HOST_TR_SELECTOR, 0, HOST },
	{ HOST_FS_BASE, NOT_CANONICAL, HOST },
	{ HOST_GS_BASE, NOT_CANONICAL, HOST },
	{ HOST_TR_BASE, NOT_CANONICAL, HOST },
	{ HOST_GDTR_BASE, NOT_CANONICAL, HOST },
	{ HOST_IDTR_BASE, NOT_CANONICAL, HOST },
	{ HOST_IA32_EFER, 0, HOST },
	{ HOST_IA32_PAT, 2, HOST },
	{ GUEST_CR0, 0, GUEST },
	{ GUEST_CR4, 0, GUEST },
	{ GUEST_DR7, 1ull << 32, GUEST },
	{ GUEST_IA32_DEBUGCTL, 1ull << 63, GUEST },
	{ GUEST_IA32_PAT, 2, GUEST },
	{ GUEST_IA32_EFER, 0, GUEST },
	{ GUEST_ACTIVITY_STATE, 9, GUEST },
	{ VMCS_LINK_POINTER, 8, GUEST },
};

static uint64_t result_bad[ARRAY_SIZE(bad_values)], result_good[ARRAY_SIZE(bad_values)];

/* L2 changes none of its state, so what was written is what will be read back. */
static void l1_bad_values(struct vmx_pages *vmx)
{
	uint64_t old;
	int i;

	begin(vmx);
	for (i = 0; i < ARRAY_SIZE(bad_values); i++) {
		warm_up();
		old = vmreadz(bad_values[i].field);
		vmwrite(bad_values[i].field, bad_values[i].value);
		result_bad[i] = enter();
		vmwrite(bad_values[i].field, old);
		result_good[i] = enter();
	}
	GUEST_DONE();
}

/* The header of the VMCS that the link pointer names is in memory. */
static void l1_linked_vmcs(struct vmx_pages *vmx)
{
	uint32_t *header = vmx->shadow_vmcs;

	begin(vmx);
	*header = vmcs_revision();
	vmwrite(VMCS_LINK_POINTER, vmx->shadow_vmcs_gpa);
	warm_up();
	*header = vmcs_revision() + 1;
	result[0] = enter();
	*header = vmcs_revision();
	result[1] = enter();
	GUEST_DONE();
}

/* A good one and a bad one in turn. */
static void l1_two_vmcss(struct vmx_pages *vmx)
{
	int i;

	begin(vmx);
	*(uint32_t *)vmx->shadow_vmcs = vmcs_revision();
	GUEST_ASSERT(!vmclear(vmx->shadow_vmcs_gpa));
	GUEST_ASSERT(!vmptrld(vmx->shadow_vmcs_gpa));
	prepare(vmx);
	/* Both have run, and are the same but for this. */
	warm_up();
	vmwrite(HOST_TR_BASE, NOT_CANONICAL);
	for (i = 0; i < 4; i++) {
		GUEST_ASSERT(!vmptrld(vmx->vmcs_gpa));
		launched = i > 0;
		warm_up();
		GUEST_ASSERT(!vmptrld(vmx->shadow_vmcs_gpa));
		result[i] = enter();
	}
	GUEST_DONE();
}

/* User space spoils the MSR bitmap's address. */
static void l1_restored(struct vmx_pages *vmx)
{
	begin(vmx);
	msr_bitmap_gpa = vmx->msr_gpa;
	warm_up();
	GUEST_SYNC(0);
	result[0] = enter();
	vmwrite(MSR_BITMAP, vmx->msr_gpa);
	result[1] = enter();
	GUEST_DONE();
}

/* User space takes L1 out of IA-32e mode and lets it execute VMRESUME there. */
static void l1_leaves_long_mode(struct vmx_pages *vmx)
{
	begin(vmx);
	warm_up();
	vmwrite(GUEST_RIP, (uint64_t)l2_stops);
	GUEST_SYNC(0);
	result[0] = FAILED + vmreadz(VM_INSTRUCTION_ERROR);
	result[1] = enter();
	GUEST_DONE();
}

void invalid_values_are_refused(void)
{
	int i;

	start(l1_bad_values);
	finish();
	sync_global_from_guest(vm, result_bad);
	sync_global_from_guest(vm, result_good);
	for (i = 0; i < ARRAY_SIZE(bad_values); i++) {
		EXPECT(result_bad[i] == bad_values[i].result, "field %#lx: %#lx",
		       bad_values[i].field, result_bad[i]);
		EXPECT(result_good[i] == VMCALL, "field %#lx, valid again: %#lx",
		       bad_values[i].field, result_good[i]);
	}
	if (quiet_hits())
		EXPECT(counter("checks_hits") > ARRAY_SIZE(bad_values), "%lu",
		       counter("checks_hits"));
	kvm_vm_free(vm);
}

void memory_is_checked_each_time(void)
{
	start(l1_linked_vmcs);
	finish();
	EXPECT(result[0] == GUEST, "%#lx", result[0]);
	EXPECT(result[1] == VMCALL, "%#lx", result[1]);
	if (quiet_hits())
		EXPECT(counter("checks_hits") > 0, "none");
	kvm_vm_free(vm);
}

void another_vmcs_is_checked(void)
{
	int i;

	start(l1_two_vmcss);
	finish();
	for (i = 0; i < 4; i++)
		EXPECT(result[i] == HOST, "%#lx", result[i]);
	kvm_vm_free(vm);
}

void restored_state_is_checked(void)
{
	struct kvm_x86_state *state;
	uint64_t *word;
	int found = 0;

	start(l1_restored);
	TEST_ASSERT(run() == UCALL_SYNC, "guest did not stop");
	sync_global_from_guest(vm, msr_bitmap_gpa);
	state = vcpu_save_state(vcpu);
	for (word = (uint64_t *)state->nested.data.vmx;
	     word < (uint64_t *)((char *)&state->nested + state->nested.size); word++) {
		if (*word == msr_bitmap_gpa) {
			*word |= 1;
			found++;
		}
	}
	EXPECT(found == 1, "%d", found);
	vcpu_nested_state_set(vcpu, &state->nested);
	kvm_x86_state_cleanup(state);
	finish();
	EXPECT(result[0] == CONTROL, "%#lx", result[0]);
	EXPECT(result[1] == VMCALL, "%#lx", result[1]);
	kvm_vm_free(vm);
}

/* A page of guest memory, below 1 GiB, to write to. */
static uint64_t *new_page(uint64_t *gpa)
{
	*gpa = vm_alloc_page_table(vm);
	return addr_gpa2hva(vm, *gpa);
}

/* After GUEST_SYNC(): the guest may have to give it again, if its registers were set. */
static void finish_after_sync(void)
{
	uint64_t what;

	do
		what = run();
	while (what == UCALL_SYNC);
	TEST_ASSERT(what == UCALL_DONE, "the guest is not done");
	sync_global_from_guest(vm, result);
}

void l1s_mode_is_checked(void)
{
	static const uint8_t code[] = {
		0x0f, 0x01, 0xc3,	/* vmresume */
		0xe6, 0x98,		/* out %al, $0x98 */
	};
	uint64_t pdpt_gpa, pd_gpa, code_gpa, *pdpt, *pd;
	struct kvm_sregs sregs, old_sregs;
	struct kvm_regs regs, old_regs;
	int i;

	start(l1_leaves_long_mode);
	TEST_ASSERT(run() == UCALL_SYNC, "guest did not stop");
	vcpu_sregs_get(vcpu, &old_sregs);
	vcpu_regs_get(vcpu, &old_regs);

	/* PAE paging maps the first GiB one to one. */
	pdpt = new_page(&pdpt_gpa);
	pd = new_page(&pd_gpa);
	memcpy(new_page(&code_gpa), code, sizeof(code));
	pdpt[0] = pd_gpa | 1;
	for (i = 0; i < 512; i++)
		pd[i] = (uint64_t)i << 21 | 0x83;
	sregs = old_sregs;
	sregs.efer &= ~(EFER_LME | EFER_LMA);
	sregs.cr3 = pdpt_gpa;
	sregs.cs.l = 0;
	sregs.cs.db = 1;
	vcpu_sregs_set(vcpu, &sregs);
	regs = old_regs;
	regs.rip = code_gpa;
	vcpu_regs_set(vcpu, &regs);

	vcpu_run(vcpu);
	EXPECT(vcpu->run->exit_reason == KVM_EXIT_IO && vcpu->run->io.port == 0x98,
	       "exit %u, port %#x", vcpu->run->exit_reason, vcpu->run->io.port);
	vcpu_regs_get(vcpu, &regs);
	EXPECT(regs.rflags & RFLAGS_ZF, "%#llx", regs.rflags);
	if (!case_failed) {
		vcpu_sregs_set(vcpu, &old_sregs);
		vcpu_regs_set(vcpu, &old_regs);
		finish_after_sync();
		EXPECT(result[0] == HOST, "%#lx", result[0]);
		EXPECT(result[1] == VMCALL, "%#lx", result[1]);
	}
	kvm_vm_free(vm);
}
