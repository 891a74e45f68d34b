// SPDX-License-Identifier: GPL-2.0
/*
 * domu ROW - a second guest of Xen, which takes turns with dom0.  Runs in dom0.
 *
 * The domU is a PVH guest of one page of code: it executes CPUID, counts, and yields.  dom0 yields
 * by a hypercall of its own.  There is one CPU, so each of the two lets the other run: Xen switches
 * from dom0's VMCS to domU's and back.  An iteration is one such turn of both.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <xencall.h>
#include <xenctrl.h>
#include <xenforeignmemory.h>
#include <xen/hvm/save.h>
#include <xen/sched.h>

#include "mark.h"

#define ITERATIONS	200
#define PAGES		16
#define CODE		1	/* page frames of the domU */
#define COUNTER		2
#define PAGING_MEMORY	(8 << 20)	/* bytes, for the domU's EPT */
#define SEGMENT_CODE	0xc9b	/* access rights: 32 bits, present, accessed */
#define SEGMENT_DATA	0xc93
#define SEGMENT_TSS	0x8b
#define CR0_PE_ET	0x11

static void die(const char *what)
{
	fprintf(stderr, "domu: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void check(int status, const char *what)
{
	if (status)
		die(what);
}

/* 32-bit code, which runs at page CODE without paging. */
static const uint8_t domu_code[] = {
	0x31, 0xc0,				/* 1: xor %eax, %eax */
	0x31, 0xc9,				/* xor %ecx, %ecx */
	0x0f, 0xa2,				/* cpuid */
	0xff, 0x05, 0, COUNTER << 4, 0, 0,	/* incl COUNTER * 0x1000 */
	0xb8, __HYPERVISOR_sched_op, 0, 0, 0,	/* mov $__HYPERVISOR_sched_op, %eax */
	0x31, 0xdb,				/* xor %ebx, %ebx: SCHEDOP_yield */
	0x31, 0xc9,				/* xor %ecx, %ecx */
	0x0f, 0x01, 0xc1,			/* vmcall */
	0xeb, 0xe6,				/* jmp 1b */
};

static void *map(uint32_t domain, xen_pfn_t frame)
{
	xenforeignmemory_handle *memory = xenforeignmemory_open(NULL, 0);
	void *page = memory ? xenforeignmemory_map(memory, domain, PROT_READ | PROT_WRITE, 1,
						   &frame, NULL) : NULL;

	if (!page)
		die("a page of the domU");
	return page;
}

/* The vCPU begins as a PVH guest does: protected mode, flat segments, no paging. */
static void set_vcpu(xc_interface *xen, uint32_t domain)
{
	int size = xc_domain_hvm_getcontext(xen, domain, NULL, 0);
	struct {
		struct hvm_save_descriptor header_is;
		struct hvm_save_header header;
		struct hvm_save_descriptor cpu_is;
		struct hvm_hw_cpu cpu;
		struct hvm_save_descriptor end_is;
		struct hvm_save_end end;
	} context = {
		.cpu_is = {
			.typecode = HVM_SAVE_CODE(CPU),
			.length = HVM_SAVE_LENGTH(CPU),
		},
		.cpu = {
			.rip = CODE * XC_PAGE_SIZE, .rflags = 2, .cr0 = CR0_PE_ET,
			.cs_limit = ~0u, .ds_limit = ~0u, .es_limit = ~0u, .ss_limit = ~0u,
			.fs_limit = ~0u, .gs_limit = ~0u, .tr_limit = 0x67,
			.cs_arbytes = SEGMENT_CODE, .ds_arbytes = SEGMENT_DATA,
			.es_arbytes = SEGMENT_DATA, .ss_arbytes = SEGMENT_DATA,
			.fs_arbytes = SEGMENT_DATA, .gs_arbytes = SEGMENT_DATA,
			.tr_arbytes = SEGMENT_TSS, .dr6 = 0xffff0ff0, .dr7 = 0x400,
		},
		.end_is = { .typecode = HVM_SAVE_CODE(END) },
	};
	uint8_t *all = size > 0 ? calloc(1, size) : NULL;

	if (!all || xc_domain_hvm_getcontext(xen, domain, all, size) < 0)
		die("the context of the domU");
	/* The header of this Xen. */
	memcpy(&context, all, offsetof(typeof(context), cpu_is));
	free(all);
	check(xc_domain_hvm_setcontext(xen, domain, (uint8_t *)&context, sizeof(context)),
	      "the vCPU of the domU");
}

static uint32_t create(xc_interface *xen)
{
	struct xen_domctl_createdomain how = {
		.flags = XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap,
		.max_vcpus = 1, .max_evtchn_port = 15, .max_grant_frames = 1,
		.max_maptrack_frames = 1, .grant_opts = 1,
		.arch.emulation_flags = XEN_X86_EMU_LAPIC,
	};
	xen_pfn_t frames[PAGES];
	uint32_t domain = 0;
	void *code;
	int i;

	check(xc_domain_create(xen, &domain, &how), "a domU");
	check(xc_domain_max_vcpus(xen, domain, 1), "a vCPU");
	check(xc_set_paging_mempool_size(xen, domain, PAGING_MEMORY),
	      "memory for the EPT of the domU");
	check(xc_domain_setmaxmem(xen, domain, PAGES * XC_PAGE_SIZE / 1024 + 1024),
	      "the size of the domU");
	for (i = 0; i < PAGES; i++)
		frames[i] = i;
	check(xc_domain_populate_physmap_exact(xen, domain, PAGES, 0, 0, frames),
	      "memory of the domU");
	code = map(domain, CODE);
	memcpy(code, domu_code, sizeof(domu_code));
	set_vcpu(xen, domain);
	return domain;
}

static void yield(xencall_handle *hypervisor)
{
	int i;

	for (i = 0; i < ITERATIONS; i++)
		xencall2(hypervisor, __HYPERVISOR_sched_op, SCHEDOP_yield, 0);
}

int main(int argc, char **argv)
{
	xc_interface *xen = xc_interface_open(NULL, NULL, 0);
	xencall_handle *hypervisor = xencall_open(NULL, 0);
	volatile uint32_t *counter;
	uint32_t domain, before, turns;

	if (argc != 2) {
		fprintf(stderr, "usage: domu ROW\n");
		return 2;
	}
	if (!xen || !hypervisor)
		die("no hypercalls");
	domain = create(xen);
	counter = map(domain, COUNTER);
	check(xc_domain_unpause(xen, domain), "the start of the domU");
	yield(hypervisor);
	before = *counter;
	window_open(argv[1]);
	yield(hypervisor);
	window_close(argv[1], ITERATIONS);
	turns = *counter - before;
	check(xc_domain_destroy(xen, domain), "the end of the domU");
	if (turns < ITERATIONS * 9 / 10 || turns > ITERATIONS * 11 / 10) {
		fprintf(stderr, "domu: %u turns of dom0, %u of the domU\n", ITERATIONS, turns);
		return 1;
	}
	return 0;
}
