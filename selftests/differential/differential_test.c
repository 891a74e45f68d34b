// SPDX-License-Identifier: GPL-2.0
/*
 * The differential test's programs: what L1, L2 and user space see, step by step,
 * as a transcript that must be the same under stock and fast.
 *
 *   differential_test --seeds A-B       a line with a digest for each seed
 *   differential_test --full SEED       the whole transcript of one; after
 *                                       --verbose L1 logs each shadowed field
 *   differential_test --print SEED      the program that the seed makes
 *   differential_test --program FILE [--steps LIST]    run a file's program, whole
 *                                       transcript; only steps of LIST: 0,3-5,9
 *   differential_test --favour SCENE ...    one of generator.c makes half of each program
 *
 * Each program runs in a process and a VM of its own.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include "kvm_util.h"
#include "processor.h"
#include "vmx.h"
#include "evmcs.h"

#include "differential/generator.h"
#include "differential/image.h"
#include "differential/layout.h"
#include "differential/memory.h"
#include "differential/run.h"
#include "differential/state.h"
#include "differential/transcript.h"
#include "differential/user.h"

static bool use_evmcs;
static bool mark;
static bool verbose;

static void create_vm(void)
{
	uint64_t *table;
	unsigned int i;

	vm = image_vm();
	vm_complete(vm);
	vcpu = vm_vcpu_add(vm, 0, l1_code);
	image_handlers(vm, on_exception);
	vcpu_init_descriptor_tables(vcpu);

	pages = mmap(NULL, PAGES * PAGE_BYTES + 0x10000, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	TEST_ASSERT(pages != MAP_FAILED, "mmap: %s", strerror(errno));
	virt_pg_map(vm, PAGE_GPA(PAGE_NONE), PAGE_GPA(PAGE_NONE));
	table = page_table(vm, PAGES_GPA);
	for (i = 0; i < PAGES; i++) {
		TEST_ASSERT(!slot_set(i, true), "memslot %u: %s", i, strerror(errno));
		page_map(table, PAGE_GPA(i));
		page_map(table, PAGE_GPA(i) + MOVED);
	}
	smram_set();
	memcpy((uint8_t *)page_memory(PAGES) + 0x8000, "\x0f\xaa", 2);	/* RSM */
	vcpu_set_msr(vcpu, MSR_IA32_SMBASE, SMRAM_GPA);

	mail = addr_gva2hva(vm, (vm_vaddr_t)&box);
	mail->mark = mark;
	mail->verbose = verbose;
	if (use_evmcs) {
		vcpu_set_hv_cpuid(vcpu);
		vcpu_enable_evmcs(vcpu);
		mail->has_evmcs = 1;
		*(bool *)addr_gva2hva(vm, (vm_vaddr_t)&enable_evmcs) = true;
	}
}

static void run_step(unsigned int number, const struct step *step)
{
	uint64_t before = digest;

	if (full) {
		printf("step %u: ", number);
		step_print(stdout, step);
		printf("\n");
	}
	switch (step->party) {
	case PARTY_L1:
		l1_step(step);
		break;
	case PARTY_L2:
		l2_step(step);
		break;
	default:
		user_step(step);
		break;
	}
	if (full && digest != before)
		printf("  = %016lx\n", digest);
}

#define END_PARTS 5

static uint16_t after_step[MAX_STEPS + END_PARTS];	/* the digest's low bits */

/*
 * What is the same at the end must have been the same on the way.  Returns how many
 * parts were recorded; the digest after each is written to after.
 */
static unsigned int record_all(uint16_t *after)
{
	unsigned int i;

	if (full)
		printf("end:\n");
	if (stuck)
		return 0;
	user_regs();
	after[0] = digest;
	record_result("nested", nested_read());
	after[1] = digest;
	user_statistics();
	after[2] = digest;
	for (i = 0; i < PAGES; i++)
		record_bytes("page", page_memory(i), PAGE_BYTES);
	after[3] = digest;
	for (i = 0; i < PAGES; i++)
		if (slot_is_logged(i))
			user_dirty_log(i);
	after[4] = digest;
	return END_PARTS;
}

/* kvm-intel-fast's own verdict; without it there is no such file. */
static void check_verify(void)
{
	unsigned long long value;
	char path[128], line[128], name[96];
	FILE *stream;

	snprintf(path, sizeof(path), "/sys/kernel/debug/kvm/%d-%d/kvm_intel_fast",
		 getpid(), vm->fd);
	stream = fopen(path, "r");
	if (!stream)
		return;
	while (fgets(line, sizeof(line), stream))
		if (strstr(line, "verify_mismatches") &&
		    sscanf(line, "%95s %llu", name, &value) == 2 && value)
			printf("mismatch %s %llu\n", name, value);
	fclose(stream);
}

static unsigned int end_parts;

static unsigned int run_program(const struct program *program)
{
	unsigned int i;

	create_vm();
	run_guests();
	for (i = 0; i < program->count && !ended; i++) {
		run_step(i, &program->step[i]);
		after_step[i] = digest;
	}
	end_parts = record_all(after_step + i);
	check_verify();
	return i;
}

static void in_child(const struct program *program, const char *title)
{
	unsigned int steps, i;
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		steps = run_program(program);
		printf("%s steps %u digest %016lx after", title, steps, digest);
		for (i = 0; i < steps + end_parts; i++)
			printf(" %04x", after_step[i]);
		printf("\n");
		fflush(stdout);
		_exit(0);
	}
	TEST_ASSERT(pid > 0 && waitpid(pid, &status, 0) == pid, "fork: %s", strerror(errno));
	if (status)
		printf("%s crashed, status %#x\n", title, status);
}

static void write_word(const char *path, const char *word)
{
	FILE *file = fopen(path, "w");

	if (file) {
		fputs(word, file);
		fclose(file);
	}
}

static void prepare_host(void)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct utsname name;

	write_word("/sys/kernel/mm/transparent_hugepage/enabled", "madvise");
	write_word("/sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs",
		   "1000000");
	mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	sigaction(SIGALRM, &action, NULL);
	if (!uname(&name) && strstr(name.release, "debug"))
		slowness = 20;
	user_cpu(0);
	kvm_get_supported_cpuid();
	image_read();
}

/* Keep only the steps that LIST names: 0,3-5. */
static void keep_steps(struct program *program, const char *list)
{
	unsigned int first, last, i, count = 0;
	struct program all = *program;
	int length;

	while (sscanf(list, "%u%n", &first, &length) == 1) {
		list += length;
		last = first;
		if (sscanf(list, "-%u%n", &last, &length) == 1)
			list += length;
		for (i = first; i <= last && i < all.count; i++)
			program->step[count++] = all.step[i];
		list += *list == ',';
	}
	program->count = count;
}

static void run_seeds(const char *range, bool whole)
{
	unsigned long first, last, seed;
	static struct program program;
	char title[64];

	if (sscanf(range, "%lu-%lu", &first, &last) != 2)
		first = last = strtoul(range, NULL, 0);
	full = whole;
	for (seed = first; seed <= last; seed++) {
		generate(&program, seed);
		use_evmcs = seed % 8 == 7;
		snprintf(title, sizeof(title), "seed %lu", seed);
		in_child(&program, title);
	}
}

static void print_program(const char *seed)
{
	static struct program program;
	unsigned int i;

	generate(&program, strtoul(seed, NULL, 0));
	for (i = 0; i < program.count; i++) {
		step_print(stdout, &program.step[i]);
		printf("\n");
	}
}

static void run_file(const char *path, const char *steps)
{
	static struct program program;
	int wrong = program_read(path, &program);

	TEST_ASSERT(!wrong, "%s: line %d is no step", path, wrong);
	if (steps)
		keep_steps(&program, steps);
	full = true;
	in_child(&program, "program");
}

int main(int argc, char **argv)
{
	static const struct program nothing;
	bool marked = false;
	int i = 1;

	if (i + 1 < argc && !strcmp(argv[i], "--favour")) {
		TEST_ASSERT(favour(argv[i + 1]), "no scene %s in generator.c", argv[i + 1]);
		i += 2;
	}
	if (i < argc && !strcmp(argv[i], "--mark")) {
		marked = mark = true;
		i++;
	}
	if (i < argc && !strcmp(argv[i], "--verbose")) {
		verbose = true;
		i++;
	}
	if (i < argc && !strcmp(argv[i], "--evmcs")) {
		use_evmcs = true;
		i++;
	}
	TEST_ASSERT(i + 1 < argc, "see the head of differential_test.c");
	prepare_host();
	if (mark)
		in_child(&nothing, "mark");
	mark = false;
	if (!strcmp(argv[i], "--seeds"))
		run_seeds(argv[i + 1], false);
	else if (!strcmp(argv[i], "--full"))
		run_seeds(argv[i + 1], true);
	else if (!strcmp(argv[i], "--print"))
		print_program(argv[i + 1]);
	else
		run_file(argv[i + 1], i + 3 < argc ? argv[i + 3] : NULL);
	mark = marked;
	if (mark)
		in_child(&nothing, "mark");
	return 0;
}
