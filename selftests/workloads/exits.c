// SPDX-License-Identifier: GPL-2.0
/*
 * exits ROW... - one instruction that exits, in a loop, in the user space of a guest.
 *
 * Of each row 1,000 are measured, after as many that nobody counts.
 */
#include <stdlib.h>
#include <sys/io.h>
#include "mark.h"

#define ITERATIONS	1000
#define PORT		0x21	/* of the PIC */

static void cpuid(void)
{
	uint32_t eax = 0, ebx, ecx = 0, edx;

	asm volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
}

/* Refused, since this is not the kernel; Xen's ABI returns the refusal in RAX. */
static void vmcall(void)
{
	uint64_t rax = ~0ull;

	asm volatile("vmcall" : "+a"(rax) : : "memory");
}

static void in(void)
{
	inb(PORT);
}

static const struct {
	const char *name;
	void (*execute)(void);
} rows[] = {
	{ "cpuid", cpuid },
	{ "vmcall", vmcall },
	{ "in", in },
};

int main(int argc, char **argv)
{
	unsigned int i, row;

	if (iopl(3)) {
		perror("exits: no access to ports");
		return 1;
	}
	for (; --argc; argv++) {
		for (row = 0; row < 3 && strcmp(rows[row].name, argv[1]); row++)
			;
		if (row == 3) {
			fprintf(stderr, "exits: there is no row '%s'\n", argv[1]);
			return 2;
		}
		for (i = 0; i < ITERATIONS; i++)
			rows[row].execute();
		window_open(argv[1]);
		for (i = 0; i < ITERATIONS; i++)
			rows[row].execute();
		window_close(argv[1], ITERATIONS);
	}
	return 0;
}
