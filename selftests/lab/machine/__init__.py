# SPDX-License-Identifier: GPL-2.0
"""The emulated machine: runs one program as L0 user space on a CPU with VMX.

    result = machine.run(machine.Spec(kernel='mini', program=['/path/to/test']), 'out')

What is imported here is what others call; linux_l1 and tree_kernel beside it they
import by name.
"""

from .runner import (SWAP_MODULE, Spec, carried, exit_status, explain,
                     kernel_directory, read, run, save, tool)
