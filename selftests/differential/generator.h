/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Programs of the differential test from a seed.  A program is made of scenes of
 * one to four steps each: most keep L2 going, some break a state and mend it.
 * Invariant: no step reads the time or starts a timer.
 */
#ifndef DIFFERENTIAL_GENERATOR_H
#define DIFFERENTIAL_GENERATOR_H

#define LEAST_STEPS	30
#define MOST_STEPS	60

static uint64_t random_state;

static uint64_t random64(void)
{
	uint64_t z = random_state += 0x9e3779b97f4a7c15ul;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ul;
	z = (z ^ z >> 27) * 0x94d049bb133111ebul;
	return z ^ z >> 31;
}

static uint64_t below(uint64_t limit)
{
	return random64() % limit;
}

static bool one_in(unsigned int n)
{
	return !below(n);
}

#define PICK(table)	table[below(ARRAY_SIZE(table))]

static void emit(struct program *p, uint8_t party, uint8_t operation,
		 uint64_t a, uint64_t b, uint64_t c)
{
	if (p->count < MAX_STEPS)
		p->step[p->count++] = (struct step){ party, operation, { a, b, c } };
}

#define L1(op, ...)	emit4(p, PARTY_L1, L1_##op, ##__VA_ARGS__, 0, 0, 0)
#define L2(op, ...)	emit4(p, PARTY_L2, L2_##op, ##__VA_ARGS__, 0, 0, 0)
#define USER(op, ...)	emit4(p, PARTY_USER, USER_##op, ##__VA_ARGS__, 0, 0, 0)
#define emit4(p, party, op, ...)	emit_first3(p, party, op, __VA_ARGS__)
#define emit_first3(p, party, op, a, b, c, ...)	emit(p, party, op, a, b, c)

/* Reading or writing these would bring time into the transcript. */
static bool is_timely(uint32_t msr)
{
	return msr == 0x10 || msr == 0x11 || msr == 0x12 || msr == 0x3b || msr == 0xe7 ||
	       msr == 0xe8 || msr == 0x6e0 || msr == 0x838 || msr == 0x839 || msr == 0xc0000104 ||
	       (msr >= 0x40000000 && msr < 0x50000000);
}

static uint32_t some_msr(void)
{
	static const uint32_t treated[] = {
		0xc0000100, 0xc0000101, 0xc0000102, 0x48, 0x49, 0x1d9, 0x10b, 0x808, 0x80b, 0x83f,
		0x830, 0x802, 0x803, 0x80a, 0x80d, 0x80f, 0x810, 0x820, 0x828, 0x832, 0x835, 0x83e,
	};
	static const uint32_t others[] = {
		0x277, 0x174, 0x175, 0x176, 0xc0000080, 0xc0000081, 0xc0000082, 0xc0000083,
		0xc0000084, 0xc0000103, 0x1b, 0x3a, 0x1a0, 0xfe, 0x2ff, 0x200, 0x10a, 0x122, 0xda0,
		0x480, 0x481, 0x482, 0x485, 0x486, 0x48b, 0x48c, 0x491, 0x17, 0x8b, 0x9e, 0x38f,
	};
	uint32_t msr;

	do {
		switch (below(8)) {
		case 0 ... 3: msr = PICK(treated); break;
		case 4: msr = 0x800 + below(0x100); break;
		case 5 ... 6: msr = PICK(others); break;
		default: msr = (one_in(2) ? 0xc0000000 : 0) + below(0x2100); break;
		}
	} while (is_timely(msr));
	return msr;
}

static uint64_t msr_value(uint32_t msr)
{
	static const uint64_t values[] = {
		0, 1, 2, 0x10, 0xff, 0x500, 0xd01, 0x7fffffffffff, 0x800000000000,
		0xffff800000000000, -1ul, 0x0007040600070406, 0x0606060606060606, 0x4000,
	};

	switch (msr) {
	case 0x830:
		return one_in(3) ? 0x40441 : 0x40041 + below(8);
	case 0x832:
		return 0x10000 | below(256);
	case 0x1b:
		return 0xfee00d00 ^ (one_in(4) ? 0x400 : 0);
	case 0xc0000080:
		return 0x500 ^ (one_in(2) ? 1 : 0) ^ (one_in(3) ? 0x800 : 0);
	case 0x83f:
		return 0x40 + below(16);
	default:
		return one_in(8) ? random64() : PICK(values);
	}
}

static uint64_t some_page(void)
{
	return below(PAGES);
}

static uint64_t some_address(void)
{
	static const uint64_t addresses[] = {
		0, 0x1000, 0xfff8, 0x7fffffffffff, 0x800000000000, -8ul, 0x8000000000,
		PAGE_GPA(PAGE_NONE), PAGE_GPA(PAGE_DATA0) + 0xffc, PAGE_GPA(PAGE_DATA0) + 0x1000,
		0xfee00000,
	};

	return one_in(3) ? PAGE_GPA(some_page()) + (below(512) << 3) : PICK(addresses);
}

static uint64_t some_config(void)
{
	static const uint8_t usual[] = {
		CFG_MSR_BITMAP, CFG_MSR_BITMAP, CFG_EPT, CFG_HLT, CFG_HLT, CFG_HLT,
	};
	static const uint8_t rare[] = { CFG_MTF, CFG_TIMER_ZERO, CFG_WINDOWS, CFG_EXCEPTIONS,
					CFG_LEGACY_DEFAULTS, CFG_POSTED };
	uint64_t config = random64() & random64() & ((1ul << CFG_BITS) - 1);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(usual); i++)
		if (!one_in(4))
			config |= 1ul << usual[i];
	for (i = 0; i < ARRAY_SIZE(rare); i++)
		if (!one_in(4))
			config &= ~(1ul << rare[i]);
	if (config >> CFG_TIMER_ZERO & 1)
		config &= ~(1ul << CFG_TIMER_FAR);
	return config;
}

static uint32_t some_field(void)
{
	static const uint16_t groups[][2] = {
		{ 0x0000, 3 }, { 0x0800, 10 }, { 0x0c00, 7 }, { 0x2000, 27 }, { 0x2400, 1 },
		{ 0x2800, 11 }, { 0x2c00, 3 }, { 0x4000, 18 }, { 0x4000, 18 }, { 0x4400, 8 },
		{ 0x4800, 23 }, { 0x4c00, 1 }, { 0x6000, 8 }, { 0x6400, 6 }, { 0x6800, 20 },
		{ 0x6c00, 12 },
	};
	unsigned int i;
	uint32_t field;

	do {
		i = below(ARRAY_SIZE(groups));
		field = groups[i][0] + 2 * below(groups[i][1] + one_in(16));
		if ((field >> 13) == 1 && one_in(8))
			field |= 1;	/* the high half */
	} while (field == VMX_PREEMPTION_TIMER_VALUE ||
		 ((field == HOST_RIP || field == HOST_RSP || field == HOST_CR3 ||
		   field == HOST_IDTR_BASE || field == HOST_GDTR_BASE) && !one_in(16)));
	return field;
}

/*
 * An EPTP outside of L1's memory makes stock warn, in nested_vmx_vmexit(), and kill
 * the VM: most programs would end there.
 */
static bool is_eptp(uint32_t field)
{
	return (field & ~1) == EPT_POINTER;
}

/*
 * Code that runs somewhere else in the program is another party's: it may do anything,
 * for ever, or execute what has undefined results.  Elsewhere it faults, or finds zeros.
 */
static bool is_rip(uint32_t field)
{
	return field == GUEST_RIP || field == HOST_RIP;
}

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

/* --------------------------------------------------------------- scenes -- */

static void scene_msr_access(struct program *p, uint32_t msr)
{
	switch (below(6)) {
	case 0 ... 2: L2(rdmsr, msr); break;
	case 3 ... 4: L2(wrmsr, msr, msr_value(msr)); break;
	default:
		if (one_in(2))
			L1(rdmsr, msr);
		else
			L1(wrmsr, msr, msr_value(msr));
	}
}

static void scene_l2(struct program *p)
{
	static const uint16_t ports[] = { 0x80, 0x3f8, 0x1234, 0x70, 0x21, 0xa1, 0xcf8, 0xffff };
	static const uint64_t cr_bits[] = { 1, 2, 4, 8, 0x10, 0x20, 0x80, 0x200, 0x400, 0x10000,
					    0x40000, 0x20000000, 0x40000000, 0x2000, 0x100000,
					    0x80000000, 0x40, 0x20000 };
	uint64_t cr;

	switch (below(36)) {
	case 0 ... 2: L2(cpuid, below(24), below(3)); break;
	case 3: L2(vmcall, below(16)); break;
	case 4 ... 8: scene_msr_access(p, some_msr()); break;
	case 9: L2(in, PICK(ports), one_in(2) ? 1 : 4); break;
	case 10: L2(out, PICK(ports), one_in(2) ? 1 : 4, random64() & 0xff); break;
	case 11: if (one_in(2)) L2(ins, PICK(ports)); else L2(outs, PICK(ports)); break;
	case 12: L2(hlt); break;
	case 13 ... 14: cr = below(5); L2(rdcr, cr == 1 ? 8 : cr); break;
	case 15 ... 17:
		cr = below(5);
		L2(wrcr, cr == 1 ? 8 : cr, cr == 3 ? 0 : cr == 1 ? below(16) : PICK(cr_bits), !one_in(4));
		break;
	case 18: if (one_in(2)) L2(clts); else L2(lmsw, below(16) | 1); break;
	case 19: if (one_in(2)) L2(rddr, one_in(2) ? 6 : 7); else L2(wrdr, 7, one_in(2) ? 0x400 : 0x2400); break;
	case 20: L2(invlpg, some_address()); break;
	case 21: L2(xsetbv, one_in(4), one_in(3) ? 1 : one_in(2) ? 3 : 7); break;
	case 22: if (one_in(2)) L2(ud); else L2(de); break;
	case 23: L2(pf, some_address()); break;
	case 24: if (one_in(2)) L2(bp); else L2(int, below(2)); break;
	case 25 ... 26: L2(load, some_address()); break;
	case 27: L2(store, PAGE_GPA(one_in(2) ? PAGE_DATA0 : PAGE_APIC_ACCESS) + (below(512) << 3), random64()); break;
	case 28: if (one_in(2)) L2(triple); else L2(single_step); break;
	case 29: if (one_in(2)) L2(sgdt); else if (one_in(2)) L2(lidt); else L2(sldt); break;
	case 30: if (one_in(2)) L2(vmread, some_field()); else L2(vmwrite, some_field(), random64()); break;
	case 31: L2(vmx, below(9)); break;
	case 32: L2(vmfunc, one_in(3), below(3)); break;
	case 33: if (one_in(3)) L2(wbinvd); else if (one_in(2)) L2(pause); else L2(mwait); break;
	case 34: if (one_in(2)) L2(rdpmc); else L2(invpcid, below(5)); break;
	default: if (one_in(2)) L2(window); else L2(segment, below(7), below(5) * 8); break;
	}
}

static void scene_perturb(struct program *p)
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

static void scene_mend(struct program *p)
{
	uint32_t field = some_field();

	perturb(p, field);
	L1(enter, 2, one_in(4) ? HOW_LONG : 0);
	L1(restore, field);
}

static void scene_bitmap(struct program *p)
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

static void scene_io(struct program *p)
{
	uint16_t port = one_in(2) ? 0x80 : 0x8080;

	L1(flip, port >> 15 ? PAGE_IO_BITMAP_B : PAGE_IO_BITMAP_A, port & 0x7fff);
	L2(in, port, 1);
}

static void scene_filter(struct program *p)
{
	uint32_t msr = some_msr();

	USER(filter, msr, 1 + below(3), below(2));
	scene_msr_access(p, msr);
	scene_msr_access(p, msr);
	if (!one_in(4)) {
		USER(filter, msr, 0, 0);
		scene_msr_access(p, msr);
	}
}

static void scene_slot(struct program *p)
{
	uint64_t page = some_page(), what = below(SLOT_AWAY_AND_BACK + 1);

	if (page == PAGE_EPT4 && (what == SLOT_DELETE || what == SLOT_MOVE))
		what = SLOT_AWAY_AND_BACK;	/* see is_eptp() */
	if (one_in(2))
		L2(nothing);
	USER(slot, page, what);
	scene_l2(p);
	L1(enter, 2, 0);
	if (what == SLOT_LOG || what == SLOT_MOVE)
		USER(dirty_log, page);
	if (what == SLOT_MOVE && !one_in(4))
		USER(slot, page, SLOT_MOVE);
	else if (!one_in(6) && what != SLOT_LOG)
		USER(slot, page, what == SLOT_DELETE ? SLOT_ADD : SLOT_PLAIN);
	L2(cpuid, 0, 0);
	if (what == SLOT_LOG)
		USER(dirty_log, page);
}

static void scene_memory(struct program *p)
{
	uint64_t page = some_page();

	if (one_in(2))
		L2(nothing);
	switch (below(5)) {
	case 0 ... 1: USER(remap, page); break;
	case 2: USER(discard, page, !one_in(4)); break;
	case 3: USER(flip, page, below(32768)); break;
	default: USER(poke, page, below(512) << 3, one_in(2) ? 0 : random64()); break;
	}
	scene_l2(p);
	if (one_in(2))
		L1(enter, 1 + below(4), (uint64_t)L2_cpuid << 16);
	if (page < PAGE_MSR_BITMAP0 && one_in(2))
		L1(vmclear, page);
}

static void scene_nested_state(struct program *p)
{
	if (one_in(2))
		L2(nothing);
	switch (below(6)) {
	case 0: USER(nested_get); break;
	case 1: USER(nested_same); break;
	case 2 ... 3: USER(nested_new_vm); break;
	default: USER(nested_hostile, below(8192), 1ul << below(64), below(10)); break;
	}
	if (one_in(2))
		L2(cpuid, 1, 0);
}

static void scene_switch(struct program *p)
{
	switch (below(8)) {
	case 0 ... 2: L1(setup, below(VMCSS), some_config()); break;
	case 3: L1(vmptrld, below(10)); break;
	case 4: L1(vmclear, below(10)); L1(setup, below(VMCSS), some_config()); break;
	case 5: L1(vmptrst); L1(vmptrld, below(VMCSS)); break;
	case 6: L1(vmxoff); if (one_in(2)) L1(vmread, some_field()); L1(vmxon, 3); break;
	default: L1(vmxon, one_in(2) ? 3 : below(10)); break;
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
	case 0x300: return software;
	case 0x500: return true;
	case 0x600: return !software;
	case 0x700: return !(info & 0xff);
	default: return false;
	}
}

static void scene_inject(struct program *p)
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

static void scene_user(struct program *p)
{
	static const uint64_t sregs_bits[] = { 1, 0x10, 0x20, 0x80, 0x2000, 0x20000, 0x800, 1ul << 40 };
	uint32_t msr;

	if (one_in(2))
		L2(nothing);
	switch (below(16)) {
	case 0 ... 1: msr = some_msr(); USER(set_msr, msr, msr_value(msr)); break;
	case 2: USER(get_msr, some_msr()); break;
	case 3: USER(flip_msr, 0x480 + below(18), 1ul << below(64)); break;
	case 4: USER(sregs, below(7), PICK(sregs_bits)); break;
	case 5: USER(events, below(7), random64() & 0x1ff); break;
	case 6: USER(debug, 1 + below(8)); break;
	case 7: USER(debug, 0, one_in(2) ? 0 : 3, some_address()); break;
	case 8: USER(smi); break;
	case 9: USER(nmi); break;
	case 10 ... 11: USER(interrupt, 0x40 + below(16), one_in(5) ? 4 : 0); break;
	case 12: USER(immediate); break;
	case 13: USER(signal); break;
	case 14: USER(cpu, below(2)); break;
	default: USER(capability, below(4)); break;
	}
	scene_l2(p);
	if (one_in(3))
		L1(window);
}

static void scene_l1(struct program *p)
{
	static const uint64_t cr0[] = { 2, 4, 8, 0x20, 0x10000, 0x40000, 0x20000000, 0x60000000, 1, 0x80000000 };
	static const uint64_t cr4[] = { 1, 4, 8, 0x20, 0x80, 0x100, 0x200, 0x800, 0x2000, 0x20000, 0x40000, 0x100000 };
	uint32_t msr;

	switch (below(14)) {
	case 0: L1(invept, below(4), PAGE_GPA(PAGE_EPT4) | (one_in(2) ? 0x1e : 0x5e), 0); break;
	case 1: L1(invvpid, below(5), one_in(2) ? 1 + below(3) : below(0x20000), some_address()); break;
	case 2: L1(cr0, PICK(cr0), 1); break;
	case 3: L1(cr4, PICK(cr4), !one_in(3)); break;
	case 4: L1(cr3); break;
	case 5 ... 6: msr = some_msr(); L1(wrmsr, msr, msr_value(msr)); break;
	case 7: L1(rdmsr, some_msr()); break;
	case 8: L1(hypercall, below(16)); break;
	case 9: L1(xsetbv, 0, one_in(3) ? 1 : one_in(2) ? 3 : 7); break;
	case 10: L1(operand, below(10), one_in(2) ? some_address() : PAGE_GPA(some_page())); break;
	case 11: L1(address, below(2), one_in(2) ? some_address() : PAGE_GPA(some_page())); break;
	case 12: L1(vmfunc, 0, 0); break;
	default: L1(cpuid, below(24), below(3)); break;
	}
}

/* L1 with 32-bit or PAE paging; an MSR that L2 has without a fault. */
static void scene_legacy(struct program *p)
{
	static const uint32_t msrs[] = { 0xc0000100, 0xc0000101, 0x174, 0x277, 0x1d9, 0x48 };

	L1(legacy, below(2), some_config() & ~(1ul << CFG_EXCEPTIONS), PICK(msrs));
	L1(enter, 2, HOW_LONG);
}

static void scene_vmcs_access(struct program *p)
{
	switch (below(5)) {
	case 0: L1(vmread_memory, some_field()); break;
	case 1: L1(vmread, some_field()); break;
	case 2: L1(vmread, random64() & 0xffff); break;
	case 3: L1(digest); break;
	default: perturb(p, 0x4400 + 2 * below(8)); break;
	}
}

static void scene_list(struct program *p)
{
	uint32_t msr = some_msr();
	uint64_t list = one_in(6) ? 2 : below(2);	/* a bad exit load list is L1's end */

	L1(list, list, msr | (one_in(8) ? 1ul << (32 + below(32)) : 0),
	   one_in(2) << 8 | msr_value(msr) << 16);
	L1(vmwrite, list == 0 ? 0x4014 : list == 1 ? 0x400e : 0x4010, 1 + below(2) + (one_in(16) ? 600 : 0));
	L1(enter, 2, 0);
	L1(load, PAGE_EXIT_STORE, 8);
	if (one_in(2))
		L1(restore, 0x4014);
}

static void scene_ept(struct program *p)
{
	uint64_t page = one_in(2) ? PAGE_DATA0 : some_page(), entry = page * (PAGE_STRIDE >> 12);

	L1(ept, entry, one_in(3) ? 7 : 1ul << below(one_in(2) ? 9 : 52));
	if (one_in(2))
		L1(invept, 2, 0, 0);
	L2(load, PAGE_GPA(page) + 8);
	L2(store, PAGE_GPA(page) + 16, 0);
	L1(ept, entry, 0);
}

static void scene_wrong_entry(struct program *p)
{
	L1(enter, 1, 1 + below(2));
	if (one_in(3)) {
		L1(vmclear, below(VMCSS));
		L1(enter, 1, below(3));
		L1(setup, below(VMCSS), some_config());
	}
}

/* An exception while an event is delivered: IDT-vectoring information. */
static void scene_vectoring(struct program *p)
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

#define CONFIG(bit)	(1ul << CFG_##bit)

/* An interrupt that is posted while L2 runs, by descriptor and notification vector. */
static void scene_posted(struct program *p)
{
	uint64_t config = (some_config() & ~(CONFIG(IO) | CONFIG(IO_BITMAP))) |
			  CONFIG(MSR_BITMAP) | CONFIG(X2APIC) | CONFIG(INTR_DELIVERY) |
			  CONFIG(EXT_INTR) | CONFIG(POSTED) | CONFIG(ACK);
	uint64_t which = below(VMCSS), vapic = PAGE_VIRTUAL_APIC0 + which % 2;
	uint64_t logged = one_in(2) ? PAGE_POSTED : vapic;
	bool log = one_in(2);

	L1(setup, which, config);
	if (log)
		USER(slot, logged, SLOT_LOG);
	L2(nothing);
	if (log)
		USER(dirty_log, logged);
	USER(poke, PAGE_POSTED, 8 * (one_in(4) ? below(4) : 1), 1ul << below(64));
	USER(poke, PAGE_POSTED, 32, !one_in(6));
	USER(interrupt, one_in(8) ? 0x52 : 0x51, 0);
	if (log && one_in(2))
		USER(dirty_log, logged);
	L2(window);
	if (log)
		USER(dirty_log, logged);
	L2(wrmsr, 0x80b, 0);
	L1(load, vapic, 0x100 + 0x10 * below(24));
	L1(load, PAGE_POSTED, 8 * below(5));
	if (log)
		USER(slot, logged, SLOT_PLAIN);
}

/* APIC virtualization goes on and off between two entries of the same vmcs12. */
static void scene_apic_controls(struct program *p)
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
static void scene_hammer(struct program *p)
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

static void scene_storm(struct program *p)
{
	uint32_t msr = some_msr();
	uint64_t bit = (msr & 0x1fff) + (msr >> 31 ? 8192 : 0) + (one_in(2) ? 16384 : 0);

	L1(setup, below(VMCSS), some_config() | CONFIG(MSR_BITMAP));
	USER(storm, 1 + below(STORM_KINDS - 1), below(8), bit);
	L1(enter, 60, HOW_QUIET | (uint64_t)L2_loop << 16 | 60ul << 32, 0);
	L2(rdmsr, msr);
	scene_bitmap(p);
}

/* What L0 marks dirty while L2 runs, not only when it leaves. */
static void scene_dirty(struct program *p)
{
	uint64_t page = one_in(4) ? some_page() :
			one_in(3) ? PAGE_POSTED : PAGE_VIRTUAL_APIC0 + below(2);

	L1(setup, below(VMCSS), some_config() | CONFIG(TPR_SHADOW) | CONFIG(EXT_INTR));
	USER(slot, page, SLOT_LOG);
	L2(nothing);
	USER(dirty_log, page);
	if (one_in(2)) {	/* L2 leaves before it runs again */
		USER(interrupt, 0x40 + below(16), 0);
		L1(pause);
		USER(dirty_log, page);
		L2(nothing);
		USER(dirty_log, page);
	}
	L2(in, 0x80, 1);
	USER(dirty_log, page);
	L2(cpuid, 0, 0);
	USER(dirty_log, page);
	USER(slot, page, SLOT_PLAIN);
}

static void scene(struct program *p)
{
	switch (below(41)) {
	case 34: scene_vectoring(p); break;
	case 35: scene_dirty(p); break;
	case 36: scene_posted(p); break;
	case 37: scene_hammer(p); break;
	case 38: scene_storm(p); break;
	case 39: scene_legacy(p); break;
	case 40: scene_apic_controls(p); break;
	case 0 ... 7: scene_l2(p); break;
	case 8 ... 9: scene_perturb(p); break;
	case 10 ... 11: scene_mend(p); break;
	case 12 ... 14: scene_bitmap(p); break;
	case 15: scene_io(p); break;
	case 16 ... 17: scene_filter(p); break;
	case 18 ... 20: scene_slot(p); break;
	case 21 ... 22: scene_memory(p); break;
	case 23 ... 24: scene_nested_state(p); break;
	case 25: scene_switch(p); break;
	case 26: scene_inject(p); break;
	case 27 ... 28: scene_user(p); break;
	case 29: scene_l1(p); break;
	case 30: scene_vmcs_access(p); break;
	case 31: scene_list(p); break;
	case 32: scene_ept(p); break;
	default: scene_wrong_entry(p); break;
	}
	if (one_in(12))
		USER(regs);
	if (one_in(24))
		USER(lapic);
	if (one_in(10))
		L1(enter, 1 + below(4), (uint64_t)(one_in(2) ? L2_cpuid : L2_vmcall) << 16 |
		   (one_in(4) ? HOW_LONG : 0));
}

static void generate(struct program *p, uint64_t seed)
{
	unsigned int count;

	random_state = seed * 0x2545f4914f6cdd1dul + 1;
	p->count = 0;
	count = LEAST_STEPS + below(MOST_STEPS - LEAST_STEPS);
	L1(setup, 0, some_config());
	if (one_in(3))
		L1(setup, 1, some_config());
	L1(enter, 3, (uint64_t)L2_cpuid << 16 | HOW_LONG);
	while (p->count < count)
		scene(p);
}

#undef L1
#undef L2
#undef USER

#endif
