# SPDX-License-Identifier: GPL-2.0
"""kvm-intel-fast estimate: which exits of this host's VMs kvm-intel-fast would touch.

Counts KVM's trace events in the kernel (hist triggers of a trace instance of our own), with stock
loaded and VMs running, and exchanges nothing.  kvm_exit is any exit, kvm_nested_vmexit one of L2,
kvm_nested_vmexit_inject one of L2 that L1 handles.  It is no promise of cycles.
"""

import collections
import contextlib
import os
import re
import textwrap
import time

from scripts import TOP, host as hosts, line_of, numbers
from scripts.command import SetupError

TRACING = ('sys/kernel/tracing', 'sys/kernel/debug/tracing')
INSTANCE = 'kvm-intel-fast-estimate'
# event: the fields that tell its kinds apart; the first name that an event has is taken
EVENTS = {'kvm_exit': ('exit_reason',), 'kvm_nested_vmexit': ('exit_reason',),
          'kvm_nested_vmexit_inject': ('exit_code',), 'kvm_msr': ('ecx', 'write')}
DEBUGCTL = 0x1d9
REASONS = {
    0: 'exception or NMI', 1: 'external interrupt', 7: 'interrupt window', 8: 'NMI window',
    10: 'CPUID', 12: 'HLT', 14: 'INVLPG', 16: 'RDTSC', 18: 'VMCALL', 19: 'VMCLEAR', 20: 'VMLAUNCH',
    21: 'VMPTRLD', 22: 'VMPTRST', 23: 'VMREAD', 24: 'VMRESUME', 25: 'VMWRITE', 26: 'VMXOFF',
    27: 'VMXON', 28: 'control register', 29: 'debug register', 30: 'port', 31: 'RDMSR', 32: 'WRMSR',
    36: 'MWAIT', 40: 'PAUSE', 43: 'TPR below threshold', 44: 'APIC access', 45: 'virtual EOI',
    46: 'GDTR or IDTR', 47: 'LDTR or TR', 48: 'EPT violation', 49: 'EPT misconfiguration',
    50: 'INVEPT', 51: 'RDTSCP', 52: 'preemption timer', 53: 'INVVPID', 54: 'WBINVD', 55: 'XSETBV',
    56: 'APIC write', 58: 'INVPCID', 62: 'PML full'}
VMREAD, VMWRITE, VMLAUNCH, VMRESUME = 23, 25, 20, 24
WIDTH = 80
MOST = 12               # lines of the table of reasons
PARTS = [one for one in hosts.OPTIMISATIONS
         if one[1] not in ('debugctl_passthrough', 'adaptive_shadow')]

Counts = collections.namedtuple('Counts', 'all of_l2 to_l1 debugctl')


def write(path, text):
    with open(path, 'w', encoding='ascii') as file:
        file.write(text)


class Instance:
    """A trace instance with a hist trigger for each of EVENTS; it is gone afterwards."""

    def __init__(self, host):
        for name in TRACING:
            if os.path.isdir(host.path(name, 'instances')):
                self.path = host.path(name, 'instances', INSTANCE)
                return
        raise SetupError('there are no trace events', 'tracefs at /sys/kernel/tracing',
                         'mount -t tracefs tracefs /sys/kernel/tracing')

    def __enter__(self):
        try:
            os.mkdir(self.path)
        except FileExistsError:
            raise SetupError('%s is there' % self.path, 'no other estimate',
                             'wait for its end; if there is none: rmdir %s' % self.path) from None
        except OSError as error:
            raise SetupError('%s cannot be made: %s' % (self.path, error.strerror), 'root',
                             'use sudo') from None
        try:
            for event, keys in EVENTS.items():
                write(self.event(event, 'trigger'), 'hist:keys=%s:size=2048' % ','.join(keys))
        except OSError as error:
            self.__exit__()
            raise SetupError('KVM\'s trace events cannot be counted: %s' % error,
                             'a kernel with CONFIG_HIST_TRIGGERS, and kvm loaded',
                             'modprobe kvm; Debian\'s kernels have it') from None
        return self

    def __exit__(self, *_):
        for event, keys in EVENTS.items():
            with contextlib.suppress(OSError):
                write(self.event(event, 'trigger'), '!hist:keys=%s:size=2048' % ','.join(keys))
        with contextlib.suppress(OSError):
            os.rmdir(self.path)

    def event(self, name, file):
        return os.path.join(self.path, 'events', 'kvm', name, file)

    def counts(self, name):
        """{key: n}; a key is a tuple of numbers"""
        found = {}
        with open(self.event(name, 'hist'), encoding='ascii') as file:
            for line in file:
                entry = re.match(r'\{ (.*) \} hitcount: +(\d+)', line)
                if entry:
                    key = tuple(int(value, 0) for value in re.findall(r': +(\w+)', entry[1]))
                    found[key] = int(entry[2])
        return found


def count(host, seconds):
    """Counts per second."""
    with Instance(host) as instance:
        before = {name: instance.counts(name) for name in EVENTS}
        begin = time.monotonic()
        time.sleep(seconds)
        after = {name: instance.counts(name) for name in EVENTS}
        took = time.monotonic() - begin

    def reasons(name):
        total = collections.Counter()
        for key, number in after[name].items():
            total[key[0] & 0xffff] += (number - before[name].get(key, 0)) / took
        return +total
    debugctl = sum(number - before['kvm_msr'].get(key, 0)
                   for key, number in after['kvm_msr'].items() if key == (DEBUGCTL, 0)) / took
    return Counts(reasons('kvm_exit'), reasons('kvm_nested_vmexit'),
                  reasons('kvm_nested_vmexit_inject'), debugctl)


def bench_of(release):
    """(version, stock, fast): the bench's L2 CPUID with the tiny L1 of the nearest kernel, or None."""
    path = os.path.join(TOP, 'Documentation', 'kernels.md')
    line = line_of(release)
    with contextlib.suppress(OSError), open(path, encoding='utf-8') as file:
        for text in file:
            cells = [cell.strip() for cell in text.strip().strip('|').split('|')]
            if re.match(r'\d+\.\d', cells[0]) and numbers(line_of(cells[0])) == numbers(line) and \
                    cells[-2].replace(',', '').isdigit():
                return cells[0], cells[-3], cells[-2]
    return None


def rate(value):
    return '{:,.0f}'.format(value)


def share(part, whole):
    return '%.1f%%' % (100 * part / whole) if whole else '-'


def lines(counts, seconds, release):
    """What is printed."""
    of_l1 = counts.all - counts.of_l2
    whole = sum(counts.all.values())
    round_trips = of_l1[VMRESUME] + of_l1[VMLAUNCH]
    yield '%g s of kernel %s: %s exits a second, %s of them of L2, %s handled by L1' % (
        seconds, release, rate(whole), rate(sum(counts.of_l2.values())),
        rate(sum(counts.to_l1.values())))
    if not round_trips:
        yield 'no VM entered an L2 meanwhile: kvm-intel-fast would change nothing'
        return
    yield ''
    yield '%-24s %14s %14s %14s' % ('exits a second', 'of L1', 'of L2, to L1', 'of L2, for L0')
    for reason, _ in counts.all.most_common(MOST):
        reflected = counts.to_l1[reason]
        yield '%-24s %14s %14s %14s' % (
            REASONS.get(reason, str(reason)), rate(of_l1[reason]), rate(reflected),
            rate(max(counts.of_l2[reason] - reflected, 0)))
    yield ''
    yield '%-50s %12s %14s' % ('what kvm-intel-fast touches', 'a second', 'share of all')
    fields = of_l1[VMREAD] + of_l1[VMWRITE]
    switches = round_trips + sum(counts.to_l1.values())
    debugctl = min(counts.debugctl, of_l1[31])
    rows = (('switches between L1 and L2: cheaper', switches),
            ("L1's VMREADs and VMWRITEs: if the CPU can shadow", fields),
            ("L1's reads of IA32_DEBUGCTL: left out", debugctl),
            ('others: not touched', max(whole - switches - fields - debugctl, 0)))
    for title, number in rows:
        yield '%-50s %12s %14s' % (title, rate(number), share(number, whole))
    yield from wrapped('A switch is touched by: %s. A VMREAD or VMWRITE by the choice of shadowed '
                       'fields, unless the CPU cannot shadow its field.' % ', '.join(
                           name for name, *_ in PARTS))
    bench = bench_of(release)
    yield from wrapped(
        'In the emulator an L2 CPUID takes %s instructions of L0 and L1 under stock, %s under fast '
        '(Linux %s, the cheapest L1). How many cycles that is here, kvm-intel-fast measure says.' % (
            bench[1], bench[2], bench[0]) if bench else
        'The bench has no figure of this kernel line.')


def wrapped(text):
    return ['', *textwrap.wrap(text, WIDTH)]


def estimate(options):
    """The exit status."""
    host = hosts.Host()
    if os.geteuid():
        raise SetupError('not root', 'root, to count trace events', 'use sudo')
    if host.loaded() != 'stock':
        found, remedy = {
            'fast': ('kvm-intel-fast', 'kvm-intel-fast status says what it does; or unload it'),
            'none': ('no kvm_intel', 'modprobe kvm_intel, and start the VMs')}[host.loaded()]
        raise SetupError('%s is loaded' % found, "stock's kvm_intel, with VMs running", remedy)
    print('\n'.join(lines(count(host, options.seconds), options.seconds, host.release())))
    return 0
