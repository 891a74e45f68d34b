// SPDX-License-Identifier: GPL-2.0
/*
 * The set of fields that a vCPU's shadow VMCS serves, and vmcs01's VMREAD and
 * VMWRITE bitmaps that tell the hardware which these are.
 *
 * The set changes at one place only: shadow_set_update(), within a copy-out, when
 * vmcs12 holds everything that L1 wrote, and all of the new set is written to the
 * shadow VMCS before L1 runs.  So a field that joins has its value there before
 * the bitmap opens, and one that leaves has its value in vmcs12.
 *
 * Written fields are read ones too, because a VMREAD that exits is answered from vmcs12,
 * which does not have what L1 wrote without an exit.
 *
 * Fields that need fresh rare fields (shadow_needs_fresh()) wait until a nested exit has
 * synced the rare fields, which wants_rare demands.  From then on each exit syncs them.
 * Fields that are otherwise read back late (read_back.h) wait likewise, with wants_late.
 *
 * The policy is in shadow_policy.h.  All of it starts anew at VMXON, unless L1 was in VMX
 * operation for a few nested entries only: some hypervisors leave it at each switch.
 */
#include <linux/moduleparam.h>
#include <linux/nospec.h>
#include <linux/slab.h>

#include "nested/shadow_set.h"
#include "kvm/vmx/nested.h"

/* What the table's lines must satisfy.  Exit information and access rights are not writable. */
#define IS_SOUND(encoding, size, kind)							\
	(!((encoding) & 1) && (encoding) < 0x8000 && (size) == SHADOW_ENC_SIZE(encoding) &&	\
	 (!((kind) & SHADOW_WRITABLE) || (SHADOW_ENC_TYPE(encoding) != 1 &&		\
	  ((encoding) < GUEST_ES_AR_BYTES || (encoding) > GUEST_TR_AR_BYTES))))

#define FIELD(encoding, member, kind)							\
	static_assert(IS_SOUND(encoding, sizeof_field(struct vmcs12, member), SHADOW_##kind), \
		      #member " has another width or encoding, or is not writable");
SHADOW_FIELDS(FIELD)
#undef FIELD
static_assert(NR_SHADOW_FIELDS < U8_MAX, "field numbers are kept in a byte");

const u16 shadow_offset[NR_SHADOW_FIELDS] = {
#define FIELD(encoding, member, kind) offsetof(struct vmcs12, member),
	SHADOW_FIELDS(FIELD)
#undef FIELD
};

/* A short index: the encoding rotated left by 6, in 16 bits, as in vmcs12.c. */
#define INDEX(encoding) ((((encoding) << 6) | ((encoding) >> 10)) & 0xffff)

/* Field numbers plus one. */
static const u8 number_of[] = {
#define FIELD(encoding, member, kind) \
	[INDEX(encoding)] = SHADOW_##encoding + 1,
	SHADOW_FIELDS(FIELD)
#undef FIELD
};

/* Set by shadow_fields=. */
static DECLARE_BITMAP(left_out, NR_SHADOW_FIELDS);
static DECLARE_BITMAP(put_in, NR_SHADOW_FIELDS);
static char *fields_text;

/* Returns the field's number, or NR_SHADOW_FIELDS if the table lacks the field. */
static unsigned int number(unsigned long encoding)
{
	unsigned int index = INDEX(encoding & ~1ul);

	if (encoding >> 15 || index >= ARRAY_SIZE(number_of))
		return NR_SHADOW_FIELDS;
	/* The guest chooses the index. */
	index = array_index_nospec(index, ARRAY_SIZE(number_of));
	return number_of[index] ? number_of[index] - 1 : NR_SHADOW_FIELDS;
}

static bool starts_in(unsigned int field)
{
	return test_bit(field, put_in) || (shadow_info[field].kind & SHADOW_ON);
}

/* True if L0 reads more from vmcs02 at each nested exit while the field is in the set. */
static bool makes_l0_copy(unsigned int field, bool write)
{
	return shadow_needs_fresh(shadow_info[field].kind, write) ||
	       read_back_is_late(shadow_info[field].encoding);
}

static void set_in_bitmaps(struct vmcs_shadow *shadow, unsigned int field, bool exits)
{
	u16 encoding = shadow_info[field].encoding;
	int last = encoding + SHADOW_ENC_IS_64BIT(encoding);

	for (; encoding <= last; encoding++) {
		__assign_bit(encoding, shadow->read_bitmap,
			     exits || !test_bit(field, shadow->in_read));
		__assign_bit(encoding, shadow->write_bitmap,
			     exits || !test_bit(field, shadow->in_write));
	}
}

static void append(struct vmcs_shadow *shadow, unsigned int field)
{
	const struct shadow_field_info *info = &shadow_info[field];

	shadow->entry[shadow->nr_entries++] = (struct shadow_entry){
		.mask = SHADOW_ENC_MASK(info->encoding),
		.encoding = info->encoding,
		.offset = shadow_offset[field],
		.field = field,
		.dirties = info->kind & SHADOW_DIRTIES,
	};
	set_in_bitmaps(shadow, field, false);
}

/* Makes the entries and the bitmaps those of in_read and in_write. */
static void rebuild(struct vmcs_shadow *shadow)
{
	unsigned int field;

	while (shadow->nr_entries)
		set_in_bitmaps(shadow, shadow->entry[--shadow->nr_entries].field, true);
	for_each_set_bit(field, shadow->in_write, NR_SHADOW_FIELDS)
		append(shadow, field);
	shadow->nr_written = shadow->nr_entries;
	for_each_set_bit(field, shadow->in_read, NR_SHADOW_FIELDS)
		if (!test_bit(field, shadow->in_write))
			append(shadow, field);
	shadow->info_known = false;
}

/**
 * shadow_set_reset - start anew, with the fields that are in from the start
 * @shadow: the set of a vCPU that enters VMX operation
 *
 * Context: the vCPU's thread.
 */
void shadow_set_reset(struct vmcs_shadow *shadow)
{
	unsigned int field;

	bitmap_zero(shadow->in_read, NR_SHADOW_FIELDS);
	bitmap_zero(shadow->in_write, NR_SHADOW_FIELDS);
	shadow->wants_rare = false;
	shadow->wants_late = false;
	for_each_set_bit(field, shadow->present, NR_SHADOW_FIELDS) {
		u8 kind = shadow_info[field].kind;

		if (!starts_in(field))
			continue;
		__set_bit(field, shadow->in_read);
		if (kind & SHADOW_WRITABLE)
			__set_bit(field, shadow->in_write);
		shadow->wants_rare |= shadow_needs_fresh(kind, kind & SHADOW_WRITABLE);
		shadow->wants_late |= read_back_is_late(shadow_info[field].encoding);
	}
	rebuild(shadow);

	bitmap_zero(shadow->want_read, NR_SHADOW_FIELDS);
	bitmap_zero(shadow->want_write, NR_SHADOW_FIELDS);
	memset(shadow->reads, 0, sizeof(shadow->reads));
	memset(shadow->writes, 0, sizeof(shadow->writes));
	memset(&shadow->fresh, 0, sizeof(shadow->fresh));
	shadow->pending = false;
	shadow->entries = 0;
	shadow->census_period = SHADOW_FIRST_CENSUS;
	shadow->all_leave_at = SHADOW_FIRST_CENSUS;
	shadow->census_at = SHADOW_FIRST_CENSUS;
}

static void leave(struct vmcs_shadow *shadow, unsigned long *in, struct shadow_bucket *buckets,
		  bool write, bool all)
{
	unsigned int field;

	for_each_set_bit(field, in, NR_SHADOW_FIELDS) {
		if (all || makes_l0_copy(field, write)) {
			shadow_field_leaves(&buckets[field], shadow->entries);
			__clear_bit(field, in);
		}
	}
}

/* All fields leave, or those that make L0 copy; those in use will come back. */
static void census(struct kvm_vcpu *vcpu, struct vmcs_shadow *shadow)
{
	bool all = shadow_is_due(shadow->entries, shadow->all_leave_at);

	leave(shadow, shadow->in_read, shadow->reads, false, all);
	leave(shadow, shadow->in_write, shadow->writes, true, all);
	bitmap_zero(shadow->want_read, NR_SHADOW_FIELDS);
	bitmap_zero(shadow->want_write, NR_SHADOW_FIELDS);
	shadow->wants_rare = false;
	shadow->wants_late = false;

	if (all) {
		shadow->census_period = shadow_next_period(shadow->census_period);
		shadow->all_leave_at = shadow->entries + shadow->census_period;
	}
	shadow->census_at = shadow->all_leave_at;
	to_vmx(vcpu)->fast.counters.shadow_censuses++;
}

/* Lets L0 copy at each nested exit, for a field that needs it; not for ever. */
static void let_copy(struct vmcs_shadow *shadow, bool *wants)
{
	*wants = true;
	shadow->pending = true;
	if (shadow_is_due(shadow->census_at, shadow->entries + SHADOW_COPY_CENSUS))
		shadow->census_at = shadow->entries + SHADOW_COPY_CENSUS;
}

/* Fields that wait for fresh values stay in @want. */
static void join(struct kvm_vcpu *vcpu, struct vmcs_shadow *shadow, unsigned long *want, bool write)
{
	bool fresh = !to_vmx(vcpu)->nested.need_sync_vmcs02_to_vmcs12_rare;
	bool late_fresh = !to_vmx(vcpu)->fast.read_back.stale;
	unsigned int field;

	for_each_set_bit(field, want, NR_SHADOW_FIELDS) {
		if (shadow_needs_fresh(shadow_info[field].kind, write)) {
			if (!shadow->wants_rare || !fresh) {
				let_copy(shadow, &shadow->wants_rare);
				continue;
			}
		}
		if (read_back_is_late(shadow_info[field].encoding)) {
			if (!shadow->wants_late || !late_fresh) {
				let_copy(shadow, &shadow->wants_late);
				continue;
			}
		}
		__clear_bit(field, want);
		__set_bit(field, shadow->in_read);
		if (write)
			__set_bit(field, shadow->in_write);
		to_vmx(vcpu)->fast.counters.shadow_joins++;
	}
}

/**
 * shadow_set_update - let fields join, or leave
 * @vcpu: the vCPU about to enter L1; vmcs12 is authoritative
 *
 * Context: preemption disabled; the caller copies all of the set out.
 */
void shadow_set_update(struct kvm_vcpu *vcpu)
{
	struct vmcs_shadow *shadow = shadow_of(vcpu);

	shadow->pending = false;
	if (shadow_is_due(shadow->entries, shadow->census_at)) {
		census(vcpu, shadow);
	} else {
		join(vcpu, shadow, shadow->want_read, false);
		join(vcpu, shadow, shadow->want_write, true);
	}
	rebuild(shadow);
}

/**
 * shadow_set_count_exit - count an access of L1's that exited
 * @vcpu: the vCPU, in L1, with a set
 * @encoding: of a field that vmcs12 has
 * @write: the access was a VMWRITE
 *
 * Context: the vCPU's thread.
 * Return: true if L1 reads this field from the shadow VMCS.
 */
bool shadow_set_count_exit(struct kvm_vcpu *vcpu, unsigned long encoding, bool write)
{
	struct vmcs_shadow *shadow = shadow_of(vcpu);
	unsigned int field = number(encoding);
	struct shadow_bucket *bucket;
	bool fresh;
	u8 kind;

	if (field == NR_SHADOW_FIELDS) {
		shadow->other_exits++;
		return false;
	}
	kind = shadow_info[field].kind;
	if (write)
		shadow->write_exits[field]++;
	else
		shadow->read_exits[field]++;

	if (!adaptive_shadow || !test_bit(field, shadow->present) ||
	    (write && !(kind & SHADOW_WRITABLE)))
		goto out;

	fresh = shadow_needs_fresh(kind, write);
	if (fresh)
		shadow_bucket_pour(&shadow->fresh, shadow->entries, shadow_fresh_cost);
	bucket = write ? &shadow->writes[field] : &shadow->reads[field];
	if (shadow_field_exited(bucket, shadow->entries) &&
	    (!fresh || shadow->wants_rare ||
	     shadow_fresh_is_worth_it(&shadow->fresh, shadow->entries))) {
		__set_bit(field, write ? shadow->want_write : shadow->want_read);
		shadow->pending = true;
	}
out:
	return test_bit(field, shadow->in_read);
}

/* True if the CPU has the field.  The shadow VMCS is current. */
static bool exists(u16 encoding)
{
	unsigned long value;
	bool ok;

	asm volatile("vmread %[field], %[value]"
		     : [value] "=rm" (value), "=@cca" (ok)
		     : [field] "r" ((unsigned long)encoding));
	return ok;
}

static struct vmcs_shadow *create(struct vcpu_vmx *vmx)
{
	struct vmcs_shadow *shadow = kzalloc(sizeof(*shadow), GFP_KERNEL_ACCOUNT);
	unsigned int field;

	if (!shadow)
		return NULL;
	shadow->read_bitmap = (unsigned long *)__get_free_page(GFP_KERNEL_ACCOUNT);
	shadow->write_bitmap = (unsigned long *)__get_free_page(GFP_KERNEL_ACCOUNT);
	if (!shadow->read_bitmap || !shadow->write_bitmap) {
		free_page((unsigned long)shadow->read_bitmap);
		free_page((unsigned long)shadow->write_bitmap);
		kfree(shadow);
		return NULL;
	}
	memset(shadow->read_bitmap, 0xff, PAGE_SIZE);
	memset(shadow->write_bitmap, 0xff, PAGE_SIZE);

	preempt_disable();
	vmcs_load(vmx->vmcs01.shadow_vmcs);
	for (field = 0; field < NR_SHADOW_FIELDS; field++)
		if (!test_bit(field, left_out) && exists(shadow_info[field].encoding))
			__set_bit(field, shadow->present);
	vmcs_clear(vmx->vmcs01.shadow_vmcs);
	vmcs_load(vmx->loaded_vmcs->vmcs);
	preempt_enable();
	return shadow;
}

/**
 * shadow_vmxon - set up a vCPU's set when it enters VMX operation
 * @vcpu: the vCPU, with vmcs01 loaded and a new shadow VMCS, if there is one
 *
 * The set starts anew if there were SHADOW_RESTART nested entries since the last VMXON.
 * Without memory, stock's set and copying serve the vCPU.
 *
 * Context: the vCPU's thread, may sleep.
 */
void shadow_vmxon(struct kvm_vcpu *vcpu)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);
	struct vmcs_shadow *shadow = vmx->fast.shadow;

	if (!shadow_copy || !vmx->vmcs01.shadow_vmcs)
		return;
	if (!shadow) {
		shadow = create(vmx);
		if (!shadow)
			return;
		vmcs_write64(VMREAD_BITMAP, __pa(shadow->read_bitmap));
		vmcs_write64(VMWRITE_BITMAP, __pa(shadow->write_bitmap));
	}
	if (!vmx->fast.shadow || shadow_is_due(shadow->entries, shadow->restart_at))
		shadow_set_reset(shadow);
	shadow->restart_at = shadow->entries + SHADOW_RESTART;
	/* The shadow VMCS is new. */
	shadow->info_known = false;
	shadow->behind = false;
	/* Pairs with kvm_intel_fast_shadow_show(). */
	smp_store_release(&vmx->fast.shadow, shadow);
}

/**
 * shadow_vcpu_free - free what shadow_vmxon() allocated
 * @vcpu: the vCPU, its nested state freed
 *
 * Context: the thread that destroys the vCPU.
 */
void shadow_vcpu_free(struct kvm_vcpu *vcpu)
{
	struct vmcs_shadow *shadow = shadow_of(vcpu);

	if (!shadow)
		return;
	to_vmx(vcpu)->fast.shadow = NULL;
	free_page((unsigned long)shadow->read_bitmap);
	free_page((unsigned long)shadow->write_bitmap);
	kfree(shadow);
}

/* shadow_fields=NAME,-NAME,...: see the parameter's description. */
static int parse_one(char *word)
{
	bool out = *word == '-', found = false;
	unsigned int field;

	if (*word == '-' || *word == '+')
		word++;
	for (field = 0; field < NR_SHADOW_FIELDS; field++) {
		if (strcmp(word, "all") && strcmp(word, shadow_info[field].name))
			continue;
		found = true;
		__assign_bit(field, left_out, out);
		__assign_bit(field, put_in, !out);
	}
	if (!found)
		pr_err("kvm-intel-fast: shadow_fields: there is no field '%s'\n", word);
	return found ? 0 : -EINVAL;
}

static int set_fields(const char *text, const struct kernel_param *param)
{
	char *copy = kstrdup(text, GFP_KERNEL), *rest = copy, *word;
	int error = copy ? 0 : -ENOMEM;

	while (!error && (word = strsep(&rest, ",")))
		error = parse_one(word);
	kfree(copy);
	if (!error)
		error = param_set_charp(text, param);
	return error;
}

static const struct kernel_param_ops fields_ops = {
	.set = set_fields,
	.get = param_get_charp,
	.free = param_free_charp,
};
module_param_cb(shadow_fields, &fields_ops, &fields_text, 0444);
MODULE_PARM_DESC(shadow_fields, "Fields of VMCS shadowing, by name of the vmcs12 member: -NAME is never shadowed, NAME is from the start, 'all' names all (default: stock's, host_rsp and host_rip from the start)");

static int set_cost(const char *text, const struct kernel_param *param)
{
	unsigned int least = param->arg == &shadow_exit_cost ? SHADOW_MIN_COST : 1;

	return param_set_uint_minmax(text, param, least, SHADOW_MAX_COST);
}

static const struct kernel_param_ops cost_ops = {
	.set = set_cost,
	.get = param_get_uint,
};

unsigned int __ro_after_init shadow_exit_cost = SHADOW_EXIT_COST;
module_param_cb(shadow_exit_cost, &cost_ops, &shadow_exit_cost, 0444);
MODULE_PARM_DESC(shadow_exit_cost, "What an exit of L1's VMREAD or VMWRITE costs, in units of what a shadowed field costs per nested entry (20 to 400, default 44)");

unsigned int __ro_after_init shadow_fresh_cost = SHADOW_FRESH_COST;
module_param_cb(shadow_fresh_cost, &cost_ops, &shadow_fresh_cost, 0444);
MODULE_PARM_DESC(shadow_fresh_cost, "What bringing rare fields to the shadow VMCS at each nested exit costs, in the same units (1 to 400, default 12)");
