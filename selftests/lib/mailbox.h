/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The mailbox by which user space and L1 talk: a global "request", a struct request of the
 * test's own that user space writes, and mostly a global "answer", which the guest writes.
 * Each side has a copy of both; they are copied while the vCPU does not run, a request by
 * hand_over(), an answer by the test's run_to_answer(): run until the guest has done what was
 * asked, and waits.
 */
#ifndef LIB_MAILBOX_H
#define LIB_MAILBOX_H

#include "lib/vm.h"

#define hand_over(what) do {							\
	request = (what);							\
	sync_global_to_guest(vm, request);					\
} while (0)

/* What run_to_answer() returns. */
#define ask(what) ({								\
	hand_over(what);							\
	run_to_answer();							\
})

/* The operation, of an enum whose names begin with L1_, and other members of struct request. */
#define ASK(op, ...) ask(((struct request){ .operation = L1_##op, ##__VA_ARGS__ }))
#define HAND_OVER(op, ...) hand_over(((struct request){ .operation = L1_##op, ##__VA_ARGS__ }))

#endif
