// SPDX-License-Identifier: GPL-2.0
/*
 * The pages that a vmcs12 names (MSR bitmap, APIC-access, virtual-APIC,
 * posted-interrupt descriptor) are those that L1's memory shows at each nested
 * VM entry, whatever L1, user space and the host's memory management do to them
 * in between; and none of it is kept from working.  Runs under stock and under
 * kvm-intel-fast, with the same results; counters are checked where there are any.
 *
 * How a wrong page is found: user space writes to the page where it now is, and
 * expect_pages_in_use() looks at what L2 then meets.  A stale page would not
 * have what was just written.
 */
#include <linux/mempolicy.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "kvm_util.h"
#include "processor.h"
#include "vmx.h"
#include "apic.h"

#include "lib/cases.h"
#include "lib/guest.h"
#include "lib/vm.h"

#define PAGE		4096ul
#define SLOT		10	/* the pages under test */
#define FIXED_SLOT	11	/* VMCSs */
#define SLOT_GPA	0x10000000ul
#define MOVED_GPA	0x14000000ul
#define FIXED_GPA	0x18000000ul
#define VMCSS		12	/* more than the module keeps */
#define KEPT_VMCSS	8
#define MANY		1000
#define READS		200
#define FEW		100	/* exits for other reasons meanwhile: timer ticks */
#define MIGRATIONS	40
#define TRIES		20
#define KILLED		20
#define GONE_VMS	9
#define NEW_VMS		5
#define KSM_ROUNDS	200	/* of 10 ms, until pages must have been merged */
#define OTHERS		256	/* pages, more than a CPU keeps at hand */
#define FILLER		(16ul << 20)
#define NV		0xf2	/* posted-interrupt notification vector of L2 */
#define POSTED_VECTOR	0x41
#define L2_STACK	512
#define MSR_TPR		0x808
#define TPR		0x80	/* offsets in an APIC page */
#define VIRR		0x200

/* Pages of the slot. */
enum {
	BITMAP,			/* one for each VMCS */
	ACCESS = BITMAP + VMCSS,
	VAPIC,
	PI,
	OTHER_BITMAP,
	OTHER_ACCESS,
	OTHER_VAPIC,
	OTHER_PI,
	SLOT_PAGES
};

enum operation {
	L1_SELECT,	/* make VMCS "vmcs" current */
	L1_BIT,		/* set bit "bit" of L1's bitmap at "gpa" to "value" by a store */
	L1_VMWRITE,	/* field "bit" = "value" */
	L1_MODE,	/* virtualise xAPIC, x2APIC or nothing: "value" */
	L1_ENTER,	/* enter L2 "count" times, until it executes VMCALL */
	L1_ALTERNATE,	/* L1_ENTER of "value" VMCSs in turn */
	L1_CLEAR,	/* VMCLEAR and start VMCS "vmcs" anew */
	L1_RESTART,	/* VMXOFF, VMXON, and VMCS "vmcs" anew */
	L1_LEAVE,	/* VMCLEAR "vmcs", VMXOFF, VMXON; no VMCS is current */
};

enum mode { XAPIC, X2APIC, NO_APIC };

enum l2_operation {
	L2_NOTHING,
	L2_RDMSR,	/* "msr", "reads" times */
	L2_WRMSR,
	L2_TPR,		/* read it by CR8 and by MMIO */
	L2_PAUSE,	/* stop in user space, then L2_TPR */
};

struct request {
	uint64_t operation, vmcs, gpa, bit, value, count;
	uint64_t l2_operation, msr, reads, tpr, mmio;
};

struct answer {
	uint64_t value;		/* of L2's last RDMSR */
	uint64_t exits;		/* to L1, other than VMCALL */
	uint64_t reason;	/* the last such exit's */
	uint64_t cr8, mmio;
	uint64_t wrong;		/* TPRs other than request.tpr */
	uint64_t failed;	/* VM entries */
};

struct features {
	uint64_t started, access, vid, pi, reg_virt, x2apic;
};

static struct request request;
static struct answer answer;
static struct features features;
static uint64_t bitmap_gpa[VMCSS];
static uint64_t slot_gpa = SLOT_GPA;

/* ---------------------------------------------------------------- guest -- */

static unsigned long l2_stack[VMCSS][L2_STACK];
static bool launched[VMCSS];
static uint64_t l2_left;

static void l2_rdmsr(void)
{
	uint32_t low, high;

	asm volatile("push %%rbp; rdmsr; pop %%rbp" : "=a"(low), "=d"(high) :
		     "c"(READ_ONCE(request.msr)) : L2_CLOBBERS);
	answer.value = low | (uint64_t)high << 32;
}

static void l2_wrmsr(void)
{
	uint32_t eax = answer.value, edx = answer.value >> 32;

	asm volatile("push %%rbp; wrmsr; pop %%rbp" : "+a"(eax), "+d"(edx) :
		     "c"(READ_ONCE(request.msr)) : L2_CLOBBERS);
}

static void l2_tpr(void)
{
	uint64_t cr8;

	asm volatile("mov %%cr8, %0" : "=r"(cr8));
	answer.cr8 = cr8;
	if (cr8 != request.tpr >> 4)
		answer.wrong++;
	if (!READ_ONCE(request.mmio))
		return;
	answer.mmio = *(volatile uint32_t *)(request.mmio + TPR);
	if (answer.mmio != request.tpr)
		answer.wrong++;
}

static void ENTRY_POINT l2_guest_code(void)
{
	for (;;) {
		switch (READ_ONCE(request.l2_operation)) {
		case L2_RDMSR:
			for (l2_left = request.reads; READ_ONCE(l2_left); l2_left--)
				l2_rdmsr();
			break;
		case L2_WRMSR:
			for (l2_left = request.reads; READ_ONCE(l2_left); l2_left--)
				l2_wrmsr();
			break;
		case L2_PAUSE:
			GUEST_SYNC(2);
			/* fall through */
		case L2_TPR:
			l2_tpr();
			break;
		}
		asm volatile("push %%rbp; vmcall; pop %%rbp" : : :
			     "rax", "rcx", "rdx", L2_CLOBBERS);
	}
}

static uint64_t vmcs_gpa(uint64_t vmcs)
{
	return FIXED_GPA + vmcs * PAGE;
}

static void set_mode(uint64_t mode)
{
	uint32_t secondary = 0, exits = CPU_BASED_CR8_LOAD_EXITING | CPU_BASED_CR8_STORE_EXITING;
	uint32_t pin = vmreadz(PIN_BASED_VM_EXEC_CONTROL) & ~PIN_BASED_POSTED_INTR;

	vmwrite(CPU_BASED_VM_EXEC_CONTROL,
		(vmreadz(CPU_BASED_VM_EXEC_CONTROL) & ~exits) | CPU_BASED_TPR_SHADOW |
		CPU_BASED_USE_MSR_BITMAPS | CPU_BASED_ACTIVATE_SECONDARY_CONTROLS);
	if (mode == NO_APIC) {
		vmwrite(CPU_BASED_VM_EXEC_CONTROL,
			vmreadz(CPU_BASED_VM_EXEC_CONTROL) & ~CPU_BASED_TPR_SHADOW);
		vmwrite(SECONDARY_VM_EXEC_CONTROL, 0);
		vmwrite(PIN_BASED_VM_EXEC_CONTROL, pin);
		return;
	}
	if (mode == X2APIC)
		secondary |= SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE;
	else if (features.access)
		secondary |= SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES;
	if (features.vid) {
		secondary |= SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY;
		pin |= PIN_BASED_EXT_INTR_MASK;
	}
	if (features.pi) {
		pin |= PIN_BASED_POSTED_INTR;
		vmwrite(VM_EXIT_CONTROLS, vmreadz(VM_EXIT_CONTROLS) | VM_EXIT_ACK_INTR_ON_EXIT);
	}
	vmwrite(SECONDARY_VM_EXEC_CONTROL, secondary);
	vmwrite(PIN_BASED_VM_EXEC_CONTROL, pin);
}

static void start_vmcs(struct vmx_pages *vmx, uint64_t vmcs)
{
	struct vmx_pages this = *vmx;

	this.vmcs_gpa = vmcs_gpa(vmcs);
	this.vmcs = (void *)this.vmcs_gpa;
	this.msr_gpa = bitmap_gpa[vmcs];
	GUEST_ASSERT(load_vmcs(&this));
	prepare_vmcs(&this, l2_guest_code, &l2_stack[vmcs][L2_STACK]);
	launched[vmcs] = false;
	vmwrite(APIC_ACCESS_ADDR, slot_gpa + ACCESS * PAGE);
	vmwrite(VIRTUAL_APIC_PAGE_ADDR, slot_gpa + VAPIC * PAGE);
	vmwrite(POSTED_INTR_DESC_ADDR, slot_gpa + PI * PAGE);
	vmwrite(POSTED_INTR_NV, NV);
	vmwrite(TPR_THRESHOLD, 0);
	set_mode(XAPIC);
}

static void enter(uint64_t vmcs)
{
	uint64_t reason;

	for (;;) {
		vmwrite(GUEST_INTR_STATUS, 0);
		if (launched[vmcs] ? vmresume() : vmlaunch()) {
			answer.failed++;
			return;
		}
		launched[vmcs] = true;
		reason = vmreadz(VM_EXIT_REASON);
		if (reason & BIT(31)) {
			answer.failed++;
			answer.reason = reason;
			return;
		}
		vmwrite(GUEST_RIP, vmreadz(GUEST_RIP) + vmreadz(VM_EXIT_INSTRUCTION_LEN));
		if (reason == EXIT_REASON_VMCALL)
			return;
		answer.exits++;
		answer.reason = reason;
	}
}

static void find_features(void)
{
	features.access = vmx_can(MSR_IA32_VMX_PROCBASED_CTLS2,
				  SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES);
	features.vid = vmx_can(MSR_IA32_VMX_PROCBASED_CTLS2,
			       SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY);
	features.pi = features.vid && vmx_can(MSR_IA32_VMX_TRUE_PINBASED_CTLS,
					      PIN_BASED_POSTED_INTR);
	features.x2apic = vmx_can(MSR_IA32_VMX_PROCBASED_CTLS2,
				  SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE);
	features.started = 1;
}

static void select_vmcs(uint64_t vmcs)
{
	GUEST_ASSERT(!vmptrld(vmcs_gpa(vmcs)));
}

static void store_bit(void)
{
	uint8_t *byte = (uint8_t *)request.gpa + request.bit / 8;
	uint8_t bit = 1 << (request.bit % 8);

	WRITE_ONCE(*byte, request.value ? *byte | bit : *byte & ~bit);
}

static void l1_do(struct vmx_pages *vmx)
{
	uint64_t i, vmcs = request.vmcs;

	switch (request.operation) {
	case L1_SELECT:
		select_vmcs(vmcs);
		break;
	case L1_BIT:
		store_bit();
		break;
	case L1_VMWRITE:
		GUEST_ASSERT(!vmwrite(request.bit, request.value));
		break;
	case L1_MODE:
		set_mode(request.value);
		break;
	case L1_ENTER:
		for (i = 0; i < request.count; i++)
			enter(vmcs);
		break;
	case L1_ALTERNATE:
		for (i = 0; i < request.count * request.value; i++) {
			select_vmcs(i % request.value);
			enter(i % request.value);
		}
		select_vmcs(vmcs);
		break;
	case L1_LEAVE:
		GUEST_ASSERT(!vmclear(vmcs_gpa(vmcs)));
		asm volatile("vmxoff" : : : "cc", "memory");
		GUEST_ASSERT(prepare_for_vmx_operation(vmx));
		break;
	case L1_RESTART:
		asm volatile("vmxoff" : : : "cc", "memory");
		GUEST_ASSERT(prepare_for_vmx_operation(vmx));
		/* fall through */
	case L1_CLEAR:
		start_vmcs(vmx, vmcs);
		break;
	}
}

static void ENTRY_POINT l1_guest_code(struct vmx_pages *vmx)
{
	int i;

	x2apic_enable();
	GUEST_ASSERT(prepare_for_vmx_operation(vmx));
	find_features();
	for (i = VMCSS - 1; i >= 0; i--)
		start_vmcs(vmx, i);
	for (;;) {
		GUEST_SYNC(1);
		memset(&answer, 0, sizeof(answer));
		l1_do(vmx);
	}
}

/* ----------------------------------------------------------- user space -- */

static uint8_t *memory, *fixed;
static bool holds, merges;	/* are the optimisations on in this module? */

#define ASK(...) ask((struct request){ __VA_ARGS__ })

static uint64_t page_misses(void)
{
	return counter("page_hold_miss_empty") + counter("page_hold_miss_gfn") +
		counter("page_hold_miss_memslots");
}

static uint64_t merge_misses(void)
{
	return counter("msr_bitmap_miss_new") + counter("msr_bitmap_miss_controls") +
		counter("msr_bitmap_miss_vmcs01") + counter("msr_bitmap_miss_l1");
}

static void set_slot(uint32_t slot, uint32_t flags, uint64_t gpa, uint64_t size, void *hva)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.flags = flags,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)hva,
	};

	vm_ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region);
}

static void set_test_slot(uint32_t flags)
{
	set_slot(SLOT, flags, slot_gpa, SLOT_PAGES * PAGE, memory);
}

static void delete_test_slot(void)
{
	set_slot(SLOT, 0, slot_gpa, 0, memory);
}

static uint8_t *map_anonymous(void *where, uint64_t size)
{
	void *at = mmap(where, size, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE | (where ? MAP_FIXED : 0),
			-1, 0);

	TEST_ASSERT(at != MAP_FAILED, "mmap: %s", strerror(errno));
	return at;
}

static uint8_t *page(int number)
{
	return memory + number * PAGE;
}

static uint64_t page_gpa(int number)
{
	return slot_gpa + number * PAGE;
}

/* Bits in an MSR bitmap: SDM, "MSR-Bitmap Address". */
static uint64_t bitmap_bit(uint32_t msr, bool write)
{
	return (write ? 0x4000 : 0) + (msr >= 0xc0000000 ? 0x2000 : 0) + (msr & 0x1fff);
}

static void set_bit_in(uint8_t *bitmap, uint64_t bit, bool value)
{
	volatile uint8_t *byte = bitmap + bit / 8;

	*byte = value ? *byte | 1 << bit % 8 : *byte & ~(1 << bit % 8);
}

/* Run until the guest waits for a request, or L2 pauses; returns who it was. */
static int run(void)
{
	int who = run_to_sync();

	sync_global_from_guest(vm, answer);
	return who;
}

static int ask(struct request what)
{
	request = what;
	sync_global_to_guest(vm, request);
	return run();
}

static void create_vm(void)
{
	vm_vaddr_t vmx_gva;
	int i;

	vm = vm_create_with_one_vcpu(&vcpu, l1_guest_code);
	vm_init_descriptor_tables(vm);
	vcpu_init_descriptor_tables(vcpu);
	vcpu_alloc_vmx(vm, &vmx_gva);
	vcpu_args_set(vcpu, 1, vmx_gva);
	slot_gpa = SLOT_GPA;
	for (i = 0; i < VMCSS; i++)
		bitmap_gpa[i] = page_gpa(BITMAP + i);
	memset(memory, 0, SLOT_PAGES * PAGE);
	memset(fixed, 0, VMCSS * PAGE);
	memset(page(ACCESS), 0xee, PAGE);
	memset(page(OTHER_ACCESS), 0xdd, PAGE);
	sync_global_to_guest(vm, bitmap_gpa);
	sync_global_to_guest(vm, slot_gpa);
	set_test_slot(0);
	set_slot(FIXED_SLOT, 0, FIXED_GPA, VMCSS * PAGE, fixed);
	virt_map(vm, SLOT_GPA, SLOT_GPA, SLOT_PAGES);
	virt_map(vm, MOVED_GPA, MOVED_GPA, SLOT_PAGES);
	virt_map(vm, FIXED_GPA, FIXED_GPA, VMCSS);
	TEST_ASSERT(run() == 1, "L1 did not start");
	sync_global_from_guest(vm, features);
}

static void new_vm(void)
{
	kvm_vm_free(vm);
	create_vm();
}

/* L2 accesses @msr; does it exit to L1, and if not, to L0? */
static void expect_msr(uint64_t vmcs, uint32_t msr, bool write, bool intercepted, int line)
{
	uint64_t before = exits(), count;

	ASK(.operation = L1_ENTER, .vmcs = vmcs, .count = 1, .msr = msr, .reads = READS,
	    .l2_operation = write ? L2_WRMSR : L2_RDMSR);
	count = exits() - before;
	EXPECT(answer.exits == (intercepted ? READS : 0) && !answer.failed,
	       "from line %d: VMCS %lu, %s %#x: %lu exits to L1, reason %lu", line, vmcs,
	       write ? "write" : "read", msr, answer.exits, answer.reason);
	EXPECT(intercepted || count < FEW, "from line %d: %s %#x: %lu exits to L0",
	       line, write ? "write" : "read", msr, count);
}

/* Where VMCS 0 has its pages: for the cases that change it. */
static int now_bitmap = BITMAP, now_access = ACCESS, now_vapic = VAPIC, now_pi = PI;

static void expect_tpr(uint8_t tpr, int line)
{
	EXPECT(answer.cr8 == tpr >> 4 && !answer.failed,
	       "from line %d: CR8 %#lx, TPR %#x, failed %lu", line, answer.cr8, tpr,
	       answer.failed);
	EXPECT(!features.access || answer.mmio == tpr, "from line %d: MMIO %#lx, TPR %#x",
	       line, answer.mmio, tpr);
}

static uint64_t mmio(void)
{
	return features.access ? page_gpa(now_access) : 0;
}

static void pause_in_l2(uint8_t tpr)
{
	int who = ASK(.operation = L1_ENTER, .count = 1, .l2_operation = L2_PAUSE,
		      .tpr = tpr, .mmio = mmio());

	EXPECT(who == 2, "L2 did not pause");
}

/* Post an interrupt while L2 is in user space. */
static void post(void)
{
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = NV };

	page(now_pi)[POSTED_VECTOR / 8] |= 1 << POSTED_VECTOR % 8;
	page(now_pi)[32] |= 1;
	EXPECT(ioctl(vm->fd, KVM_SIGNAL_MSI, &msi) == 1, "%s", strerror(errno));
}

static void expect_posted(int line)
{
	uint8_t *virr = page(now_vapic) + VIRR + POSTED_VECTOR / 32 * 16 + POSTED_VECTOR % 32 / 8;

	EXPECT(!(page(now_pi)[32] & 1), "from line %d: descriptor not used", line);
	EXPECT(*virr & 1 << POSTED_VECTOR % 8, "from line %d: no VIRR bit", line);
	*virr = 0;
}

static void __expect_pages_in_use(int line)
{
	static uint8_t salt;
	uint8_t tpr;
	int i;

	for (i = 0; i < 2; i++) {
		tpr = (++salt % 15 + 1) << 4;
		set_bit_in(page(now_bitmap), bitmap_bit(MSR_FS_BASE, false), i);
		page(now_vapic)[TPR] = tpr;
		expect_msr(0, MSR_FS_BASE, false, i, line);
		ASK(.operation = L1_ENTER, .count = 1, .l2_operation = L2_TPR, .tpr = tpr,
		    .mmio = mmio());
		expect_tpr(tpr, line);
	}
	set_bit_in(page(now_bitmap), bitmap_bit(MSR_FS_BASE, false), false);
	if (!features.pi)
		return;
	pause_in_l2(tpr);
	post();
	EXPECT(run() == 1, "from line %d", line);
	expect_tpr(tpr, line);
	expect_posted(line);
}

#define expect_pages_in_use() __expect_pages_in_use(__LINE__)

static bool has_two_nodes(void)
{
	return !access("/sys/devices/system/node/node1", F_OK);
}

static bool two_nodes(void)
{
	if (has_two_nodes())
		return true;
	skip_reason = "one NUMA node only";
	return false;
}

/* The page's new node, or a negative errno. */
static int move_page(int number, int node)
{
	void *address = page(number);
	int status = -1;
	long ret;

	ret = syscall(__NR_move_pages, 0, 1ul, &address, node < 0 ? NULL : &node, &status,
		      MPOL_MF_MOVE);
	return ret < 0 ? -errno : status;
}

/*
 * Nobody has a reference to a page but its own mapping, or whoever has one gives it up
 * when asked: then it moves to the other node at the first try.
 */
static void __expect_unreferenced(int number, int line)
{
	volatile uint8_t *there = page(number);
	int node, moved;

	*there = *there;
	node = !move_page(number, -1);
	moved = move_page(number, node);
	EXPECT(moved == node, "from line %d: page %d to node %d: %d", line, number, node, moved);
}

#define expect_unreferenced(number) __expect_unreferenced(number, __LINE__)

/* ---------------------------------------------------------------- cases -- */

static void steady_state(void)
{
	uint64_t pages, merged, hits, merge_hits;

	ASK(.operation = L1_ENTER, .count = 2);
	pages = page_misses();
	merged = merge_misses();
	hits = counter("page_hold_reused");
	merge_hits = counter("msr_bitmap_hits");
	ASK(.operation = L1_ENTER, .count = MANY);
	EXPECT(!answer.failed && !answer.exits, "%lu failed", answer.failed);
	EXPECT(page_misses() == pages, "%lu", page_misses() - pages);
	EXPECT(merge_misses() == merged, "%lu", merge_misses() - merged);
	hits = counter("page_hold_reused") - hits;
	EXPECT(hits == (holds && merges ? MANY : 0), "%lu entries", hits);
	EXPECT(counter("msr_bitmap_hits") - merge_hits == (merges ? MANY : 0), "%lu",
	       counter("msr_bitmap_hits") - merge_hits);
	expect_pages_in_use();
}

/* L1 intercepts an MSR of L2's and lets it pass, by a plain store to its bitmap. */
static void store_to_bitmap(uint32_t msr, bool write)
{
	uint64_t bit = bitmap_bit(msr, write);
	unsigned int value;

	for (value = 0; value < 4; value++) {
		ASK(.operation = L1_BIT, .gpa = page_gpa(BITMAP), .bit = bit,
		    .value = !(value & 1));
		expect_msr(0, msr, write, !(value & 1), __LINE__);
	}
}

static void l1_stores_to_its_bitmap(void)
{
	store_to_bitmap(MSR_FS_BASE, false);
	store_to_bitmap(MSR_KERNEL_GS_BASE, true);
	store_to_bitmap(MSR_KERNEL_GS_BASE, false);
	store_to_bitmap(MSR_GS_BASE, false);
}

/* KVM lets a guest have these once it has written them. */
static bool has_speculation_controls(void)
{
	if (!kvm_cpu_has(X86_FEATURE_SPEC_CTRL)) {
		skip_reason = "the CPU has no SPEC_CTRL";
		return false;
	}
	vcpu_set_msr(vcpu, MSR_IA32_SPEC_CTRL, 1);
	vcpu_set_msr(vcpu, MSR_IA32_PRED_CMD, 1);
	return true;
}

static void l1_stores_to_its_bitmap_of_speculation_controls(void)
{
	if (!has_speculation_controls())
		return;
	store_to_bitmap(MSR_IA32_SPEC_CTRL, false);
	store_to_bitmap(MSR_IA32_SPEC_CTRL, true);
	store_to_bitmap(MSR_IA32_PRED_CMD, true);
}

/* User space denies an MSR, and allows it again; L1 has nothing to do with it. */
static void filter_an_msr(uint32_t msr, bool write)
{
	struct kvm_msr_filter filter = {
		.ranges[0] = { .flags = write ? KVM_MSR_FILTER_WRITE : KVM_MSR_FILTER_READ,
			       .base = msr, .nmsrs = 1 },
	};
	const uint32_t exit = write ? KVM_EXIT_X86_WRMSR : KVM_EXIT_X86_RDMSR;
	static uint8_t denied;
	int i;

	filter.ranges[0].bitmap = &denied;
	vm_enable_cap(vm, KVM_CAP_X86_USER_SPACE_MSR, KVM_MSR_EXIT_REASON_FILTER);
	for (i = 0; i < 3; i++) {
		expect_msr(0, msr, write, false, __LINE__);
		filter.ranges[0].nmsrs = 1;
		vm_ioctl(vm, KVM_X86_SET_MSR_FILTER, &filter);
		request = (struct request){ .operation = L1_ENTER, .count = 1, .reads = 1,
					    .l2_operation = write ? L2_WRMSR : L2_RDMSR,
					    .msr = msr };
		sync_global_to_guest(vm, request);
		vcpu_run(vcpu);
		EXPECT(vcpu->run->exit_reason == exit, "%s of %#x not filtered: exit %d",
		       write ? "write" : "read", msr, vcpu->run->exit_reason);
		if (vcpu->run->exit_reason == exit) {
			vcpu->run->msr.data = 0x77;
			EXPECT(run() == 1 && (write || answer.value == 0x77), "read %#lx",
			       answer.value);
		}
		filter.ranges[0].nmsrs = 0;
		vm_ioctl(vm, KVM_X86_SET_MSR_FILTER, &filter);
	}
}

static void user_space_filters_an_msr(void)
{
	filter_an_msr(MSR_FS_BASE, false);
	expect_pages_in_use();
}

static void user_space_filters_speculation_controls(void)
{
	if (!has_speculation_controls())
		return;
	filter_an_msr(MSR_IA32_SPEC_CTRL, false);
	filter_an_msr(MSR_IA32_SPEC_CTRL, true);
	filter_an_msr(MSR_IA32_PRED_CMD, true);
}

static void set_x2apic(bool x2apic)
{
	ASK(.operation = L1_MODE, .value = x2apic);
}

static void l1_stores_under_x2apic(void)
{
	uint64_t bit = bitmap_bit(MSR_TPR, false);
	int i;

	if (!features.x2apic) {
		skip_reason = "no virtual x2APIC";
		return;
	}
	/* The mode changes with the bit, and without it. */
	for (i = 0; i < 8; i++) {
		set_x2apic(!(i & 1));
		page(VAPIC)[TPR] = 0x70 + i;
		ASK(.operation = L1_BIT, .gpa = page_gpa(BITMAP), .bit = bit, .value = i >> 1 & 1);
		ASK(.operation = L1_ENTER, .count = 1, .l2_operation = L2_RDMSR,
		    .msr = MSR_TPR, .reads = READS);
		EXPECT(answer.exits == (i & 2 ? READS : 0) && !answer.failed,
		       "step %d: %lu exits to L1", i, answer.exits);
		if (!(i & 2))
			EXPECT(answer.value == (i & 1 ? 0 : 0x70 + i),
			       "step %d: read %#lx", i, answer.value);
	}
	ASK(.operation = L1_BIT, .gpa = page_gpa(BITMAP), .bit = bit, .value = 0);
	set_x2apic(false);
	page(VAPIC)[TPR] = 0;
	expect_pages_in_use();
}

/* Each VMCS has its own bitmap: the number's bits say what is intercepted. */
static void alternate(int vmcss, int rounds)
{
	int round, i;

	for (round = 0; round < rounds; round++) {
		for (i = 0; i < vmcss; i++) {
			if (round) {
				ASK(.operation = L1_BIT, .gpa = page_gpa(BITMAP + i),
				    .bit = bitmap_bit(MSR_FS_BASE, false), .value = i & 1);
				ASK(.operation = L1_BIT, .gpa = page_gpa(BITMAP + i),
				    .bit = bitmap_bit(MSR_KERNEL_GS_BASE, true),
				    .value = (i + round) & 2);
			}
			ASK(.operation = L1_SELECT, .vmcs = i);
			expect_msr(i, MSR_FS_BASE, false, round && (i & 1), __LINE__);
			expect_msr(i, MSR_KERNEL_GS_BASE, true, round && ((i + round) & 2),
				   __LINE__);
		}
	}
}

static void vmcss_alternate(int vmcss)
{
	uint64_t misses, evictions;
	int i;

	new_vm();
	alternate(vmcss, 3);
	misses = page_misses() + merge_misses();
	evictions = counter("nested_context_evictions");
	ASK(.operation = L1_ALTERNATE, .count = 10, .value = vmcss);
	EXPECT(!answer.failed && !answer.exits, "%lu", answer.failed);
	misses = page_misses() + merge_misses() - misses;
	evictions = counter("nested_context_evictions") - evictions;
	if (vmcss <= KEPT_VMCSS)
		EXPECT(!misses && !evictions, "%lu misses, %lu evictions", misses, evictions);
	else
		EXPECT(evictions == (holds || merges ? 10 * vmcss : 0), "%lu", evictions);
	for (i = 0; i < vmcss; i++)
		memset(page(BITMAP + i), 0, PAGE);
	ASK(.operation = L1_SELECT, .vmcs = 0);
	expect_pages_in_use();
}

static void eight_vmcss(void)
{
	vmcss_alternate(KEPT_VMCSS);
}

static void twelve_vmcss(void)
{
	vmcss_alternate(VMCSS);
}

static void name_pages(bool others)
{
	now_bitmap = others ? OTHER_BITMAP : BITMAP;
	now_access = others ? OTHER_ACCESS : ACCESS;
	now_vapic = others ? OTHER_VAPIC : VAPIC;
	now_pi = others ? OTHER_PI : PI;
}

static void write_page_fields(void)
{
	ASK(.operation = L1_VMWRITE, .bit = MSR_BITMAP, .value = page_gpa(now_bitmap));
	ASK(.operation = L1_VMWRITE, .bit = APIC_ACCESS_ADDR, .value = page_gpa(now_access));
	ASK(.operation = L1_VMWRITE, .bit = VIRTUAL_APIC_PAGE_ADDR, .value = page_gpa(now_vapic));
	ASK(.operation = L1_VMWRITE, .bit = POSTED_INTR_DESC_ADDR, .value = page_gpa(now_pi));
}

static void fields_name_other_pages(void)
{
	static int *const one[] = { &now_bitmap, &now_access, &now_vapic, &now_pi };
	static const int other[] = { OTHER_BITMAP, OTHER_ACCESS, OTHER_VAPIC, OTHER_PI };
	unsigned int i;

	for (i = 0; i < 4; i++) {
		*one[i] = other[i];
		write_page_fields();
		expect_pages_in_use();
		name_pages(false);
		write_page_fields();
		expect_pages_in_use();
	}
	name_pages(true);
	write_page_fields();
	expect_pages_in_use();
	name_pages(false);
	write_page_fields();
	expect_pages_in_use();
	for (i = 0; has_two_nodes() && i < 4; i++) {
		expect_unreferenced(other[i]);
		expect_unreferenced(*one[i]);
	}
	expect_pages_in_use();
}

/* The slot over other memory; the old memory keeps its old contents. */
static void slot_over_other_memory(void)
{
	uint8_t *old = memory, *new = map_anonymous(NULL, SLOT_PAGES * PAGE);
	int i;

	memcpy(new, old, SLOT_PAGES * PAGE);
	for (i = 0; i < 2; i++) {
		delete_test_slot();
		memory = i ? old : new;
		set_test_slot(0);
		expect_pages_in_use();
	}
	/* The same while L2 runs: the next entry finds the new memory. */
	for (i = 0; i < 2; i++) {
		page(VAPIC)[TPR] = 0x20;
		pause_in_l2(0x20);
		delete_test_slot();
		memory = i ? old : new;
		page(VAPIC)[TPR] = 0x90;
		set_test_slot(0);
		EXPECT(run() == 1, "L2");
		EXPECT(answer.cr8 == 2, "CR8 %#lx in the entry before", answer.cr8);
		expect_pages_in_use();
	}
	munmap(new, SLOT_PAGES * PAGE);
}

static void slot_moves(void)
{
	int i;

	for (i = 0; i < 4; i++) {
		slot_gpa = i & 1 ? SLOT_GPA : MOVED_GPA;
		set_test_slot(0);
		write_page_fields();
		expect_pages_in_use();
	}
	EXPECT(slot_gpa == SLOT_GPA, "");
}

/*
 * A read-only slot cannot be mapped: every MSR exits to L0, which reads L1's
 * bitmap to find out whom the exit is for.
 */
static void slot_is_made_read_only(void)
{
	uint64_t before;
	int i;

	for (i = 0; i < 2; i++) {
		ASK(.operation = L1_MODE, .value = NO_APIC);
		expect_msr(0, MSR_FS_BASE, false, false, __LINE__);
		delete_test_slot();
		set_bit_in(page(BITMAP), bitmap_bit(MSR_FS_BASE, false), i);
		set_test_slot(KVM_MEM_READONLY);
		before = exits();
		ASK(.operation = L1_ENTER, .count = 1, .l2_operation = L2_RDMSR,
		    .msr = MSR_FS_BASE, .reads = READS);
		EXPECT(answer.exits == (i ? READS : 0) && !answer.failed, "%lu exits to L1, %lu",
		       answer.exits, answer.failed);
		EXPECT(exits() - before >= READS, "%lu exits", exits() - before);
		delete_test_slot();
		set_test_slot(0);
		ASK(.operation = L1_MODE, .value = XAPIC);
		expect_pages_in_use();
	}
}

static uint64_t dirty_pages(void)
{
	uint64_t bitmap = 0;
	struct kvm_dirty_log log = { .slot = SLOT, .dirty_bitmap = &bitmap };

	vm_ioctl(vm, KVM_GET_DIRTY_LOG, &log);
	return bitmap;
}

/* Stock's rule: after an L2 exit, virtual-APIC page and descriptor are dirty. */
static uint64_t dirty_after_l2(void)
{
	return BIT(now_vapic) | (features.pi ? BIT(now_pi) : 0);
}

static void expect_dirty(uint64_t expected, int line)
{
	uint64_t dirty = dirty_pages();

	EXPECT(dirty == expected, "from line %d: dirty %#lx, expected %#lx", line, dirty,
	       expected);
}

static void dirty_log_while_l1_runs(void)
{
	int i;

	ASK(.operation = L1_ENTER, .count = 5);
	set_test_slot(KVM_MEM_LOG_DIRTY_PAGES);
	expect_dirty(0, __LINE__);
	for (i = 0; i < 3; i++) {
		ASK(.operation = L1_ENTER, .count = 1);
		expect_dirty(dirty_after_l2(), __LINE__);
		ASK(.operation = L1_SELECT);
		expect_dirty(0, __LINE__);
	}
	/* L1's own store, then L2. */
	ASK(.operation = L1_BIT, .gpa = page_gpa(BITMAP), .bit = 5, .value = 1);
	expect_dirty(BIT(BITMAP), __LINE__);
	ASK(.operation = L1_ENTER, .count = 1);
	expect_dirty(dirty_after_l2(), __LINE__);
	/* Another page under logging. */
	name_pages(true);
	write_page_fields();
	ASK(.operation = L1_ENTER, .count = 1);
	expect_dirty(dirty_after_l2(), __LINE__);
	ASK(.operation = L1_ENTER, .count = 1);
	expect_dirty(dirty_after_l2(), __LINE__);
	name_pages(false);
	write_page_fields();
	set_test_slot(0);
	expect_pages_in_use();
}

static void dirty_log_while_l2_runs(void)
{
	int i;

	for (i = 0; i < 3; i++) {
		ASK(.operation = L1_ENTER, .count = 2);
		pause_in_l2(0);
		set_test_slot(KVM_MEM_LOG_DIRTY_PAGES);
		expect_dirty(0, __LINE__);
		EXPECT(run() == 1, "L2");
		expect_dirty(dirty_after_l2(), __LINE__);
		/* Off while L2 runs, and on again. */
		pause_in_l2(0);
		expect_dirty(dirty_after_l2(), __LINE__);
		set_test_slot(0);
		EXPECT(run() == 1, "L2");
		pause_in_l2(0);
		set_test_slot(KVM_MEM_LOG_DIRTY_PAGES);
		EXPECT(run() == 1, "L2");
		expect_dirty(dirty_after_l2(), __LINE__);
		set_test_slot(0);
	}
}

/* L2 exits to user space several times after the log was read. */
static void dirty_log_read_while_l2_runs(void)
{
	int i;

	set_test_slot(KVM_MEM_LOG_DIRTY_PAGES);
	pause_in_l2(0);
	expect_dirty(dirty_after_l2(), __LINE__);
	expect_dirty(0, __LINE__);
	for (i = 0; i < 3; i++) {
		EXPECT(run() == 1, "L2");
		expect_dirty(dirty_after_l2(), __LINE__);
		pause_in_l2(0);
		expect_dirty(dirty_after_l2(), __LINE__);
	}
	EXPECT(run() == 1, "L2");
	ASK(.operation = L1_ENTER, .count = 1, .l2_operation = L2_RDMSR, .msr = 0x10,
	    .reads = 5);
	expect_dirty(dirty_after_l2(), __LINE__);
	set_test_slot(0);
	expect_pages_in_use();
}

static const int all_pages[] = { BITMAP, ACCESS, VAPIC, PI };

static void mapping_replaced(void)
{
	uint64_t invalidated;
	unsigned int i;

	for (i = 0; i < 4; i++) {
		expect_pages_in_use();
		invalidated = counter("page_hold_invalidated");
		map_anonymous(page(all_pages[i]), PAGE);
		EXPECT(!holds || counter("page_hold_invalidated") > invalidated, "page %u", i);
		expect_pages_in_use();
	}
	/* All of them, contents checked without a store in between. */
	set_bit_in(page(BITMAP), bitmap_bit(MSR_FS_BASE, false), true);
	ASK(.operation = L1_ENTER, .count = 3);
	map_anonymous(page(0), SLOT_PAGES * PAGE);
	expect_msr(0, MSR_FS_BASE, false, false, __LINE__);
	expect_pages_in_use();
}

/* The page that L2 uses is not given to anyone else meanwhile. */
static void mapping_replaced_while_l2_runs(void)
{
	uint8_t *others;
	unsigned int i;

	for (i = 0; i < 4; i++) {
		page(VAPIC)[TPR] = 0x20;
		pause_in_l2(0x20);
		map_anonymous(page(all_pages[i]), PAGE);
		others = map_anonymous(NULL, OTHERS * PAGE);
		memset(others, 0xff, OTHERS * PAGE);
		EXPECT(run() == 1, "L2");
		munmap(others, OTHERS * PAGE);
		EXPECT(answer.cr8 == 2, "page %u: CR8 %#lx in the entry before", i, answer.cr8);
		expect_pages_in_use();
	}
}

static void memory_given_back(void)
{
	unsigned int i, j;

	for (i = 0; i < 4; i++) {
		for (j = 0; j < 2; j++) {
			set_bit_in(page(BITMAP), bitmap_bit(MSR_FS_BASE, false), true);
			page(VAPIC)[TPR] = 0x50;
			if (j)
				pause_in_l2(0x50);
			else
				ASK(.operation = L1_ENTER, .count = 2);
			EXPECT(!madvise(page(all_pages[i]), PAGE, MADV_DONTNEED), "madvise");
			if (j)
				EXPECT(run() == 1, "L2");
			if (all_pages[i] == BITMAP)
				expect_msr(0, MSR_FS_BASE, false, false, __LINE__);
			ASK(.operation = L1_ENTER, .count = 1, .l2_operation = L2_TPR,
			    .mmio = mmio());
			EXPECT(answer.cr8 == (all_pages[i] == VAPIC ? 0 : 5), "CR8 %#lx",
			       answer.cr8);
			expect_pages_in_use();
		}
	}
}

/* A child shares the pages; the parent's next write gets it a copy. */
static void forked(void)
{
	int i, status;
	pid_t child;

	for (i = 0; i < 2; i++) {
		if (i)
			pause_in_l2(0);
		else
			ASK(.operation = L1_ENTER, .count = 2);
		child = fork();
		if (!child) {
			pause();
			_exit(0);
		}
		if (i)
			EXPECT(run() == 1, "L2");
		expect_pages_in_use();
		kill(child, SIGKILL);
		waitpid(child, &status, 0);
		expect_pages_in_use();
	}
}

/* Nothing is in use while L1 runs: the first try must succeed. */
static void pages_migrate_while_l1_runs(void)
{
	unsigned int i, j;

	if (!two_nodes())
		return;
	for (j = 0; j < 4; j++) {
		for (i = 0; i < 4; i++) {
			ASK(.operation = L1_ENTER, .count = 2);
			expect_unreferenced(all_pages[i]);
			expect_pages_in_use();
		}
	}
}

/* Stock refers to all but the bitmap then; afterwards they must move. */
static void pages_migrate_after_l2_ran(void)
{
	int moved, node;
	unsigned int i;

	if (!two_nodes())
		return;
	for (i = 0; i < 4; i++) {
		pause_in_l2(0);
		node = !move_page(all_pages[i], -1);
		moved = move_page(all_pages[i], node);
		EXPECT(all_pages[i] != BITMAP || moved == node,
		       "bitmap while L2 runs, to node %d: %d", node, moved);
		EXPECT(run() == 1, "L2");
		moved = move_page(all_pages[i], node);
		EXPECT(moved == node, "page %u to node %d: %d", i, node, moved);
		expect_pages_in_use();
	}
}

static volatile bool stop;
static volatile uint64_t thread_rounds, thread_wrong;

static void *round_trips(void *unused)
{
	pin_to_cpu(1);
	while (!stop) {
		ASK(.operation = L1_ENTER, .count = 5, .l2_operation = L2_TPR, .tpr = 0x50,
		    .mmio = mmio());
		thread_wrong += answer.wrong + answer.failed + answer.exits;
		thread_rounds += 5;
	}
	return NULL;
}

static bool start_round_trips(pthread_t *thread)
{
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
		skip_reason = "one CPU only";
		return false;
	}
	page(VAPIC)[TPR] = 0x50;
	stop = false;
	thread_rounds = thread_wrong = 0;
	pthread_create(thread, NULL, round_trips, NULL);
	return true;
}

static void wait_for_round_trips(void)
{
	uint64_t rounds = thread_rounds;

	while (thread_rounds < rounds + 6)
		usleep(50);
}

static void stop_round_trips(pthread_t thread)
{
	stop = true;
	pthread_join(thread, NULL);
	ksft_print_msg("%lu round trips meanwhile\n", thread_rounds);
	EXPECT(thread_rounds && !thread_wrong, "%lu wrong", thread_wrong);
	expect_pages_in_use();
}

/* Under stock L2 has references to the pages that its own vmcs12 names. */
static void pages_of_another_vmcs12_migrate_while_l2_runs(void)
{
	int i;

	if (!two_nodes())
		return;
	for (i = 0; i < 2; i++) {
		ASK(.operation = L1_SELECT, .vmcs = 1);
		ASK(.operation = L1_VMWRITE, .vmcs = 1, .bit = VIRTUAL_APIC_PAGE_ADDR,
		    .value = page_gpa(OTHER_VAPIC));
		ASK(.operation = L1_ENTER, .vmcs = 1, .count = 2);
		ASK(.operation = L1_SELECT, .vmcs = 0);
		pause_in_l2(0);
		expect_unreferenced(OTHER_VAPIC);
		EXPECT(run() == 1, "L2");
		expect_pages_in_use();
	}
	ASK(.operation = L1_SELECT, .vmcs = 1);
	ASK(.operation = L1_CLEAR, .vmcs = 1);
	ASK(.operation = L1_SELECT, .vmcs = 0);
}

static void *invalidate_all_the_time(void *range)
{
	pin_to_cpu(1);
	while (!stop)
		madvise(range, PAGE, MADV_DONTNEED);
	return NULL;
}

/* Pages are held, whatever invalidations there were while none was. */
static void held_whatever_was_under_way(void)
{
	uint8_t *range = map_anonymous(NULL, PAGE);
	pthread_t thread;
	uint64_t misses;
	int i;

	/* While none is held, because the mapping of all has just been replaced. */
	map_anonymous(page(0), SLOT_PAGES * PAGE);
	madvise(range, PAGE, MADV_DONTNEED);
	ASK(.operation = L1_ENTER, .count = 2);
	misses = page_misses();
	ASK(.operation = L1_ENTER, .count = 5);
	EXPECT(page_misses() == misses, "%lu misses", page_misses() - misses);
	for (i = 0; i < NEW_VMS && sysconf(_SC_NPROCESSORS_ONLN) > 1; i++) {
		stop = false;
		pthread_create(&thread, NULL, invalidate_all_the_time, range);
		new_vm();
		ASK(.operation = L1_ENTER, .count = 2);
		stop = true;
		pthread_join(thread, NULL);
		ASK(.operation = L1_ENTER, .count = 2);
		misses = page_misses();
		ASK(.operation = L1_ENTER, .count = 5);
		EXPECT(page_misses() == misses, "%lu misses", page_misses() - misses);
	}
	munmap(range, PAGE);
	expect_pages_in_use();
}

static void pages_migrate_meanwhile(void)
{
	int i, try, moved, node, tries = 0;
	pthread_t thread;

	if (!two_nodes() || !start_round_trips(&thread))
		return;
	for (i = 0; i < MIGRATIONS; i++) {
		node = !move_page(all_pages[i % 4], -1);
		for (try = 0, moved = -1; try < TRIES && moved != node; try++)
			moved = move_page(all_pages[i % 4], node);
		tries += try;
		EXPECT(moved == node, "page %d to node %d: %d", i % 4, node, moved);
		if (i & 1)
			wait_for_round_trips();
	}
	ksft_print_msg("%d migrations in %d tries\n", MIGRATIONS, tries);
	stop_round_trips(thread);
}

static void tell_kernel(const char *path, const char *text)
{
	if (write_file(path, text))
		skip_reason = "cannot be asked for";
}

static void compaction_meanwhile(void)
{
	pthread_t thread;
	int i;

	if (!start_round_trips(&thread))
		return;
	for (i = 0; i < 10 && !skip_reason; i++)
		tell_kernel("/proc/sys/vm/compact_memory", "1");
	stop_round_trips(thread);
}

/* Protection changes under the vCPU's feet; the page stays what it is. */
static void protection_meanwhile(void)
{
	pthread_t thread;
	int i;

	if (!start_round_trips(&thread))
		return;
	for (i = 0; i < 100; i++) {
		mprotect(page(all_pages[i % 4]), PAGE,
			 PROT_READ | PROT_WRITE | (i & 4 ? PROT_EXEC : 0));
		if (i % 3 == 0)
			wait_for_round_trips();
	}
	stop_round_trips(thread);
}

static void slots_change_meanwhile(void)
{
	pthread_t thread;
	int i;

	if (!start_round_trips(&thread))
		return;
	for (i = 0; i < 30; i++) {
		set_test_slot(i & 1 ? 0 : KVM_MEM_LOG_DIRTY_PAGES);
		wait_for_round_trips();
	}
	stop_round_trips(thread);
	set_test_slot(0);
	expect_pages_in_use();
}

static long read_number(const char *path)
{
	FILE *stream = fopen(path, "r");
	long value = -1;

	if (stream && fscanf(stream, "%li", &value) != 1)
		value = -1;
	if (stream)
		fclose(stream);
	return value;
}

#define KSM "/sys/kernel/mm/ksm/"

/* The MSR bitmap and the APIC-access page each have a twin of the same content. */
static bool wait_for_merged_twins(void)
{
	int i;

	for (i = 0; i < KSM_ROUNDS && read_number(KSM "pages_sharing") < 2; i++)
		usleep(10000);
	return i < KSM_ROUNDS;
}

static void merged_by_ksm(void)
{
	uint8_t *twins = map_anonymous(NULL, 2 * PAGE);
	int round;

	tell_kernel(KSM "sleep_millisecs", "1");
	if (skip_reason)
		return;
	for (round = 0; round < 3; round++) {
		expect_pages_in_use();
		memset(page(BITMAP), 0x11, PAGE);
		set_bit_in(page(BITMAP), bitmap_bit(MSR_FS_BASE, false), round & 1);
		memcpy(twins, page(BITMAP), PAGE);
		memcpy(twins + PAGE, page(ACCESS), PAGE);
		madvise(twins, 2 * PAGE, MADV_MERGEABLE);
		madvise(page(BITMAP), PAGE, MADV_MERGEABLE);
		madvise(page(ACCESS), PAGE, MADV_MERGEABLE);
		ASK(.operation = L1_ENTER, .count = 2);
		tell_kernel(KSM "run", "1");
		EXPECT(wait_for_merged_twins(), "%ld merged", read_number(KSM "pages_sharing"));
		tell_kernel(KSM "run", "0");
		/* Merged, and now a page of its own again where it is written to. */
		expect_msr(0, MSR_FS_BASE, false, round & 1, __LINE__);
		memset(page(BITMAP), 0, PAGE);
		expect_pages_in_use();
		/* Both apart again, behind L1's back. */
		tell_kernel(KSM "run", "2");
		expect_pages_in_use();
	}
	munmap(twins, 2 * PAGE);
}

static void merged_by_ksm_meanwhile(void)
{
	uint8_t *twin = map_anonymous(NULL, PAGE);
	pthread_t thread;
	int i;

	tell_kernel(KSM "sleep_millisecs", "1");
	if (skip_reason || !start_round_trips(&thread))
		return;
	memcpy(twin, page(ACCESS), PAGE);
	madvise(twin, PAGE, MADV_MERGEABLE);
	madvise(page(ACCESS), PAGE, MADV_MERGEABLE);
	madvise(page(BITMAP), PAGE, MADV_MERGEABLE);
	for (i = 0; i < 6; i++) {
		tell_kernel(KSM "run", i & 1 ? "2" : "1");
		usleep(20000);
		wait_for_round_trips();
	}
	tell_kernel(KSM "run", "2");
	stop_round_trips(thread);
	munmap(twin, PAGE);
}

#define BLOCKS "/sys/devices/system/memory/"

/* Where in the host's memory a page lies; 0: not known. */
static uint64_t physical_address(int number)
{
	int fd = open("/proc/self/pagemap", O_RDONLY);
	uint64_t entry = 0;

	if (fd < 0 || pread(fd, &entry, 8, (uintptr_t)page(number) / PAGE * 8) != 8)
		entry = 0;
	close(fd);
	return entry >> 63 ? (entry & ((1ul << 55) - 1)) * PAGE : 0;
}

static bool set_block(unsigned long block, const char *state)
{
	char path[128];
	int fd;
	bool done;

	snprintf(path, sizeof(path), BLOCKS "memory%lu/state", block);
	fd = open(path, O_WRONLY);
	done = fd >= 0 && write(fd, state, strlen(state)) > 0;
	close(fd);
	return done;
}

/*
 * Put a page, with its content, into a block of memory that may go: one that holds
 * pages of the kernel may not.  More and more memory is taken, so that the page's new
 * place is another.  Returns the block, which is offline then, or 0.
 */
static unsigned long unplug_under(int number, unsigned long block_size, uint8_t **filler)
{
	unsigned long block;
	uint8_t *new;
	int i;

	for (i = 0; i < TRIES; i++) {
		ASK(.operation = L1_ENTER, .count = 2);
		block = physical_address(number) / block_size;
		if (set_block(block, "offline"))
			return block;
		while (*filler)
			filler++;
		*filler = map_anonymous(NULL, FILLER);
		new = map_anonymous(NULL, PAGE);
		memcpy(new, page(number), PAGE);
		TEST_ASSERT(mremap(new, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, page(number)) ==
			    page(number), "mremap: %s", strerror(errno));
	}
	return 0;
}

/* The memory under each held page is taken away from the kernel. */
static void memory_unplugged(void)
{
	unsigned long block_size = 0, block;
	FILE *stream = fopen(BLOCKS "block_size_bytes", "r");
	uint8_t *filler[4 * TRIES + 1] = {};
	unsigned int i;

	if (!stream || fscanf(stream, "%lx", &block_size) != 1) {
		skip_reason = "no memory hot-unplug";
		return;
	}
	fclose(stream);
	for (i = 0; i < 4; i++) {
		block = unplug_under(all_pages[i], block_size, filler);
		EXPECT(block, "page %u is in no block that may go", i);
		if (!block)
			break;
		EXPECT(physical_address(all_pages[i]) / block_size != block, "page %u", i);
		expect_pages_in_use();
		EXPECT(set_block(block, "online_movable"), "block %lu", block);
	}
	for (i = 0; filler[i]; i++)
		munmap(filler[i], FILLER);
}

static void cleared_and_restarted(void)
{
	uint64_t enters[] = { L1_CLEAR, L1_RESTART, L1_CLEAR, L1_RESTART };
	uint64_t misses;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(enters); i++) {
		ASK(.operation = L1_ENTER, .count = 2);
		misses = page_misses();
		ASK(.operation = enters[i]);
		expect_pages_in_use();
		EXPECT(!holds || page_misses() > misses, "held over it");
	}
}

/* VMCS 0, which is not current then, goes on after VMXOFF and VMXON. */
static void left_and_entered(void)
{
	uint64_t misses;
	int i;

	for (i = 0; i < 3; i++) {
		expect_pages_in_use();
		ASK(.operation = L1_SELECT, .vmcs = 1);
		ASK(.operation = L1_ENTER, .vmcs = 1, .count = 1);
		misses = page_misses();
		ASK(.operation = L1_LEAVE, .vmcs = 1);
		ASK(.operation = L1_SELECT, .vmcs = 0);
		expect_msr(0, MSR_FS_BASE, false, false, __LINE__);
		EXPECT(!holds || page_misses() > misses, "held over it");
		expect_pages_in_use();
		ASK(.operation = L1_CLEAR, .vmcs = 1);
		ASK(.operation = L1_SELECT, .vmcs = 0);
	}
}

/* An APIC-access page outside memory: KVM gives up; then it is there again. */
static void access_page_missing(void)
{
	int i;

	if (!features.access) {
		skip_reason = "no APIC-access page";
		return;
	}
	for (i = 0; i < 2; i++) {
		ASK(.operation = L1_VMWRITE, .bit = APIC_ACCESS_ADDR, .value = 0x40000000);
		request = (struct request){ .operation = L1_ENTER, .count = 1 };
		sync_global_to_guest(vm, request);
		vcpu_run(vcpu);
		EXPECT(vcpu->run->exit_reason == KVM_EXIT_INTERNAL_ERROR, "exit %d",
		       vcpu->run->exit_reason);
		new_vm();
		expect_pages_in_use();
	}
	/* No hold may survive the failed entry: L2 does not run. */
	if (!has_two_nodes())
		return;
	ASK(.operation = L1_VMWRITE, .bit = APIC_ACCESS_ADDR, .value = 0x40000000);
	request = (struct request){ .operation = L1_ENTER, .count = 1 };
	sync_global_to_guest(vm, request);
	vcpu_run(vcpu);
	for (i = 0; i < 4; i++)
		expect_unreferenced(all_pages[i]);
	new_vm();
}

/*
 * The CPU refuses an entry of VMCS 1, which named another APIC-access page: VMCS 0 has
 * its own again.
 */
static void entry_fails_in_hardware(void)
{
	int i;

	for (i = 0; i < 3; i++) {
		expect_pages_in_use();
		ASK(.operation = L1_SELECT, .vmcs = 1);
		ASK(.operation = L1_VMWRITE, .vmcs = 1, .bit = VIRTUAL_APIC_PAGE_ADDR,
		    .value = 0x40000000);
		ASK(.operation = L1_VMWRITE, .vmcs = 1, .bit = APIC_ACCESS_ADDR,
		    .value = page_gpa(OTHER_ACCESS));
		ASK(.operation = L1_ENTER, .vmcs = 1, .count = 1);
		EXPECT(answer.failed == 1, "%lu entries failed, exit reason %lu", answer.failed,
		       answer.reason);
		ASK(.operation = L1_SELECT, .vmcs = 0);
		ASK(.operation = L1_ENTER, .count = 1, .l2_operation = L2_TPR,
		    .tpr = page(VAPIC)[TPR], .mmio = mmio());
		expect_tpr(page(VAPIC)[TPR], __LINE__);
		expect_pages_in_use();
		ASK(.operation = L1_CLEAR, .vmcs = 1);
		ASK(.operation = L1_SELECT, .vmcs = 0);
	}
}

static void verify_found_nothing(void)
{
	if (!verify_is_on())
		return;
	expect_pages_in_use();
	expect_verified("page_hold", holds);
	expect_verified("msr_bitmap", merges);
}

static void state_restored_in_new_vm(void)
{
	struct kvm_lapic_state lapic;
	struct kvm_x86_state *state;
	int i;

	for (i = 0; i < 3; i++) {
		expect_pages_in_use();
		page(VAPIC)[TPR] = 0x60;
		pause_in_l2(0x60);
		state = vcpu_save_state(vcpu);
		vcpu_ioctl(vcpu, KVM_GET_LAPIC, &lapic);
		kvm_vm_release(vm);
		vcpu = vm_recreate_with_one_vcpu(vm);
		set_test_slot(0);
		set_slot(FIXED_SLOT, 0, FIXED_GPA, VMCSS * PAGE, fixed);
		vcpu_load_state(vcpu, state);
		vcpu_ioctl(vcpu, KVM_SET_LAPIC, &lapic);
		kvm_x86_state_cleanup(state);
		if (features.pi && i)
			post();
		EXPECT(run() == 1, "L2");
		expect_tpr(0x60, __LINE__);
		if (features.pi && i)
			expect_posted(__LINE__);
		expect_pages_in_use();
	}
}

/* The same state again in the same vCPU: nested operation ends and begins. */
static void state_restored_in_place(void)
{
	struct kvm_x86_state *state;
	int i;

	for (i = 0; i < 3; i++) {
		page(VAPIC)[TPR] = 0x60;
		pause_in_l2(0x60);
		state = vcpu_save_state(vcpu);
		if (i == 1)
			map_anonymous(page(PI), PAGE);
		vcpu_sregs_set(vcpu, &state->sregs);
		vcpu_nested_state_set(vcpu, &state->nested);
		vcpu_regs_set(vcpu, &state->regs);
		kvm_x86_state_cleanup(state);
		EXPECT(run() == 1, "L2");
		expect_tpr(0x60, __LINE__);
		expect_pages_in_use();
	}
}

static void killed_while_l2_runs(void)
{
	int i, status;
	pid_t child;

	for (i = 0; i < KILLED; i++) {
		child = fork();
		if (!child) {
			create_vm();
			for (;;)
				ASK(.operation = L1_ENTER, .count = MANY,
				    .l2_operation = L2_TPR, .mmio = mmio());
		}
		usleep(30000 + i * 1700);
		kill(child, SIGKILL);
		EXPECT(waitpid(child, &status, 0) == child && WIFSIGNALED(status) &&
		       WTERMSIG(status) == SIGKILL, "status %#x", status);
	}
	expect_pages_in_use();
}

static void destroyed_in_l2(void)
{
	struct kvm_vm *usual = vm;
	struct kvm_vcpu *usual_vcpu = vcpu;
	uint8_t *usual_fixed = fixed;
	int i;

	for (i = 0; i < 6; i++) {
		fixed = map_anonymous(NULL, VMCSS * PAGE);
		create_vm();
		pause_in_l2(0);
		if (i & 1)
			map_anonymous(page(VAPIC), PAGE);
		if (i & 2) {	/* the VM's descriptor first, the vCPU's last */
			munmap(vcpu->run, sizeof(*vcpu->run));
			close(vm->fd);
			usleep(1000);
			map_anonymous(page(PI), PAGE);
			close(vcpu->fd);
		} else {
			kvm_vm_free(vm);
		}
		munmap(fixed, VMCSS * PAGE);
	}
	vm = usual;
	vcpu = usual_vcpu;
	fixed = usual_fixed;
	memset(page(BITMAP), 0, PAGE);
	expect_pages_in_use();
}

/*
 * New pages for each VM, which it leaves behind in L2, in L1, or having used eight
 * vmcs12s: after its end none of them may have a reference too many.
 */
static void memory_is_freed(void)
{
	int i, number;

	if (!two_nodes())
		return;
	for (i = 0; i < GONE_VMS; i++) {
		map_anonymous(page(0), SLOT_PAGES * PAGE);
		new_vm();
		switch (i % 3) {
		case 0:
			pause_in_l2(0);
			break;
		case 1:
			ASK(.operation = L1_ENTER, .count = 2);
			break;
		default:
			ASK(.operation = L1_ALTERNATE, .count = 2, .value = KEPT_VMCSS);
			break;
		}
		kvm_vm_free(vm);
		for (number = 0; number < SLOT_PAGES; number++)
			expect_unreferenced(number);
		create_vm();
	}
	expect_pages_in_use();
}

static const struct test_case cases[] = {
	CASE(steady_state),
	CASE(l1_stores_to_its_bitmap),
	CASE(l1_stores_under_x2apic),
	CASE(l1_stores_to_its_bitmap_of_speculation_controls),
	CASE(user_space_filters_an_msr),
	CASE(user_space_filters_speculation_controls),
	CASE(eight_vmcss),
	CASE(twelve_vmcss),
	CASE(fields_name_other_pages),
	CASE(slot_over_other_memory),
	CASE(slot_moves),
	CASE(slot_is_made_read_only),
	CASE(dirty_log_while_l1_runs),
	CASE(dirty_log_while_l2_runs),
	CASE(dirty_log_read_while_l2_runs),
	CASE(mapping_replaced),
	CASE(mapping_replaced_while_l2_runs),
	CASE(memory_given_back),
	CASE(forked),
	CASE(pages_migrate_while_l1_runs),
	CASE(pages_migrate_after_l2_ran),
	CASE(pages_of_another_vmcs12_migrate_while_l2_runs),
	CASE(pages_migrate_meanwhile),
	CASE(compaction_meanwhile),
	CASE(merged_by_ksm),
	CASE(merged_by_ksm_meanwhile),
	CASE(protection_meanwhile),
	CASE(slots_change_meanwhile),
	CASE(held_whatever_was_under_way),
	CASE(cleared_and_restarted),
	CASE(left_and_entered),
	CASE(entry_fails_in_hardware),
	CASE(verify_found_nothing),
	CASE(access_page_missing),
	CASE(state_restored_in_new_vm),
	CASE(state_restored_in_place),
	CASE(killed_while_l2_runs),
	CASE(destroyed_in_l2),
	CASE(memory_is_freed),
	CASE(memory_unplugged),
	CASE(verify_found_nothing),
};

int main(int argc, char **argv)
{
	begin_test();
	holds = parameter("page_cache") == 'Y';
	merges = parameter("msr_bitmap_cache") == 'Y';
	pin_to_cpu(0);
	memory = map_anonymous(NULL, SLOT_PAGES * PAGE);
	fixed = map_anonymous(NULL, VMCSS * PAGE);
	create_vm();
	ksft_print_msg("holds %d, merges %d; L1 has APIC-access %lu, VID %lu, PI %lu, x2APIC %lu\n",
		       holds, merges, features.access, features.vid, features.pi, features.x2apic);
	run_cases(cases, ARRAY_SIZE(cases), argv + 1);
	kvm_vm_free(vm);
	ksft_finished();
}
