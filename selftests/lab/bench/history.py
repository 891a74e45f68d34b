# SPDX-License-Identifier: GPL-2.0
"""What stock KVM costs as L0, release by release: selftests/lab/history says how.

Each kernel is a Debian package, fetched and unpacked, and L0 for the same L1s.
"""

import collections
import hashlib
import json
import os
import re
import subprocess
import tempfile

from scripts import TOP, command
from scripts.command import SetupError
from .. import machine, project
from . import compare, measure, tables

# "-": those of this computer.  Of one version in several the first is taken.  Not
# forky and sid: gcc 16 alone makes 7.2 6% cheaper than gcc 14 of trixie does.
SUITES = ('-', 'bullseye', 'bookworm', 'bookworm-security', 'bookworm-backports', 'trixie',
          'trixie-backports')
PATTERN = r'^linux-(image|modules)-[0-9][^ ]*-amd64$'
FLAVOUR = re.compile(r'-(cloud|rt|dbg|unsigned)')
# Read once by cpufreq; the emulated CPU has no such MSR, the kernel goes on.
ALLOWED = ['unchecked MSR access error: RDMSR from 0x1aa ']
IMAGE_LEAST = 1 << 20   # a smaller one is empty, and its files are in other packages
ROWS = {'selftest': ('l1_cpuid', 'cpuid', 'cpuid_rewrite_host', 'cpuid_no_ept'),
        'linux': ('cpuid',)}
MOST = 8                # functions shown between neighbours
COLUMNS = (('l0_instructions', 'instructions of L0'), ('vmread', 'VMREAD'), ('vmwrite', 'VMWRITE'),
           ('vmptrld', 'VMPTRLD'), ('vmclear', 'VMCLEAR'))

Kernel = collections.namedtuple('Kernel', 'version package suite')


def release_of(version):
    """'6.12.107-1' -> (6, 12, 107)"""
    return tuple(int(n) for n in re.match(r'[\d.]+', version).group().strip('.').split('.'))


def available():
    """[Kernel], complete ones; the archive keeps some packages longer than others."""
    found = {}
    for suite in SUITES:
        done = subprocess.run([os.path.join(TOP, 'scripts', 'fetch'), suite, 'list', PATTERN],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            command.progress('suite %s: %s' % (suite, done.stderr.strip().splitlines()[-1].removeprefix(
                'kvm-intel-fast: error: ')))
            continue
        lines = [line.split() for line in done.stdout.splitlines()]
        packages = {(name, version): int(size) for name, version, size in lines}
        for (name, version), size in packages.items():
            if not name.startswith('linux-image-') or FLAVOUR.search(name) or '~rc' in version or \
                    not re.match(r'\d+\.\d+\.\d+', version):
                continue
            modules = name.replace('linux-image-', 'linux-modules-')
            if size > IMAGE_LEAST or (modules, version) in packages:
                found.setdefault(version, Kernel(version, name, suite))
    return sorted(found.values(), key=lambda kernel: release_of(kernel.version))


def choose(kernels, wanted):
    """The newest of each wanted release, in order."""
    releases = wanted or sorted({'%d.%d' % release_of(k.version)[:2] for k in kernels},
                                key=release_of)
    chosen = []
    for release in releases:
        number = release_of(release)
        of_it = [k for k in kernels if release_of(k.version)[:len(number)] == number]
        if not of_it:
            raise SetupError('no package of Linux %s; there are: %s'
                             % (release, ' '.join(k.version for k in kernels)))
        chosen.append(of_it[-1])
    return sorted(set(chosen), key=lambda kernel: release_of(kernel.version))


def path_of(out, kernel, l1, row):
    return os.path.join(out, '%s-%s-%s.json' % (kernel.version, l1, row))


def known(out, kernel, l1, key):
    """Its runs, if they were made with this emulator and this program."""
    runs = {}
    for row in ROWS[l1]:
        try:
            with open(path_of(out, kernel, l1, row), encoding='ascii') as file:
                runs[row] = json.load(file)
        except FileNotFoundError:
            return None
    return runs if all(run['key'] == key for run in runs.values()) else None


def compiler(directory):
    """As the kernel names it: 'gcc-14'."""
    found = re.search(rb'Linux version [^\n]*?(gcc-\d+)', machine.read(
        os.path.join(directory, 'vmlinux')))
    return found.group(1).decode() if found else 'unknown'


def measure_kernel(out, kernel, l1, key):
    """{row: run} of one kernel under one L1."""
    runs = known(out, kernel, l1, key)
    if runs:
        return runs
    directory = machine.tool('kernel', 'debian=%s-%s@%s' % (kernel.version, kernel.package,
                                                            kernel.suite))
    with tempfile.TemporaryDirectory(prefix='kvm-intel-fast-history.') as scratch:
        try:
            runs = measure.measure_rows(directory, l1, ROWS[l1], scratch, allowed=ALLOWED)
        except measure.MeasureError as error:
            machine.explain(error.result, 'no directory')
            raise
    for row, run in runs.items():
        run.update({'key': key, 'package': kernel.package, 'version': kernel.version,
                    'compiler': compiler(directory)})
        with open(path_of(out, kernel, l1, row), 'w', encoding='ascii') as file:
            json.dump(run, file, indent=1)
    command.progress('%-20s %-8s %s' % (
        kernel.version, l1, runs['cpuid']['per_iteration']['l0_instructions']))
    return runs


def name_of(kernel):
    return '%d.%d.%d' % release_of(kernel.version)[:3]


def ticks_table(history, l1s):
    header = ['L0', 'package', 'compiler', 'L1 CPUID'] + ['L2 CPUID, ' + tables.L1_NAMES[l1] for l1 in l1s]
    rows, last = [], {}
    for kernel, runs in history:
        first = runs['selftest']['l1_cpuid']
        cells = [name_of(kernel), kernel.version, first['compiler'],
                 tables.number(first['per_iteration']['ticks'])]
        for l1 in l1s:
            ticks = runs[l1]['cpuid']['per_iteration']['ticks']
            change = ' (%s)' % tables.percent(ticks, last[l1]) if l1 in last else ''
            cells.append(tables.number(ticks) + change)
            last[l1] = ticks
        rows.append(cells)
    return 'Instructions of host and guests per CPUID, mitigations=off\n\n' + \
        tables.table(header, rows)


def work_table(history, l1):
    rows = [[name_of(kernel)] + [tables.number(runs[l1]['cpuid']['per_iteration'][name])
                                 for name, _ in COLUMNS]
            + [tables.number(sum(runs[l1]['cpuid']['per_iteration']['exits_l1'].values()))]
            for kernel, runs in history]
    return 'Work of L0 per L2 CPUID, %s\n\n' % tables.L1_NAMES[l1] + tables.table(
        ['L0'] + [title for _, title in COLUMNS] + ['exits of L1'], rows)


def neighbours(history, l1):
    """The functions that changed most from one release to the next."""
    parts = []
    for (before, old), (after, new) in zip(history, history[1:]):
        a, b = (runs[l1]['cpuid']['per_iteration'] for runs in (old, new))
        rows = [[name, tables.number(x), tables.number(y), '%+d' % round(y - x)]
                for name, x, y in compare.symbols_changed(a, b)[:MOST]]
        parts.append('%s to %s: %+d instructions of L0\n\n' % (
            name_of(before), name_of(after), round(b['l0_instructions'] - a['l0_instructions']))
            + tables.table(['function', 'before', 'after', 'difference'], rows))
    return 'Functions of L0 that changed most, %s\n\n' % tables.L1_NAMES[l1] + '\n\n'.join(parts)


def plot(history, l1s, path):
    """By gnuplot, as SVG."""
    lines = ['%d "%s" %s' % (i, name_of(kernel), ' '.join(
        '%.0f' % runs[l1]['cpuid']['per_iteration']['l0_instructions'] for l1 in l1s))
             for i, (kernel, runs) in enumerate(history)]
    titles = {'selftest': 'tiny L1', 'linux': 'Linux 6.1 as L1'}
    curves = ', '.join(
        '$cost using 1:%d:xtic(2) with linespoints lw 2 pt %d ps 0.7 lc rgb "%s" title "%s", '
        '$cost using 1:%d:(sprintf("%%d", $%d)) with labels offset 0,0.8 tc rgb "#555555" notitle'
        % (i + 3, 7 - 2 * i, ('#1f6feb', '#c2410c')[i], titles[l1], i + 3, i + 3)
        for i, l1 in enumerate(l1s))
    script = '\n'.join([
        '$cost << END', *lines, 'END',
        'set terminal svg size 900,420 dynamic font "sans-serif,13" background "#ffffff"',
        'set output "%s"' % path,
        'set title "What an L2 CPUID costs stock KVM as L0, by release"',
        'set ylabel "instructions of L0"', 'set xlabel "kernel of L0"',
        'set yrange [0:*]', 'set offsets 0.4, 0.4, 2000, 0', 'set grid ytics lc rgb "#dddddd"',
        'set key top left', 'set border 3', 'set tics nomirror', 'plot ' + curves, ''])
    subprocess.run(['gnuplot'], input=script, text=True, check=True)
    # gnuplot writes no licence line, and everything here has one.
    with open(path, encoding='utf-8') as file:
        text = file.read()
    with open(path, 'w', encoding='utf-8') as file:
        file.write(re.sub(r'^(<\?xml.*\?>)', r'\1\n<!-- SPDX-License-Identifier: GPL-2.0 -->', text))


def run(versions, quick, out):
    """Measure, print the tables, leave them and the figures in out; the exit status."""
    project.setup('history')
    l1s = ['selftest'] if quick else ['selftest', 'linux']
    os.makedirs(out, exist_ok=True)
    kernels = choose(available(), versions)
    command.progress('%d kernels: %s' % (len(kernels), ' '.join(k.version for k in kernels)))
    program = machine.read(os.path.join(project.programs(), 'exit_bench'))
    key = '%s %s' % (os.path.basename(machine.tool('bochs/build')),
                     hashlib.sha256(program).hexdigest()[:16])
    history = [(kernel, {l1: measure_kernel(out, kernel, l1, key) for l1 in l1s})
               for kernel in kernels]
    parts = [ticks_table(history, l1s)]
    parts += [work_table(history, l1) for l1 in l1s]
    parts += [neighbours(history, l1) for l1 in l1s]
    text = '\n\n'.join(parts) + '\n'
    with open(os.path.join(out, 'history.md'), 'w', encoding='utf-8') as file:
        file.write('<!-- SPDX-License-Identifier: GPL-2.0 -->\n' + text)
    plot(history, l1s, os.path.join(out, 'history.svg'))
    print(text)
    command.progress('done; also in ' + out)
    return 0
