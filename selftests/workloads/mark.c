// SPDX-License-Identifier: GPL-2.0
/*
 * mark ROW UNITS TIMES COMMAND... - measure a command as a row of the bench.
 *
 * Runs COMMAND once, which nobody counts, and then TIMES times between two marks.  A run
 * does UNITS of what the row counts by.  What COMMAND prints to standard output is thrown
 * away: a console costs exits.  Status: 1 when a run of it failed.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "mark.h"

static void run(char **argv)
{
	int null, status;
	pid_t pid = vfork();

	if (!pid) {
		null = open("/dev/null", O_RDWR);
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		execv(argv[0], argv);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || status) {
		fprintf(stderr, "mark: %s ended with status %#x, expected 0\n", argv[0],
			pid < 0 ? -1 : status);
		exit(1);
	}
}

int main(int argc, char **argv)
{
	unsigned long units, times, i;

	if (argc < 5) {
		fprintf(stderr, "usage: mark ROW UNITS TIMES COMMAND...\n");
		return 2;
	}
	units = strtoul(argv[2], NULL, 0);
	times = strtoul(argv[3], NULL, 0);
	run(argv + 4);
	window_open(argv[1]);
	for (i = 0; i < times; i++)
		run(argv + 4);
	window_close(argv[1], units * times);
	return 0;
}
