/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The merge of L1's and vmcs01's MSR bitmaps for vmcs02, as pure functions over
 * the words that it depends on.
 *
 * Stock starts from a page of ones (every MSR intercepted) and clears bits of
 * some MSRs and of the reads of the x2APIC range; all of them lie in the
 * words listed here, so the rest of the page stays ones for ever.  A bit is clear only if
 * it is clear in L1's page and in vmcs01's; so an MSR that stock merges only under some
 * condition, but that vmcs01 intercepts otherwise, needs no condition here.  The x2APIC
 * range ignores vmcs01's bitmap by design: L1 may give L2 an x2APIC without
 * using one itself.
 */
#ifndef KVM_INTEL_FAST_MSR_BITMAP_STATE_H
#define KVM_INTEL_FAST_MSR_BITMAP_STATE_H

#include <linux/bits.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <linux/types.h>
#include <asm/vmx.h>

#include "vmx/compat.h"

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
#define MSR_BITMAP_X2APIC_WORDS		5
#define MSR_BITMAP_X2APIC_READ_WORDS	4

static const u16 msr_bitmap_word[] = {
	MSR_BITMAP_WORD(READ_LOW, 0x800),	/* x2APIC, reads */
	MSR_BITMAP_WORD(READ_LOW, 0x840),
	MSR_BITMAP_WORD(READ_LOW, 0x880),
	MSR_BITMAP_WORD(READ_LOW, 0x8c0),
	MSR_BITMAP_WORD(WRITE_LOW, 0x800),	/* TPR, EOI, SELF_IPI */
	MSR_BITMAP_WORD(READ_LOW, 0x48),	/* SPEC_CTRL */
	MSR_BITMAP_WORD(WRITE_LOW, 0x48),	/* SPEC_CTRL, PRED_CMD */
	MSR_BITMAP_WORD(READ_HIGH, 0xc0000100),	/* FS, GS, KERNEL_GS base */
	MSR_BITMAP_WORD(WRITE_HIGH, 0xc0000100),
#define WORD(part, msr, bits) MSR_BITMAP_WORD(part, msr),
	FAST_MSR_BITMAP_WORDS(WORD)
	FAST_MSR_BITMAP_PMU_WORDS(WORD)
#undef WORD
};

#define WORD(part, msr, bits) + 1
#define MSR_BITMAP_WORDS	((int)ARRAY_SIZE(msr_bitmap_word))
/* Of these the last, which depend on L1 only while the PMU is passed through to L1. */
enum { MSR_BITMAP_PMU_WORDS = FAST_MSR_BITMAP_PMU_WORDS(WORD) + 0 };
#undef WORD
#define MSR_BITMAP_L01_WORDS	(MSR_BITMAP_WORDS - MSR_BITMAP_X2APIC_WORDS)

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
#define WORD(part, msr, bits) bits,
		FAST_MSR_BITMAP_WORDS(WORD)
		FAST_MSR_BITMAP_PMU_WORDS(WORD)
#undef WORD
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
			in->l1[MSR_BITMAP_X2APIC_WORDS + i] |
			fast_msr_bitmap_l01(in->l01, i) | ~merged_bits[i];
}

#endif /* KVM_INTEL_FAST_MSR_BITMAP_STATE_H */
