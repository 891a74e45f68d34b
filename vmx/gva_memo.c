// SPDX-License-Identifier: GPL-2.0
/*
 * Small accesses to memory of the guest's kernel, by linear address.
 *
 * Stock walks the guest's page tables, and searches the memslots for each table and for the
 * page.  Of the last few pages we remember where the paging-structure entries are in user
 * space's memory, what they held, and where the page is.
 *
 * Skipped: walk and searches, if all entries hold what they held.  The walk would find the
 * same page, and allow the same access.
 *
 * | input | how we know | mutants |
 * |---|---|---|
 * | paging-structure entries | read, and compared | `gva-memo-entry-ignored` |
 * | CR3 | compared | `gva-memo-cr3-ignored` |
 * | memslots, dirty logging | their generation is compared | `gva-memo-memslots-ignored` |
 * | RFLAGS.AC | no page of user space (U/S set in all entries) is remembered |
 *   `gva-memo-user-pages` |
 *
 * Also compared is the MMU's role, which stock makes of CR0, CR4, EFER and SMM.  The CPL is 0,
 * says the caller.  No page is held: each access is by the address of user space.
 *
 * Only with EPT, outside guest mode, with 4-level paging.  Accessed and dirty flags that an
 * access must set are not set in what is remembered, so that stock sets them first.
 */
#include <linux/uaccess.h>

#include "kvm/mmu.h"
#include "kvm/vmx/vmx_ops.h"
#include "vmx/gva_memo.h"

static __always_inline struct gva_page *page_for(struct kvm_vcpu *vcpu, u64 gva)
{
	return &to_vmx(vcpu)->fast.gva.pages[(gva >> PAGE_SHIFT) % GVA_MEMO_PAGES];
}

/* With EPT the guest's own CR3 is in the VMCS, which it has just used. */
static __always_inline u64 root_of(void)
{
	return vmcs_readl(GUEST_CR3) & GVA_FRAME;
}

/* The four inputs that are not in guest memory. */
static __always_inline bool is_of(struct kvm_vcpu *vcpu, const struct gva_page *page, u64 gva,
				  bool write)
{
	return page->page == (gva & PAGE_MASK) && page->role &&
	       page->role == fast_walk_role(vcpu).as_u64 &&
	       page->generation == kvm_vcpu_memslots(vcpu)->generation &&
	       page->root == root_of() && (page->writable || !write);
}

/*
 * Copies 2, 8 or 10 bytes of a remembered page; @size is a constant.  False if an entry has
 * changed, or if user space's memory is not there: it may not sleep.
 */
static __always_inline bool copy(const struct gva_page *page, u64 gva, void *data,
				 unsigned int size, bool write)
{
	u8 __user *address = page->memory + offset_in_page(gva);
	u64 value, changed = 0;
	bool done = false;
	int i;

	pagefault_disable();
	if (!user_access_begin(address, size))
		goto out;
#pragma GCC unroll 4
	for (i = 0; i < GVA_MEMO_LEVELS; i++) {
		unsafe_get_user(value, page->entry[i], end);
		changed |= value ^ page->value[i];
	}
	if (changed)
		goto end;
	if (size != sizeof(u64)) {
		if (write)
			unsafe_put_user(*(u16 *)data, (u16 __user *)address, end);
		else
			unsafe_get_user(*(u16 *)data, (u16 __user *)address, end);
	}
	if (size >= sizeof(u64)) {
		const unsigned int from = size - sizeof(u64);

		if (write)
			unsafe_put_user(*(u64 *)(data + from), (u64 __user *)(address + from), end);
		else
			unsafe_get_user(*(u64 *)(data + from), (u64 __user *)(address + from), end);
	}
	done = true;
end:
	user_access_end();
out:
	pagefault_enable();
	return done;
}

static __always_inline bool copy_sized(const struct gva_page *page, u64 gva, void *data,
				       unsigned int size, bool write)
{
	switch (size) {
	case 2:
		return copy(page, gva, data, 2, write);
	case 8:
		return !write && copy(page, gva, data, 8, false);
	case 10:
		return copy(page, gva, data, 10, write);
	}
	return false;
}

/* Reads the entries for @gva into @page.  False if this page is not to be remembered. */
static bool read_entries(struct kvm_vcpu *vcpu, struct gva_page *page, u64 gva, bool write)
{
	u64 table = page->root, all = ~0ull;
	int level;

	for (level = GVA_MEMO_LEVELS; level; level--) {
		unsigned long hva = kvm_vcpu_gfn_to_hva(vcpu, table >> PAGE_SHIFT);
		unsigned int index = gva >> (12 + 9 * (level - 1)) & 511;
		const int i = GVA_MEMO_LEVELS - level;

		if (kvm_is_error_hva(hva))
			return false;
		page->entry[i] = (u64 __user *)hva + index;
		if (get_user(page->value[i], page->entry[i]))
			return false;
		table = page->value[i] & GVA_FRAME;
		if (gva_entry_is_last(page->value[i], level))
			break;
		all &= page->value[i] | GVA_DIRTY;
	}
	all &= page->value[GVA_MEMO_LEVELS - level];
	page->gfn = gva_gfn_of(page->value[GVA_MEMO_LEVELS - level], level, gva);
	for (; level > 1; level--) {
		const int i = GVA_MEMO_LEVELS - level;

		page->entry[i + 1] = page->entry[i];
		page->value[i + 1] = page->value[i];
	}
	page->writable = write;
	return gva_entries_allow(all, write);
}

static bool may_be_known(struct kvm_vcpu *vcpu, const struct gva_page *page)
{
	return enable_ept && !is_guest_mode(vcpu) &&
	       fast_walk_role(vcpu).base.level == PT64_ROOT_4LEVEL &&
	       !(page->generation & KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS);
}

/*
 * Stock translates @gva; it sets accessed and dirty flags.  What the entries held before and
 * hold afterwards, it has walked.  Return: the guest-physical address, or INVALID_GPA.
 */
static gpa_t translate(struct kvm_vcpu *vcpu, u64 gva, bool write)
{
	struct gva_page *page = page_for(vcpu, gva);
	struct kvm_memory_slot *slot;
	struct x86_exception exception;
	struct gva_page before = {
		.page = gva & PAGE_MASK,
		.root = root_of(),
		.role = fast_walk_role(vcpu).as_u64,
		.generation = kvm_vcpu_memslots(vcpu)->generation,
	};
	unsigned long hva;
	bool known;
	u64 unused;
	gpa_t gpa;

	known = may_be_known(vcpu, &before) && read_entries(vcpu, &before, gva, write);
	gpa = write ? kvm_mmu_gva_to_gpa_write(vcpu, gva, &exception) :
		      kvm_mmu_gva_to_gpa_read(vcpu, gva, &exception);
	page->role = 0;
	if (!known || gpa == INVALID_GPA || before.gfn != gpa >> PAGE_SHIFT)
		return gpa;
	slot = __gfn_to_memslot(kvm_vcpu_memslots(vcpu), before.gfn);
	hva = kvm_vcpu_gfn_to_hva(vcpu, before.gfn);
	if (!slot || kvm_is_error_hva(hva))
		return gpa;
	before.memory = (u8 __user *)hva;
	before.logged = kvm_slot_dirty_track_enabled(slot);
	*page = before;
	if (!copy(page, gva & PAGE_MASK, &unused, sizeof(unused), false))
		page->role = 0;
	return gpa;
}

/**
 * gva_read - read memory of the guest's kernel
 * @vcpu: the vCPU, at CPL 0 in 64-bit mode
 * @gva: linear address, canonical
 * @data: what is read
 * @size: bytes, 2, 8 or 10, all in one page
 * @may_sleep: interrupts are on
 *
 * Context: the vCPU's thread, kvm->srcu held.
 * Return: false if the memory cannot be read, or not without sleeping.
 */
bool gva_read(struct kvm_vcpu *vcpu, u64 gva, void *data, unsigned int size, bool may_sleep)
{
	const struct gva_page *page = page_for(vcpu, gva);
	gpa_t gpa;

	if (is_of(vcpu, page, gva, false) && copy_sized(page, gva, data, size, false))
		return true;
	if (!may_sleep)
		return false;
	gpa = translate(vcpu, gva, false);
	return gpa != INVALID_GPA &&
	       !kvm_vcpu_read_guest_page(vcpu, gpa >> PAGE_SHIFT, data, offset_in_page(gpa), size);
}

/**
 * gva_write - write memory of the guest's kernel
 * @vcpu: the vCPU, at CPL 0 in 64-bit mode
 * @gva: linear address, canonical
 * @data: what is written
 * @size: bytes, 2 or 10, all in one page
 * @may_sleep: interrupts are on
 * @gfn: set to the guest frame that was written
 *
 * Context: the vCPU's thread, kvm->srcu held.
 * Return: false if the memory cannot be written, or not without sleeping.
 */
bool gva_write(struct kvm_vcpu *vcpu, u64 gva, const void *data, unsigned int size,
	       bool may_sleep, u64 *gfn)
{
	const struct gva_page *page = page_for(vcpu, gva);
	gpa_t gpa;

	*gfn = page->gfn;
	/* The fastpath does not look whether the dirty ring is full. */
	if ((may_sleep || !page->logged) && is_of(vcpu, page, gva, true) &&
	    copy_sized(page, gva, (void *)data, size, true)) {
		if (page->logged)
			kvm_vcpu_mark_page_dirty(vcpu, page->gfn);
		return true;
	}
	if (!may_sleep)
		return false;
	gpa = translate(vcpu, gva, true);
	*gfn = gpa >> PAGE_SHIFT;
	return gpa != INVALID_GPA &&
	       !kvm_vcpu_write_guest_page(vcpu, *gfn, data, offset_in_page(gpa), size);
}
