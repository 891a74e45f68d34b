# SPDX-License-Identifier: GPL-2.0
"""Groups of tests: their commands, how one is run, and its verdicts.

A group is a command that prints TAP.  selftests/test runs those of this computer's
kernel and a few of other lines, selftests/matrix those of every kernel version.
"""

import collections
import os
import re
import subprocess
import threading

from scripts import TOP
from .lab import machine, project

LIMIT = 3000            # seconds for one group; bare-13 with an empty cache takes the longest
LINE_PROGRAMS = ('page_hold_test', 'shadow_test', 'entry_test', 'switch_test',
                 'refused_entry_test', 'desc_exits_test')
# Cases of page_hold_test that are left out: on all lines the one that needs a kernel parameter;
# on 6.12, whose stock does not ask user space when L2 accesses a filtered IA32_SPEC_CTRL.
LEFT_OUT = {'': ['-memory_unplugged'], '6.12': ['-user_space_filters_speculation_controls']}
# Of a shell command of own_tests(), for each of its programs
NEXT = ' || status=1'

Kernel = collections.namedtuple('Kernel', 'name headers fast')


def kernel(name):
    """A kernel of the lab, and our module built for it."""
    return Kernel(name, project.kernel(name).headers, project.module(name))


def path(*names):
    return os.path.join(TOP, 'selftests', *names)


def in_machine(name, *options):
    return [path('lab', 'run'), '--kernel', name, *options]


def own_test(on, program, module, *options):
    """One of our kselftests, on a kernel, under stock or fast."""
    arguments = ['--module', 'msr', '--time-limit', '600', '--kvm-intel', module, *options]
    return in_machine(on.name, *arguments, '--', program)


def own_tests(on, module, commands, *options):
    """Several of our kselftests in one boot, for a kernel whose boot takes long."""
    files = [word for program, *_ in commands for word in ('--file', program)]
    script = ['/' + ' '.join([os.path.basename(program), *cases]) + NEXT
              for program, *cases in commands]
    return in_machine(on.name, '--module', 'msr', '--time-limit', '1200', '--kvm-intel', module,
                      *options, *files, '--', 'sh', '-c',
                      'status=0; %s; exit $status' % '; '.join(script))


def of_line(on, line, programs, seeds, kvm_tests, out):
    """{kind: command} for Debian's kernel of any line; all KVM selftests, or those named."""
    cases = {'page_hold_test': LEFT_OUT[''] + LEFT_OUT.get(line, [])}
    commands = [[os.path.join(programs, program), *cases.get(program, [])]
                for program in LINE_PROGRAMS]
    options = ('--cpus', '2', '--cpu-features', 'sca_mitigations')
    return {
        'fast': own_tests(on, on.fast, commands, *options, '--kvm-intel-opts', 'verify=1'),
        'stock': own_tests(on, 'stock', commands, *options),
        'differential': [path('differential', 'run'), '--seeds', seeds, '--kernel', on.name,
                         '--fast', on.fast, '--out', os.path.join(out, 'differential')],
        'kvm': [path('kvm', 'compare'), '--kernel', on.name, '--fast', on.fast, *kvm_tests],
        'bench': [path('host', 'line_test'), on.name],
    }


class Result:
    """The verdicts of one group, read from its TAP."""

    def __init__(self, name, text, status, plans):
        lines = text.splitlines()
        self.name, self.text, self.seconds = name, text, 0
        not_ok = [i for i, line in enumerate(lines) if line.startswith('not ok')]
        ok = [line for line in lines if re.match(r'ok \d+', line)]
        self.skipped = sum(bool(re.search(r'# SKIP\b', line, re.I)) for line in ok)
        self.passed = len(ok) - self.skipped
        self.failed = len(not_ok)
        self.shown = [line for i in not_ok for line in [lines[i]] + self.diagnosis(lines, i)]
        found = [int(n) for n in re.findall(r'^1\.\.(\d+)$', text, re.M)]
        trouble = ''
        if len(found) != plans or sum(found) != len(ok) + self.failed:
            trouble = 'ran %d tests, plan of %s' % (len(ok) + self.failed, found)
        elif status and not self.failed:
            trouble = 'exit status %d' % status
        if trouble:
            self.failed += 1
            self.shown += ['not ok - %s: %s' % (name, trouble)] + lines[-20:]

    @staticmethod
    def diagnosis(lines, i):
        """The comment lines around a result: KVM selftests print before, others after."""
        first = i
        while first and lines[first - 1].startswith('#'):
            first -= 1
        last = i + 1
        while last < len(lines) and lines[last].startswith('#'):
            last += 1
        return lines[max(first, i - 15):i] + lines[i + 1:min(last, i + 31)]

    def __str__(self):
        return '%-22s %2d passed, %d failed, %d skipped, %3.0f s of CPU' % (
            self.name, self.passed, self.failed, self.skipped, self.seconds)


def run(name, argv, log, environment):
    """Run a group; what it says goes to the file log."""
    with open(log, 'wb') as output:
        process = subprocess.Popen(argv, cwd=TOP, stdin=subprocess.DEVNULL, stdout=output,
                                   stderr=subprocess.STDOUT, env=environment)
        limit = threading.Timer(LIMIT, process.kill)
        limit.start()
        _, status, usage = os.wait4(process.pid, 0)     # with that of its children
        process.returncode = os.waitstatus_to_exitcode(status)
        if not limit.is_alive():
            output.write(b'\nno end after %d s\n' % LIMIT)
        limit.cancel()
    result = Result(name, machine.read(log).decode(errors='replace'), process.returncode,
                    argv[-1].count(NEXT) or 1)
    result.seconds = usage.ru_utime + usage.ru_stime
    return result
