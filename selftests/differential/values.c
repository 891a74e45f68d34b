// SPDX-License-Identifier: GPL-2.0
/*
 * Random values of the differential test: see values.h.
 */
#include "vmx.h"

#include "differential/layout.h"
#include "differential/values.h"

uint64_t random_state;

uint64_t random64(void)
{
	uint64_t z = random_state += 0x9e3779b97f4a7c15ul;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ul;
	z = (z ^ z >> 27) * 0x94d049bb133111ebul;
	return z ^ z >> 31;
}

uint64_t below(uint64_t limit)
{
	return random64() % limit;
}

bool one_in(unsigned int n)
{
	return !below(n);
}

/* Reading or writing these would bring time into the transcript. */
static bool is_timely(uint32_t msr)
{
	return msr == 0x10 || msr == 0x11 || msr == 0x12 || msr == 0x3b || msr == 0xe7 ||
	       msr == 0xe8 || msr == 0x6e0 || msr == 0x838 || msr == 0x839 || msr == 0xc0000104 ||
	       (msr >= 0x40000000 && msr < 0x50000000);
}

uint32_t some_msr(void)
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
		case 0 ... 3:
			msr = PICK(treated);
			break;
		case 4:
			msr = 0x800 + below(0x100);
			break;
		case 5 ... 6:
			msr = PICK(others);
			break;
		default:
			msr = (one_in(2) ? 0xc0000000 : 0) + below(0x2100);
			break;
		}
	} while (is_timely(msr));
	return msr;
}

uint64_t msr_value(uint32_t msr)
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

uint64_t some_page(void)
{
	return below(PAGES);
}

uint64_t some_address(void)
{
	static const uint64_t addresses[] = {
		0, 0x1000, 0xfff8, 0x7fffffffffff, 0x800000000000, -8ul, 0x8000000000,
		PAGE_GPA(PAGE_NONE), PAGE_GPA(PAGE_DATA0) + 0xffc, PAGE_GPA(PAGE_DATA0) + 0x1000,
		0xfee00000,
	};

	return one_in(3) ? PAGE_GPA(some_page()) + (below(512) << 3) : PICK(addresses);
}

uint64_t some_config(void)
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

uint32_t some_field(void)
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

bool is_eptp(uint32_t field)
{
	return (field & ~1) == EPT_POINTER;
}

bool is_rip(uint32_t field)
{
	return field == GUEST_RIP || field == HOST_RIP;
}
