// SPDX-License-Identifier: GPL-2.0
/*
 * Runs the cases of a test: see cases.h.
 */
#include <sys/mount.h>
#include <sys/utsname.h>

#include "kvm_util.h"
#include "processor.h"

#include "lib/cases.h"
#include "lib/vm.h"

bool case_failed;
const char *skip_reason;
unsigned int case_number;

void begin_test(void)
{
	setbuf(stdout, NULL);
	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_VMX));
	mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	ksft_print_header();
}

static bool wanted(const char *name, char **names)
{
	bool chosen = false, named = false;

	for (; *names; names++) {
		if (**names == '-' && !strcmp(*names + 1, name))
			return false;
		chosen |= **names != '-';
		named |= !strcmp(*names, name);
	}
	return named || !chosen;
}

static void run_case(const struct test_case *this)
{
	case_failed = false;
	skip_reason = NULL;
	this->run();
	if (skip_reason)
		ksft_test_result_skip("%s: %s\n", this->name, skip_reason);
	else
		ksft_test_result(!case_failed, "%s\n", this->name);
}

void run_cases(const struct test_case *cases, unsigned int count, char **names)
{
	unsigned int plan = 0;

	for (case_number = 0; case_number < count; case_number++)
		plan += wanted(cases[case_number].name, names);
	ksft_set_plan(plan);
	for (case_number = 0; case_number < count; case_number++)
		if (wanted(cases[case_number].name, names))
			run_case(&cases[case_number]);
}

bool kernel_is_at_least(unsigned int version, unsigned int patchlevel)
{
	unsigned int its_version, its_patchlevel;
	struct utsname name;

	TEST_ASSERT(!uname(&name) &&
		    sscanf(name.release, "%u.%u", &its_version, &its_patchlevel) == 2,
		    "no release");
	return its_version > version || (its_version == version && its_patchlevel >= patchlevel);
}

bool verify_is_on(void)
{
	if (parameter("verify") == 'Y')
		return true;
	skip_reason = "verify is off";
	return false;
}

bool two_cpus_are_online(void)
{
	if (sysconf(_SC_NPROCESSORS_ONLN) > 1)
		return true;
	skip_reason = "one CPU only";
	return false;
}

void expect_verified(const char *subject, bool compared)
{
	char name[64];

	snprintf(name, sizeof(name), "%s_verify_checks", subject);
	EXPECT(!compared || counter(name), "%s: verify never compared", subject);
	snprintf(name, sizeof(name), "%s_verify_mismatches", subject);
	EXPECT(!counter(name), "%s %lu", name, counter(name));
}
