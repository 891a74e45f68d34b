/* SPDX-License-Identifier: GPL-2.0 */
/*
 * User space of the differential test: what a VMM does while L1 or L2 waits.
 * Invariant: every ioctl may fail, and its result is part of the transcript;
 * nothing that depends on time or on the host's memory is.
 */
#ifndef DIFFERENTIAL_USER_H
#define DIFFERENTIAL_USER_H

#define FIRST_SLOT	10
#define SMRAM_SLOT	(FIRST_SLOT + PAGES)
#define WATCHDOG_NS	100000000ul	/* of one run, unless the kernel is slow */
#define STORM_NS	5000000000ul

static struct kvm_vm *vm;
static struct kvm_vcpu *vcpu;
static struct mailbox *mail;		/* in the guest's memory */
static uint8_t *pages;			/* those of layout.h, one after the other */
static uint32_t slot_flags[PAGES];
static bool slot_moved[PAGES], slot_gone[PAGES];
static enum party waiting;
static bool ended;			/* the VM cannot go on */
static bool stuck;			/* a guest loops: its state depends on time */
static unsigned int single_steps;	/* for the next run */
static bool immediate_next;
static bool signal_next;

/* ------------------------------------------------------------ transcript -- */

static bool full;
static uint64_t digest;

static void hash(uint64_t value)
{
	digest = (digest ^ value) * 0x9e3779b97f4a7c15ul;
	digest ^= digest >> 29;
}

static void record(const char *tag, uint64_t value)
{
	const char *c;

	for (c = tag; *c; c++)
		digest = (digest ^ *c) * 0x100000001b3ul;
	hash(value);
	if (full)
		printf("    %s %#lx\n", tag, value);
}

static uint64_t bytes_digest(const void *data, size_t length)
{
	const uint64_t *words = data;
	uint64_t result = length;
	size_t i;

	for (i = 0; i < length / 8; i++)
		result = (result ^ words[i]) * 0x9e3779b97f4a7c15ul ^ result >> 31;
	for (i = length & ~7ul; i < length; i++)
		result = (result ^ ((const uint8_t *)data)[i]) * 0x100000001b3ul;
	return result;
}

static void record_bytes(const char *tag, const void *data, size_t length)
{
	record(tag, bytes_digest(data, length));
}

static void record_result(const char *tag, long result)
{
	record(tag, result < 0 ? -errno : result);
}

/* --------------------------------------------------------------- memslots -- */

static void *page_memory(unsigned int page)
{
	return pages + page * PAGE_BYTES;
}

static long slot_set(unsigned int page, bool present)
{
	struct kvm_userspace_memory_region region = {
		.slot = FIRST_SLOT + page,
		.flags = slot_flags[page],
		.guest_phys_addr = PAGE_GPA(page) + (slot_moved[page] ? MOVED : 0),
		.memory_size = present ? PAGE_BYTES : 0,
		.userspace_addr = (uint64_t)page_memory(page),
	};

	return __vm_ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region);
}

static void smram_set(void)
{
	struct kvm_userspace_memory_region region = {
		.slot = SMRAM_SLOT,
		.guest_phys_addr = SMRAM_GPA,
		.memory_size = 0x10000,
		.userspace_addr = (uint64_t)page_memory(PAGES),
	};

	TEST_ASSERT(!__vm_ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region), "SMRAM");
}

/* All memslots anew, in a VM that has none of them yet. */
static void slots_add(void)
{
	unsigned int i;

	for (i = 0; i < PAGES; i++)
		if (!slot_gone[i])
			record_result("slot", slot_set(i, true));
	smram_set();
}

enum { SLOT_DELETE, SLOT_ADD, SLOT_MOVE, SLOT_LOG, SLOT_READONLY, SLOT_PLAIN, SLOT_AWAY_AND_BACK };

static void user_slot(unsigned int page, unsigned int what)
{
	page %= PAGES;
	switch (what) {
	case SLOT_DELETE:
		record_result("result", slot_set(page, false));
		slot_gone[page] = true;
		return;
	case SLOT_MOVE:
		slot_moved[page] = !slot_moved[page];
		break;
	case SLOT_LOG:
		slot_flags[page] = KVM_MEM_LOG_DIRTY_PAGES;
		break;
	case SLOT_READONLY:	/* only possible for a new memslot */
		slot_set(page, false);
		slot_flags[page] = KVM_MEM_READONLY;
		break;
	case SLOT_PLAIN:
		if (slot_flags[page] & KVM_MEM_READONLY)
			slot_set(page, false);
		slot_flags[page] = 0;
		break;
	case SLOT_AWAY_AND_BACK:
		record_result("away", slot_set(page, false));
		break;
	}
	slot_gone[page] = false;
	record_result("result", slot_set(page, true));
}

static void user_dirty_log(unsigned int page)
{
	uint64_t bitmap = 0;
	struct kvm_dirty_log log = { .slot = FIRST_SLOT + page % PAGES, .dirty_bitmap = &bitmap };

	record_result("result", __vm_ioctl(vm, KVM_GET_DIRTY_LOG, &log));
	record("dirty", bitmap);
}

/* Another page of the host with the same content: MMU notifiers fire. */
static void user_remap(unsigned int page)
{
	static uint8_t copy[PAGE_BYTES];
	void *memory = page_memory(page % PAGES);

	copy_words(copy, memory, PAGE_BYTES / 8);
	TEST_ASSERT(mmap(memory, PAGE_BYTES, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == memory, "mmap");
	copy_words(memory, copy, PAGE_BYTES / 8);
}

static void user_discard(unsigned int page, bool restore)
{
	static uint8_t copy[PAGE_BYTES];
	void *memory = page_memory(page % PAGES);

	copy_words(copy, memory, PAGE_BYTES / 8);
	madvise(memory, PAGE_BYTES, MADV_DONTNEED);
	if (restore)
		copy_words(memory, copy, PAGE_BYTES / 8);
}

/* ------------------------------------------------------------- the vCPU -- */

static const uint32_t known_msrs[] = {
	0x1b, 0x3a, 0x48, 0x8b, 0x174, 0x175, 0x176, 0x1a0, 0x1d9, 0x277, 0xda0,
	0xc0000080, 0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084,
	0xc0000100, 0xc0000101, 0xc0000102, 0xc0000103,
	0x480, 0x481, 0x482, 0x483, 0x484, 0x485, 0x486, 0x487, 0x488, 0x489, 0x48a,
	0x48b, 0x48c, 0x48d, 0x48e, 0x48f, 0x490, 0x491, 0x9e, 0x345, 0x38f,
};

struct one_msr {
	struct kvm_msrs header;
	struct kvm_msr_entry entry;
};

static int msr_get(uint32_t index, uint64_t *value)
{
	struct one_msr one = { .header.nmsrs = 1, .entry.index = index };
	int result = __vcpu_ioctl(vcpu, KVM_GET_MSRS, &one.header);

	*value = one.entry.data;
	return result;
}

static int msr_set(uint32_t index, uint64_t value)
{
	struct one_msr one = { .header.nmsrs = 1, .entry = { .index = index, .data = value } };

	return __vcpu_ioctl(vcpu, KVM_SET_MSRS, &one.header);
}

struct all_msrs {
	struct kvm_msrs header;
	struct kvm_msr_entry entry[ARRAY_SIZE(known_msrs)];
};

/* The known ones: in one call, but for one more after each that is refused. */
static void msrs_get(uint64_t *values, bool *got)
{
	unsigned int i, done = 0;
	struct all_msrs all;
	int result;

	while (done < ARRAY_SIZE(known_msrs)) {
		all.header = (struct kvm_msrs){ .nmsrs = ARRAY_SIZE(known_msrs) - done };
		for (i = 0; i < all.header.nmsrs; i++)
			all.entry[i] = (struct kvm_msr_entry){ .index = known_msrs[done + i] };
		result = __vcpu_ioctl(vcpu, KVM_GET_MSRS, &all.header);
		for (i = 0; i < all.header.nmsrs && (int)i <= result; i++) {
			values[done + i] = all.entry[i].data;
			got[done + i] = (int)i < result;
		}
		done += result < 0 ? all.header.nmsrs : i;
	}
}

/*
 * KVM leaves what it queued last in the members of an event that is not there.  What
 * that was depends on time: when L0's tick comes between the VM entry that L1 asked
 * for and the CPU's, KVM takes L1's event back and queues it (vmx_cancel_injection()),
 * else never.
 */
static void events_get(struct kvm_vcpu_events *events)
{
	record_result("get", __vcpu_ioctl(vcpu, KVM_GET_VCPU_EVENTS, events));
	if (!events->exception.injected && !events->exception.pending) {
		events->exception.nr = 0;
		events->exception.has_error_code = 0;
		events->exception.error_code = 0;
		events->exception_has_payload = 0;
		events->exception_payload = 0;
	}
	if (!events->interrupt.injected)
		events->interrupt.nr = 0;
	record_bytes("events", events, sizeof(*events));
}

static void user_regs(void)
{
	uint64_t values[ARRAY_SIZE(known_msrs)] = {};
	bool got[ARRAY_SIZE(known_msrs)] = {};
	struct kvm_regs regs = {};
	struct kvm_sregs sregs = {};
	struct kvm_vcpu_events events = {};
	struct kvm_debugregs debug = {};
	struct kvm_mp_state mp = {};
	uint64_t all = 0;
	unsigned int i;

	record_result("get", __vcpu_ioctl(vcpu, KVM_GET_REGS, &regs));
	record("rip", regs.rip);
	record("rflags", regs.rflags);
	record_bytes("regs", &regs, sizeof(regs));
	record_result("get", __vcpu_ioctl(vcpu, KVM_GET_SREGS, &sregs));
	record("cr0", sregs.cr0);
	record("cr3", sregs.cr3);
	record("cr4", sregs.cr4);
	record("efer", sregs.efer);
	record("apic base", sregs.apic_base);
	record_bytes("sregs", &sregs, sizeof(sregs));
	events_get(&events);
	record_result("get", __vcpu_ioctl(vcpu, KVM_GET_DEBUGREGS, &debug));
	record_bytes("debugregs", &debug, sizeof(debug));
	__vcpu_ioctl(vcpu, KVM_GET_MP_STATE, &mp);
	record("mp", mp.mp_state);
	msrs_get(values, got);
	for (i = 0; i < ARRAY_SIZE(known_msrs); i++) {
		if (full)
			printf("    msr %#x: %d %#lx\n", known_msrs[i], got[i], values[i]);
		all = (all ^ values[i] ^ got[i]) * 0x9e3779b97f4a7c15ul;
	}
	record("msrs", all);
}

union nested_image {
	struct kvm_nested_state state;
	uint8_t bytes[sizeof(struct kvm_nested_state) + 2 * PAGE_BYTES];
};

static union nested_image nested;

/* So that a transcript names the field of the image that differs. */
static void print_image(const uint8_t *image, size_t length)
{
	uint64_t word;
	size_t i;

	for (i = 0; i + sizeof(word) <= length; i += sizeof(word)) {
		memcpy(&word, image + i, sizeof(word));
		if (word)
			printf("  image+%#zx %#lx\n", i, word);
	}
}

static long nested_read(void)
{
	long result;

	clear_words(&nested, sizeof(nested) / 8);
	nested.state.size = sizeof(nested);
	result = __vcpu_ioctl(vcpu, KVM_GET_NESTED_STATE, &nested.state);
	if (result)
		return result;
	record("flags", nested.state.flags);
	record("size", nested.state.size);
	record("vmxon", nested.state.hdr.vmx.vmxon_pa);
	record("vmcs12", nested.state.hdr.vmx.vmcs12_pa);
	record("smm", nested.state.hdr.vmx.smm.flags);
	record("deadline", nested.state.hdr.vmx.flags);
	if (nested.state.size > sizeof(nested.state) && nested.state.size <= sizeof(nested)) {
		size_t used = nested.state.size - sizeof(nested.state);

		if (full)
			print_image(nested.state.data.vmx->vmcs12,
				    used < PAGE_BYTES ? used : PAGE_BYTES);
		record_bytes("vmcs12 image", nested.state.data.vmx->vmcs12,
			     used < PAGE_BYTES ? used : PAGE_BYTES);
		if (used > PAGE_BYTES)
			record_bytes("shadow image", nested.state.data.vmx->shadow_vmcs12,
				     used - PAGE_BYTES);
	}
	return 0;
}

static void user_nested_same(void)
{
	record_result("get", nested_read());
	record_result("set", __vcpu_ioctl(vcpu, KVM_SET_NESTED_STATE, &nested.state));
}

/* A valid image with a change somewhere, then the valid one again. */
static void user_nested_hostile(uint64_t where, uint64_t bits, uint64_t what)
{
	static union nested_image good;

	record_result("get", nested_read());
	good = nested;
	switch (what) {
	case 0: nested.state.flags ^= bits & 0xf; break;
	case 1: nested.state.hdr.vmx.vmxon_pa ^= bits; break;
	case 2: nested.state.hdr.vmx.vmcs12_pa ^= bits; break;
	case 3: nested.state.hdr.vmx.smm.flags ^= bits & 3; break;
	case 4: nested.state.size = where % sizeof(nested); break;
	case 5: nested.state.hdr.vmx.vmcs12_pa = -1; break;
	case 6: nested.state.hdr.vmx.vmxon_pa = -1; break;
	default: nested.bytes[sizeof(nested.state) + where % 1024] ^= bits; break;
	}
	record_result("set", __vcpu_ioctl(vcpu, KVM_SET_NESTED_STATE, &nested.state));
	record_result("again", __vcpu_ioctl(vcpu, KVM_SET_NESTED_STATE, &good.state));
	nested_read();
}

struct whole_state {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_vcpu_events events;
	struct kvm_debugregs debug;
	struct kvm_mp_state mp;
	struct kvm_xsave xsave;
	struct kvm_xcrs xcrs;
	struct kvm_lapic_state lapic;
	uint64_t msr[ARRAY_SIZE(known_msrs)];
	bool has_msr[ARRAY_SIZE(known_msrs)];
};

static void whole_save(struct whole_state *state)
{
	__vcpu_ioctl(vcpu, KVM_GET_VCPU_EVENTS, &state->events);
	__vcpu_ioctl(vcpu, KVM_GET_MP_STATE, &state->mp);
	__vcpu_ioctl(vcpu, KVM_GET_REGS, &state->regs);
	__vcpu_ioctl(vcpu, KVM_GET_XSAVE, &state->xsave);
	__vcpu_ioctl(vcpu, KVM_GET_XCRS, &state->xcrs);
	__vcpu_ioctl(vcpu, KVM_GET_SREGS, &state->sregs);
	__vcpu_ioctl(vcpu, KVM_GET_LAPIC, &state->lapic);
	__vcpu_ioctl(vcpu, KVM_GET_DEBUGREGS, &state->debug);
	nested_read();
	msrs_get(state->msr, state->has_msr);
}

static void whole_load(const struct whole_state *state)
{
	unsigned int i;

	record_result("sregs", __vcpu_ioctl(vcpu, KVM_SET_SREGS, &state->sregs));
	for (i = 0; i < ARRAY_SIZE(known_msrs); i++)
		if (state->has_msr[i])
			record("msr", msr_set(known_msrs[i], state->msr[i]));
	record_result("lapic", __vcpu_ioctl(vcpu, KVM_SET_LAPIC, &state->lapic));
	record_result("xcrs", __vcpu_ioctl(vcpu, KVM_SET_XCRS, &state->xcrs));
	record_result("xsave", __vcpu_ioctl(vcpu, KVM_SET_XSAVE, &state->xsave));
	record_result("events", __vcpu_ioctl(vcpu, KVM_SET_VCPU_EVENTS, &state->events));
	record_result("mp", __vcpu_ioctl(vcpu, KVM_SET_MP_STATE, &state->mp));
	record_result("debug", __vcpu_ioctl(vcpu, KVM_SET_DEBUGREGS, &state->debug));
	record_result("regs", __vcpu_ioctl(vcpu, KVM_SET_REGS, &state->regs));
	record_result("nested", __vcpu_ioctl(vcpu, KVM_SET_NESTED_STATE, &nested.state));
}

static void user_nested_new_vm(void)
{
	static struct whole_state state;

	whole_save(&state);
	kvm_vm_release(vm);
	vcpu = vm_recreate_with_one_vcpu(vm);
	slots_add();
	whole_load(&state);
}

static void user_filter(uint32_t msr, unsigned int what, bool to_user_space)
{
	static uint8_t denied;
	struct kvm_msr_filter filter = {
		.flags = KVM_MSR_FILTER_DEFAULT_ALLOW,
		.ranges[0] = {
			.flags = what & 3,
			.base = msr,
			.nmsrs = what & 3 ? 1 : 0,
			.bitmap = &denied,
		},
	};

	record_result("cap", __vm_enable_cap(vm, KVM_CAP_X86_USER_SPACE_MSR, to_user_space ?
					     KVM_MSR_EXIT_REASON_FILTER : 0));
	record_result("filter", __vm_ioctl(vm, KVM_X86_SET_MSR_FILTER, &filter));
}

static void user_sregs(unsigned int which, uint64_t bits)
{
	struct kvm_sregs sregs;

	__vcpu_ioctl(vcpu, KVM_GET_SREGS, &sregs);
	switch (which) {
	case 0: break;
	case 1: sregs.cr4 ^= bits; break;
	case 2: sregs.cr0 ^= bits; break;
	case 3: sregs.efer ^= bits; break;
	case 4: sregs.cr8 = bits & 15; break;
	case 5: sregs.tr.unusable ^= 1; break;
	default: sregs.fs.base ^= bits; break;
	}
	record_result("result", __vcpu_ioctl(vcpu, KVM_SET_SREGS, &sregs));
}

static void user_events(unsigned int which, uint64_t bits)
{
	struct kvm_vcpu_events events = {};

	events_get(&events);
	switch (which) {
	case 1: events.nmi.masked ^= 1; break;
	case 2: events.nmi.pending ^= 1; break;
	case 3: events.interrupt.shadow = bits & 3; break;
	case 4:
		events.exception.injected = 1;
		events.exception.nr = bits & 31;
		events.exception.has_error_code = bits >> 8 & 1;
		break;
	case 5:
		events.interrupt.injected = 1;
		events.interrupt.nr = 0x40 + (bits & 15);
		break;
	case 6: events.smi.pending ^= 1; break;
	}
	record_result("result", __vcpu_ioctl(vcpu, KVM_SET_VCPU_EVENTS, &events));
}

static void user_debug(uint32_t control, uint64_t address)
{
	struct kvm_guest_debug debug = {
		.control = control,
		.arch.debugreg[0] = address,
		.arch.debugreg[7] = 0x400,
	};

	record_result("result", __vcpu_ioctl(vcpu, KVM_SET_GUEST_DEBUG, &debug));
}

static void user_interrupt(unsigned int vector, unsigned int mode)
{
	struct kvm_msi msi = {
		.address_lo = 0xfee00000,
		.data = (vector & 0xff) | (mode & 7) << 8,
	};

	record_result("result", __vm_ioctl(vm, KVM_SIGNAL_MSI, &msi));
}

static void user_cpu(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu % sysconf(_SC_NPROCESSORS_ONLN), &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void user_capability(unsigned int which)
{
	static const uint32_t capabilities[][2] = {
		{ KVM_CAP_EXCEPTION_PAYLOAD, 1 },
		{ KVM_CAP_X86_TRIPLE_FAULT_EVENT, 1 },
		{ KVM_CAP_DISABLE_QUIRKS2, 0x3f },
		{ KVM_CAP_X86_USER_SPACE_MSR, 7 },
	};

	which %= ARRAY_SIZE(capabilities);
	record_result("result", __vm_enable_cap(vm, capabilities[which][0], capabilities[which][1]));
}

#include "differential/storm.h"

/* ------------------------------------------------------------- statistics -- */

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

/* Not after a storm: how often a page is faulted in depends on time then. */
static void user_statistics(void)
{
	if (storm.ran)
		return;
	statistics_of(__vcpu_ioctl(vcpu, KVM_GET_STATS_FD, NULL));
}

static void user_lapic(void)
{
	struct kvm_lapic_state lapic = {};

	record_result("get", __vcpu_ioctl(vcpu, KVM_GET_LAPIC, &lapic));
	record_bytes("lapic", &lapic, sizeof(lapic));
	record_result("set", __vcpu_ioctl(vcpu, KVM_SET_LAPIC, &lapic));
}

static void user_step(const struct step *step)
{
	uint64_t a = step->arg[0], b = step->arg[1], c = step->arg[2], value = 0;

	switch (step->operation) {
	case USER_nested_get: record_result("result", nested_read()); break;
	case USER_nested_same: user_nested_same(); break;
	case USER_nested_new_vm: user_nested_new_vm(); break;
	case USER_nested_hostile: user_nested_hostile(a, b, c); break;
	case USER_slot: user_slot(a, b); break;
	case USER_dirty_log: user_dirty_log(a); break;
	case USER_remap: user_remap(a); break;
	case USER_discard: user_discard(a, b); break;
	case USER_poke: *(uint64_t *)(page_memory(a % PAGES) + (b & 0xff8)) = c; break;
	case USER_flip:
		*(uint8_t *)(page_memory(a % PAGES) + (b / 8 & 0xfff)) ^= 1 << (b & 7);
		break;
	case USER_filter: user_filter(a, b, c); break;
	case USER_get_msr:
		record("result", msr_get(a, &value));
		record("value", value);
		break;
	case USER_set_msr: record("result", msr_set(a, b)); break;
	case USER_flip_msr:
		msr_get(a, &value);
		record("result", msr_set(a, value ^ b));
		break;
	case USER_sregs: user_sregs(a, b); break;
	case USER_events: user_events(a, b); break;
	case USER_debug:
		if (a)
			single_steps = a;
		else
			user_debug(b, c);
		break;
	case USER_smi: record_result("result", __vcpu_ioctl(vcpu, KVM_SMI, NULL)); break;
	case USER_nmi: record_result("result", __vcpu_ioctl(vcpu, KVM_NMI, NULL)); break;
	case USER_interrupt: user_interrupt(a, b); break;
	case USER_immediate: immediate_next = true; break;
	case USER_signal: signal_next = true; break;
	case USER_cpu: user_cpu(a); break;
	case USER_regs: user_regs(); break;
	case USER_statistics: user_statistics(); break;
	case USER_lapic: user_lapic(); break;
	case USER_capability: user_capability(a); break;
	case USER_storm:
		storm.next = true;
		storm.kinds = a;
		storm.page = b;
		storm.bit = c;
		break;
	}
}

#endif
