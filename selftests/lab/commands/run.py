# SPDX-License-Identifier: GPL-2.0
"""Run a program in an emulated machine with VMX.

PROGRAM is carried into the machine when it is a file of this computer, else it
is a command of the machine (busybox).  Its output goes to standard output and
to DIR/stdout.txt; what it leaves in /out comes back in DIR/out/.

With --l1 linux it runs one level deeper: L1 is a whole kernel in QEMU in the
machine, and a KVM program that runs there makes an L2.  L1's console goes to
DIR/out/l1-console.txt, its log to DIR/out/l1-dmesg.txt.

What the emulator counts between two marks of a guest is left in
DIR/counters.N.json.  A panic, an oops, a warning or a lock report of either
kernel is a failure of the machine.
"""

from scripts import command
from .. import machine, project
from ..machine import linux_l1

USAGE = '%(prog)s [OPTIONS] -- PROGRAM [ARGUMENTS]'
EXAMPLES = (
    'kvm-lab run -- uname -a                    # in Debian\'s kernel as L0',
    'kvm-lab run --kernel mini --out DIR -- ./my_test',
    'kvm-lab run --l1 linux -- ./my_test        # my_test is a VMM; its guest is an L2',
)


def failed(_):
    return 125


def add_machine(parser):
    """The options of a machine, with a Linux L1 in it and without."""
    machine.add_options(parser, time_limit=None)
    add = parser.add_argument
    add('--l1', choices=('none', 'linux'), default='none',
        help='where the program runs: in L0 (none, the default), or in a Linux L1')
    add('--no-kvm-intel', dest='kvm_intel', action='store_const', const='none')
    add('--file', dest='files', action='append', type=machine.carried, default=[],
        metavar='HOST[:GUEST]', help='carry in a file or directory')
    add('--module', dest='modules', action='append', type=machine.module, default=[],
        metavar='NAME|PATH.ko [OPTIONS]', help='load this kernel module, too')
    add('--emulator', type=command.existing, metavar='DIR', help='use this one, as it is')
    add('--log-level', type=int, default=machine.Spec.log_level, metavar='LEVEL',
        help="of the kernel's log, bring home lines as severe as that (default: all)")
    add('--keep-after-oops', dest='stop_on_oops', action='store_false',
        help='an oops does not end the machine (it still fails the run)')
    add('--out', metavar='DIR', help='where the output goes (default: nowhere)')
    linux_l1.add_guest_options(parser)


def chosen(parser, options, program):
    """(where the output goes, the Spec, the Guest or None) that the options ask for."""
    options = dict(vars(options))
    out, l1 = options.pop('out'), options.pop('l1')
    of_l1 = {name: options.pop(name) for name in linux_l1.GUEST_OPTIONS}
    default = vars(linux_l1.Guest())
    given = [name for name, value in of_l1.items() if value != default[name]]
    if l1 == 'none' and given:
        parser.error('--%s is of a Linux L1; --l1 linux makes one'
                     % given[0].replace('_', '-').replace('files', 'file'))
    usual = machine.Spec.time_limit if l1 == 'none' else linux_l1.TIME_LIMIT
    options['time_limit'] = options['time_limit'] or usual
    guest = None if l1 == 'none' else linux_l1.Guest(program=program, **of_l1)
    return out, machine.Spec(**options, program=program), guest


def arguments(parser):
    add_machine(parser)


def main(parser, argv):
    options, program = parser.parse_program(argv)
    out, spec, guest = chosen(parser, options, program)
    project.setup()
    return machine.run_and_show(lambda directory: linux_l1.run(spec, guest, directory) if guest
                                else machine.run(spec, directory), out)
