// SPDX-License-Identifier: GPL-2.0
/*
 * User space of entry_test.
 */
#include "module/entry/entry.h"

uint64_t msr_bitmap_gpa;
struct vmx_pages *vmx_hva;

void start(void *guest_code)
{
	vm_vaddr_t vmx_gva;

	memset(result, 0, sizeof(result));
	vm = vm_create_with_one_vcpu(&vcpu, guest_code);
	vmx_hva = vcpu_alloc_vmx(vm, &vmx_gva);
	if (kvm_vm_has_ept(vm)) {
		prepare_eptp(vmx_hva, vm, 0);
		nested_map_memslot(vmx_hva, vm, 0);
	}
	vcpu_args_set(vcpu, 1, vmx_gva);
}

/* Run until the guest stops for another reason than a port of its own. */
uint64_t run(void)
{
	struct ucall uc;

	vcpu_run(vcpu);
	if (vcpu->run->exit_reason == KVM_EXIT_IO && vcpu->run->io.port == 0x99)
		return 0x99;
	switch (get_ucall(vcpu, &uc)) {
	case UCALL_ABORT:
		EXPECT(false, "guest, line %lu: %s %s", (unsigned long)uc.args[GUEST_LINE],
		       (char *)uc.args[0], guest_said(uc));
		return UCALL_DONE;
	default:
		return uc.cmd;
	}
}

void finish(void)
{
	TEST_ASSERT(run() == UCALL_DONE, "the guest is not done");
	sync_global_from_guest(vm, result);
}

bool fast(void)
{
	return parameter("fast_switch") == '1';
}

bool quiet_hits(void)
{
	return fast() && parameter("verify") == 'N';
}
