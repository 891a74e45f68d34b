// SPDX-License-Identifier: GPL-2.0
/* debugfs file kvm/<pid>-<fd>/kvm_intel_fast_shadow: the sets of one VM's vCPUs. */
#include <linux/debugfs.h>
#include <linux/seq_file.h>

#include "nested/shadow_set.h"

/* Prints a line per vCPU and field that is in the vCPU's set or whose accesses exited. */
static int kvm_intel_fast_shadow_show(struct seq_file *file, void *unused)
{
	struct kvm *kvm = file->private;
	struct vmcs_shadow *shadow;
	struct kvm_vcpu *vcpu;
	unsigned int field;
	int i;

	seq_puts(file, "vcpu field set vmread_exits vmwrite_exits\n");
	fast_for_each_online_vcpu(i, vcpu, kvm) {
		/* The set is freed with the vCPU, which outlives the VM's debugfs directory. */
		shadow = smp_load_acquire(&to_vmx(vcpu)->fast.shadow);
		if (!shadow)
			continue;
		for (field = 0; field < NR_SHADOW_FIELDS; field++) {
			u32 reads = READ_ONCE(shadow->read_exits[field]);
			u32 writes = READ_ONCE(shadow->write_exits[field]);
			bool in_read = test_bit(field, shadow->in_read);
			bool in_write = test_bit(field, shadow->in_write);

			if (in_read || reads || writes)
				seq_printf(file, "%d %s %s %u %u\n", vcpu->vcpu_id,
					   shadow_info[field].name,
					   in_write ? "rw" : in_read ? "r" : "-", reads, writes);
		}
		seq_printf(file, "%d other - %u\n", vcpu->vcpu_id, READ_ONCE(shadow->other_exits));
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(kvm_intel_fast_shadow);

/**
 * shadow_show_in_debugfs - create the VM's file of shadowed fields
 * @kvm: the VM, which has a debugfs directory
 *
 * Context: process context, may sleep; once per VM.
 */
void shadow_show_in_debugfs(struct kvm *kvm)
{
	debugfs_create_file("kvm_intel_fast_shadow", 0444, kvm->debugfs_dentry, kvm,
			    &kvm_intel_fast_shadow_fops);
}
