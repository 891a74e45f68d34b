// SPDX-License-Identifier: GPL-2.0
/*
 * Every VMCS field, read and written in a Linux L1, under the L1's own KVM.
 *
 * A kernel module for the L1 of the emulated machine, and for nothing else.  Its
 * probes of the tracepoints kvm_entry and kvm_exit run with interrupts off and
 * with the VMCS of the L2's vCPU current.  There they walk: read all fields, read
 * them again, write each alone and all together, load a VMCS of their own and come
 * back, and put every value back before KVM goes on.  At entries they only read.  A
 * few fields that nobody uses keep what is written to them while L2 runs.
 *
 * The file field_walk in debugfs has the result: TAP of what holds on any CPU,
 * and after "#" what was seen, for field_walk to compare between stock and fast.
 *
 * Expects one VM with one vCPU, field_walk_l2, and kvm_entry's and kvm_exit's
 * arguments as of Debian's 6.1.
 */
#include <linux/cpumask.h>
#include <linux/debugfs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/tracepoint.h>
#include <linux/vmalloc.h>
#include <asm/cpufeature.h>
#include <asm/msr.h>
#include <asm/vmx.h>

struct kvm_vcpu;

DECLARE_TRACE(kvm_entry, TP_PROTO(struct kvm_vcpu *vcpu, bool force_immediate_exit),
	      TP_ARGS(vcpu, force_immediate_exit));
DECLARE_TRACE(kvm_exit, TP_PROTO(struct kvm_vcpu *vcpu, u32 isa), TP_ARGS(vcpu, isa));

#define ENCODINGS	BIT(15)		/* SDM, "Field Encoding in VMCS"; the rest must be 0 */
#define MAX_FIELDS	320
#define MAX_WALKS	64
#define UNSUPPORTED	12		/* SDM, "VM Instruction Error Numbers" */
#define READ_ONLY	13
#define GOOD_AR_BITS	0x1f0ffull
#define PATTERN		0x8182838485868788ull
#define NO_VMCS		(~0ull)

/*
 * After how many exits that L2 makes on purpose.  Of the runs of neighbours the first
 * makes fast shadow all fields; it forgets that after 16, 144 and 1,168 nested entries.
 */
static const u16 steps[] = {
	1, 2, 3, 4, 5, 6, 7, 8, 9, 30, 60, 100, 160, 161, 162, 163, 400, 800, 1100,
	1230, 1231, 1232, 1233,
};

/*
 * Fields that neither L1's KVM nor the CPU uses or changes while this L2 runs, and
 * whose small values any entry accepts.
 */
static const u16 unused[] = {
	GUEST_SYSENTER_CS, GUEST_SYSENTER_ESP, GUEST_SYSENTER_EIP, HOST_IA32_SYSENTER_CS,
	HOST_IA32_SYSENTER_ESP, HOST_IA32_SYSENTER_EIP, VM_ENTRY_EXCEPTION_ERROR_CODE,
	VM_ENTRY_INSTRUCTION_LEN, CR0_READ_SHADOW, GUEST_LDTR_BASE, XSS_EXIT_BITMAP,
};

enum check { UNKNOWN, FOUND, HALVES, REPEATED, WRITTEN, TOGETHER, SWITCHED, RESTORED, KEPT, ENDED };

static const char * const names[] = {
	[UNKNOWN] = "unknown_fields_are_refused",
	[FOUND] = "the_same_fields_before_and_after",
	[HALVES] = "high_halves_are_the_upper_half",
	[REPEATED] = "reading_changes_nothing",
	[WRITTEN] = "a_written_field_reads_back",
	[TOGETHER] = "all_fields_hold_their_own_value",
	[SWITCHED] = "fields_belong_to_their_vmcs",
	[RESTORED] = "a_restored_field_reads_back",
	[KEPT] = "an_entry_keeps_what_it_does_not_use",
	[ENDED] = "all_walks_were_done",
};

struct walk {
	const char *when;
	u32 step, ticks;	/* TSC ticks of reading all fields once */
	u64 vmcs, value[MAX_FIELDS];
	u64 written[MAX_FIELDS];	/* sum of what was read after each write, or of errors */
};

struct sweep {
	u32 readable[4][4];	/* by width and type */
	u32 accepted;		/* encodings of no field */
	u64 sum;		/* of the fields' encodings */
};

static struct result {
	u16 field[MAX_FIELDS];
	bool writable[MAX_FIELDS];
	u32 count, nr_walks, nr_sweeps, step, entry_step;
	struct sweep sweep[2];
	struct walk walk[MAX_WALKS];
	u64 original[ARRAY_SIZE(unused)], model[ARRAY_SIZE(unused)];
	u64 accesses_read, accesses_written;
	u32 wrong[ARRAY_SIZE(names)], first_wrong[ARRAY_SIZE(names)];
} *r;

static void *own_page;
static struct dentry *file;

static void wrong(enum check check, u32 field)
{
	if (!r->wrong[check]++)
		r->first_wrong[check] = field;
}

static bool vmread_fails(u64 field, u64 *value)
{
	bool fails;

	r->accesses_read++;
	asm volatile("vmread %2, %1; setna %0" : "=qm"(fails), "=r"(*value) : "r"(field) : "cc");
	return fails;
}

static bool vmwrite_fails(u64 field, u64 value)
{
	bool fails;

	r->accesses_written++;
	asm volatile("vmwrite %2, %1; setna %0" : "=qm"(fails) : "r"(field), "r"(value) : "cc");
	return fails;
}

static u64 read_field(u32 field)
{
	u64 value = 0;

	if (vmread_fails(field, &value))
		wrong(FOUND, field);
	return value;
}

static u32 last_error(void)
{
	return read_field(VM_INSTRUCTION_ERROR);
}

static u64 current_vmcs(void)
{
	u64 address;

	asm volatile("vmptrst %0" : "=m"(address));
	return address;
}

static void load_vmcs(u64 address)
{
	bool fails;

	asm volatile("vmptrld %1; setna %0" : "=qm"(fails) : "m"(address) : "cc", "memory");
	if (fails)
		wrong(SWITCHED, VM_INSTRUCTION_ERROR);
}

static void clear_vmcs(u64 address)
{
	bool fails;

	asm volatile("vmclear %1; setna %0" : "=qm"(fails) : "m"(address) : "cc", "memory");
	if (fails)
		wrong(SWITCHED, VM_INSTRUCTION_ERROR);
}

static u32 width_of(u32 field)
{
	return (field >> 13) & 3;
}

static u32 type_of(u32 field)
{
	return (field >> 10) & 3;
}

/* What a field keeps of a value. */
static u64 kept(u32 field, u64 value)
{
	if (field >= GUEST_ES_AR_BYTES && field <= GUEST_TR_AR_BYTES)
		return value & GOOD_AR_BITS;
	if (width_of(field) == 0)
		return (u16)value;
	if (width_of(field) == 2 || field & 1)
		return (u32)value;
	return value;
}

static u64 sum(u64 before, u64 value)
{
	return (before ^ value) * 0x100000001b3ull;	/* FNV */
}

static void find_field(u32 field, u64 value)
{
	if (r->count == MAX_FIELDS) {
		wrong(FOUND, field);
		return;
	}
	r->field[r->count] = field;
	r->writable[r->count++] = !vmwrite_fails(field, value);
}

/* fails: what the access to this encoding of no field just answered. */
static bool refused(bool fails, u32 field)
{
	if (fails && last_error() == UNSUPPORTED)
		return true;
	wrong(UNKNOWN, field);
	return false;
}

/* Every encoding there is.  The first sweep finds the fields, a later one finds them again. */
static void sweep(void)
{
	struct sweep *sweep = &r->sweep[r->nr_sweeps];
	u32 field, found = 0;
	u64 value = 0;

	for (field = 0; field < ENCODINGS; field++) {
		if (vmread_fails(field, &value)) {
			/* Each of the two is tried in one sweep: the error costs an exit. */
			if (!refused(r->nr_sweeps ? vmwrite_fails(field, 0) : true, field))
				sweep->accepted++;
			continue;
		}
		sweep->readable[width_of(field)][type_of(field)]++;
		sweep->sum = sum(sweep->sum, field);
		if (!r->nr_sweeps)
			find_field(field, value);
		else if (found >= r->count || r->field[found] != field)
			wrong(FOUND, field);
		found++;
	}
	if (found != r->count)
		wrong(FOUND, ENCODINGS);
	r->nr_sweeps++;
}

/* A field's encoding with one reserved bit set is no field's. */
static void try_reserved_bits(void)
{
	static const u8 bits[] = { 12, 15, 16, 31, 32, 63 };
	u64 value;
	u32 i, n;

	for (i = 0; i < r->count; i++)
		for (n = 0; n < ARRAY_SIZE(bits); n++)
			refused(vmread_fails(r->field[i] | BIT_ULL(bits[n]), &value), r->field[i]);
}

static void read_all(u64 *values)
{
	u32 i;

	for (i = 0; i < r->count; i++) {
		values[i] = read_field(r->field[i]);
		if (r->field[i] & 1 && values[i] != values[i - 1] >> 32)
			wrong(HALVES, r->field[i]);
	}
}

/* Not the error field: each VMX instruction that fails changes it. */
static void compare_all(const u64 *values, enum check check)
{
	u32 i;

	for (i = 0; i < r->count; i++)
		if (r->field[i] != VM_INSTRUCTION_ERROR && read_field(r->field[i]) != values[i])
			wrong(check, r->field[i]);
}

static void write_all(const u64 *values)
{
	u32 i;

	for (i = 0; i < r->count; i++)
		if (r->writable[i] && !(r->field[i] & 1))
			vmwrite_fails(r->field[i], values[i]);
}

static u64 write_alone(u32 i, u64 original)
{
	static const u64 patterns[] = { ~0ull, 0, PATTERN };
	u32 field = r->field[i], n;
	u64 total = 0, seen;

	for (n = 0; n < ARRAY_SIZE(patterns); n++) {
		if (vmwrite_fails(field, patterns[n])) {
			seen = last_error();
			if (r->writable[i] || seen != READ_ONLY)
				wrong(WRITTEN, field);
		} else {
			seen = read_field(field);
			if (!r->writable[i] || seen != kept(field, patterns[n]))
				wrong(WRITTEN, field);
		}
		total = sum(total, seen);
	}
	if (r->writable[i])
		vmwrite_fails(field, original);
	return total;
}

/* Values that differ from field to field; what is not writable stays. */
static void fill(u64 *values, const u64 *before, u64 salt)
{
	u32 i;

	for (i = 0; i < r->count; i++) {
		u32 field = r->field[i];

		if (!r->writable[i])
			values[i] = before[i];
		else if (field & 1)
			values[i] = values[i - 1] >> 32;
		else
			values[i] = kept(field, salt * (i + 1));
	}
}

static void write_together(const struct walk *walk)
{
	static u64 values[MAX_FIELDS], others[MAX_FIELDS];
	u64 own = __pa(own_page);

	fill(values, walk->value, PATTERN + walk->step);
	write_all(values);
	compare_all(values, TOGETHER);
	load_vmcs(own);
	read_all(others);
	fill(others, others, ~PATTERN - walk->step);
	write_all(others);
	compare_all(others, TOGETHER);
	load_vmcs(walk->vmcs);
	compare_all(values, SWITCHED);
	load_vmcs(own);
	compare_all(others, SWITCHED);
	load_vmcs(walk->vmcs);
	write_all(walk->value);
}

static void walk(const char *when, bool writes)
{
	struct walk *walk = &r->walk[r->nr_walks];
	u64 start;
	u32 i;

	if (r->nr_walks == MAX_WALKS || !r->count)
		return;
	walk->when = when;
	walk->step = r->step;
	walk->vmcs = current_vmcs();
	if (walk->vmcs == NO_VMCS || walk->vmcs != r->walk[0].vmcs)
		wrong(SWITCHED, 0);
	start = rdtsc_ordered();
	read_all(walk->value);
	walk->ticks = rdtsc_ordered() - start;
	compare_all(walk->value, REPEATED);
	if (writes) {
		for (i = 0; i < r->count; i++)
			walk->written[i] = write_alone(i, walk->value[i]);
		compare_all(walk->value, RESTORED);
		write_together(walk);
		compare_all(walk->value, RESTORED);
	}
	r->nr_walks++;
}

static bool is_step(u32 step)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(steps); i++)
		if (steps[i] == step)
			return true;
	return false;
}

/* Exits that L2 makes on purpose, not those that depend on time or on memory. */
static bool on_purpose(u64 reason)
{
	return reason == EXIT_REASON_CPUID || reason == EXIT_REASON_VMCALL ||
	       reason == EXIT_REASON_IO_INSTRUCTION || reason == EXIT_REASON_EXCEPTION_NMI ||
	       reason == EXIT_REASON_MSR_READ || reason == EXIT_REASON_MSR_WRITE ||
	       reason == EXIT_REASON_EPT_MISCONFIG;
}

static void write_unused(u32 salt)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(unused); i++) {
		r->model[i] = salt ? (salt + i) & 0xff : r->original[i];
		vmwrite_fails(unused[i], r->model[i]);
	}
}

static void check_unused(void)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(unused); i++)
		if (read_field(unused[i]) != r->model[i])
			wrong(KEPT, unused[i]);
}

static void first_entry(void)
{
	u32 i;

	clear_vmcs(__pa(own_page));
	sweep();
	try_reserved_bits();
	walk("entry", true);
	for (i = 0; i < ARRAY_SIZE(unused); i++)
		r->original[i] = read_field(unused[i]);
	write_unused(1);
}

static void at_entry(void *data, struct kvm_vcpu *vcpu, bool force_immediate_exit)
{
	if (!r->nr_sweeps) {
		first_entry();
	} else if (r->entry_step != r->step && is_step(r->step)) {
		r->entry_step = r->step;
		walk("entry", false);
	}
}

/* L1's KVM would lose the interrupt, and L1 hang without a word. */
static void check_interrupt(void)
{
	const u32 mask = INTR_INFO_VALID_MASK | INTR_INFO_INTR_TYPE_MASK;
	u64 info = read_field(VM_EXIT_INTR_INFO);

	if ((info & mask) != (INTR_INFO_VALID_MASK | INTR_TYPE_EXT_INTR))
		panic("field_walk: an external interrupt's exit does not name it: %llx\n", info);
}

static void at_exit(void *data, struct kvm_vcpu *vcpu, u32 isa)
{
	u32 last = steps[ARRAY_SIZE(steps) - 1];
	u64 reason;

	if (!r->nr_sweeps)
		return;
	reason = read_field(VM_EXIT_REASON);
	if (reason == EXIT_REASON_EXTERNAL_INTERRUPT)
		check_interrupt();
	if (!on_purpose(reason) || r->step > last)
		return;
	check_unused();
	r->step++;
	if (is_step(r->step))
		walk("exit", true);
	write_unused(r->step > last ? 0 : r->step);
	if (r->step > last) {
		clear_vmcs(__pa(own_page));
		sweep();
	}
}

static void show_checks(struct seq_file *out)
{
	u32 i;

	if (r->nr_sweeps != 2 || r->nr_walks != 1 + 2 * ARRAY_SIZE(steps) || r->count < 100)
		wrong(ENDED, 0);
	seq_printf(out, "TAP version 13\n1..%zu\n", ARRAY_SIZE(names));
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		if (r->wrong[i])
			seq_printf(out, "# %u times, first field %04x\n", r->wrong[i],
				   r->first_wrong[i]);
		seq_printf(out, "%sok %u %s\n", r->wrong[i] ? "not " : "", i + 1, names[i]);
	}
}

static int field_walk_show(struct seq_file *out, void *unused_argument)
{
	u32 i, n;

	show_checks(out);
	for (n = 0; n < r->nr_sweeps; n++) {
		for (i = 0; i < 16; i++)
			seq_printf(out, "# sweep %u width %u type %u readable %u\n", n, i / 4,
				   i % 4, r->sweep[n].readable[i / 4][i % 4]);
		seq_printf(out, "# sweep %u sum %llx accepted %u\n", n, r->sweep[n].sum,
			   r->sweep[n].accepted);
	}
	for (i = 0; i < r->count; i++)
		seq_printf(out, "# has %04x %s\n", r->field[i],
			   r->writable[i] ? "writable" : "read-only");
	for (n = 0; n < r->nr_walks; n++)
		for (i = 0; i < r->count; i++)
			seq_printf(out, "# %s %u field %04x %llx written %llx\n", r->walk[n].when,
				   r->walk[n].step, r->field[i], r->walk[n].value[i],
				   r->walk[n].written[i]);
	for (n = 0; n < r->nr_walks; n++)
		seq_printf(out, "# cost of %s %u: %u ticks for %u fields\n", r->walk[n].when,
			   r->walk[n].step, r->walk[n].ticks, r->count);
	seq_printf(out, "# total %llu reads %llu writes %u walks of %u fields\n",
		   r->accesses_read, r->accesses_written, r->nr_walks, r->count);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(field_walk);

static void clean_up(void)
{
	tracepoint_synchronize_unregister();
	vfree(r);
	free_page((unsigned long)own_page);
}

static int __init field_walk_init(void)
{
	u64 basic;
	int ret;

	if (!boot_cpu_has(X86_FEATURE_HYPERVISOR) || num_online_cpus() != 1)
		return -ENODEV;
	own_page = (void *)get_zeroed_page(GFP_KERNEL);
	r = vzalloc(sizeof(*r));
	ret = -ENOMEM;
	if (!own_page || !r)
		goto fail;
	rdmsrl(MSR_IA32_VMX_BASIC, basic);
	*(u32 *)own_page = basic & GENMASK(30, 0);
	ret = register_trace_kvm_entry(at_entry, NULL);
	if (ret)
		goto fail;
	ret = register_trace_kvm_exit(at_exit, NULL);
	if (ret)
		goto fail_exit;
	file = debugfs_create_file("field_walk", 0400, NULL, NULL, &field_walk_fops);
	return 0;

fail_exit:
	unregister_trace_kvm_entry(at_entry, NULL);
fail:
	clean_up();
	return ret;
}
module_init(field_walk_init);

static void __exit field_walk_exit(void)
{
	debugfs_remove(file);
	unregister_trace_kvm_exit(at_exit, NULL);
	unregister_trace_kvm_entry(at_entry, NULL);
	clean_up();
}
module_exit(field_walk_exit);

MODULE_DESCRIPTION("Reads and writes every VMCS field under a Linux L1's KVM");
MODULE_LICENSE("GPL");
