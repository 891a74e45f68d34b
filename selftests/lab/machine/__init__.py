# SPDX-License-Identifier: GPL-2.0
"""The emulated machine: runs one program as L0 user space on a CPU with VMX.

    result = machine.run(machine.Spec(kernel='mini', program=['/path/to/test']), 'out')

What is imported here is what others call; linux_l1 and tree_kernel beside it they
import by name.
"""

from .files import read, save
from .runner import exit_status, explain, kernel_parameters, run, run_and_show
from .spec import SIBLINGS_ON_TWO_NODES, SWAP_MODULE, Spec, add_options, carried, module
from .tools import kernel_directory, tool
