// SPDX-License-Identifier: GPL-2.0
/*
 * e9 NAME: send standard input to the host, which appends it to out/NAME.
 * For what must get out before the program ends, or from a shell.
 */
#include "frame.h"

int main(int argc, char **argv)
{
	char name[256];
	int lock;

	if (argc != 2 || strpbrk(argv[1], "\n ")) {
		fprintf(stderr, "usage: e9 NAME < DATA (NAME without blanks)\n");
		return 2;
	}
	lock = frame_open();
	if (lock < 0) {
		perror("e9: no access to the debug port");
		return 1;
	}
	snprintf(name, sizeof(name), "out/%s", argv[1]);
	if (frame_write_file(lock, name, STDIN_FILENO) < 0) {
		perror("e9: standard input");
		return 1;
	}
	return 0;
}
