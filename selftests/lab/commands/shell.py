# SPDX-License-Identifier: GPL-2.0
"""Be in the machine: a shell on its serial line, as L0's user space or in a Linux L1.

It has your kernel (--kernel DIR may be a build folder), your modules and your
files; exit_bench is there to make L2 exit: /test/exit_bench nested cpuid.  With
--l1 linux the terminal is the console of L1.  "exit" ends the machine in good
order, Ctrl-] at once.  What is on standard input, when that is no terminal, is typed.

Documentation/kvm-lab.md shows how to look at L0 at an exit, a symbol, an address.
"""

import math
import os
import sys
import tempfile

from .. import machine, project
from ..machine import linux_l1, terminal
from . import run

EXAMPLES = (
    "kvm-lab shell                              # Debian's kernel as L0",
    'kvm-lab shell --kernel ~/linux/build --file my_test',
    'kvm-lab shell --l1 linux                   # the console of a Linux L1',
    "echo 'dmesg | grep kvm' | kvm-lab shell --kernel mini",
)


def failed(_):
    return 125


def arguments(parser):
    run.add_machine(parser)


def main(parser, argv):
    options = parser.parse_args(argv)
    out, spec, guest = run.chosen(parser, options, terminal.shell('L0'))
    spec.time_limit = options.time_limit or math.inf
    project.setup()
    bench = os.path.join(project.programs(), 'exit_bench')
    spec.files.append((bench, '/test/exit_bench'))
    spec.terminal = terminal.Terminal(sys.stdin.fileno(), sys.stdout.fileno())
    with tempfile.TemporaryDirectory(prefix='kvm-intel-fast-shell.') as scratch:
        directory = out or scratch
        if guest:
            guest.program, guest.terminal = terminal.shell('L1'), True
            guest.l1_files.append((bench, '/test/exit_bench'))
            result = linux_l1.run(spec, guest, directory)
        else:
            result = machine.run(spec, directory)
    if spec.terminal.left:
        return 0
    if result['status'] != 'ok':
        machine.explain(result, out or 'no directory; give --out DIR to keep it')
        return 125
    return 0
