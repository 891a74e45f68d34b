# SPDX-License-Identifier: GPL-2.0
"""KVM's own selftests, and groups of kvm-unit-tests, run in one machine by kvm/guest-driver.

    tests, files = kvm_tests.selftests(programs, only)
    results, complaint = kvm_tests.run(kernel, tests, files, directory)

A verdict is "pass", "skip" or "fail"; a test during which L0 warned fails.
Invariant: each test has a result; one that was not reached has the verdict NOTHING.
"""

import collections
import configparser
import os
import re

from scripts import TOP, numbers
from scripts.command import SetupError
from .. import machine
from ..machine import linux_l1
from . import tables

HERE = os.path.join(TOP, 'selftests', 'kvm')
DIRECTORY = '/kvm'                      # of the programs in the machine
UNLISTED = 60                           # seconds of the machine for a test that the list lacks

Test = collections.namedtuple('Test', 'name program limit expected reason')
Result = collections.namedtuple('Result', 'verdict detail seconds output')
NOTHING = Result('no result', '', 0.0, [])


class UnknownTest(Exception):
    """Of those asked for."""


def line_of_programs(programs):
    """The kernel line of the source that selftests/kvm/build made the programs from."""
    path = os.path.join(programs, os.pardir, 'tree', 'Makefile')
    if not os.path.exists(path):
        raise SetupError('%s was not made by selftests/kvm/build: it lacks %s' % (programs, path))
    with open(path, encoding='utf-8') as file:
        said = dict(re.findall(r'^(VERSION|PATCHLEVEL) = (\d+)$', file.read(), re.M))
    return [int(said['VERSION']), int(said['PATCHLEVEL'])]


def read_list(path, only, of_line=None):
    """([Test], {programs that are left out on purpose}); without of_line of all lines."""
    tests, left_out, other = [], set(), False
    with open(path, encoding='utf-8') as file:
        for number, line in enumerate(file, 1):
            section = re.match(r'# (?:Since ([\d.]+))? ?(?:Before ([\d.]+))?$', line)
            if section:
                since, before = section.groups()
                other = of_line and (of_line < numbers(since or '0') or
                                     bool(before) and of_line >= numbers(before))
            elif not line.strip():
                other = False
            line = line.split('#')[0].strip()
            if not line or other:
                continue
            columns = [column.strip() for column in line.split('|')]
            kind, _, reason = columns[-1].partition(':')
            if len(columns) != 4 or kind not in ('pass', 'skip', 'gap', 'left out') or \
                    (kind != 'pass' and not reason):
                raise SetupError('%s:%d: expected "program | arguments | limit | pass, skip: '
                                 'reason, gap: reason or left out: reason"' % (path, number))
            name = ' '.join((columns[0] + ' ' + columns[1]).split())
            if kind == 'left out':
                left_out.add(columns[0])
            elif not only or columns[0] in only or name in only:
                tests.append(Test(name, columns[0], columns[2], kind, reason.strip()))
    unknown = set(only) - {t.program for t in tests} - {t.name for t in tests}
    if unknown or not tests:
        raise UnknownTest('%s has no test %s' % (path, ' '.join(sorted(unknown)) or 'at all'))
    return tests, left_out


def listed():
    """The names of the tests in the list, of all lines, with their arguments and without."""
    tests, _ = read_list(os.path.join(HERE, 'list'), ())
    return sorted({name for test in tests for name in (test.name, test.program)})


def write_guest_list(tests, path):
    with open(path, 'w', encoding='utf-8') as file:
        for test in tests:
            arguments = test.name[len(test.program):]
            file.write('%s|%s|%s|\n' % (test.program, arguments, test.limit))


def parse(text):
    """({name: Result}, whether the end marker is there, the test under way)."""
    results, output, begun = {}, [], None
    for line in text.splitlines():
        match = re.match(r'(not )?ok \d+ - (.*?) # (.*)$', line)
        if line.startswith('# begin '):
            begun, output = line[len('# begin '):], []
        elif match:
            failed, name, rest = match.groups()
            time = re.search(r' ?time=([\d.]+)$', rest)
            detail = rest[:time.start()] if time else rest
            verdict = 'fail' if failed else 'skip' if detail.startswith('SKIP') else 'pass'
            results[name] = Result(verdict, detail, float(time.group(1)) if time else 0, output)
            begun, output = None, []
        else:
            output.append(line)
    return results, '# end of tests' in text.splitlines(), begun


def selftests(programs, ours=(), only=()):
    """([Test], [(path here, path in the machine)]) of the programs of selftests/kvm/build.

    Those that the list lacks, for it is of other kernel lines, run without arguments; ours are
    the names of programs that are none of KVM's.
    """
    listed, left_out = read_list(os.path.join(HERE, 'list'), (), line_of_programs(programs))
    there = set(os.listdir(programs))
    known = {test.program for test in listed} | left_out | set(ours)
    tests = [test for test in listed if test.program in there]
    tests += [Test(name, name, str(UNLISTED), 'pass', '') for name in sorted(there - known)]
    names = {name for test in tests for name in (test.name, test.program)}
    unknown = [name for name in only if name not in names]
    if unknown:
        raise UnknownTest('there is no test %s; there are: %s' % (
            ' '.join(unknown), ' '.join(sorted({test.program for test in tests}))))
    if only:
        tests = [test for test in tests if test.program in only or test.name in only]
    return tests, [(os.path.join(programs, name), os.path.join(DIRECTORY, name))
                   for name in sorted({test.program for test in tests})]


# kvm-unit-tests tell by the value that they write to this port: (value << 1) | 1 is QEMU's status.
UNIT_VERDICTS = {1: 'pass', 77 << 1 | 1: 'skip'}
KILLED = 'exit=137'                     # by the time limit
UNIT_LIMIT = 90
FIRMWARE = {'bios-256k.bin': '/usr/share/seabios', 'kvmvapic.bin': '/usr/share/qemu',
            'multiboot_dma.bin': '/usr/share/qemu'}
# QEMU's status is 1, too, when it does not start; then it says why on its standard error.
UNIT_SCRIPT = '''#!/bin/sh
cd /unit || exit 1
timeout -s KILL %s ./qemu -nodefaults -no-user-config -no-reboot -display none -vga none -L /unit \\
	-machine pc,accel=kvm -serial stdio -device pc-testdev -device pci-testdev \\
	-device isa-debug-exit,iobase=0xf4,iosize=0x4 -smp %s %s -kernel %s \\
	</dev/null 2>/tmp/unit-error
status=$?
[ $status = 137 ] || ! grep -v warning: /tmp/unit-error >&2 || exit 99
exit $status
'''


def unit_tests(checkout, directory, group='vmx', only=()):
    """The same of a group of a built checkout of kvm-unit-tests; scripts are made in directory."""
    path = os.path.join(checkout, 'x86', 'unittests.cfg')
    config = configparser.ConfigParser(interpolation=None, strict=False)
    config.optionxform = str
    try:
        with open(path, encoding='utf-8') as file:
            config.read_file(file)
    except (OSError, configparser.Error) as error:
        raise SetupError('%s is no checkout of kvm-unit-tests: %s' % (checkout, error),
                         'a folder with x86/unittests.cfg', 'git clone kvm-unit-tests') from error
    chosen = [name for name in config.sections() if group in config[name].get('groups', '').split()]
    if not chosen:
        raise SetupError('%s has no test of the group %s' % (path, group))
    unknown = [name for name in only if name not in chosen]
    if unknown:
        raise UnknownTest('there is no test %s; there are: %s' % (
            ' '.join(unknown), ' '.join(chosen)))
    tests, files = [], [(linux_l1.qemu('qemu-system-x86_64'), '/unit/qemu')]
    files += [(os.path.join(folder, name), '/unit/' + name) for name, folder in FIRMWARE.items()]
    for name in only or chosen:
        says = config[name]
        program = 'unit-' + name
        flat = os.path.join(checkout, 'x86', says.get('file', name + '.flat'))
        if not os.path.exists(flat):
            raise SetupError('%s is missing' % flat, 'a checkout that is built',
                             'cd %s && ./configure && make' % checkout)
        limit = says.get('timeout', str(UNIT_LIMIT))
        extra = says.get('qemu_params') or says.get('extra_params', '')
        if says.get('test_args'):
            extra += ' -append "%s"' % says['test_args'].strip('"')
        with open(os.path.join(directory, program), 'w', encoding='utf-8') as file:
            file.write(UNIT_SCRIPT % (limit, says.get('smp', '1'), extra, os.path.basename(flat)))
        os.chmod(file.name, 0o755)
        files += [(file.name, os.path.join(DIRECTORY, program)),
                  (flat, '/unit/' + os.path.basename(flat))]
        # The driver's own limit would end the script alone.
        tests.append(Test(program, program, str(int(limit) + 30), 'pass', ''))
    return tests, list(dict.fromkeys(files))


def of_unit(result):
    """The verdict of a unit test, of which QEMU's exit status is what the driver saw."""
    status = re.search(r'exit=(\d+)', result.detail)
    if result.detail == KILLED:
        return result._replace(detail='timeout')
    if result.verdict == 'fail' and status and 'splat' not in result.detail:
        return result._replace(verdict=UNIT_VERDICTS.get(int(status.group(1)), 'fail'))
    # QEMU ends with 0 when the guest resets: the test did not come to its end.
    return result._replace(verdict='fail') if result.verdict == 'pass' else result


def run(kernel, tests, files, directory, **options):
    """Run tests in one machine: ({name: Result}, a sentence when it did not reach the last one)."""
    guest_list = os.path.join(directory, 'list')
    os.makedirs(directory, exist_ok=True)
    write_guest_list(tests, guest_list)
    spec = machine.Spec(
        kernel=kernel, program=[os.path.join(HERE, 'guest-driver'), DIRECTORY + '/list', DIRECTORY],
        files=[(guest_list, DIRECTORY + '/list'), *files], modules=['msr'],
        time_limit=120 + sum(float(test.limit) for test in tests), **options)
    result = machine.run(spec, os.path.join(directory, 'machine'))
    text = machine.read(os.path.join(directory, 'machine', 'stdout.txt')).decode(errors='replace')
    found, ended, begun = parse(text)
    found = {test.name: found.get(test.name, NOTHING) for test in tests}
    found = {name: of_unit(told) if name.startswith('unit-') else told
             for name, told in found.items()}
    complaint = '' if ended else 'the machine ended before the last test%s: %s: %s' % (
        ', during ' + begun if begun else '', result['status'], result['reason'])
    return found, complaint


class Verdicts:
    """Of tests under two kernels: which differ, and which are worse under the second."""

    GOOD = ('pass', 'skip')

    def __init__(self, before, after, complaints=()):
        self.before, self.after, self.complaints = before, after, list(filter(None, complaints))
        self.differ = [name for name in after if before[name].verdict != after[name].verdict]
        self.worse = [name for name in self.differ if after[name].verdict not in self.GOOD]
        self.failing = [name for name in after if name not in self.differ and
                        after[name].verdict not in self.GOOD]

    def summary(self):
        count = collections.Counter(result.verdict for name, result in self.after.items()
                                    if name not in self.differ)
        same = ', '.join('%d %s' % (count[verdict], word) for verdict, word in (
            ('pass', 'passed'), ('skip', 'skipped'), ('fail', 'failed'),
            ('no result', 'not reached')) if count[verdict])
        return '%d tests under both: %s; %d differ, %d worse' % (
            len(self.after), same or 'none the same', len(self.differ), len(self.worse))

    def table(self):
        names = self.differ + self.failing
        return ['test', 'A', 'B'], [[name, *(' '.join([result.verdict, result.detail]).strip()
                                             for result in (self.before[name], self.after[name]))]
                                    for name in names]

    def text(self):
        """For a terminal or a mail, Markdown as well."""
        parts = [self.summary(), *self.complaints]
        header, rows = self.table()
        parts += [tables.table(header, rows)] if rows else []
        for name in self.worse:
            parts.append('%s under B:\n' % name + '\n'.join(
                '    ' + line.lstrip('# ') for line in self.after[name].output[-15:]))
        return '\n\n'.join(parts) + '\n'

    def data(self):
        return {'summary': self.summary(), 'complaints': self.complaints, 'worse': self.worse,
                'tests': [{'name': name, 'a': self.before[name].verdict,
                           'b': self.after[name].verdict} for name in self.after]}
