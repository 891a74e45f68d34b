/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The merge of L1's and vmcs01's MSR bitmaps for vmcs02, as pure functions over
 * the words that it depends on.
 *
 * Stock starts from a page of ones (every MSR intercepted) and clears bits of
 * eleven MSRs and of the reads of the x2APIC range; all of them lie in the
 * words listed here, so the rest of the page stays ones for ever.  The x2APIC
 * range ignores vmcs01's bitmap by design: L1 may give L2 an x2APIC without
 * using one itself.
 */
#ifndef KVM_INTEL_FAST_MSR_BITMAP_RULE_H
#define KVM_INTEL_FAST_MSR_BITMAP_RULE_H

#include <linux/bits.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <linux/types.h>
#include <asm/vmx.h>

/* SDM, "MSR-Bitmap Address": byte offsets of the four parts of the page. */
#define READ_LOW		0x000
#define READ_HIGH		0x400
#define WRITE_LOW		0x800
#define WRITE_HIGH		0xc00

/* The word of a part that holds an MSR's bit. */
#define MSR_BITMAP_WORD(part, msr) ((part) / 8 + ((msr) & 0x1fff) / 64)

/*
 * Words that the merge reads and writes.  The first MSR_BITMAP_X2APIC_WORDS are
 * of the x2APIC range; the others are merged with vmcs01's.
 */
#define MSR_BITMAP_WORDS		9
#define MSR_BITMAP_X2APIC_WORDS		5
#define MSR_BITMAP_X2APIC_READ_WORDS	4
#define MSR_BITMAP_L01_WORDS		(MSR_BITMAP_WORDS - MSR_BITMAP_X2APIC_WORDS)

static const u16 msr_bitmap_word[MSR_BITMAP_WORDS] = {
	MSR_BITMAP_WORD(READ_LOW, 0x800),	/* x2APIC, reads */
	MSR_BITMAP_WORD(READ_LOW, 0x840),
	MSR_BITMAP_WORD(READ_LOW, 0x880),
	MSR_BITMAP_WORD(READ_LOW, 0x8c0),
	MSR_BITMAP_WORD(WRITE_LOW, 0x800),	/* TPR, EOI, SELF_IPI */
	MSR_BITMAP_WORD(READ_LOW, 0x48),	/* SPEC_CTRL */
	MSR_BITMAP_WORD(WRITE_LOW, 0x48),	/* SPEC_CTRL, PRED_CMD */
	MSR_BITMAP_WORD(READ_HIGH, 0xc0000100),	/* FS, GS, KERNEL_GS base */
	MSR_BITMAP_WORD(WRITE_HIGH, 0xc0000100),
};

/* Secondary controls of vmcs12 that select what the x2APIC part takes from L1. */
#define MSR_BITMAP_VIRT_X2APIC		SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE
#define MSR_BITMAP_APIC_REG_VIRT	SECONDARY_EXEC_APIC_REGISTER_VIRT
#define MSR_BITMAP_VID			SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY
#define MSR_BITMAP_CONTROLS		(MSR_BITMAP_VIRT_X2APIC | MSR_BITMAP_APIC_REG_VIRT | \
					 MSR_BITMAP_VID)

/* All inputs of the merge. */
struct msr_bitmap_inputs {
	u64 l1[MSR_BITMAP_WORDS];
	u64 l01[MSR_BITMAP_L01_WORDS];
	u64 controls;
};

/* What a merge was made from, and its result. */
struct msr_bitmap_memo {
	struct msr_bitmap_inputs inputs;
	u64 merged[MSR_BITMAP_WORDS];
	bool valid;
};

/**
 * msr_bitmap_merge - compute vmcs02's words from the inputs
 * @in: the inputs
 * @merged: the result, in the order of msr_bitmap_word[]
 */
static inline void msr_bitmap_merge(const struct msr_bitmap_inputs *in, u64 *merged)
{
	static const u64 merged_bits[MSR_BITMAP_L01_WORDS] = {
		BIT_ULL(8), BIT_ULL(8) | BIT_ULL(9), 7, 7,
	};
	u64 writes = 0;
	int i;

	for (i = 0; i < MSR_BITMAP_X2APIC_WORDS; i++)
		merged[i] = ~0ULL;
	if (in->controls & MSR_BITMAP_VIRT_X2APIC) {
		if (in->controls & MSR_BITMAP_APIC_REG_VIRT)
			memcpy(merged, in->l1, MSR_BITMAP_X2APIC_READ_WORDS * sizeof(u64));
		else
			merged[0] &= in->l1[0] | ~BIT_ULL(0x808 - 0x800);
		writes = BIT_ULL(0x808 - 0x800);
		if (in->controls & MSR_BITMAP_VID)
			writes |= BIT_ULL(0x80b - 0x800) | BIT_ULL(0x83f - 0x800);
	}
	merged[MSR_BITMAP_X2APIC_READ_WORDS] = in->l1[MSR_BITMAP_X2APIC_READ_WORDS] | ~writes;

	for (i = 0; i < MSR_BITMAP_L01_WORDS; i++)
		merged[MSR_BITMAP_X2APIC_WORDS + i] =
			in->l1[MSR_BITMAP_X2APIC_WORDS + i] | in->l01[i] | ~merged_bits[i];
}

/**
 * msr_bitmap_reference - the same merge, MSR by MSR over whole pages
 * @l1: L1's page
 * @l01: vmcs01's page
 * @controls: those of MSR_BITMAP_CONTROLS that vmcs12 sets
 * @page: the result, 4096 bytes
 *
 * Slow and plain: what verify=1 and the unit test compare with.
 */
static inline void msr_bitmap_reference(const u64 *l1, const u64 *l01, u64 controls,
					u64 *page)
{
	static const struct {
		u32 msr;
		u16 part;
	} l01_bits[] = {
		{ 0x48, READ_LOW }, { 0x48, WRITE_LOW }, { 0x49, WRITE_LOW },
		{ 0xc0000100, READ_HIGH }, { 0xc0000100, WRITE_HIGH },
		{ 0xc0000101, READ_HIGH }, { 0xc0000101, WRITE_HIGH },
		{ 0xc0000102, READ_HIGH }, { 0xc0000102, WRITE_HIGH },
	};
	bool x2apic = controls & MSR_BITMAP_VIRT_X2APIC;
	bool reg_virt = controls & MSR_BITMAP_APIC_REG_VIRT;
	bool vid = controls & MSR_BITMAP_VID;
	u32 msr, i;

	memset(page, 0xff, 4096);
	for (msr = 0x800; msr <= 0x8ff; msr++) {
		u32 read = MSR_BITMAP_WORD(READ_LOW, msr);
		u32 write = MSR_BITMAP_WORD(WRITE_LOW, msr);
		u64 bit = BIT_ULL(msr & 63);
		bool writable = msr == 0x808 || (vid && (msr == 0x80b || msr == 0x83f));

		if (x2apic && (reg_virt || msr == 0x808) && !(l1[read] & bit))
			page[read] &= ~bit;
		if (x2apic && writable && !(l1[write] & bit))
			page[write] &= ~bit;
	}
	for (i = 0; i < ARRAY_SIZE(l01_bits); i++) {
		u32 word = MSR_BITMAP_WORD(l01_bits[i].part, l01_bits[i].msr);
		u64 bit = BIT_ULL(l01_bits[i].msr & 63);

		if (!((l1[word] | l01[word]) & bit))
			page[word] &= ~bit;
	}
}

#endif /* KVM_INTEL_FAST_MSR_BITMAP_RULE_H */
