// SPDX-License-Identifier: GPL-2.0
/*
 * The VM of badinput_test, its guests, and what became of an input.
 */
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "module/badinput/badinput.h"

struct vmx_pages *vmx_pages;
int memory_fd;
void *memory, *memory_when_paused;
size_t memory_size;
struct kvm_x86_state *paused;	/* L2 is active */
uint64_t verdicts, accepted, refused, stuck;

static void l2_guest_code(void)
{
	for (;;) {
		GUEST_SYNC(2);
		rdmsr(MSR_FS_BASE);
		vmcall();
	}
}

static void l1_guest_code(struct vmx_pages *vmx)
{
	unsigned long l2_stack[L2_STACK];

	GUEST_ASSERT(prepare_for_vmx_operation(vmx));
	GUEST_ASSERT(load_vmcs(vmx));
	prepare_vmcs(vmx, l2_guest_code, &l2_stack[L2_STACK]);
	vmwrite(CPU_BASED_VM_EXEC_CONTROL,
		vmreadz(CPU_BASED_VM_EXEC_CONTROL) | CPU_BASED_USE_MSR_BITMAPS);
	GUEST_ASSERT(!vmlaunch());
	for (;;) {
		GUEST_SYNC(1);
		vmwrite(GUEST_RIP, vmreadz(GUEST_RIP) + vmreadz(VM_EXIT_INSTRUCTION_LEN));
		GUEST_ASSERT(!vmresume());
	}
}

uint64_t random_number(void)
{
	static uint64_t state = 0x6b766d;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state * 0x2545f4914f6cdd1d;
}

uint64_t below(uint64_t limit)
{
	return (random_number() >> 11) % limit;
}

bool one_in(uint64_t n)
{
	return !below(n);
}

/* The library's memcpy() goes byte by byte, which is minutes here. */
static void copy_memory(void *to, const void *from)
{
	size_t words = memory_size / 8;

	asm volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
}

/* Put slot 0 on a memfd that can be sealed. */
static void use_memfd(void)
{
	struct userspace_mem_region *region = memslot2region(vm, 0);

	memory = region->host_mem;
	memory_size = region->region.memory_size;
	memory_fd = memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	TEST_ASSERT(memory_fd >= 0, "memfd_create: %s", strerror(errno));
	TEST_ASSERT(write(memory_fd, memory, memory_size) == memory_size, "write of memfd");
	TEST_ASSERT(mmap(memory, memory_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
			 memory_fd, 0) == memory, "mmap of memfd: %s", strerror(errno));
}

void expect_sync(uint64_t who)
{
	struct ucall uc;

	vcpu_run(vcpu);
	TEST_ASSERT(get_ucall(vcpu, &uc) == UCALL_SYNC && uc.args[1] == who,
		    "guest stopped elsewhere than at %lu: exit %u", who, vcpu->run->exit_reason);
}

void create_vm(bool with_ept)
{
	vm_vaddr_t vmx_gva;

	vm = __vm_create_with_one_vcpu(&vcpu, EXTRA_PAGES, l1_guest_code);
	vmx_pages = vcpu_alloc_vmx(vm, &vmx_gva);
	if (with_ept && kvm_vm_has_ept(vm)) {
		prepare_eptp(vmx_pages, vm, 0);
		nested_map_memslot(vmx_pages, vm, 0);
	}
	vcpu_args_set(vcpu, 1, vmx_gva);
	use_memfd();
	expect_sync(2);
	paused = vcpu_save_state(vcpu);
	memory_when_paused = malloc(memory_size);
	copy_memory(memory_when_paused, memory);
}

/* Nobody may hold a page of guest memory after its VM is gone. */
void destroy_vm(void)
{
	kvm_vm_free(vm);
	kvm_x86_state_cleanup(paused);
	free(memory_when_paused);
	EXPECT(!fcntl(memory_fd, F_ADD_SEALS, F_SEAL_WRITE),
	       "guest memory is still held: %s", strerror(errno));
	close(memory_fd);
}

int set_nested(const void *image)
{
	return ioctl(vcpu->fd, KVM_SET_NESTED_STATE, image);
}

static void leave_nested(void)
{
	struct kvm_nested_state none = {
		.format = KVM_STATE_NESTED_FORMAT_VMX,
		.size = sizeof(none),
		.hdr.vmx.vmxon_pa = -1,
		.hdr.vmx.vmcs12_pa = -1,
	};

	TEST_ASSERT(!set_nested(&none), "leaving VMX operation: %s", strerror(errno));
}

/* As when L2 paused, but for the nested state. */
void rewind_vm(void)
{
	uint32_t size = paused->nested.size;

	leave_nested();
	copy_memory(memory, memory_when_paused);
	paused->nested.size = 0;
	vcpu_load_state(vcpu, paused);
	paused->nested.size = size;
}

static void note(uint64_t value)
{
	verdicts = (verdicts ^ value) * 0x100000001b3;
}

void begin_verdicts(void)
{
	verdicts = 0xcbf29ce484222325;
	accepted = 0;
	refused = 0;
	stuck = 0;
}

void print_verdicts(const char *name)
{
	ksft_print_msg("verdicts %s: %016lx, accepted %lu, refused %lu, ran on %lu\n",
		       name, verdicts, accepted, refused, stuck);
}

static void wake_up(int signal)
{
}

/* Interrupts every KVM_RUN that takes too long, again and again. */
static void set_alarm(unsigned int us)
{
	struct itimerval timer = { .it_interval.tv_usec = us, .it_value.tv_usec = us };
	struct sigaction action = { .sa_handler = wake_up };

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
}

/* Run as far as it goes; false if KVM has given up this VM. */
static bool run_and_note(void)
{
	int i, result, error;

	for (i = 0; i < RUNS; i++) {
		set_alarm(PATIENCE_US);
		result = __vcpu_run(vcpu);
		error = result ? errno : 0;
		set_alarm(0);
		note(error);
		if (error == EINTR)
			stuck++;
		if (error)
			return error != EIO;
		note(vcpu->run->exit_reason);
		if (vcpu->run->exit_reason != KVM_EXIT_IO)
			return vcpu->run->exit_reason != KVM_EXIT_INTERNAL_ERROR ||
			       vcpu->run->internal.suberror != 0;
	}
	return true;
}

/* Every answer will do that is an error or a success; false as above. */
bool try_image(const void *image)
{
	int result = set_nested(image);
	int error = result ? errno : 0;

	note(error);
	EXPECT(!error || error == EINVAL || error == EFAULT || error == ENOMEM || error == E2BIG,
	       "KVM_SET_NESTED_STATE: %s", strerror(error));
	if (error)
		refused++;
	else
		accepted++;
	return run_and_note();
}
