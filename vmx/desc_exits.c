// SPDX-License-Identifier: GPL-2.0
/*
 * Exits of SGDT, SIDT, LGDT, LIDT, SLDT, STR, LLDT and LTR, without the instruction emulator.
 *
 * On a CPU without UMIP KVM emulates it: while the guest has CR4.UMIP set, each access to a
 * descriptor-table register exits.  Linux sets CR4.UMIP, and as a hypervisor executes SLDT and
 * LGDT whenever it goes to its user space and back.
 *
 * Skipped: fetch and decoding of the instruction, which the exit describes (desc_operand.h),
 * and most of what finds a memory operand (gva_memo.c).  The exit is handled before interrupts
 * are on again, if that takes no sleep, and otherwise where stock handles it.
 *
 * Only in 64-bit mode at CPL 0, where nothing can raise an exception but the access to memory
 * and what is loaded.  Nothing is stored before it is clear that the instruction succeeds;
 * otherwise, or in case of doubt, stock's emulator executes it, and raises the exception:
 *
 * | left to stock | because |
 * |---|---|
 * | other modes, CPL 1 to 3 | segment limits; UMIP raises #GP |
 * | L2's accesses | L1 may intercept them |
 * | breakpoints, single-stepping, RFLAGS.RF | the emulator looks for them, and clears RF |
 * | LTR; LLDT of a selector that is not null | a descriptor is read, and checked |
 * | LGDT, LIDT of a base that is not canonical | #GP |
 * | an address that is not canonical, or close to the end of a page | #GP, #SS, two walks |
 * | memory that cannot be read or written | #PF, or MMIO |
 * | SLDT, STR with REX.W to memory | the emulator writes 8 bytes there, a CPU 2 |
 * | SLDT, STR to a page of L1's tables for L2 | the MMU must be told of it |
 *
 * As by the emulator, the L1D flush of the next VM entry is asked for, and the instruction is
 * counted as an emulated one.
 *
 * verify=1: the emulator executes each, and must come to what was worked out.
 */
#include "kvm/x86.h"
#include "kvm/vmx/vmx_ops.h"
#include "kvm/pmu.h"
#include "vmx/desc_exits.h"
#include "vmx/desc_operand.h"
#include "vmx/gva_memo.h"

/* What one access does; nothing is done yet. */
struct desc_access {
	enum desc_instruction instruction;
	bool may_sleep;
	bool in_memory;
	u64 address;			/* of the operand in memory */
	int reg;			/* or the register */
	u64 value;			/* that the register gets */
	u16 selector;			/* that is stored, or loaded */
	struct desc_ptr table;		/* the same */
};

/* Also with interrupts on: nobody looks at it again. */
#define LEFT_TO_STOCK(vcpu, why) ({					\
	to_vmx(vcpu)->fast.counters.desc_exits_stock_##why++;		\
	to_vmx(vcpu)->fast.desc_exit_left = true;			\
	false;								\
})

/* With interrupts off this is tried again with interrupts on, and counted there. */
#define MEMORY_LEFT_TO_STOCK(vcpu, access)	\
	((access)->may_sleep && LEFT_TO_STOCK(vcpu, memory))

/* LTR, which reads a descriptor; asked first, so that it pays little for all this. */
static __always_inline bool is_ltr(struct kvm_vcpu *vcpu)
{
	return fast_exit_reason(vcpu) == EXIT_REASON_LDTR_TR &&
	       DESC_INFO_IDENTITY(vmcs_read32(VMX_INSTRUCTION_INFO)) == DESC_LTR - DESC_SLDT;
}

/* True if the vCPU executes as is presumed here. */
static __always_inline bool is_plain(struct kvm_vcpu *vcpu)
{
	if (unlikely(is_guest_mode(vcpu)))
		return LEFT_TO_STOCK(vcpu, l2);
	if (!(vcpu->arch.efer & EFER_LMA) || !(vmcs_read32(GUEST_CS_AR_BYTES) & VMX_AR_L_MASK) ||
	    VMX_AR_DPL(vmcs_read32(GUEST_SS_AR_BYTES)))
		return LEFT_TO_STOCK(vcpu, mode);
	if (vcpu->guest_debug || (vcpu->arch.dr7 & DR7_BP_EN_MASK) ||
	    (vmcs_readl(GUEST_RFLAGS) & (X86_EFLAGS_TF | X86_EFLAGS_RF)))
		return LEFT_TO_STOCK(vcpu, debug);
	return true;
}

/* Finds the memory operand, of which the emulator accesses up to @size bytes. */
static __always_inline bool find_memory(struct kvm_vcpu *vcpu, struct desc_access *access,
					u32 info, unsigned int size)
{
	int segment = DESC_INFO_SEGMENT(info);
	u64 address, base = 0, index = 0;
	struct kvm_segment from;

	if (!(info & DESC_INFO_NO_BASE))
		base = kvm_register_read_raw(vcpu, DESC_INFO_BASE(info));
	if (!(info & DESC_INFO_NO_INDEX))
		index = kvm_register_read_raw(vcpu, DESC_INFO_INDEX(info));
	address = desc_offset(info, vmx_get_exit_qual(vcpu), base, index);
	if (segment == VCPU_SREG_FS || segment == VCPU_SREG_GS) {
		vmx_get_segment(vcpu, &from, segment);
		address += from.base;
	}
	if (!desc_is_canonical(address) || offset_in_page(address) > PAGE_SIZE - size)
		return LEFT_TO_STOCK(vcpu, address);
	access->address = address;
	return true;
}

/* Works out what SLDT or STR leaves in its operand. */
static bool find_value(struct kvm_vcpu *vcpu, struct desc_access *access)
{
	u64 old = 0, rip, insn;
	unsigned int size;

	access->value = access->selector;
	if (!access->in_memory) {
		old = kvm_register_read_raw(vcpu, access->reg);
		/* With nothing that could be kept, the operand size makes no difference. */
		if (old <= U16_MAX)
			return true;
	}
	rip = vmcs_readl(GUEST_RIP);
	if (!desc_is_canonical(rip) || offset_in_page(rip) > PAGE_SIZE - sizeof(insn))
		return LEFT_TO_STOCK(vcpu, address);
	if (!gva_read(vcpu, rip, &insn, sizeof(insn), access->may_sleep))
		return MEMORY_LEFT_TO_STOCK(vcpu, access);
	size = desc_operand_size(insn);
	if (!size || (access->in_memory && size == 8))
		return LEFT_TO_STOCK(vcpu, operand);
	access->value = desc_register(old, access->selector, size);
	return true;
}

static __always_inline bool find_selector(struct kvm_vcpu *vcpu, struct desc_access *access)
{
	switch (access->instruction) {
	case DESC_SLDT:
		access->selector = vmcs_read16(GUEST_LDTR_SELECTOR);
		return find_value(vcpu, access);
	case DESC_STR:
		access->selector = vmcs_read16(GUEST_TR_SELECTOR);
		return find_value(vcpu, access);
	case DESC_LLDT:
		if (!access->in_memory)
			access->selector = kvm_register_read_raw(vcpu, access->reg);
		else if (!gva_read(vcpu, access->address, &access->selector, sizeof(u16),
				   access->may_sleep))
			return MEMORY_LEFT_TO_STOCK(vcpu, access);
		if (access->selector & ~SEGMENT_RPL_MASK)
			return LEFT_TO_STOCK(vcpu, descriptor);
		return true;
	default:
		return LEFT_TO_STOCK(vcpu, descriptor);
	}
}

static __always_inline bool find_table(struct kvm_vcpu *vcpu, struct desc_access *access)
{
	struct desc_ptr *table = &access->table;

	BUILD_BUG_ON(sizeof(*table) != DESC_TABLE_SIZE);
	switch (access->instruction) {
	case DESC_SGDT:
		table->size = vmcs_read32(GUEST_GDTR_LIMIT);
		table->address = vmcs_readl(GUEST_GDTR_BASE);
		return true;
	case DESC_SIDT:
		table->size = vmcs_read32(GUEST_IDTR_LIMIT);
		table->address = vmcs_readl(GUEST_IDTR_BASE);
		return true;
	default:
		if (!gva_read(vcpu, access->address, table, sizeof(*table), access->may_sleep))
			return MEMORY_LEFT_TO_STOCK(vcpu, access);
		return desc_is_canonical(table->address) || LEFT_TO_STOCK(vcpu, descriptor);
	}
}

/* Works out what the instruction does.  Changes nothing. */
static __always_inline bool work_out(struct kvm_vcpu *vcpu, struct desc_access *access)
{
	const bool ldtr_tr = fast_exit_reason(vcpu) == EXIT_REASON_LDTR_TR;
	u32 info;

	if (!is_plain(vcpu))
		return false;
	info = vmcs_read32(VMX_INSTRUCTION_INFO);
	access->instruction = DESC_INFO_IDENTITY(info) + (ldtr_tr ? DESC_SLDT : DESC_SGDT);
	access->in_memory = !ldtr_tr || !(info & DESC_INFO_REGISTER);
	access->reg = DESC_INFO_REG1(info);
	if (access->in_memory &&
	    !find_memory(vcpu, access, info, ldtr_tr ? sizeof(u64) : DESC_TABLE_SIZE))
		return false;
	return ldtr_tr ? find_selector(vcpu, access) : find_table(vcpu, access);
}

static void load_null_ldtr(struct kvm_vcpu *vcpu, u16 selector)
{
	vmcs_write16(GUEST_LDTR_SELECTOR, selector);
	vmcs_writel(GUEST_LDTR_BASE, 0);
	vmcs_write32(GUEST_LDTR_LIMIT, 0);
	vmcs_write32(GUEST_LDTR_AR_BYTES, VMX_AR_UNUSABLE_MASK);
	to_vmx(vcpu)->segment_cache.bitmask = 0;
}

/*
 * The MMU tracks writes of pages that it takes tables from.  It tracks first and reads then, so
 * whoever writes first and asks then does not miss it.
 */
static bool is_write_tracked(struct kvm_vcpu *vcpu, gfn_t gfn)
{
	struct kvm_memory_slot *slot = __gfn_to_memslot(kvm_vcpu_memslots(vcpu), gfn);
	unsigned short *tracked;

	smp_mb();	/* Between the write of the page and the read of the counter. */
	tracked = slot ? fast_write_track(slot) : NULL;
	return tracked && READ_ONCE(tracked[gfn - slot->base_gfn]);
}

/* Does what the instruction does, but for RIP.  False if memory is left to stock. */
static __always_inline bool execute(struct kvm_vcpu *vcpu, const struct desc_access *access)
{
	u64 gfn;

	switch (access->instruction) {
	case DESC_SGDT:
	case DESC_SIDT:
		return gva_write(vcpu, access->address, &access->table, sizeof(access->table),
				 access->may_sleep, &gfn) || MEMORY_LEFT_TO_STOCK(vcpu, access);
	case DESC_LGDT:
		vmcs_write32(GUEST_GDTR_LIMIT, access->table.size);
		vmcs_writel(GUEST_GDTR_BASE, access->table.address);
		return true;
	case DESC_LIDT:
		vmcs_write32(GUEST_IDTR_LIMIT, access->table.size);
		vmcs_writel(GUEST_IDTR_BASE, access->table.address);
		return true;
	case DESC_LLDT:
		load_null_ldtr(vcpu, access->selector);
		return true;
	default:
		if (!access->in_memory) {
			kvm_register_write_raw(vcpu, access->reg, access->value);
			return true;
		}
		/* Stock, if it must, does so again. */
		return (gva_write(vcpu, access->address, &access->selector, sizeof(u16),
				  access->may_sleep, &gfn) && !is_write_tracked(vcpu, gfn)) ||
		       MEMORY_LEFT_TO_STOCK(vcpu, access);
	}
}

/* kvm_skip_emulated_instruction(), in 64-bit mode and without RFLAGS.TF. */
static __always_inline void skip(struct kvm_vcpu *vcpu)
{
	u32 blocking = vmcs_read32(GUEST_INTERRUPTIBILITY_INFO);

	kvm_rip_write(vcpu, vmcs_readl(GUEST_RIP) + vmcs_read32(VM_EXIT_INSTRUCTION_LEN));
	if (unlikely(blocking & (GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS)))
		vmcs_write32(GUEST_INTERRUPTIBILITY_INFO,
			     blocking & ~(GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS));
	fast_instruction_retired(vcpu);
}

static __always_inline bool handled(struct kvm_vcpu *vcpu, struct desc_access *access)
{
	if (!work_out(vcpu, access) || !execute(vcpu, access))
		return false;
	fast_request_l1d_flush(vcpu);
	vcpu->stat.insn_emulation++;
	to_vmx(vcpu)->fast.counters.desc_exits_fast++;
	skip(vcpu);
	return true;
}

static noinline bool handled_at_once(struct kvm_vcpu *vcpu)
{
	struct desc_access access;
	bool done;
	int idx;

	access.may_sleep = false;
	idx = srcu_read_lock(&vcpu->kvm->srcu);
	done = handled(vcpu, &access);
	srcu_read_unlock(&vcpu->kvm->srcu, idx);
	return done;
}

/**
 * desc_exit_handled - handle an exit before interrupts are on again, if that is possible
 * @vcpu: the vCPU
 *
 * Context: the vCPU's thread, interrupts off.
 * Return: true if the guest may go on; false if desc_exit_handle() must handle the exit.
 */
bool desc_exit_handled(struct kvm_vcpu *vcpu)
{
	if (!desc_exits || fast_verify() || !fast_fastpath_allowed(vcpu) || is_guest_mode(vcpu))
		return false;
	if (is_ltr(vcpu))
		return LEFT_TO_STOCK(vcpu, descriptor);
	return handled_at_once(vcpu);
}

/* Reads what the instruction has stored or loaded.  False if memory cannot be read. */
static bool read_back(struct kvm_vcpu *vcpu, struct desc_access *access)
{
	struct kvm_segment ldtr;

	switch (access->instruction) {
	case DESC_SGDT:
	case DESC_SIDT:
		return gva_read(vcpu, access->address, &access->table, sizeof(access->table), true);
	case DESC_LGDT:
		access->table.size = vmcs_read32(GUEST_GDTR_LIMIT);
		access->table.address = vmcs_readl(GUEST_GDTR_BASE);
		return true;
	case DESC_LIDT:
		access->table.size = vmcs_read32(GUEST_IDTR_LIMIT);
		access->table.address = vmcs_readl(GUEST_IDTR_BASE);
		return true;
	case DESC_LLDT:
		vmx_get_segment(vcpu, &ldtr, VCPU_SREG_LDTR);
		access->selector = ldtr.selector;
		return ldtr.unusable && !ldtr.base && !ldtr.limit && !ldtr.type;
	default:
		if (access->in_memory)
			return gva_read(vcpu, access->address, &access->selector, sizeof(u16),
					true);
		access->value = kvm_register_read_raw(vcpu, access->reg);
		return true;
	}
}

static void expect(struct kvm_vcpu *vcpu, const struct desc_access *access, const char *who)
{
	struct desc_access is = *access;

	if (!read_back(vcpu, &is) || is.value != access->value || is.selector != access->selector ||
	    is.table.size != access->table.size || is.table.address != access->table.address)
		FAST_MISMATCH(&to_vmx(vcpu)->fast.counters, desc_exits,
			      "descriptor-table instruction %u: %#x, %#llx, %#x, %#lx; %s %#x, %#llx, %#x, %#lx",
			      access->instruction, access->selector, access->value,
			      access->table.size, access->table.address, who, is.selector, is.value,
			      is.table.size, is.table.address);
}

/*
 * verify=1: the emulator executes the instruction, and must do what was worked out; to do it on
 * top must change nothing.  Where the emulator has not executed it, that must be because of
 * memory that cannot be written here, either.
 */
static noinline int verify(struct kvm_vcpu *vcpu, const struct desc_access *access)
{
	u64 rip = vmcs_readl(GUEST_RIP) + vmcs_read32(VM_EXIT_INSTRUCTION_LEN);
	struct fast_counters *counters = &to_vmx(vcpu)->fast.counters;
	int ret = kvm_emulate_instruction(vcpu, 0);

	if (ret != 1)
		return ret;	/* User space is to emulate the memory. */
	counters->desc_exits_verify_checks++;
	if (kvm_rip_read(vcpu) == rip) {
		expect(vcpu, access, "under stock");
		if (execute(vcpu, access))
			expect(vcpu, access, "done on top");
	} else if (!access->in_memory || !desc_stores(access->instruction) ||
		   execute(vcpu, access)) {
		FAST_MISMATCH(counters, desc_exits,
			      "descriptor-table instruction %u: RIP is %#llx, under stock %#lx",
			      access->instruction, rip, kvm_rip_read(vcpu));
	}
	return ret;
}

/**
 * desc_exit_handle - handle an exit
 * @vcpu: the vCPU
 *
 * Context: the vCPU's thread, kvm->srcu held.
 * Return: 1 if the guest may go on, 0 if user space must act, or a negative errno.
 */
int desc_exit_handle(struct kvm_vcpu *vcpu)
{
	struct desc_access access = { .may_sleep = true };

	if (unlikely(fast_verify())) {
		if (desc_exits && work_out(vcpu, &access))
			return verify(vcpu, &access);
	} else if (desc_exits && handled(vcpu, &access)) {
		return 1;
	}
	to_vmx(vcpu)->fast.desc_exit_left = false;
	return kvm_emulate_instruction(vcpu, 0);
}
