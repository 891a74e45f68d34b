# SPDX-License-Identifier: GPL-2.0
"""What to run, and in what machine."""

import argparse
import dataclasses
import os

from scripts import command

# The emulated clock.  One instruction is one tick of the TSC; a second of the
# machine is IPS of them.  The kernel is told, because the CPU models claim the
# frequency of the real part.
IPS = 50000000
# A module of Debian's kernels: /dev/ram0, 128 MiB, for a program that needs swap.
SWAP_MODULE = 'brd rd_nr=1 rd_size=131072'

# Spec.allowed of a machine with two nodes: 7.x takes the emulator's CPUs for siblings.
SIBLINGS_ON_TWO_NODES = r'WARNING: .*(set_cpu_sibling_map|topology_sane)'


@dataclasses.dataclass
class Spec:
    """One machine, and the program that is L0's user space."""
    program: list = dataclasses.field(default_factory=lambda: ['true'])
    kernel: str = 'debian'              # debian, mini, debug or a directory
    kvm_intel: str = 'stock'            # stock, none or the path of a .ko
    kvm_opts: str = ''
    kvm_intel_opts: str = ''
    cpu_model: str = 'corei7_skylake_x'
    cpu_features: str = ''              # the emulator's add_features
    cpus: int = 1
    memory: int = 1024                  # MiB
    append: str = 'mitigations=off'
    files: list = dataclasses.field(default_factory=list)     # (host, guest)
    modules: list = dataclasses.field(default_factory=list)   # 'NAME|PATH.ko [OPTIONS]'
    time_limit: float = 120
    symbols: bool = False
    allowed: list = dataclasses.field(default_factory=list)   # patterns of known splats
    ips: int = IPS
    emulator: str = ''                  # its directory; default: bochs/build makes it
    stop_on_oops: bool = True
    log_level: int = 7                  # less severe lines of the kernel's log stay there
    follow: str = ''                    # a file of /out that is sent while it grows
    terminal: object = None             # a Terminal, which is the serial line
    watch: object = None                # called with its directory now and then, while it runs
    reference: bool = False             # kvm_intel is a path, but not a module under test


def carried(text):
    """(path here, path in the machine) of HOST[:GUEST]."""
    host, _, guest = text.partition(':')
    if not os.path.lexists(host):
        raise argparse.ArgumentTypeError('%s does not exist' % host)
    return host, guest or '/' + os.path.basename(os.path.abspath(host))


def module(text):
    """The type of a module: a name, or the path of a .ko that is there, then its options."""
    name = text.partition(' ')[0]
    if name.endswith('.ko') and not os.path.exists(name):
        raise argparse.ArgumentTypeError('%s does not exist; build the module first' % name)
    return text


def kvm_intel(text):
    """The same of kvm_intel."""
    if text not in ('stock', 'none') and not text.endswith('.ko'):
        raise argparse.ArgumentTypeError("'%s' is none of: stock none PATH.ko" % text)
    return module(text)


def add_options(parser, time_limit=Spec.time_limit):
    """To a parser, those that a machine has with a Linux L1 in it and without; of members of Spec."""
    add = parser.add_argument
    add('--kernel', default=Spec.kernel, metavar='debian|mini|debug|DIR', help="L0's kernel"
        ).values = ('debian', 'mini', 'debug')
    add('--kvm-intel', type=kvm_intel, default=Spec.kvm_intel, metavar='stock|none|PATH.ko', help="L0's kvm_intel")
    add('--kvm-opts', default='', metavar='OPTIONS', help="module options of L0's kvm")
    add('--kvm-intel-opts', default='', metavar='OPTIONS',
        help="module options of L0's kvm_intel")
    add('--cpu-model', default=Spec.cpu_model)
    add('--cpu-features', default='', help="the emulator's add_features")
    add('--append', default=Spec.append, metavar='PARAMETERS',
        help="L0's kernel parameters (default: %(default)s)")
    add('--cpus', type=command.positive, default=Spec.cpus, help='of L0')
    add('--memory', type=command.positive, default=Spec.memory, metavar='MIB', help="L0's memory")
    add('--time-limit', type=command.seconds, default=time_limit, metavar='SECONDS',
        help='wall-clock time, all in all')
    add('--ips', type=command.positive, default=Spec.ips, help='instructions per emulated second')
    add('--symbols', action='store_true', help='bring /proc/kallsyms of L0 home')
    add('--allow', dest='allowed', action='append', default=[], metavar='REGEX',
        help='a line of a kernel log that is no failure')
