// SPDX-License-Identifier: GPL-2.0
/*
 * What a switch between L1 and L2 leaves behind is what the SDM and stock KVM say,
 * though most of it is not worked out anew: CPUID bits that follow CR4, the MSRs of
 * SYSCALL, L1's segments, a pending interrupt, L2's preemption timer, VMCS fields
 * of a new VMCS.  Runs under stock and under kvm-intel-fast, with the same results.
 *
 * Each case has a VM of its own, in which L1 plays the part that the case names.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>

#include <asm/prctl.h>

#include "lib/cases.h"
#include "lib/mailbox.h"
#include "lib/vm.h"
#include "module/switch/switch.h"

#define XCR0_X87	1ul
#define XCR0_AVX	4ul
#define EXIT_REASON_TIMER	52
#define SLOWNESS	10	/* of L2's microseconds: the debug kernel needs time */
#define TSX_CTRL	0x122
#define RTM_DISABLE	1

static void create_vm(enum part part)
{
	struct vmx_pages *vmx;
	vm_vaddr_t vmx_gva;
	int vector;

	vm = vm_create_with_one_vcpu(&vcpu, l1_guest_code);
	vm_init_descriptor_tables(vm);
	vcpu_init_descriptor_tables(vcpu);
	for (vector = FIRST_VECTOR; vector < 0x100; vector += VECTOR_STEP)
		vm_install_exception_handler(vm, vector, note_vector);
	vm_install_exception_handler(vm, BP_VECTOR, note_breakpoint);
	vmx = vcpu_alloc_vmx(vm, &vmx_gva);
	if (part == PART_GUEST_STATE || part == PART_ROOT) {
		prepare_eptp(vmx, vm, 0);
		nested_map_memslot(vmx, vm, 0);
	}
	vcpu_args_set(vcpu, 1, vmx_gva);
	hand_over(((struct request){
		.part = part,
		.tsc_khz = __vcpu_ioctl(vcpu, KVM_GET_TSC_KHZ, NULL) * SLOWNESS,
		.list_gpa = addr_gva2gpa(vm, (vm_vaddr_t)exit_load_list),
		.has_umip = kvm_cpu_has(X86_FEATURE_UMIP),
	}));
}

static int run(void)
{
	struct ucall uc;

	vcpu_run(vcpu);
	if (vcpu->run->exit_reason != KVM_EXIT_IO) {
		EXPECT(false, "exit reason %u (%s)", vcpu->run->exit_reason,
		       exit_reason_str(vcpu->run->exit_reason));
		return FINISHED;
	}
	switch (get_ucall(vcpu, &uc)) {
	case UCALL_SYNC:
		return uc.args[1];
	case UCALL_ABORT:
		EXPECT(false, "in the guest, line %lu: %s %s", (unsigned long)uc.args[GUEST_LINE],
		       (char *)uc.args[0], guest_said(uc));
		return FINISHED;
	default:
		return FINISHED;
	}
}

static void run_to_the_end(enum part part)
{
	create_vm(part);
	while (run() != FINISHED)
		;
	kvm_vm_free(vm);
}

static void set_xcr0(uint64_t value)
{
	struct kvm_xcrs xcrs;

	vcpu_xcrs_get(vcpu, &xcrs);
	xcrs.xcrs[0].value = value;
	vcpu_xcrs_set(vcpu, &xcrs);
}

static uint64_t xcr0(void)
{
	struct kvm_xcrs xcrs;

	vcpu_xcrs_get(vcpu, &xcrs);
	return xcrs.xcrs[0].value;
}

static struct kvm_cpuid2 *get_cpuid(void)
{
	struct kvm_cpuid2 *entries = allocate_kvm_cpuid2(vcpu->cpuid->nent);

	vcpu_ioctl(vcpu, KVM_GET_CPUID2, entries);
	return entries;
}

/*
 * CPUID must be what KVM makes of it when XCR0 changes, an update that kvm.ko does
 * by itself; and CPUID.1:ECX.OSXSAVE what CR4 says.
 */
static void expect_cpuid(bool osxsave, const char *when)
{
	struct kvm_cpuid2 *before = get_cpuid(), *after;
	uint64_t value = xcr0();
	int i;

	set_xcr0(value ^ (XCR0_AVX | 2));
	set_xcr0(value);
	after = get_cpuid();
	for (i = 0; i < after->nent; i++) {
		EXPECT(!memcmp(&before->entries[i], &after->entries[i], sizeof(after->entries[i])),
		       "%s: leaf %#x.%u is %#x %#x %#x %#x, not %#x %#x %#x %#x", when,
		       after->entries[i].function, after->entries[i].index,
		       before->entries[i].eax, before->entries[i].ebx,
		       before->entries[i].ecx, before->entries[i].edx,
		       after->entries[i].eax, after->entries[i].ebx,
		       after->entries[i].ecx, after->entries[i].edx);
		if (after->entries[i].function == 1)
			EXPECT(!!(before->entries[i].ecx & BIT(27)) == osxsave, "%s", when);
	}
	free(before);
	free(after);
}

static void expect_cpuid_after_round_trips(const char *when)
{
	int i;

	for (i = 0; i < 3 && !case_failed; i++) {
		EXPECT(run() == IN_L2, "%s", when);
		expect_cpuid(false, when);
		EXPECT(run() == IN_L1, "%s", when);
		expect_cpuid(true, when);
	}
}

static void set_osxsave(bool on)
{
	struct kvm_sregs sregs;

	vcpu_sregs_get(vcpu, &sregs);
	if (on)
		sregs.cr4 |= X86_CR4_OSXSAVE;
	else
		sregs.cr4 &= ~X86_CR4_OSXSAVE;
	vcpu_sregs_set(vcpu, &sregs);
}

static void cpuid_follows_cr4(void)
{
	create_vm(PART_CPUID);
	vcpu_set_cpuid_feature(vcpu, X86_FEATURE_MWAIT);
	set_xcr0(XCR0_X87);
	/* KVM knows the entries now, and then gets others. */
	set_osxsave(true);
	set_osxsave(false);
	vcpu_set_cpuid(vcpu);
	expect_cpuid_after_round_trips("CPUID set anew");

	set_xcr0(XCR0_X87 | 2 | XCR0_AVX);
	expect_cpuid_after_round_trips("larger XCR0");
	set_xcr0(XCR0_X87);
	expect_cpuid_after_round_trips("smaller XCR0");

	/* Of no effect before CPUID is updated the next time. */
	vm_enable_cap(vm, KVM_CAP_DISABLE_QUIRKS2, KVM_X86_QUIRK_MISC_ENABLE_NO_MWAIT);
	expect_cpuid_after_round_trips("MWAIT follows IA32_MISC_ENABLE");
	kvm_vm_free(vm);
}

static void syscall_goes_where_l2_said(void)
{
	run_to_the_end(PART_SYSCALL);
}

static void expect_segment(const char *name, const struct kvm_segment *is, uint64_t base,
			   uint32_t limit, uint16_t selector, int type, bool code)
{
	EXPECT(is->base == base && is->limit == limit && is->selector == selector,
	       "%s: base %#llx, limit %#x, selector %#x", name, is->base, is->limit, is->selector);
	EXPECT(is->type == type && is->s == (limit != 0x67) && is->g == (limit != 0x67) &&
	       !is->dpl && is->present && !is->unusable,
	       "%s: type %u, s %u, g %u, dpl %u, present %u, unusable %u", name, is->type, is->s,
	       is->g, is->dpl, is->present, is->unusable);
	EXPECT(is->l == code && is->db == (!code && limit != 0x67), "%s: l %u, db %u", name,
	       is->l, is->db);
}

static void segments_after_exit(void)
{
	struct kvm_sregs first, sregs;
	int i;

	create_vm(PART_SEGMENTS);
	vcpu_sregs_get(vcpu, &first);
	for (i = 0; i < ROUNDS && !case_failed; i++) {
		EXPECT(run() == IN_L1, "round %d", i);
		vcpu_sregs_get(vcpu, &sregs);
		expect_segment("CS", &sregs.cs, 0, ~0, first.cs.selector, 11, true);
		expect_segment("SS", &sregs.ss, 0, ~0, first.ss.selector, 3, false);
		expect_segment("DS", &sregs.ds, 0, ~0, DATA_SELECTOR, 3, false);
		expect_segment("ES", &sregs.es, 0, ~0, 0, 3, false);
		expect_segment("FS", &sregs.fs, SEGMENT_BASE(1), ~0, DATA_SELECTOR, 3, false);
		expect_segment("GS", &sregs.gs, SEGMENT_BASE(2), ~0, 0, 3, false);
		expect_segment("TR", &sregs.tr, first.tr.base, 0x67, first.tr.selector, 11, false);
		EXPECT(sregs.ldt.unusable && !sregs.ldt.selector, "LDTR");
		EXPECT(sregs.gdt.limit == 0xffff && sregs.gdt.base == first.gdt.base, "GDTR");
		EXPECT(sregs.idt.limit == 0xffff && sregs.idt.base == first.idt.base, "IDTR");
	}
	kvm_vm_free(vm);
}

static void host_state_is_loaded(void)
{
	run_to_the_end(PART_HOST_STATE);
}

static void guest_state_is_loaded(void)
{
	run_to_the_end(PART_GUEST_STATE);
}

static unsigned long thread_pointer(void)
{
	unsigned long base;

	syscall(SYS_arch_prctl, ARCH_GET_FS, &base);
	return base;
}

/* The host's FS base is in both VMCSs, and a VM exit loads it. */
static void *run_half_a_round_trip(void *unused)
{
	unsigned long before = thread_pointer(), after;

	run();
	after = thread_pointer();
	syscall(SYS_arch_prctl, ARCH_SET_FS, before);	/* printf() hangs with another's */
	EXPECT(after == before, "FS base %#lx, then %#lx", before, after);
	return NULL;
}

/* Of two threads that run the vCPU in turn each keeps its TLS. */
static void threads_in_turn(void)
{
	pthread_t thread;
	int i;

	pin_to_cpu(0);
	create_vm(PART_CPUID);
	for (i = 0; i < ROUNDS && !case_failed; i++) {
		if (i % 3) {
			run_half_a_round_trip(NULL);
			continue;
		}
		pthread_create(&thread, NULL, run_half_a_round_trip, NULL);
		pthread_join(thread, NULL);
	}
	kvm_vm_free(vm);
}

/* User space's breakpoint, in the debug registers of the vCPU, outlives an exit of L2. */
static void breakpoint_stays(void)
{
	struct kvm_guest_debug debug = {
		.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP,
		.arch.debugreg = { [0] = (unsigned long)here, [7] = 0x402 },
	};
	int i;

	create_vm(PART_BREAKPOINT);
	vcpu_guest_debug_set(vcpu, &debug);
	for (i = 0; i < ROUNDS; i++) {
		vcpu_run(vcpu);
		EXPECT(vcpu->run->exit_reason == KVM_EXIT_DEBUG &&
		       vcpu->run->debug.arch.pc == (unsigned long)here, "round %d: exit %u", i,
		       vcpu->run->exit_reason);
		if (case_failed)
			break;
		/* On from there, without the breakpoint for one instruction. */
		debug.control |= KVM_GUESTDBG_SINGLESTEP;
		debug.arch.debugreg[7] = 0x400;
		vcpu_guest_debug_set(vcpu, &debug);
		vcpu_run(vcpu);
		debug.control &= ~KVM_GUESTDBG_SINGLESTEP;
		debug.arch.debugreg[7] = 0x402;
		vcpu_guest_debug_set(vcpu, &debug);
	}
	kvm_vm_free(vm);
}

static void interrupt_stays_pending(void)
{
	run_to_the_end(PART_INTERRUPTS);
}

static void interrupt_posted_before_entry(void)
{
	run_to_the_end(PART_POSTED);
}

static void controls_are_those_l1_wants(void)
{
	run_to_the_end(PART_CONTROLS);
}

static void root_is_loaded(void)
{
	run_to_the_end(PART_ROOT);
}

/* kvm.ko flushes at each switch then, for which it serves requests. */
static void flush_on_reuse_is_honoured(void)
{
	static const char path[] = "/sys/module/kvm/parameters/flush_on_reuse";
	uint64_t loaded[2];
	int flush;

	if (parameter("fast_switch") != '1') {
		skip_reason = "no roots of our own";
		return;
	}
	for (flush = 0; flush < 2; flush++) {
		EXPECT(!write_file(path, flush ? "Y" : "N"), "%s", path);
		create_vm(PART_ROOT);
		while (run() != FINISHED)
			;
		loaded[flush] = counter("mmu_root_loaded");
		kvm_vm_free(vm);
	}
	write_file(path, "N");
	EXPECT(loaded[0] && !loaded[1], "loaded %lu roots, and with flush_on_reuse %lu", loaded[0],
	       loaded[1]);
}

static void expect_time(int n, uint64_t reason, uint64_t least, uint64_t most)
{
	EXPECT(answer[n].reason == reason && answer[n].elapsed >= least &&
	       answer[n].elapsed <= most, "%d: exit reason %lu after %lu us", n,
	       answer[n].reason, answer[n].elapsed);
}

static void l2s_timer_in_time(void)
{
	create_vm(PART_TIMER);
	while (run() != FINISHED)
		;
	sync_global_from_guest(vm, answer);
	expect_time(0, EXIT_REASON_VMCALL, 0, 5000);
	expect_time(1, EXIT_REASON_TIMER, 2000, 8000);
	expect_time(2, EXIT_REASON_VMCALL, 0, 2000);
	expect_time(3, EXIT_REASON_VMCALL, 6000, 15000);
	expect_time(4, EXIT_REASON_VMCALL, 0, 3000);
	expect_time(5, EXIT_REASON_TIMER, 9990, 16000);
	expect_time(6, EXIT_REASON_VMCALL, 0, 3000);
	expect_time(7, EXIT_REASON_VMCALL, 6000, 15000);
	kvm_vm_free(vm);
}

/* Found by the debug kernel, or by a crash. */
static void destroyed_with_timer_armed(void)
{
	int i;

	for (i = 0; i < 5; i++) {
		create_vm(PART_TIMER_LEFT);
		EXPECT(run() == IN_L1, "try %d", i);
		kvm_vm_free(vm);
		usleep(40000);
	}
}

static void l2_gets_each_event(void)
{
	run_to_the_end(PART_EVENTS);
}

static void vmx_restarted(void)
{
	run_to_the_end(PART_RESTART);
}

static struct {
	int fd;			/* of CPU 0's MSRs */
	bool stop;
	int others, guests;	/* times that the MSR had the host's value, or the guest's */
} tsx_ctrl;

static void *look_at_tsx_ctrl(void *unused)
{
	uint64_t value;

	pin_to_cpu(1);
	while (!READ_ONCE(tsx_ctrl.stop)) {
		if (pread(tsx_ctrl.fd, &value, sizeof(value), TSX_CTRL) != sizeof(value))
			continue;
		if (value & RTM_DISABLE)
			tsx_ctrl.guests++;
		else
			tsx_ctrl.others++;
	}
	return NULL;
}

/* What user space gave L1 is in the MSR while the vCPU runs, also after EFER was written. */
static void tsx_ctrl_is_loaded(void)
{
	pthread_t thread;

	tsx_ctrl.fd = open("/dev/cpu/0/msr", O_RDONLY);
	if (!kvm_cpu_has(X86_FEATURE_RTM) || tsx_ctrl.fd < 0 || sysconf(_SC_NPROCESSORS_ONLN) < 2) {
		skip_reason = "no RTM, no /dev/cpu/0/msr or one CPU only";
		return;
	}
	pin_to_cpu(0);
	create_vm(PART_MANY);
	vcpu_set_msr(vcpu, TSX_CTRL, RTM_DISABLE);
	pthread_create(&thread, NULL, look_at_tsx_ctrl, NULL);
	EXPECT(run() == FINISHED, "L1");
	WRITE_ONCE(tsx_ctrl.stop, true);
	pthread_join(thread, NULL);
	ksft_print_msg("the guest's value %d times, the host's %d times\n", tsx_ctrl.guests,
		       tsx_ctrl.others);
	EXPECT(tsx_ctrl.guests > 2 * tsx_ctrl.others, "not loaded");
	kvm_vm_free(vm);
	close(tsx_ctrl.fd);
}

static void verify_found_nothing(void)
{
	static const char * const subjects[] = {
		"user_return", "host_state", "known_fields", "vmcs_switch", "controls",
	};
	unsigned int i;

	if (!verify_is_on())
		return;
	create_vm(PART_CPUID);
	for (i = 0; i < 2 * ROUNDS; i++)
		EXPECT(run() != FINISHED, "round %u", i);
	for (i = 0; i < ARRAY_SIZE(subjects); i++)
		expect_verified(subjects[i], true);
	expect_verified("cpuid", !kernel_is_at_least(7, 2));	/* patch 0008 is not needed there */
	expect_verified("preemption_timer", false);	/* this L1 has none */
	kvm_vm_free(vm);

	create_vm(PART_GUEST_STATE);
	EXPECT(run() == FINISHED, "L1");
	expect_verified("guest_state", true);
	kvm_vm_free(vm);

	create_vm(PART_ROOT);
	EXPECT(run() == FINISHED, "L1");
	expect_verified("mmu_root", true);
	kvm_vm_free(vm);
}

static const struct test_case cases[] = {
	CASE(cpuid_follows_cr4),
	CASE(syscall_goes_where_l2_said),
	CASE(segments_after_exit),
	CASE(host_state_is_loaded),
	CASE(guest_state_is_loaded),
	CASE(threads_in_turn),
	CASE(breakpoint_stays),
	CASE(interrupt_stays_pending),
	CASE(interrupt_posted_before_entry),
	CASE(controls_are_those_l1_wants),
	CASE(root_is_loaded),
	CASE(flush_on_reuse_is_honoured),
	CASE(l2s_timer_in_time),
	CASE(destroyed_with_timer_armed),
	CASE(vmx_restarted),
	CASE(l2_gets_each_event),
	CASE(tsx_ctrl_is_loaded),
	CASE(verify_found_nothing),
};

int main(int argc, char **argv)
{
	begin_test();
	run_cases(cases, ARRAY_SIZE(cases), argv + 1);
	ksft_finished();
}
