/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The operand of an instruction that accesses a descriptor-table register, as the VM exit
 * describes it: SDM, "Format of the VM-Exit Instruction-Information Field as Used for LIDT,
 * LGDT, SIDT, or SGDT", and the same for LLDT, LTR, SLDT, and STR.  In 64-bit mode.
 *
 * The field does not have the operand size of SLDT and STR, which decides how much of a
 * register they write: that is in the instruction's prefixes.
 */
#ifndef KVM_INTEL_FAST_DESC_OPERAND_H
#define KVM_INTEL_FAST_DESC_OPERAND_H

#include <linux/bits.h>
#include <linux/types.h>

/* Bits 29:28 of the field, of exits GDTR_IDTR and LDTR_TR. */
enum desc_instruction {
	DESC_SGDT, DESC_SIDT, DESC_LGDT, DESC_LIDT,
	DESC_SLDT, DESC_STR, DESC_LLDT, DESC_LTR,
};

#define DESC_INFO_REGISTER		BIT(10)
#define DESC_INFO_NO_INDEX		BIT(22)
#define DESC_INFO_NO_BASE		BIT(27)
#define DESC_INFO_SCALE(info)		((info) & 3)
#define DESC_INFO_REG1(info)		((info) >> 3 & 15)
#define DESC_INFO_ADDRESS_SIZE(info)	((info) >> 7 & 7)
#define DESC_INFO_SEGMENT(info)		((info) >> 15 & 7)
#define DESC_INFO_INDEX(info)		((info) >> 18 & 15)
#define DESC_INFO_BASE(info)		((info) >> 23 & 15)
#define DESC_INFO_IDENTITY(info)	((info) >> 28 & 3)

#define DESC_ADDRESS_32_BIT		1

#define DESC_TABLE_SIZE			10	/* bytes in memory: limit and base */
#define DESC_INSN_SIZE			8	/* bytes that desc_operand_size() looks at */

static __always_inline bool desc_stores(enum desc_instruction instruction)
{
	return instruction < DESC_LGDT || instruction == DESC_SLDT || instruction == DESC_STR;
}

/**
 * desc_offset - work out the offset of a memory operand in its segment
 * @info: the instruction-information field
 * @displacement: the exit qualification; with RIP-relative addressing RIP is in it
 * @base: value of the base register, or 0
 * @index: value of the index register, or 0
 *
 * Return: the offset, which the address size has cut.
 */
static __always_inline u64 desc_offset(u32 info, u64 displacement, u64 base, u64 index)
{
	u64 offset = displacement + base + (index << DESC_INFO_SCALE(info));

	return DESC_INFO_ADDRESS_SIZE(info) == DESC_ADDRESS_32_BIT ? (u32)offset : offset;
}

/**
 * desc_is_canonical - tell whether an address is canonical with 48 bits, and so with any paging
 * @address: the address
 *
 * Return: true if it is.
 */
static __always_inline bool desc_is_canonical(u64 address)
{
	return (u64)((s64)(address << 16) >> 16) == address;
}

/**
 * desc_operand_size - find out how many bytes of a register SLDT or STR writes
 * @insn: the instruction's first DESC_INSN_SIZE bytes
 *
 * Return: 2, 4 or 8; 0 if this is not SLDT or STR, if a REX prefix is without effect, or if
 * there are more prefixes than are looked at.
 */
static __always_inline unsigned int desc_operand_size(u64 insn)
{
	unsigned int size = 4, seen;

	/* A REX prefix and the two bytes of the opcode must be left. */
	for (seen = 0; seen <= DESC_INSN_SIZE - 3; seen++, insn >>= 8) {
		switch (insn & 0xff) {
		case 0x66:
			size = 2;
			break;
		case 0x26: case 0x2e: case 0x36: case 0x3e: case 0x64: case 0x65:
		case 0x67: case 0xf2: case 0xf3:
			break;
		case 0x40 ... 0x4f:
			if ((insn & 0xffff00) != 0x000f00)
				return 0;
			return insn & BIT(3) ? 8 : size;
		case 0x0f:
			return insn & 0xff00 ? 0 : size;
		default:
			return 0;
		}
	}
	return 0;
}

/**
 * desc_register - what a register holds after SLDT or STR
 * @old: what it held
 * @selector: the selector that is stored
 * @size: the operand size
 *
 * Return: the new value.
 */
static __always_inline u64 desc_register(u64 old, u16 selector, unsigned int size)
{
	return size == 2 ? (old & ~0xffffull) | selector : selector;
}

#endif /* KVM_INTEL_FAST_DESC_OPERAND_H */
