// SPDX-License-Identifier: GPL-2.0
/*
 * soak_guest: a VMM for L1, and its guest, an L2 with two vCPUs that checks itself for ever.
 *
 * Each iteration of a vCPU: leaves of CPUID, MSRs and vector registers are what they were;
 * so are a page of its own and a page of those that are all alike, which the host may
 * merge; each is then changed and looked at; the TSC went forward; a timer interrupts
 * once, and not before its time, now while L2 waits in HLT and now while it computes; the
 * other vCPU answers an interrupt.
 *
 * L1's KVM reads its clock and then the TSC to start the hrtimer of a timer of L2 in HLT.  When
 * L0 lets L1 wait in between, the timer comes early by that time, under any kvm_intel of L0.  So
 * an early timer of LONG is said ("early") and let pass, but no more than FEW of them in SELDOM
 * iterations of a vCPU; each other early timer is wrong.
 *
 * Prints "alive VCPU COUNT" at each BEAT iterations of a vCPU, so the counts have no gap.
 * What was wrong is said once, in a line that begins with "wrong"; then the program ends.
 */
#include <pthread.h>
#include <stdio.h>

#include "kvm_util.h"
#include "processor.h"
#include "apic.h"

#define VCPUS		2
#define BEAT		16
#define FEW		5
#define SELDOM		1000
#define PAGES		24		/* of each kind, for each vCPU */
#define WORDS		512		/* of a page */
#define ALIKE		0x5a5a5a5a5a5a5a5aul
#define TIMER		0x52
#define ASK		0x53
#define ANSWER		0x54
#define TSC_DEADLINE	(2 << 17)	/* mode of the timer in the local APIC */
#define ICR_FIXED	0x4000ul	/* level: assert */
#define LVTT		0x320
#define DEADLINE	0x6e0
#define SHORT		3000		/* ticks, for which L2 computes or is in HLT */
#define LONG		150000		/* in HLT: the host has other things to do */

enum { ALIVE, EARLY, WRONG };

/* What can be wrong; the first two are followed by the leaf or the MSR. */
enum { CPUID_LEAF, MSR, VECTOR_REGISTER, OWN_PAGE, PAGE_ALIKE, TSC, TIMER_EARLY, TIMERS, ANSWERS };

static const char *const things[] = {
	"a leaf of CPUID", "an MSR", "a vector register", "a page of the vCPU's own",
	"a page that is like others", "the TSC", "a timer's time", "the count of timers",
	"the count of answers",
};

static const uint32_t leaves[] = {
	0, 1, 2, 4, 6, 7, 0xa, 0xb, 0xd, 0x15, 0x40000000, 0x40000001, 0x80000000, 0x80000001,
	0x80000007, 0x80000008,
};

static const uint32_t msrs[] = {
	MSR_LSTAR, MSR_KERNEL_GS_BASE, MSR_IA32_SYSENTER_EIP, MSR_IA32_SYSENTER_ESP, MSR_STAR,
};

static struct vcpu_data {
	volatile uint64_t timers, asked, answered;	/* interrupts */
	volatile uint64_t interrupt_time;
	unsigned int early;		/* timers of LONG that were, of SELDOM iterations */
	uint32_t cpuid[ARRAY_SIZE(leaves)][4];
	uint64_t generation[PAGES];
} data[VCPUS];

static uint64_t own[VCPUS][PAGES][WORDS] __aligned(4096);
static uint64_t alike[VCPUS][PAGES][WORDS] __aligned(4096);

/* L2 */

static unsigned int self(void)
{
	return x2apic_read_reg(APIC_ID) & (VCPUS - 1);
}

static void on_timer(struct ex_regs *regs)
{
	struct vcpu_data *vcpu = &data[self()];

	vcpu->interrupt_time = rdtsc();
	vcpu->timers++;
	x2apic_write_reg(APIC_EOI, 0);
}

static void send(unsigned int to, unsigned int vector)
{
	wrmsr(APIC_BASE_MSR + (APIC_ICR >> 4), (uint64_t)to << 32 | ICR_FIXED | vector);
}

static void on_ask(struct ex_regs *regs)
{
	unsigned int id = self();

	data[id].asked++;
	x2apic_write_reg(APIC_EOI, 0);
	send(!id, ANSWER);
}

static void on_answer(struct ex_regs *regs)
{
	data[self()].answered++;
	x2apic_write_reg(APIC_EOI, 0);
}

static void expect(unsigned int id, unsigned int thing, uint64_t which, uint64_t found,
		   uint64_t expected)
{
	if (found != expected)
		GUEST_SYNC_ARGS(WRONG, thing, which, found, expected);
}

static void check_cpuid(unsigned int id, uint64_t n)
{
	unsigned int i = n % ARRAY_SIZE(leaves), part;
	uint32_t found[4];

	__cpuid(leaves[i], 0, &found[0], &found[1], &found[2], &found[3]);
	for (part = 0; part < 4; part++)
		expect(id, CPUID_LEAF, leaves[i], found[part], data[id].cpuid[i][part]);
}

static uint64_t msr_value(unsigned int id, unsigned int i)
{
	return 0x7f0010000000ul + id * 0x1000 + i * 0x10;
}

static void check_msrs(unsigned int id, uint64_t n)
{
	unsigned int i = n % ARRAY_SIZE(msrs);

	expect(id, MSR, msrs[i], rdmsr(msrs[i]), msr_value(id, i));
}

static uint64_t own_word(unsigned int id, unsigned int page, unsigned int word)
{
	return (data[id].generation[page] << 32 | id << 28 | page << 16 | word) * 0x9e3779b97f4a7c15ul;
}

static void fill(unsigned int id, unsigned int page)
{
	unsigned int word;

	for (word = 0; word < WORDS; word++)
		own[id][page][word] = own_word(id, page, word);
}

static void check_memory(unsigned int id, uint64_t n)
{
	unsigned int page = n * 7 % PAGES, word;

	for (word = 0; word < WORDS; word++) {
		expect(id, OWN_PAGE, page << 16 | word, own[id][page][word], own_word(id, page, word));
		expect(id, PAGE_ALIKE, page << 16 | word, alike[id][page][word], ALIKE);
	}
	data[id].generation[page]++;
	fill(id, page);
	alike[id][page][n % WORDS] = n;
	expect(id, PAGE_ALIKE, page << 16 | n % WORDS, alike[id][page][n % WORDS], n);
	alike[id][page][n % WORDS] = ALIKE;
}

/* Wait until an interrupt has counted *@count up to @wanted; in HLT, or computing. */
static void await(volatile uint64_t *count, uint64_t wanted, bool halt)
{
	while (*count < wanted) {
		if (halt)
			asm volatile("sti; hlt; cli" : : : "memory");
		else
			asm volatile("sti; pause; cli" : : : "memory");
	}
}

static void check_timer(unsigned int id, uint64_t n)
{
	uint64_t wanted = data[id].timers + 1, deadline = rdtsc() + (n & 1 ? SHORT : LONG);

	wrmsr(DEADLINE, deadline);
	await(&data[id].timers, wanted, n % 4 != 1);
	expect(id, TIMERS, 0, data[id].timers, wanted);
	if (data[id].interrupt_time >= deadline)
		return;
	if (n & 1 || ++data[id].early > FEW)
		expect(id, TIMER_EARLY, 0, data[id].interrupt_time, deadline);
	GUEST_SYNC_ARGS(EARLY, deadline - data[id].interrupt_time, 0, 0, 0);
}

static void check_interrupts(unsigned int id, uint64_t n)
{
	uint64_t wanted = data[id].answered + 1;

	send(!id, ASK);
	await(&data[id].answered, wanted, n & 1);
	expect(id, ANSWERS, 0, data[id].answered, wanted);
}

static void check_vector_register(unsigned int id, uint64_t n)
{
	uint64_t found, before = n * 0x9e3779b97f4a7c15ul + id;
	uint32_t a, b, c, d;

	asm volatile("movq %0, %%xmm7" : : "r"(before) : "xmm7");
	__cpuid(0, 0, &a, &b, &c, &d);
	asm volatile("movq %%xmm7, %0" : "=r"(found));
	expect(id, VECTOR_REGISTER, 0, found, before);
}

static void start(unsigned int id)
{
	unsigned int i;

	x2apic_enable();
	x2apic_write_reg(LVTT, TSC_DEADLINE | TIMER);
	for (i = 0; i < ARRAY_SIZE(leaves); i++)
		__cpuid(leaves[i], 0, &data[id].cpuid[i][0], &data[id].cpuid[i][1],
			&data[id].cpuid[i][2], &data[id].cpuid[i][3]);
	for (i = 0; i < ARRAY_SIZE(msrs); i++)
		wrmsr(msrs[i], msr_value(id, i));
	for (i = 0; i < PAGES; i++) {
		fill(id, i);
		memset(alike[id][i], ALIKE & 0xff, sizeof(alike[id][i]));
	}
	/* Only now are interrupts of the other one for us. */
	GUEST_SYNC_ARGS(ALIVE, 0, 0, 0, 0);
}

static void l2_guest_code(unsigned int id)
{
	uint64_t n, now, last = rdtsc();

	start(id);
	for (n = 1;; n++) {
		check_cpuid(id, n);
		check_msrs(id, n);
		check_vector_register(id, n);
		check_memory(id, n);
		check_timer(id, n);
		check_interrupts(id, n);
		now = rdtsc();
		if (now <= last)
			expect(id, TSC, 0, now, last + 1);
		last = now;
		if (n % SELDOM == 0)
			data[id].early = 0;
		if (n % BEAT == 0)
			GUEST_SYNC_ARGS(ALIVE, n / BEAT, 0, 0, 0);
	}
}

/* The VMM */

static pthread_barrier_t all_started;

static void report(unsigned int id, struct ucall *uc)
{
	switch (uc->args[1]) {
	case ALIVE:
		if (!uc->args[2])
			pthread_barrier_wait(&all_started);
		printf("alive %u %lu.\n", id, (unsigned long)uc->args[2]);
		return;
	case EARLY:
		printf("early on vCPU %u: a timer, by %lu ticks\n", id,
		       (unsigned long)uc->args[2]);
		return;
	case WRONG:
		printf("wrong on vCPU %u: %s (%#lx): found %#lx, expected %#lx\n", id,
		       things[uc->args[2]], (unsigned long)uc->args[3], (unsigned long)uc->args[4],
		       (unsigned long)uc->args[5]);
		exit(1);
	}
}

static void *run(void *argument)
{
	struct kvm_vcpu *vcpu = argument;
	struct ucall uc;

	for (;;) {
		vcpu_run(vcpu);
		switch (get_ucall(vcpu, &uc)) {
		case UCALL_SYNC:
			report(vcpu->id, &uc);
			continue;
		default:
			printf("wrong on vCPU %u: it stopped: exit reason %u, suberror %u\n",
			       vcpu->id, vcpu->run->exit_reason, vcpu->run->internal.suberror);
			exit(1);
		}
	}
}

int main(void)
{
	struct kvm_vcpu *vcpus[VCPUS];
	pthread_t thread;
	struct kvm_vm *vm;
	unsigned int i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	vm = vm_create_with_vcpus(VCPUS, l2_guest_code, vcpus);
	vm_init_descriptor_tables(vm);
	vm_install_exception_handler(vm, TIMER, on_timer);
	vm_install_exception_handler(vm, ASK, on_ask);
	vm_install_exception_handler(vm, ANSWER, on_answer);
	pthread_barrier_init(&all_started, NULL, VCPUS);
	for (i = 0; i < VCPUS; i++) {
		vcpu_init_descriptor_tables(vcpus[i]);
		vcpu_set_cpuid_feature(vcpus[i], X86_FEATURE_TSC_DEADLINE_TIMER);
		vcpu_args_set(vcpus[i], 1, i);
	}
	pthread_create(&thread, NULL, run, vcpus[1]);
	run(vcpus[0]);
	return 0;
}
