/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Switch the emulated machine off: without ACPI that is a word on a port of
 * the emulator.  Needs iopl(3).  Drains the console first, because the serial
 * line is slower than the program.
 */
#ifndef LAB_POWEROFF_H
#define LAB_POWEROFF_H

#include <fcntl.h>
#include <sys/io.h>
#include <termios.h>
#include <unistd.h>

#define POWEROFF_PORT	0x8900
#define POWEROFF_WORD	"Shutdown"

static inline void machine_poweroff(void)
{
	int console = open("/dev/console", O_RDWR | O_NOCTTY);

	if (console >= 0)
		tcdrain(console);
	outsb(POWEROFF_PORT, POWEROFF_WORD, sizeof(POWEROFF_WORD) - 1);
}

#endif /* LAB_POWEROFF_H */
