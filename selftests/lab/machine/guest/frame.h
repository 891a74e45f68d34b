/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How programs in the emulated machine hand bytes to the host: frames on the
 * emulator's debug port, which the emulator copies to its standard output.
 *
 *	"\n#lab NAME LENGTH\n" then LENGTH bytes
 *
 * Frames of one name are parts of one file.  Invariant: nobody writes into
 * another's frame; every writer holds the lock for the whole frame.
 */
#ifndef LAB_FRAME_H
#define LAB_FRAME_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/io.h>
#include <unistd.h>

#define FRAME_PORT	0xe9		/* unless the kernel's command line says lab.frames= */
#define FRAME_LOCK	"/dev/.lab-frame"

static unsigned short frame_port = FRAME_PORT;

static inline void frame_choose_port(void)
{
	FILE *file = fopen("/proc/cmdline", "r");
	char line[4096], *said;

	if (file && fgets(line, sizeof(line), file)) {
		said = strstr(line, "lab.frames=");
		if (said)
			frame_port = strtoul(said + strlen("lab.frames="), NULL, 0);
	}
	if (file)
		fclose(file);
}

/* Raw port output needs CAP_SYS_RAWIO; once per process. */
static inline int frame_open(void)
{
	frame_choose_port();
	if (iopl(3))
		return -1;
	return open(FRAME_LOCK, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
}

static inline void frame_write(int lock, const char *name, const void *data,
			       size_t size)
{
	char head[512];
	int n = snprintf(head, sizeof(head), "\n#lab %s %zu\n", name, size);

	flock(lock, LOCK_EX);
	outsb(frame_port, head, n);
	outsb(frame_port, data, size);
	flock(lock, LOCK_UN);
}

/* Send all of a file in as many frames as it takes. */
static inline int frame_write_file(int lock, const char *name, int fd)
{
	static char buffer[1 << 16];
	ssize_t n;

	do {
		n = read(fd, buffer, sizeof(buffer));
		if (n > 0)
			frame_write(lock, name, buffer, n);
	} while (n > 0);
	return n;
}

#endif /* LAB_FRAME_H */
