# SPDX-License-Identifier: GPL-2.0
"""What stock KVM costs as L0, release by release: selftests/lab/history says how.

Each kernel is a Debian package, fetched and unpacked, and L0 for the same L1s.
A kernel is compared with the newest older one that the same compiler built, if
there is one: see Series.  What was measured stays in the folder of the history,
also when the archive has dropped the package.
"""

import collections
import glob
import hashlib
import json
import os
import re
import subprocess
import tempfile
import time

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
FIRST = '-selftest-cpuid.json'           # the file that each kernel that was measured has
EXPLAIN = 3             # of them, in the line that says what moved
CROWDED = 12            # more kernels than that leave no room for figures in the plot
COLUMNS = (('l0_instructions', 'instructions of L0'), ('vmread', 'VMREAD'), ('vmwrite', 'VMWRITE'),
           ('vmptrld', 'VMPTRLD'), ('vmclear', 'VMCLEAR'))

Kernel = collections.namedtuple('Kernel', 'version package suite')


def release_of(version):
    """'6.12.107-1' -> (6, 12, 107)"""
    return tuple(int(n) for n in re.match(r'[\d.]+', version).group().strip('.').split('.'))


def age(kernel):
    """Sorts kernels by version; of one upstream version by Debian's revision."""
    return release_of(kernel.version), [int(n) for n in re.findall(r'\d+', kernel.version)]


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
    return sorted(found.values(), key=age)


def is_of(kernel, release):
    """Whether '6.12' or '6.12.107' names it."""
    number = release_of(release)
    return release_of(kernel.version)[:len(number)] == number


def choose(kernels, wanted):
    """The newest of each wanted release, in order."""
    releases = wanted or sorted({'%d.%d' % release_of(k.version)[:2] for k in kernels},
                                key=release_of)
    chosen = []
    for release in releases:
        of_it = [k for k in kernels if is_of(k, release)]
        if not of_it:
            raise SetupError('no package of Linux %s; there are: %s'
                             % (release, ' '.join(k.version for k in kernels)))
        chosen.append(of_it[-1])
    return sorted(set(chosen), key=age)


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


class Series:
    """Kernels in the order of their versions, with their runs."""

    def __init__(self, measured):
        self.measured = sorted(measured, key=lambda pair: age(pair[0]))     # [(kernel, runs)]

    def before(self, i):
        """The index of the kernel that the i-th is compared with, or None."""
        of_compiler = [j for j in range(i) if self.compiler(j) == self.compiler(i)]
        return max(of_compiler or range(i), default=None)

    def compiler(self, i):
        return self.measured[i][1]['selftest']['l1_cpuid']['compiler']

    def name(self, i):
        """The upstream version; Debian's where two have the same."""
        kernel = self.measured[i][0]
        alike = [other for other, _ in self.measured
                 if release_of(other.version) == release_of(kernel.version)]
        return '.'.join(map(str, release_of(kernel.version))) if len(alike) == 1 else kernel.version

    def costs(self, i, l1, row='cpuid'):
        return self.measured[i][1][l1][row]['per_iteration']

    def moves(self, l1, tolerance):
        """[(before, i)]: where an L2 CPUID's instructions of L0 changed by more than tolerance."""
        pairs = [(self.before(i), i) for i in range(1, len(self.measured))]
        return [(j, i) for j, i in pairs
                if abs(self.change(j, i, l1)) > tolerance * self.costs(j, l1)['l0_instructions']]

    def change(self, j, i, l1):
        return self.costs(i, l1)['l0_instructions'] - self.costs(j, l1)['l0_instructions']

    def functions(self, j, i, l1, most):
        """[(function of L0, before, after)] that changed most."""
        return compare.symbols_changed(self.costs(j, l1), self.costs(i, l1))[:most]


def ticks_table(series, l1s):
    header = ['L0', 'package', 'compiler', 'L1 CPUID'] + ['L2 CPUID, ' + tables.L1_NAMES[l1] for l1 in l1s]
    rows = []
    for i, (kernel, _) in enumerate(series.measured):
        cells = [series.name(i), kernel.version, series.compiler(i),
                 tables.number(series.costs(i, 'selftest', 'l1_cpuid')['ticks'])]
        for l1 in l1s:
            ticks, j = series.costs(i, l1)['ticks'], series.before(i)
            change = '' if j is None else ' (%s)' % tables.percent(ticks, series.costs(j, l1)['ticks'])
            cells.append(tables.number(ticks) + change)
        rows.append(cells)
    return 'Instructions of host and guests per CPUID, mitigations=off\n\n' + \
        tables.table(header, rows)


def work_table(series, l1):
    rows = [[series.name(i)] + [tables.number(series.costs(i, l1)[name]) for name, _ in COLUMNS]
            + [tables.number(sum(series.costs(i, l1)['exits_l1'].values()))]
            for i in range(len(series.measured))]
    return 'Work of L0 per L2 CPUID, %s\n\n' % tables.L1_NAMES[l1] + tables.table(
        ['L0'] + [title for _, title in COLUMNS] + ['exits of L1'], rows)


def functions_that_moved(series, l1, tolerance):
    """Of each move, the functions that changed most."""
    parts = []
    for j, i in series.moves(l1, tolerance):
        rows = [[name, tables.number(x), tables.number(y), '%+d' % round(y - x)]
                for name, x, y in series.functions(j, i, l1, MOST)]
        parts.append('%s to %s: %+d instructions of L0\n\n' % (
            series.name(j), series.name(i), round(series.change(j, i, l1)))
            + tables.table(['function', 'before', 'after', 'difference'], rows))
    return 'Functions of L0 that changed most, %s, where an L2 CPUID changed by more than %g%%\n\n' % (
        tables.L1_NAMES[l1], tolerance * 100) + ('\n\n'.join(parts) or 'None.')


def told(series, l1s, new, tolerance):
    """(lines that say what the new kernels changed, True if a cost rose)"""
    lines, dearer = ['new: ' + ' '.join(kernel.version for kernel in new)], False
    for l1 in l1s:
        for j, i in series.moves(l1, tolerance):
            if series.measured[i][0] not in new:
                continue
            change = series.change(j, i, l1)
            dearer = dearer or change > 0
            old, now = (series.costs(k, l1)['l0_instructions'] for k in (j, i))
            lines.append('%s: %s -> %s: %s -> %s instructions of L0 per L2 CPUID, %s, %s: %s' % (
                'DEARER' if change > 0 else 'cheaper', series.name(j), series.name(i),
                tables.number(old), tables.number(now), tables.percent(now, old),
                tables.L1_NAMES[l1], ', '.join('%s %+d' % (name, round(y - x)) for name, x, y in
                                               series.functions(j, i, l1, EXPLAIN))))
    return lines if len(lines) > 1 else lines + ['nothing moved by more than %g%%' % (tolerance * 100)], \
        dearer


def plot(series, l1s, path):
    """By gnuplot, as SVG."""
    count = len(series.measured)
    lines = ['%d "%s" %s' % (i, series.name(i), ' '.join(
        '%.0f' % series.costs(i, l1)['l0_instructions'] for l1 in l1s)) for i in range(count)]
    titles = {'selftest': 'tiny L1', 'linux': 'Linux 6.1 as L1'}
    curves = ['$cost using 1:%d:xtic(2) with linespoints lw 2 pt %d ps 0.7 lc rgb "%s" title "%s"'
              % (i + 3, 7 - 2 * i, ('#1f6feb', '#c2410c')[i], titles[l1]) for i, l1 in enumerate(l1s)]
    if count <= CROWDED:
        curves += ['$cost using 1:%d:(sprintf("%%d", $%d)) with labels offset 0,0.8 '
                   'tc rgb "#555555" notitle' % (i + 3, i + 3) for i in range(len(l1s))]
    script = '\n'.join([
        '$cost << END', *lines, 'END',
        'set terminal svg noenhanced size %d,420 dynamic font "sans-serif,13" background "#ffffff"'
        % max(900, 24 * count),
        'set output "%s"' % path,
        'set title "What an L2 CPUID costs stock KVM as L0, by release"',
        'set ylabel "instructions of L0"', 'set xlabel "kernel of L0"',
        'set yrange [0:*]', 'set offsets 0.4, 0.4, 2000, 0', 'set grid ytics lc rgb "#dddddd"',
        'set key top left', 'set border 3',
        'set xtics nomirror%s' % (' rotate by 60 right' if count > CROWDED else ''),
        'set ytics nomirror', 'plot ' + ', '.join(curves), ''])
    subprocess.run(['gnuplot'], input=script, text=True, check=True)
    # gnuplot writes no licence line, and everything here has one.
    with open(path, encoding='utf-8') as file:
        text = file.read()
    with open(path, 'w', encoding='utf-8') as file:
        file.write(re.sub(r'^(<\?xml.*\?>)', r'\1\n<!-- SPDX-License-Identifier: GPL-2.0 -->', text))


def write(series, l1s, tolerance, out):
    """The tables and the plot; the text of the tables."""
    parts = [ticks_table(series, l1s)]
    parts += [work_table(series, l1) for l1 in l1s]
    parts += [functions_that_moved(series, l1, tolerance) for l1 in l1s]
    text = '\n\n'.join(parts) + '\n'
    with open(os.path.join(out, 'history.md'), 'w', encoding='utf-8') as file:
        file.write('<!-- SPDX-License-Identifier: GPL-2.0 -->\n' + text)
    plot(series, l1s, os.path.join(out, 'history.svg'))
    return text


def measure_all(kernels, l1s, key, out, give_up):
    """[(kernel, runs)]; without give_up, what cannot be measured is told and left out."""
    measured = []
    for i, kernel in enumerate(kernels):
        took = time.monotonic() - command.START
        command.progress('%s, %d of %d%s' % (kernel.version, i + 1, len(kernels), ', about %d min to go' % (
            took / i * (len(kernels) - i) / 60) if i else ''))
        try:
            measured.append((kernel, {l1: measure_kernel(out, kernel, l1, key) for l1 in l1s}))
        except SetupError as error:
            if give_up:
                raise
            command.progress('%s cannot be measured, and is left out: %s' % (kernel.version, error))
    return measured


def emulator_and_program():
    """What figures are compared under: the same for all of a history."""
    program = machine.read(os.path.join(project.programs(), 'exit_bench'))
    return '%s %s' % (os.path.basename(machine.tool('bochs/build')),
                      hashlib.sha256(program).hexdigest()[:16])


def stored(out):
    """The versions of which out has figures."""
    return {os.path.basename(path).removesuffix(FIRST) for path in glob.glob(os.path.join(out, '*' + FIRST))}


def kept(out, l1s, key):
    """[(kernel, runs)] that were measured before, whether or not the archive has the kernel."""
    found = []
    for version in stored(out):
        kernel = Kernel(version, '', '')
        runs = {l1: known(out, kernel, l1, key) for l1 in l1s}
        if all(runs.values()):
            found.append((kernel, runs))
    return found


def begin(quick, out):
    """(the L1s, the key of their figures); the folder out is there then."""
    project.use_first_line()    # of exit_bench, which must run on each kernel
    project.setup('history')
    os.makedirs(out, exist_ok=True)
    return ['selftest'] if quick else ['selftest', 'linux'], emulator_and_program()


def run(versions, quick, tolerance, out):
    """Measure, print the tables, leave them and the figures in out; the exit status."""
    l1s, key = begin(quick, out)
    kernels = choose(available(), versions)
    command.progress('%d kernels: %s' % (len(kernels), ' '.join(k.version for k in kernels)))
    series = Series(measure_all(kernels, l1s, key, out, give_up=True))
    print(write(series, l1s, tolerance, out))
    command.progress('done; also in ' + out)
    return 0


def follow(releases, quick, tolerance, out):
    """Measure what is new of the releases, say what moved, redraw; the exit status.

    The first run measures everything, and has nothing to compare the oldest with.
    """
    l1s, key = begin(quick, out)
    before = kept(out, l1s, key)
    known_versions = {kernel.version for kernel, _ in before}
    offered = available()
    choose(offered, releases)           # refuses a release that is not there
    new = [kernel for kernel in offered if kernel.version not in known_versions
           and (not releases or any(is_of(kernel, release) for release in releases))]
    lost = stored(out) - known_versions - {kernel.version for kernel in offered}
    if lost:
        command.progress('left out, as another emulator or program measured them, and the archive '
                         'has dropped them: ' + ' '.join(sorted(lost)))
    if not new:
        print('nothing new: %d kernels, the newest %s' % (
            len(before), max((k for k, _ in before), key=age).version))
        return 0
    measured = measure_all(new, l1s, key, out, give_up=False)
    if not measured:
        raise SetupError('none of the %d new kernels could be measured; see above' % len(new))
    series = Series(before + measured)
    write(series, l1s, tolerance, out)
    lines, dearer = told(series, l1s, [kernel for kernel, _ in measured], tolerance)
    print('\n'.join(lines))
    command.progress('done; tables and plot in ' + out)
    return 1 if dearer else 0
