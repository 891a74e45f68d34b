// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit: user-return MSRs, against a CPU and a guest that are modelled here: at each VM
 * entry every MSR that the guest can look at has the guest's value.
 */
#include <kunit/test.h>

#include "vmx/user_return_state.h"

enum { STAR, LSTAR, SYSCALL_MASK, EFER, TSC_AUX, TSX_CTRL, NR_MSRS };

#define STEPS	100000

static const struct user_return_slots slots = {
	.syscall = BIT(STAR) | BIT(LSTAR) | BIT(SYSCALL_MASK),
	.efer = BIT(EFER), .tsc_aux = BIT(TSC_AUX), .always = BIT(TSX_CTRL),
};

struct model {
	struct user_return_memo memo;
	bool loaded;			/* stock's guest_uret_msrs_loaded */
	u32 guest[NR_MSRS], hardware[NR_MSRS];
	bool long_mode, syscall, has_tsc_aux;
	bool efer_is_one;		/* no "load IA32_EFER" */
	u32 last_value;
	int kept;
};

/* SDM, SYSCALL and RDTSCP: which of them the guest can look at. */
static bool looks_at(const struct model *m, int msr)
{
	switch (msr) {
	case TSC_AUX:
		return m->has_tsc_aux;
	case TSX_CTRL:
		return true;
	case EFER:
		return m->efer_is_one;
	default:
		return m->long_mode && m->syscall;
	}
}

static void write_efer(struct model *m)
{
	u64 efer = (m->long_mode ? EFER_LMA | EFER_LME : 0) | (m->syscall ? EFER_SCE : 0);

	m->guest[EFER] = ++m->last_value;
	if (user_return_update(&m->memo, &slots, efer, m->has_tsc_aux, m->efer_is_one))
		m->loaded = false;
	else
		m->kept++;
}

/* Stock loads a value at once if the guest needs the MSR. */
static void write_msr(struct model *m, int msr)
{
	m->guest[msr] = ++m->last_value;
	if (m->memo.wanted & BIT(msr))
		m->hardware[msr] = m->guest[msr];
	else
		user_return_changed(&m->memo, msr);
}

static void enter_guest(struct kunit *test, struct model *m)
{
	int msr;

	if (!m->loaded) {
		for (msr = 0; msr < NR_MSRS; msr++)
			if (m->memo.wanted & BIT(msr))
				m->hardware[msr] = m->guest[msr];
		m->loaded = true;
		m->memo.in_hardware = m->memo.wanted;
	}
	for (msr = 0; msr < NR_MSRS; msr++)
		if (looks_at(m, msr))
			KUNIT_ASSERT_EQ_MSG(test, m->hardware[msr], m->guest[msr], "MSR %d", msr);
}

static void leave_to_user_space(struct model *m)
{
	memset(m->hardware, 0, sizeof(m->hardware));
	m->loaded = false;
}

static void guest_finds_its_values(struct kunit *test, bool efer_is_one)
{
	/* EFER is written by write_efer() alone. */
	static const int not_efer[] = { STAR, LSTAR, SYSCALL_MASK, TSC_AUX, TSX_CTRL };
	struct model m = { .efer_is_one = efer_is_one };
	u32 random = 1;
	int step;

	write_efer(&m);
	for (step = 0; step < STEPS; step++) {
		random = random * 1664525 + 1013904223;
		switch (random >> 29) {
		case 0:
			m.syscall = !m.syscall;
			write_efer(&m);
			break;
		case 1:
			m.long_mode = !m.long_mode;
			write_efer(&m);
			break;
		case 2:
			/* KVM_SET_CPUID2 sets EFER up again. */
			m.has_tsc_aux = !m.has_tsc_aux;
			write_efer(&m);
			break;
		case 3:
			write_efer(&m);
			break;
		case 4:
			write_msr(&m, not_efer[(random >> 16) % ARRAY_SIZE(not_efer)]);
			break;
		case 5:
			if (!(random >> 28 & 1))
				leave_to_user_space(&m);
			break;
		default:
			enter_guest(test, &m);
			break;
		}
	}
	/* EFER as such an MSR is loaded again each time; otherwise much is left out. */
	if (efer_is_one)
		KUNIT_EXPECT_EQ(test, m.kept, 0);
	else
		KUNIT_EXPECT_GT(test, m.kept, STEPS / 20);
}

static void efer_loaded_by_vm_entry(struct kunit *test)
{
	guest_finds_its_values(test, false);
}

static void efer_is_such_an_msr(struct kunit *test)
{
	guest_finds_its_values(test, true);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(efer_loaded_by_vm_entry),
	KUNIT_CASE(efer_is_such_an_msr),
	{}
};

static struct kunit_suite suite = {
	.name = "user_return",
	.test_cases = cases,
};

kunit_test_suite(suite);

MODULE_LICENSE("GPL");
