// SPDX-License-Identifier: GPL-2.0
/*
 * debugfs file kvm/<pid>-<fd>/kvm_intel_fast: a line "format 1", then the counters of one
 * VM, a line "name value" each, summed over its vCPUs.  New counters leave the format as it is.
 * In kvm_intel_fast_vcpus each line has a value for each vCPU instead; after "format 1" come
 * the lines "vcpu", with the vCPUs' numbers, and "nested_run".
 *
 * Invariant: a reader never sees a freed vCPU.  kvm.ko removes the VM's debugfs
 * directory, and waits for readers, before it frees a vCPU that is online.  A vCPU
 * whose creation fails was never online, and readers pass it over.
 */
#include <linux/debugfs.h>
#include <linux/kvm_host.h>
#include <linux/seq_file.h>

#include "kvm/vmx/vmx.h"
#include "vmx/counters.h"

static const char * const names[] = {
#define COUNTER(name, text) #name,
	FAST_COUNTERS(COUNTER)
#undef COUNTER
};

static int kvm_intel_fast_show(struct seq_file *file, void *unused)
{
	struct kvm *kvm = file->private;
	u64 sum[ARRAY_SIZE(names)] = {};
	struct kvm_vcpu *vcpu;
	int n, i;

	BUILD_BUG_ON(sizeof(sum) != sizeof(struct fast_counters));
	fast_for_each_online_vcpu(i, vcpu, kvm) {
		const u64 *counters = (const u64 *)&to_vmx(vcpu)->fast.counters;

		for (n = 0; n < ARRAY_SIZE(names); n++)
			sum[n] += READ_ONCE(counters[n]);
	}

	seq_puts(file, "format 1\n");
	for (n = 0; n < ARRAY_SIZE(names); n++)
		seq_printf(file, "%s %llu\n", names[n], sum[n]);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(kvm_intel_fast);

static int kvm_intel_fast_vcpus_show(struct seq_file *file, void *unused)
{
	struct kvm *kvm = file->private;
	struct kvm_vcpu *vcpu;
	int n, i;

	seq_puts(file, "format 1\nvcpu");
	fast_for_each_online_vcpu(i, vcpu, kvm)
		seq_printf(file, " %d", vcpu->vcpu_id);
	seq_puts(file, "\nnested_run");
	fast_for_each_online_vcpu(i, vcpu, kvm)
		seq_printf(file, " %llu", (u64)READ_ONCE(fast_nested_entries(vcpu)));
	for (n = 0; n < ARRAY_SIZE(names); n++) {
		seq_printf(file, "\n%s", names[n]);
		fast_for_each_online_vcpu(i, vcpu, kvm)
			seq_printf(file, " %llu",
				   READ_ONCE(((const u64 *)&to_vmx(vcpu)->fast.counters)[n]));
	}
	seq_putc(file, '\n');
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(kvm_intel_fast_vcpus);

/**
 * fast_counters_show_in_debugfs - create the VM's counter files, once
 * @kvm: the VM; its first vCPU is being created
 *
 * A VM without a debugfs directory (debugfs off, or a name clash) goes without
 * the files, as it goes without KVM's own statistics.
 *
 * Context: process context, may sleep; callers may race for the same VM.
 * Return: true if this call created them.
 */
bool fast_counters_show_in_debugfs(struct kvm *kvm)
{
	if (test_and_set_bit(FAST_VM_IN_DEBUGFS, &to_kvm_vmx(kvm)->fast.flags))
		return false;
	if (IS_ERR_OR_NULL(kvm->debugfs_dentry))
		return false;
	debugfs_create_file("kvm_intel_fast", 0444, kvm->debugfs_dentry, kvm,
			    &kvm_intel_fast_fops);
	debugfs_create_file("kvm_intel_fast_vcpus", 0444, kvm->debugfs_dentry, kvm,
			    &kvm_intel_fast_vcpus_fops);
	return true;
}
