/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The cases of a test: a table, of which the command line may name some.  Each goes on
 * after a failed expectation, and is one line of TAP.
 */
#ifndef LIB_CASES_H
#define LIB_CASES_H

#include <stdbool.h>

#include "kselftest.h"

struct test_case {
	const char *name;
	void (*run)(void);
};

#define CASE(function)	{ #function, function }

extern bool case_failed;
extern const char *skip_reason;		/* set by a case that cannot run here */
extern unsigned int case_number;	/* of the one that runs, in its table */

#define FILE_NAME	(strrchr("/" __FILE__, '/') + 1)

#define EXPECT(condition, fmt, ...) do {					\
	if (!(condition)) {							\
		ksft_print_msg("%s, line %d: %s: " fmt "\n", FILE_NAME, __LINE__, \
			       #condition, ##__VA_ARGS__);			\
		case_failed = true;						\
	}									\
} while (0)

/* What a program needs before its first line: VMX, the VMs' files in debugfs; TAP's head. */
void begin_test(void);

/*
 * Print the plan, and run the cases that @names, the command line's words, name: NAME, or all
 * if there is no such word; -NAME leaves one out.
 */
void run_cases(const struct test_case *cases, unsigned int count, char **names);

/* Of a case that is about verify=1: where that is off, the case is skipped. */
bool verify_is_on(void);

/* Of a case that needs two CPUs: where there is one only, the case is skipped. */
bool two_cpus_are_online(void);

/* Of a case about what KVM does since that release. */
bool kernel_is_at_least(unsigned int version, unsigned int patchlevel);

/* verify=1 found no mismatch of @subject; it has compared, if @compared. */
void expect_verified(const char *subject, bool compared);

#endif
