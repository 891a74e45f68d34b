// SPDX-License-Identifier: GPL-2.0
/*
 * Bad input from user space ends in an error or an exit: never in a splat of the
 * host, and nothing stays behind.  Runs under stock and under kvm-intel-fast;
 * the lines "# verdicts" must be the same in both.
 *
 * The input: images for KVM_SET_NESTED_STATE, each a valid one with some of it
 * spoilt, and the counter file in debugfs, read in every way while VMs come
 * and go.  Everything random comes from a fixed seed.
 *
 * Guest memory is a memfd.  It can be sealed against writing only when nobody
 * holds a page of it: so a page that the module kept is found, exactly.
 */
#include <glob.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "kvm_util.h"
#include "processor.h"
#include "vmx.h"

#include "lib/cases.h"
#include "lib/vm.h"

#define IMAGES		300	/* spoilt ones */
#define IMAGES_PER_VM	100
#define RUNS		5	/* KVM_RUNs of each image at most */
#define PATIENCE_US	200000	/* of a KVM_RUN that does not come back */
#define COMING_AND_GOING	8
#define LEAK_ROUNDS	12	/* VMs, by which one leaked page each shows */
#define EXTRA_PAGES	32	/* for L1's EPT tables */
#define L2_STACK	64
#define COUNTER_FILES	"/sys/kernel/debug/kvm/*/kvm_intel_fast"

/* ---------------------------------------------------------------- guest -- */

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

/* ------------------------------------------------------- one VM, and back -- */

static struct vmx_pages *vmx_pages;
static int memory_fd;
static void *memory, *memory_when_paused;
static size_t memory_size;
static struct kvm_x86_state *paused;	/* L2 is active */
static uint64_t verdicts, accepted, refused, stuck;

static uint64_t random_number(void)
{
	static uint64_t state = 0x6b766d;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state * 0x2545f4914f6cdd1d;
}

static uint64_t below(uint64_t limit)
{
	return (random_number() >> 11) % limit;
}

static bool one_in(uint64_t n)
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

static void expect_sync(uint64_t who)
{
	struct ucall uc;

	vcpu_run(vcpu);
	TEST_ASSERT(get_ucall(vcpu, &uc) == UCALL_SYNC && uc.args[1] == who,
		    "guest stopped elsewhere than at %lu: exit %u", who, vcpu->run->exit_reason);
}

static void create_vm(bool with_ept)
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
static void destroy_vm(void)
{
	kvm_vm_free(vm);
	kvm_x86_state_cleanup(paused);
	free(memory_when_paused);
	EXPECT(!fcntl(memory_fd, F_ADD_SEALS, F_SEAL_WRITE),
	       "guest memory is still held: %s", strerror(errno));
	close(memory_fd);
}

static int set_nested(const void *image)
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
static void rewind_vm(void)
{
	uint32_t size = paused->nested.size;

	leave_nested();
	copy_memory(memory, memory_when_paused);
	paused->nested.size = 0;
	vcpu_load_state(vcpu, paused);
	paused->nested.size = size;
}

/* ------------------------------------------------------------- verdicts -- */

static void note(uint64_t value)
{
	verdicts = (verdicts ^ value) * 0x100000001b3;
}

static void begin_verdicts(void)
{
	verdicts = 0xcbf29ce484222325;
	accepted = 0;
	refused = 0;
	stuck = 0;
}

static void print_verdicts(const char *name)
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
static bool try_image(const void *image)
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

/* ------------------------------------------------------ hostile images -- */

#define IMAGE_SIZE	(sizeof(struct kvm_nested_state) + 2 * KVM_STATE_NESTED_VMX_VMCS_SIZE)

static union {
	struct kvm_nested_state state;
	uint8_t bytes[IMAGE_SIZE];
} image;

static uint8_t *vmcs12 = image.bytes + sizeof(struct kvm_nested_state);
static uint8_t *shadow_vmcs12 = image.bytes + sizeof(struct kvm_nested_state) +
				KVM_STATE_NESTED_VMX_VMCS_SIZE;

/* Offsets in KVM's vmcs12, which are part of its user-space interface. */
enum {
	LINK_POINTER = 176, EPTP = 120,
	FIELDS_BEGIN = 40, FIELDS_END = 1000,
	PIN_CONTROLS = 744, CPU_CONTROLS = 748, EXIT_CONTROLS = 768, ENTRY_CONTROLS = 780,
	SECONDARY_CONTROLS = 804,
};

static const uint16_t pointers[] = {
	40, 48 /* I/O bitmaps */, 56 /* MSR bitmap */, 64, 72, 80 /* MSR lists */,
	96 /* virtual-APIC page */, 104 /* APIC access */, 112 /* posted interrupts */,
	LINK_POINTER, 280, 288 /* VMREAD and VMWRITE bitmaps */, 304 /* EPTP list */,
	312 /* PML */,
};

static const uint16_t controls[] = {
	PIN_CONTROLS, CPU_CONTROLS, EXIT_CONTROLS, ENTRY_CONTROLS, SECONDARY_CONTROLS,
};

/* Control bits that make KVM look at a pointer. */
static const struct {
	uint16_t offset;
	uint8_t bit;
} pointer_users[] = {
	{ CPU_CONTROLS, 21 }, { CPU_CONTROLS, 25 }, { CPU_CONTROLS, 28 }, { PIN_CONTROLS, 7 },
	{ SECONDARY_CONTROLS, 0 }, { SECONDARY_CONTROLS, 4 }, { SECONDARY_CONTROLS, 8 },
	{ SECONDARY_CONTROLS, 9 }, { SECONDARY_CONTROLS, 13 }, { SECONDARY_CONTROLS, 14 },
	{ SECONDARY_CONTROLS, 17 }, { CPU_CONTROLS, 31 }, { EXIT_CONTROLS, 15 },
};

/*
 * Where L1's VMX pages are, and beyond; guest code lies below, and the emulator
 * cannot fetch an instruction from a virtual-APIC page.
 */
static uint64_t address_in_memory(void)
{
	return vmx_pages->vmxon_gpa + below(memory_size - vmx_pages->vmxon_gpa);
}

static uint64_t hostile_address(void)
{
	const uint64_t choices[] = {
		0, 1, 0xfff, 0x1000, memory_size - 0x1000, memory_size, memory_size + 0x1000,
		1ull << 36, (1ull << 52) - 0x1000, 1ull << 63, -1ull, -0x1000ull, 0xfee00000,
		vm->pgd, vmx_pages->vmcs_gpa, vmx_pages->vmxon_gpa, vmx_pages->msr_gpa,
		address_in_memory(), address_in_memory() & ~0xfffull,
		address_in_memory() & ~0xfffull, random_number() | 1,
	};

	return choices[below(ARRAY_SIZE(choices))];
}

static void flip(uint16_t offset, uint8_t bit)
{
	vmcs12[offset + bit / 8] ^= 1 << bit % 8;
}

static void spoil_vmcs12(void)
{
	static const uint64_t values[] = { 0, 1, -1, 1ull << 31, 1ull << 63, 0x7fffffff };
	uint64_t value;
	uint16_t offset;
	unsigned int i;

	for (i = below(4); i; i--) {
		value = hostile_address();
		memcpy(vmcs12 + pointers[below(ARRAY_SIZE(pointers))], &value, 8);
	}
	for (i = below(4); i; i--) {
		unsigned int n = below(ARRAY_SIZE(pointer_users));

		flip(pointer_users[n].offset, pointer_users[n].bit);
	}
	if (one_in(4))
		flip(controls[below(ARRAY_SIZE(controls))], below(32));
	if (one_in(3)) {
		/*
		 * Not the EPT pointer: an address outside guest memory trips a
		 * warning in stock KVM 6.1 itself.
		 */
		do {
			offset = FIELDS_BEGIN + 2 * below((FIELDS_END - FIELDS_BEGIN) / 2 - 4);
		} while (offset > EPTP - 8 && offset < EPTP + 8);
		value = one_in(2) ? random_number() : values[below(ARRAY_SIZE(values))];
		memcpy(vmcs12 + offset, &value, 2 << below(3));
	}
}

static void spoil_header(void)
{
	switch (below(8)) {
	case 0:
		image.state.flags ^= 1 << below(16);
		break;
	case 1:
		image.state.format = below(3);
		break;
	case 2:
		image.state.size = below(2) ? below(IMAGE_SIZE + 8) : random_number();
		break;
	case 3:
		image.state.hdr.vmx.vmxon_pa = hostile_address();
		break;
	case 4:
		image.state.hdr.vmx.vmcs12_pa = hostile_address();
		break;
	case 5:
		image.state.hdr.vmx.smm.flags = below(8);
		break;
	case 6:
		image.state.hdr.vmx.flags = random_number();
		break;
	case 7:
		image.state.hdr.vmx.preemption_timer_deadline = random_number();
		image.state.hdr.vmx.flags = KVM_STATE_VMX_PREEMPTION_TIMER_DEADLINE;
		break;
	}
}

/* A shadow vmcs12 that claims to be one, or nearly. */
static void add_shadow_vmcs12(void)
{
	uint64_t link = below(2) ? vmx_pages->shadow_vmcs_gpa : hostile_address();
	uint32_t revision;
	unsigned int i;

	memcpy(&revision, vmcs12, sizeof(revision));
	revision |= 1u << 31;
	for (i = 0; i < KVM_STATE_NESTED_VMX_VMCS_SIZE; i++)
		shadow_vmcs12[i] = random_number() >> 56;
	if (!one_in(4))
		memcpy(shadow_vmcs12, &revision, sizeof(revision));
	memcpy(vmcs12 + LINK_POINTER, &link, sizeof(link));
	flip(SECONDARY_CONTROLS, 14);
	image.state.size = IMAGE_SIZE;
}

static void valid_image(void)
{
	memset(&image, 0, sizeof(image));
	memcpy(&image, &paused->nested, paused->nested.size);
}

static void spoilt_image(void)
{
	valid_image();
	if (one_in(4))
		spoil_header();
	if (one_in(8))
		add_shadow_vmcs12();
	if (one_in(32)) {
		unsigned int i;

		for (i = below(8); i < KVM_STATE_NESTED_VMX_VMCS_SIZE; i++)
			vmcs12[i] = random_number() >> 56;
	} else {
		spoil_vmcs12();
	}
}

/* ---------------------------------------------------------------- cases -- */

static void valid_image_is_accepted(void)
{
	create_vm(false);
	begin_verdicts();
	ksft_print_msg("%zu KiB of guest memory\n", memory_size / 1024);
	rewind_vm();
	valid_image();
	EXPECT(try_image(&image), "the VM is dead");
	EXPECT(accepted == 1 && !stuck, "refused, or it ran on");
	print_verdicts("valid");
	destroy_vm();
}

static void header_of_the_image(void)
{
	struct kvm_nested_state *state = &image.state;
	uint64_t pa;
	unsigned int i;

	create_vm(false);
	begin_verdicts();
	for (i = 0; i < sizeof(image.state) + 8; i += 4) {
		rewind_vm();
		valid_image();
		state->size = i;
		try_image(state);
	}
	for (i = 0; i < 16; i++) {
		rewind_vm();
		valid_image();
		state->flags ^= 1 << i;
		try_image(state);
	}
	for (i = 0; i < 64; i++) {
		rewind_vm();
		valid_image();
		pa = i & 1 ? hostile_address() : state->hdr.vmx.vmxon_pa;
		state->hdr.vmx.vmxon_pa = pa;
		state->hdr.vmx.vmcs12_pa = i & 2 ? hostile_address() : pa;
		try_image(state);
	}
	EXPECT(refused > 60, "%lu refused only", refused);
	print_verdicts("headers");

	/* Not memory at all, or too little of it. */
	EXPECT(set_nested(NULL) && errno == EFAULT, "%s", strerror(errno));
	EXPECT(set_nested((void *)-4096ul) && errno == EFAULT, "%s", strerror(errno));
	destroy_vm();
}

static void contents_of_the_image(void)
{
	unsigned int i;
	bool alive = false;

	begin_verdicts();
	for (i = 0; i < IMAGES; i++) {
		if (i % IMAGES_PER_VM == 0 || !alive) {
			if (i)
				destroy_vm();
			create_vm(i / IMAGES_PER_VM & 1);
		}
		rewind_vm();
		spoilt_image();
		alive = try_image(&image);
	}
	destroy_vm();
	EXPECT(accepted > IMAGES / 10 && refused > IMAGES / 10,
	       "accepted %lu, refused %lu: the images are too tame or too wild", accepted, refused);
	print_verdicts("contents");
}

/* The counter file of our VM, or -1 under stock. */
static int open_counters(int flags)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/sys/kernel/debug/kvm/%d-%d/kvm_intel_fast",
		 getpid(), vm->fd);
	fd = open(path, flags | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		skip_reason = "stock has no counter file";
	return fd;
}

static void counter_file(void)
{
	char whole[4096], part[4096];
	ssize_t size, n, at;
	int fd;

	create_vm(false);
	fd = open_counters(O_RDONLY);
	if (fd < 0)
		goto out;
	size = read(fd, whole, sizeof(whole));
	EXPECT(size > 0 && whole[size - 1] == '\n', "read: %ld", size);
	EXPECT(!read(fd, part, sizeof(part)), "read at the end");
	EXPECT(!lseek(fd, 0, SEEK_SET), "seek: %s", strerror(errno));
	for (at = 0; (n = read(fd, part + at, 1)) == 1; at++)
		;
	EXPECT(at == size && !memcmp(whole, part, size), "byte by byte: %ld of %ld", at, size);
	for (at = 1; at < size; at += 7) {
		n = pread(fd, part, 5, at);
		EXPECT(n > 0 && !memcmp(whole + at, part, n), "pread at %ld: %ld", at, n);
	}
	EXPECT(pread(fd, part, 1, 1 << 20) == 0, "pread far beyond the end");
	EXPECT(pread(fd, part, 1, -1) == -1 && errno == EINVAL, "pread at -1");
	EXPECT(read(fd, (void *)-4096ul, 64) == -1 && errno == EFAULT, "read to nowhere");
	EXPECT(ioctl(fd, KVM_RUN, 0) == -1, "ioctl");
	EXPECT(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED, "mmap");
	close(fd);
	fd = open_counters(O_RDWR);
	if (fd >= 0) {
		EXPECT(write(fd, "0", 1) == -1, "written");
		close(fd);
	}
out:
	destroy_vm();
}

static int references(void)
{
	FILE *stream = fopen("/sys/module/kvm_intel/refcnt", "r");
	int count = -1;

	if (stream) {
		if (fscanf(stream, "%d", &count) != 1)
			count = -1;
		fclose(stream);
	}
	return count;
}

static void counter_file_outlives_its_vm(void)
{
	char text[64];
	ssize_t n;
	int fd;

	create_vm(false);
	fd = open_counters(O_RDONLY);
	if (fd < 0) {
		destroy_vm();
		return;
	}
	EXPECT(read(fd, text, 10) == 10, "read");
	destroy_vm();
	n = read(fd, text, sizeof(text));
	EXPECT(n <= 0, "read %ld bytes of a VM that is gone", n);
	EXPECT(pread(fd, text, sizeof(text), 0) <= 0, "and again");
	EXPECT(syscall(SYS_delete_module, "kvm_intel", O_NONBLOCK) && errno == EWOULDBLOCK,
	       "rmmod while the file is open: %s", strerror(errno));
	EXPECT(references() == 1, "%d references", references());
	close(fd);
	EXPECT(!references(), "%d references", references());
}

static bool stop_reading;
static unsigned long files_read;

static void read_in_parts(const char *path)
{
	int fd = open(path, O_RDONLY);
	char text[100];
	int i;

	if (fd < 0)
		return;
	for (i = 0; i < 4; i++) {
		if (read(fd, text, 1 + 33 * i) < 0)
			break;
		files_read++;
	}
	lseek(fd, 3, SEEK_SET);
	if (read(fd, text, sizeof(text)) < 0 && errno != EIO && errno != ENODEV)
		files_read = 0;
	close(fd);
}

static void *reader(void *unused)
{
	glob_t found;
	size_t i;

	while (!__atomic_load_n(&stop_reading, __ATOMIC_RELAXED)) {
		if (!glob(COUNTER_FILES, 0, NULL, &found)) {
			for (i = 0; i < found.gl_pathc; i++)
				read_in_parts(found.gl_pathv[i]);
			globfree(&found);
		}
		sched_yield();
	}
	return NULL;
}

static void counter_file_while_vms_come_and_go(void)
{
	struct kvm_vm *other;
	pthread_t thread;
	int i;

	create_vm(false);
	close(open_counters(O_RDONLY));
	destroy_vm();
	if (skip_reason)
		return;
	stop_reading = false;
	files_read = 0;
	pthread_create(&thread, NULL, reader, NULL);
	for (i = 0; i < COMING_AND_GOING; i++) {
		create_vm(false);
		other = vm_create_barebones();
		__vm_vcpu_add(other, 0);
		__vm_vcpu_add(other, 7);
		expect_sync(1);
		kvm_vm_free(other);
		destroy_vm();
	}
	__atomic_store_n(&stop_reading, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	EXPECT(files_read > COMING_AND_GOING, "%lu reads succeeded", files_read);
	ksft_print_msg("%lu reads\n", files_read);
}

/* ---------------------------------------------------------------- leaks -- */

/* Free memory, in pages: also that which waits in each CPU's lists. */
static long free_pages(void)
{
	FILE *stream = fopen("/proc/zoneinfo", "r");
	char line[256];
	long count, sum = 0;

	while (stream && fgets(line, sizeof(line), stream))
		if (sscanf(line, " pages free %ld", &count) == 1 ||
		    sscanf(line, " count: %ld", &count) == 1)
			sum += count;
	if (stream)
		fclose(stream);
	return sum;
}

/* Objects in use, of KVM's caches and of kmalloc; 0 where there is no slabinfo. */
static long slab_objects(void)
{
	FILE *stream = fopen("/proc/slabinfo", "r");
	char line[256], name[64];
	long count, sum = 0;

	while (stream && fgets(line, sizeof(line), stream))
		if (sscanf(line, "%63s %ld", name, &count) == 2 &&
		    (!strncmp(name, "kvm", 3) || !strncmp(name, "kmalloc", 7)))
			sum += count;
	if (stream)
		fclose(stream);
	return sum;
}

/* A VM in each state that it can be destroyed in, with pages of L1 in use. */
static void live_and_die(unsigned int round)
{
	int fd;

	create_vm(round & 1);
	fd = open_counters(O_RDONLY);
	if (fd >= 0)
		close(fd);
	if (round % 3) {
		rewind_vm();
		valid_image();
		if (round % 3 == 2)
			spoil_vmcs12();
		try_image(&image);
	}
	destroy_vm();
}

/* In a process of its own: the library keeps some memory for each VM. */
static void live_and_die_often(void)
{
	unsigned int i;
	int status = -1;
	pid_t child;

	child = fork();
	TEST_ASSERT(child >= 0, "fork: %s", strerror(errno));
	if (!child) {
		for (i = 0; i < LEAK_ROUNDS; i++)
			live_and_die(i);
		_exit(case_failed);
	}
	waitpid(child, &status, 0);
	EXPECT(!status, "wait status %#x", status);
	usleep(300000);		/* what is freed late */
}

static void kmemleak_finds_nothing(void)
{
	static const char *path = "/sys/kernel/debug/kmemleak";
	char text[512];
	ssize_t n;
	int fd = open(path, O_RDWR);

	if (fd < 0)
		return;
	sleep(6);		/* younger objects are not reported */
	EXPECT(write(fd, "scan", 4) == 4, "kmemleak: %s", strerror(errno));
	EXPECT(write(fd, "scan", 4) == 4, "kmemleak: %s", strerror(errno));
	n = read(fd, text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = 0;
	EXPECT(!n, "kmemleak: %s", text);
	close(fd);
}

static void nothing_is_leaked(void)
{
	long free_before, objects_before, lost, objects;

	live_and_die_often();
	free_before = free_pages();
	objects_before = slab_objects();
	live_and_die_often();
	lost = free_before - free_pages();
	objects = slab_objects() - objects_before;
	skip_reason = NULL;
	ksft_print_msg("%d VMs: %ld pages and %ld slab objects less\n",
		       LEAK_ROUNDS, lost, objects);
	EXPECT(free_before && lost < LEAK_ROUNDS, "%ld pages", lost);
	EXPECT(objects < LEAK_ROUNDS / 2, "%ld objects", objects);
	EXPECT(!references(), "%d references to kvm_intel", references());
	kmemleak_finds_nothing();
}

static const struct test_case cases[] = {
	CASE(valid_image_is_accepted),
	CASE(header_of_the_image),
	CASE(contents_of_the_image),
	CASE(counter_file),
	CASE(counter_file_outlives_its_vm),
	CASE(counter_file_while_vms_come_and_go),
	CASE(nothing_is_leaked),
};

int main(int argc, char **argv)
{
	begin_test();
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_NESTED_STATE));
	run_cases(cases, ARRAY_SIZE(cases), argv + 1);
	ksft_finished();
}
