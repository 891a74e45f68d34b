// SPDX-License-Identifier: GPL-2.0
/*
 * Scenes of the differential test that L1 and L2 play alone.
 */
#include "vmx.h"

#include "differential/scenes.h"
#include "differential/values.h"

/* Third argument of "vmwrite": 0 the value as it is, 1 changed by XOR. */
static void perturb(struct program *p, uint32_t field)
{
	static const uint64_t values[] = {
		0, 1, 2, 3, 0xff, 0xffff, 0x10000, 0xffffffff, 0x80000000, -1ul, 1ul << 50,
		0x1000, 0x800, 0x8, 0x18, 0x7fffffffffff, 0xffff800000000000, 0x80000b0e,
		PAGE_GPA(PAGE_DATA0), PAGE_GPA(PAGE_NONE), PAGE_GPA(PAGE_MSR_BITMAP1),
		PAGE_GPA(PAGE_VIRTUAL_APIC1), 0x202, 0x30202, 0xd01, 0x500,
	};

	if (is_eptp(field))
		L1(vmwrite, EPT_POINTER, 1ul << below(12), 1);
	else if (is_rip(field))
		L1(vmwrite, field, one_in(2) ? 1ul << 47 : PAGE_GPA(PAGE_DATA0), 0);
	else if (one_in(2))
		L1(vmwrite, field, 1ul << below((field >> 13) == 2 ? 32 : 64), 1);
	else if (one_in(2))
		L1(vmwrite, field, 1ul << below(8), 1);
	else
		L1(vmwrite, field, one_in(8) ? random64() : PICK(values), 0);
}

void scene_msr_access(struct program *p, uint32_t msr)
{
	switch (below(6)) {
	case 0 ... 2:
		L2(rdmsr, msr);
		break;
	case 3 ... 4:
		L2(wrmsr, msr, msr_value(msr));
		break;
	default:
		if (one_in(2))
			L1(rdmsr, msr);
		else
			L1(wrmsr, msr, msr_value(msr));
	}
}

void scene_l2(struct program *p)
{
	static const uint16_t ports[] = { 0x80, 0x3f8, 0x1234, 0x70, 0x21, 0xa1, 0xcf8, 0xffff };
	static const uint64_t cr_bits[] = { 1, 2, 4, 8, 0x10, 0x20, 0x80, 0x200, 0x400, 0x10000,
					    0x40000, 0x20000000, 0x40000000, 0x2000, 0x100000,
					    0x80000000, 0x40, 0x20000 };
	uint64_t cr;

	switch (below(36)) {
	case 0 ... 2:
		L2(cpuid, below(24), below(3));
		break;
	case 3:
		L2(vmcall, below(16));
		break;
	case 4 ... 8:
		scene_msr_access(p, some_msr());
		break;
	case 9:
		L2(in, PICK(ports), one_in(2) ? 1 : 4);
		break;
	case 10:
		L2(out, PICK(ports), one_in(2) ? 1 : 4, random64() & 0xff);
		break;
	case 11:
		if (one_in(2))
			L2(ins, PICK(ports));
		else
			L2(outs, PICK(ports));
		break;
	case 12:
		L2(hlt);
		break;
	case 13 ... 14:
		cr = below(5);
		L2(rdcr, cr == 1 ? 8 : cr);
		break;
	case 15 ... 17:
		cr = below(5);
		L2(wrcr, cr == 1 ? 8 : cr, cr == 3 ? 0 : cr == 1 ? below(16) : PICK(cr_bits),
		   !one_in(4));
		break;
	case 18:
		if (one_in(2))
			L2(clts);
		else
			L2(lmsw, below(16) | 1);
		break;
	case 19:
		if (one_in(2))
			L2(rddr, one_in(2) ? 6 : 7);
		else
			L2(wrdr, 7, one_in(2) ? 0x400 : 0x2400);
		break;
	case 20:
		L2(invlpg, some_address());
		break;
	case 21:
		L2(xsetbv, one_in(4), one_in(3) ? 1 : one_in(2) ? 3 : 7);
		break;
	case 22:
		if (one_in(2))
			L2(ud);
		else
			L2(de);
		break;
	case 23:
		L2(pf, some_address());
		break;
	case 24:
		if (one_in(2))
			L2(bp);
		else
			L2(int, below(2));
		break;
	case 25 ... 26:
		L2(load, some_address());
		break;
	case 27:
		L2(store, PAGE_GPA(one_in(2) ? PAGE_DATA0 : PAGE_APIC_ACCESS) + (below(512) << 3),
		   random64());
		break;
	case 28:
		if (one_in(2))
			L2(triple);
		else
			L2(single_step);
		break;
	case 29:
		if (one_in(2))
			L2(sgdt);
		else if (one_in(2))
			L2(lidt);
		else
			L2(sldt);
		break;
	case 30:
		if (one_in(2))
			L2(vmread, some_field());
		else
			L2(vmwrite, some_field(), random64());
		break;
	case 31:
		L2(vmx, below(9));
		break;
	case 32:
		L2(vmfunc, one_in(3), below(3));
		break;
	case 33:
		if (one_in(3))
			L2(wbinvd);
		else if (one_in(2))
			L2(pause);
		else
			L2(mwait);
		break;
	case 34:
		if (one_in(2))
			L2(rdpmc);
		else
			L2(invpcid, below(5));
		break;
	default:
		if (one_in(2))
			L2(window);
		else
			L2(segment, below(7), below(5) * 8);
		break;
	}
}

void scene_perturb(struct program *p)
{
	uint32_t field = some_field();

	if (one_in(6) && !is_eptp(field) && !is_rip(field))
		L1(vmwrite_memory, field, one_in(2) ? 0 : random64());
	else
		perturb(p, field);
	if (one_in(4))
		perturb(p, some_field());
	L1(enter, 2, one_in(4) ? HOW_LONG : one_in(8) ? HOW_DIGEST : 0);
	if (one_in(8))
		L1(digest);
	L1(setup, below(VMCSS), some_config());
}

void scene_mend(struct program *p)
{
	uint32_t field = some_field();

	perturb(p, field);
	L1(enter, 2, one_in(4) ? HOW_LONG : 0);
	L1(restore, field);
}

void scene_bitmap(struct program *p)
{
	uint32_t msr = some_msr();
	uint64_t bit = (msr & 0x1fff) + (msr >> 31 ? 8192 : 0) + (one_in(2) ? 16384 : 0);
	uint64_t page = one_in(2) ? PAGE_MSR_BITMAP0 : PAGE_MSR_BITMAP1;

	if (one_in(4))
		USER(flip, page, bit);
	else if (one_in(4))
		L1(enter, 3, (uint64_t)L2_rdmsr << 16 | (uint64_t)msr << 32, page << 16 | bit);
	else
		L1(flip, page, bit);
	L2(rdmsr, msr);
	if (one_in(2))
		L2(wrmsr, msr, msr_value(msr));
	if (one_in(4))
		L1(vmwrite, MSR_BITMAP, PAGE_GPA(one_in(2) ? PAGE_MSR_BITMAP0 : PAGE_MSR_BITMAP1));
}

void scene_io(struct program *p)
{
	uint16_t port = one_in(2) ? 0x80 : 0x8080;

	L1(flip, port >> 15 ? PAGE_IO_BITMAP_B : PAGE_IO_BITMAP_A, port & 0x7fff);
	L2(in, port, 1);
}

void scene_switch(struct program *p)
{
	switch (below(8)) {
	case 0 ... 2:
		L1(setup, below(VMCSS), some_config());
		break;
	case 3:
		L1(vmptrld, below(10));
		break;
	case 4:
		L1(vmclear, below(10));
		L1(setup, below(VMCSS), some_config());
		break;
	case 5:
		L1(vmptrst);
		L1(vmptrld, below(VMCSS));
		break;
	case 6:
		L1(vmxoff);
		if (one_in(2))
			L1(vmread, some_field());
		L1(vmxon, 3);
		break;
	default:
		L1(vmxon, one_in(2) ? 3 : below(10));
		break;
	}
	L1(enter, 2, 0);
	if (one_in(2))
		L1(setup, below(VMCSS), some_config());
}

/*
 * KVM cannot inject these anew as they were: a privileged software exception and a
 * pending MTF VM exit get lost, a software exception becomes a hardware one, and the
 * other way round, whatever the vector says.  It does so when L0's tick comes just
 * before VM entry, see events_get(); L2 would see it.
 */
static bool is_altered_by_a_tick(uint32_t info)
{
	bool software = (info & 0xff) == 3 || (info & 0xff) == 4;

	switch (info & 0x700) {
	case 0x300:
		return software;
	case 0x500:
		return true;
	case 0x600:
		return !software;
	case 0x700:
		return !(info & 0xff);
	default:
		return false;
	}
}

void scene_inject(struct program *p)
{
	static const uint32_t types[] = { 0, 0x200, 0x300, 0x400, 0x600, 0x500, 0x100, 0x700 };
	static const uint8_t vectors[] = { 0x41, 0x51, 2, 3, 6, 13, 14, 0, 32, 8 };
	uint32_t info = 0x80000000 | PICK(types) | PICK(vectors) | (one_in(3) ? 0x800 : 0);

	if (is_altered_by_a_tick(info))
		info |= 0x800;	/* an error code that is not allowed: no VM entry */
	L1(vmwrite, 0x4016, info);
	if (one_in(2))
		L1(vmwrite, 0x4018, one_in(2) ? 0 : below(64));
	if (one_in(2))
		L1(vmwrite, 0x401a, below(16));
	if (one_in(3))
		L1(vmwrite, 0x6820, one_in(2) ? 0x202 : 0x2);
	L1(enter, 2, HOW_LONG);
}

void scene_desc(struct program *p)
{
	static const uint64_t bad[] = { 0x800000000000, 0x7fffffffffff, -8ul, 0x8000000000 };
	unsigned int i;

	for (i = 0; i < 4; i++)
		L1(desc, below(12),
		   one_in(6) ? PICK(bad) : one_in(4) ? 0xff0 + below(16) : below(64),
		   one_in(3) ? below(4) : random64());
	L1(enter, 1, (uint64_t)L2_cpuid << 16);
}

void scene_l1(struct program *p)
{
	static const uint64_t cr0[] = { 2, 4, 8, 0x20, 0x10000, 0x40000, 0x20000000, 0x60000000, 1,
					0x80000000 };
	static const uint64_t cr4[] = { 1, 4, 8, 0x20, 0x80, 0x100, 0x200, 0x800, 0x2000, 0x20000,
					0x40000, 0x100000 };
	uint32_t msr;

	switch (below(14)) {
	case 0:
		L1(invept, below(4), PAGE_GPA(PAGE_EPT4) | (one_in(2) ? 0x1e : 0x5e), 0);
		break;
	case 1:
		L1(invvpid, below(5), one_in(2) ? 1 + below(3) : below(0x20000), some_address());
		break;
	case 2:
		L1(cr0, PICK(cr0), 1);
		break;
	case 3:
		L1(cr4, PICK(cr4), !one_in(3));
		break;
	case 4:
		L1(cr3);
		break;
	case 5 ... 6:
		msr = some_msr();
		L1(wrmsr, msr, msr_value(msr));
		break;
	case 7:
		L1(rdmsr, some_msr());
		break;
	case 8:
		L1(hypercall, below(16));
		break;
	case 9:
		L1(xsetbv, 0, one_in(3) ? 1 : one_in(2) ? 3 : 7);
		break;
	case 10:
		L1(operand, below(10), one_in(2) ? some_address() : PAGE_GPA(some_page()));
		break;
	case 11:
		L1(address, below(2), one_in(2) ? some_address() : PAGE_GPA(some_page()));
		break;
	case 12:
		L1(vmfunc, 0, 0);
		break;
	default:
		L1(cpuid, below(24), below(3));
		break;
	}
}

/* L1 with 32-bit or PAE paging; an MSR that L2 has without a fault. */
void scene_legacy(struct program *p)
{
	static const uint32_t msrs[] = { 0xc0000100, 0xc0000101, 0x174, 0x277, 0x1d9, 0x48 };

	L1(legacy, below(2), some_config() & ~(1ul << CFG_EXCEPTIONS), PICK(msrs));
	L1(enter, 2, HOW_LONG);
}

void scene_vmcs_access(struct program *p)
{
	switch (below(5)) {
	case 0:
		L1(vmread_memory, some_field());
		break;
	case 1:
		L1(vmread, some_field());
		break;
	case 2:
		L1(vmread, random64() & 0xffff);
		break;
	case 3:
		L1(digest);
		break;
	default:
		perturb(p, 0x4400 + 2 * below(8));
		break;
	}
}

void scene_list(struct program *p)
{
	uint32_t msr = some_msr();
	uint64_t list = one_in(6) ? 2 : below(2);	/* a bad exit load list is L1's end */

	L1(list, list, msr | (one_in(8) ? 1ul << (32 + below(32)) : 0),
	   one_in(2) << 8 | msr_value(msr) << 16);
	L1(vmwrite, list == 0 ? 0x4014 : list == 1 ? 0x400e : 0x4010,
	   1 + below(2) + (one_in(16) ? 600 : 0));
	L1(enter, 2, 0);
	L1(load, PAGE_EXIT_STORE, 8);
	if (one_in(2))
		L1(restore, 0x4014);
}

void scene_ept(struct program *p)
{
	uint64_t page = one_in(2) ? PAGE_DATA0 : some_page(), entry = page * (PAGE_STRIDE >> 12);

	L1(ept, entry, one_in(3) ? 7 : 1ul << below(one_in(2) ? 9 : 52));
	if (one_in(2))
		L1(invept, 2, 0, 0);
	L2(load, PAGE_GPA(page) + 8);
	L2(store, PAGE_GPA(page) + 16, 0);
	L1(ept, entry, 0);
}

void scene_wrong_entry(struct program *p)
{
	L1(enter, 1, 1 + below(2));
	if (one_in(3)) {
		L1(vmclear, below(VMCSS));
		L1(enter, 1, below(3));
		L1(setup, below(VMCSS), some_config());
	}
}

/* An exception while an event is delivered: IDT-vectoring information. */
void scene_vectoring(struct program *p)
{
	L1(vmwrite, EXCEPTION_BITMAP, 1u << 13 | 1u << 11 | 1u << 8);
	L1(vmwrite, GUEST_IDTR_LIMIT, 0x1f);
	if (one_in(2))
		L2(int, below(2));
	else
		L2(ud);
	L1(restore, EXCEPTION_BITMAP);
	L1(restore, GUEST_RIP);
	L2(cpuid, 0, 0);
}

/* APIC virtualization goes on and off between two entries of the same vmcs12. */
void scene_apic_controls(struct program *p)
{
	static const uint32_t bits[] = { 0x10, 0x100, 0x200, 0x110, 0x310, 0x300 };
	static const uint32_t msrs[] = { 0x808, 0x80b, 0x83f, 0x802, 0x80a, 0x830, 0x820 };
	uint32_t msr = PICK(msrs);
	unsigned int i;

	L1(setup, below(VMCSS), (some_config() & ~(CONFIG(ALL_MSRS) | CONFIG(APIC_ACCESS))) |
	   CONFIG(MSR_BITMAP) | CONFIG(TPR_SHADOW) | CONFIG(EXT_INTR) | CONFIG(X2APIC));
	for (i = 0; i < 3; i++) {
		if (one_in(2))
			L2(rdmsr, msr);
		else
			L2(wrmsr, msr, msr_value(msr));
		L1(vmwrite, SECONDARY_VM_EXEC_CONTROL, PICK(bits), 1);
	}
	L2(rdmsr, msr);
}

/* A field that L1 accesses after every one of many exits. */
void scene_hammer(struct program *p)
{
	uint64_t field = some_field();

	if (field == VM_EXIT_CONTROLS)
		field = GUEST_RIP;
	L1(enter, 8 + below(24), HOW_QUIET | (uint64_t)L2_cpuid << 16,
	   (field | (one_in(3) && !is_eptp(field) ? 1 << 16 : 0)) << 32);
	if (one_in(2))
		perturb(p, field);
	L1(enter, 2, one_in(2) ? HOW_LONG : HOW_DIGEST);
	if (one_in(2))
		L1(restore, field);
}
