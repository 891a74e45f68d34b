// SPDX-License-Identifier: GPL-2.0
/*
 * KVM's statistics of the vCPU in the transcript of the differential test.
 */
#include "kvm_util.h"

#include "differential/storm.h"
#include "differential/transcript.h"
#include "differential/user.h"

/*
 * These depend on time, or on how L0 gets its work done: the exceptions.  Injections
 * are counted anew when L0's tick makes KVM take an event back just before VM entry
 * (kvm_vcpu_exit_request()).
 */
static const char * const not_compared[] = {
	"irq_injections", "nmi_injections",
	/* L1's memory operands: accessed by the CPU, not by KVM, when no exit is left. */
	"pf_",
	"exits", "l1d_flush", "req_event", "host_state_reload",	/* fewer exits in fast */
	"irq_exits", "fpu_reload", "halt_", "preemption_", "tlb_flush", "remote_tlb",
	"blocking", "signal_exits", "max_mmu", "nx_lpage", "pages_", "mmu_",
};

static bool compared(const char *name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(not_compared); i++)
		if (*name == *not_compared[i] &&
		    !strncmp(name, not_compared[i], strlen(not_compared[i])))
			return false;
	return true;
}

static void statistics_of(int fd)
{
	static char all[16384];
	struct kvm_stats_header *header = (void *)all;
	struct kvm_stats_desc *desc;
	ssize_t length = pread(fd, all, sizeof(all), 0);
	size_t size;
	unsigned int i;

	close(fd);
	TEST_ASSERT(length > (ssize_t)sizeof(*header), "statistics: %s", strerror(errno));
	size = sizeof(*desc) + header->name_size;
	for (i = 0; i < header->num_desc; i++) {
		desc = (void *)(all + header->desc_offset + i * size);
		if (desc->size == 1 && compared(desc->name))
			record(desc->name, *(uint64_t *)(all + header->data_offset + desc->offset));
	}
}

/*
 * Not after a storm: how often a page is faulted in depends on time then.  Of a VM that KVM
 * has given up (KVM_BUG_ON()) only that is known.
 */
void user_statistics(void)
{
	int fd;

	if (storm.ran)
		return;
	fd = __vcpu_ioctl(vcpu, KVM_GET_STATS_FD, NULL);
	if (fd < 0)
		record("no statistics", errno);
	else
		statistics_of(fd);
}
