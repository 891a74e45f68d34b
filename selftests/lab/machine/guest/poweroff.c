// SPDX-License-Identifier: GPL-2.0
/* poweroff: switch the emulated machine off at once, without a report. */
#include <stdio.h>
#include "poweroff.h"

int main(void)
{
	if (iopl(3)) {
		perror("poweroff: no access to the port");
		return 1;
	}
	machine_poweroff();
	return 1;
}
