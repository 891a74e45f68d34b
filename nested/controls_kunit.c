// SPDX-License-Identifier: GPL-2.0
/* KUnit: each input of vmcs02's controls, and what vmcs02 has, is compared. */
#include <kunit/test.h>

#include "nested/controls_state.h"

static void each_bit_matters(struct kunit *test)
{
	const struct controls_inputs was = {
		.vmcs01 = { 0x123456789abcdef0, 0x0fedcba987654321, 0x55aa55aa },
		.vmcs02 = { 0xfedcba9876543210, 0x1122334455667788, 0xaa55aa55 },
		.pin_based = 0x16, .cpu_based = 0x401e172, .secondary = 0xa2, .vm_entry = 0x13ff,
		.guest_ia32_efer = 0xd01, .guest_cr4 = 0x2020, .l1_efer = 0x500,
	};
	struct controls_inputs is = was;

	KUNIT_EXPECT_TRUE(test, controls_unchanged(&was, &is));
#define EACH_BIT(field, relevant) do {							\
		int bit;								\
											\
		for (bit = 0; bit < 8 * sizeof(is.field); bit++) {			\
			is.field ^= 1ull << bit;					\
			KUNIT_ASSERT_EQ_MSG(test, controls_unchanged(&was, &is),	\
					    !((relevant) >> bit & 1), #field " bit %d", bit); \
			is.field = was.field;						\
		}									\
	} while (0)
	EACH_BIT(vmcs01.entry_and_exit, ~0ull);
	EACH_BIT(vmcs01.pin_and_primary, ~0ull);
	EACH_BIT(vmcs01.secondary, ~0ull);
	EACH_BIT(vmcs02.entry_and_exit, ~0ull);
	EACH_BIT(vmcs02.pin_and_primary, ~0ull);
	EACH_BIT(vmcs02.secondary, ~0ull);
	EACH_BIT(pin_based, ~0ull);
	EACH_BIT(cpu_based, ~0ull);
	EACH_BIT(secondary, ~0ull);
	EACH_BIT(vm_entry, ~0ull);
	EACH_BIT(guest_ia32_efer, ~0ull);
	EACH_BIT(l1_efer, ~0ull);
	EACH_BIT(guest_cr4, (u64)X86_CR4_UMIP);
#undef EACH_BIT
}

static struct kunit_case cases[] = {
	KUNIT_CASE(each_bit_matters),
	{}
};

static struct kunit_suite suite = {
	.name = "controls",
	.test_cases = cases,
};

kunit_test_suite(suite);

MODULE_LICENSE("GPL");
