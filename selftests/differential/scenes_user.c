// SPDX-License-Identifier: GPL-2.0
/*
 * Scenes of the differential test in which user space changes something under its guests.
 */
#include "vmx.h"

#include "differential/memory.h"
#include "differential/scenes.h"
#include "differential/storm.h"
#include "differential/values.h"

void scene_filter(struct program *p)
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

void scene_slot(struct program *p)
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

void scene_memory(struct program *p)
{
	uint64_t page = some_page();

	if (one_in(2))
		L2(nothing);
	switch (below(5)) {
	case 0 ... 1:
		USER(remap, page);
		break;
	case 2:
		USER(discard, page, !one_in(4));
		break;
	case 3:
		USER(flip, page, below(32768));
		break;
	default:
		USER(poke, page, below(512) << 3, one_in(2) ? 0 : random64());
		break;
	}
	scene_l2(p);
	if (one_in(2))
		L1(enter, 1 + below(4), (uint64_t)L2_cpuid << 16);
	if (page < PAGE_MSR_BITMAP0 && one_in(2))
		L1(vmclear, page);
}

void scene_nested_state(struct program *p)
{
	if (one_in(2))
		L2(nothing);
	switch (below(6)) {
	case 0:
		USER(nested_get);
		break;
	case 1:
		USER(nested_same);
		break;
	case 2 ... 3:
		USER(nested_new_vm);
		break;
	default:
		USER(nested_hostile, below(8192), 1ul << below(64), below(10));
		break;
	}
	if (one_in(2))
		L2(cpuid, 1, 0);
}

void scene_user(struct program *p)
{
	static const uint64_t sregs_bits[] = { 1, 0x10, 0x20, 0x80, 0x2000, 0x20000, 0x800,
					       1ul << 40 };
	uint32_t msr;

	if (one_in(2))
		L2(nothing);
	switch (below(16)) {
	case 0 ... 1:
		msr = some_msr();
		USER(set_msr, msr, msr_value(msr));
		break;
	case 2:
		USER(get_msr, some_msr());
		break;
	case 3:
		USER(flip_msr, 0x480 + below(18), 1ul << below(64));
		break;
	case 4:
		USER(sregs, below(7), PICK(sregs_bits));
		break;
	case 5:
		USER(events, below(7), random64() & 0x1ff);
		break;
	case 6:
		USER(debug, 1 + below(8));
		break;
	case 7:
		USER(debug, 0, one_in(2) ? 0 : 3, some_address());
		break;
	case 8:
		USER(smi);
		break;
	case 9:
		USER(nmi);
		break;
	case 10 ... 11:
		USER(interrupt, 0x40 + below(16), one_in(5) ? 4 : 0);
		break;
	case 12:
		USER(immediate);
		break;
	case 13:
		USER(signal);
		break;
	case 14:
		USER(cpu, below(2));
		break;
	default:
		USER(capability, below(4));
		break;
	}
	scene_l2(p);
	if (one_in(3))
		L1(window);
}

/* An interrupt that is posted while L2 runs, by descriptor and notification vector. */
void scene_posted(struct program *p)
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

void scene_storm(struct program *p)
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
void scene_dirty(struct program *p)
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
