/* SPDX-License-Identifier: GPL-2.0 */
/* The set of fields that a vCPU's shadow VMCS serves: see shadow_set.c. */
#ifndef KVM_INTEL_FAST_SHADOW_SET_H
#define KVM_INTEL_FAST_SHADOW_SET_H

#include <linux/bitmap.h>
#include <linux/kvm_host.h>

#include "kvm/vmx/vmx.h"
#include "vmx/params.h"
#include "nested/shadow_fields.h"
#include "nested/shadow_policy.h"

/* A field of the set, as the copy loops need it. */
struct shadow_entry {
	u64 held;	/* what the shadow VMCS holds, while that is known */
	u64 mask;	/* the field's bits in a word read at its offset */
	u16 encoding;
	u16 offset;	/* in struct vmcs12 */
	u8 field;	/* enum shadow_field */
	bool dirties;	/* a native write marks vmcs12 dirty */
};

/*
 * What is kept per vCPU from its first VMXON on: under 8 KiB, and the two bitmap
 * pages.  The vCPU's thread alone uses it; debugfs reads the set and the exits.
 */
struct vmcs_shadow {
	/*
	 * True while @held is valid for the entries that L1 may only read.
	 * nested_vmx.shadow_written_known is true while it is valid for the others.
	 */
	bool info_known;
	/* The CPU has no current VMCS, or the shadow VMCS is current: see shadow.c. */
	bool window;
	/* A copy-in left the shadow VMCS active, until L1 runs again: see shadow.c. */
	bool active;
	/* Members of "want" ask to join. */
	bool pending;
	/* The set has, or is about to have, fields that need fresh rare fields. */
	bool wants_rare;
	/* The same for fields that are otherwise read back late: see read_back.h. */
	bool wants_late;
	/* The early copy-out of this exit did all: the late one has nothing to find. */
	bool copied_out;
	/* In L2 vmcs12 was brought up to date and the shadow VMCS was not: see shadow.c. */
	bool behind;
	/* Values of vmcs01, read before the window; valid while the window is open. */
	u8 rvi;
	u64 debugctl, bndcfgs;

	/* The set: entries that L1 may write come first. */
	unsigned int nr_written, nr_entries;
	struct shadow_entry entry[NR_SHADOW_FIELDS];
	DECLARE_BITMAP(in_read, NR_SHADOW_FIELDS);
	DECLARE_BITMAP(in_write, NR_SHADOW_FIELDS);	/* a subset of in_read */
	/* vmcs01's VMREAD and VMWRITE bitmaps: a clear bit for each member. */
	unsigned long *read_bitmap, *write_bitmap;

	/* What the set is chosen from, and by. */
	DECLARE_BITMAP(present, NR_SHADOW_FIELDS);
	DECLARE_BITMAP(want_read, NR_SHADOW_FIELDS);
	DECLARE_BITMAP(want_write, NR_SHADOW_FIELDS);
	struct shadow_bucket reads[NR_SHADOW_FIELDS], writes[NR_SHADOW_FIELDS];
	struct shadow_bucket fresh;
	u32 entries;		/* nested entries since the set started */
	u32 census_at;		/* the next one, of all fields or of those that make L0 copy */
	u32 all_leave_at, census_period;
	u32 restart_at;

	/* While behind: what stock's shadow VMCS would hold. */
	u64 stale[NR_SHADOW_FIELDS];

	u32 read_exits[NR_SHADOW_FIELDS], write_exits[NR_SHADOW_FIELDS];
	u32 other_exits;	/* of fields that the table lacks */
};

void shadow_vmxon(struct kvm_vcpu *vcpu);
void shadow_vcpu_free(struct kvm_vcpu *vcpu);
extern const u16 shadow_offset[NR_SHADOW_FIELDS];
void shadow_set_reset(struct vmcs_shadow *shadow);
void shadow_set_update(struct kvm_vcpu *vcpu);
bool shadow_set_count_exit(struct kvm_vcpu *vcpu, unsigned long encoding, bool write);
void shadow_show_in_debugfs(struct kvm *kvm);

static __always_inline struct vmcs_shadow *shadow_of(struct kvm_vcpu *vcpu)
{
	return to_vmx(vcpu)->fast.shadow;
}

#endif /* KVM_INTEL_FAST_SHADOW_SET_H */
