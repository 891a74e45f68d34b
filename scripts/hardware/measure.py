# SPDX-License-Identifier: GPL-2.0
"""kvm-intel-fast measure: what an L2 exit costs under stock and under fast, in cycles of the TSC.

The rows are those of the bench.  A row runs in a VM of its own, pinned to CPU 0, and says the
cycles of one iteration.  stock and fast take turns, so that what drifts meets both.  A figure is
the median of all runs of a row; its spread is half the distance of the quartiles.
"""

import collections
import json
import re
import statistics
import time

from scripts.hardware import costs, runs
from scripts.hardware.runs import VARIANTS, progress

ROUNDS, QUICK_ROUNDS = 10, 2
PASSES = 5                      # of all rows, between two swaps of the module
ROW_LIMIT = 20                  # seconds
L1_ROW = 'l1_cpuid'
TITLES = {
    L1_ROW: 'L1 CPUID', 'cpuid': 'L2 CPUID', 'cpuid_rewrite_host': 'CPUID, host stack rewritten',
    'cpuid_no_ept': 'CPUID, no EPT', 'vmcall': 'VMCALL', 'rdmsr': 'RDMSR',
    'wrmsr_icr': 'WRMSR of the ICR', 'wrmsr_deadline': 'WRMSR of the TSC deadline',
    'out': 'port OUT', 'in': 'port IN', 'mmio': 'MMIO', 'apic_access': 'APIC access',
    'hlt': 'HLT and wake-up', 'interrupt': 'external interrupt',
    'cpuid_1_vmcs12': 'CPUID, VMPTRLD each time', 'cpuid_8_vmcs12s': 'CPUID, 8 vmcs12s in turn',
    'cpuid_vmclear': 'CPUID, VMCLEAR each time', 'cpuid_dirty_log': 'CPUID, dirty log',
    'cpuid_bitmap_changes': 'CPUID, MSR bitmap changes',
    'zoo_kvm': 'CPUID, VMCS accesses as KVM', 'zoo_haxm': 'CPUID, VMCS accesses as HAXM',
    'zoo_rewrite_all_host': 'CPUID, host state rewritten', 'zoo_walk': 'CPUID, all fields accessed',
}
QUICK = (L1_ROW, 'cpuid', 'zoo_kvm')
# The talk of 2017, on a Broadwell: Linux as L1, CPUID in a loop.
TALK = {L1_ROW: 768, 'cpuid': 18830}
SAID = re.compile(r'^row (\S+) iterations (\d+) ticks (\d+)$', re.M)

Figure = collections.namedtuple('Figure', 'median spread samples')


def figure(samples):
    if len(samples) < 2:
        return Figure(float(samples[0]), 0.0, samples)
    first, _, third = statistics.quantiles(samples, n=4, method='inclusive')
    return Figure(float(statistics.median(samples)), (third - first) / 2, samples)


class Measure:
    def __init__(self, run, rows, rounds, passes):
        self.run, self.rows, self.rounds, self.passes = run, rows, rounds, passes
        self.samples = collections.defaultdict(list)        # (row, variant): cycles
        self.iterations, self.trouble, self.first_stock, self.last_stock = {}, {}, {}, {}

    def row(self, name, variant):
        """Measure a row once."""
        words = ['guest' if name == L1_ROW else 'nested', name]
        verdict, text = self.run.program('exit_bench', words, ROW_LIMIT, 'row ' + name)
        said = SAID.search(text)
        if verdict != 'pass' or not said:
            self.trouble.setdefault(name, '%s under %s' % (
                'no figure' if verdict == 'pass' else verdict, VARIANTS[variant]))
            return
        self.iterations[name] = int(said[2])
        self.samples[name, variant].append(int(said[3]))

    def turn(self, variant, passes):
        self.run.load(variant)
        for _ in range(passes):
            for name in self.rows:
                if name not in self.trouble:
                    self.row(name, variant)

    def all(self):
        for number in range(self.rounds):
            for variant in ('stock', 'fast'):
                progress('round %d of %d: %s' % (number + 1, self.rounds, VARIANTS[variant]))
                self.turn(variant, self.passes)
        progress('stock again')
        before = {name: len(self.samples[name, 'stock']) for name in self.rows}
        self.turn('stock', self.passes)
        for name in self.rows:
            found = self.samples[name, 'stock']
            if found[:self.passes] and found[before[name]:]:
                self.first_stock[name] = statistics.median(found[:self.passes])
                self.last_stock[name] = statistics.median(found[before[name]:])

    def figures(self):
        """{row: (stock, fast)} of the rows that both measured"""
        return {name: (figure(self.samples[name, 'stock']), figure(self.samples[name, 'fast']))
                for name in self.rows if name not in self.trouble and
                self.samples[name, 'stock'] and self.samples[name, 'fast']}

    def drift(self):
        """Of stock, from its first turn to its last: the median of all rows."""
        found = [abs(self.last_stock[name] / self.first_stock[name] - 1)
                 for name in self.last_stock if self.first_stock[name]]
        return statistics.median(found) if found else 0.0


def table(figures):
    """Lines."""
    yield '%-32s %18s %18s %10s %10s' % ('cycles per exit', 'stock', 'fast', 'fast/stock', 'talk 2017')
    for name, (stock, fast) in figures.items():
        yield '%-32s %18s %18s %10s %10s' % (
            TITLES.get(name, name),
            *('{:,.0f} ± {:,.0f}'.format(one.median, one.spread) for one in (stock, fast)),
            '%.0f%%' % (100 * fast.median / stock.median) if stock.median else '-',
            '{:,}'.format(TALK[name]) if name in TALK else '')
    if L1_ROW in figures and 'cpuid' in figures:
        ratios = ['%.1fX' % (two.median / one.median) if one.median else '-'
                  for one, two in zip(figures[L1_ROW], figures['cpuid'])]
        yield '%-32s %18s %18s %10s %10s' % ('L2 CPUID relative to L1', *ratios, '', '25X')


def save_runs(run, found, figures, emulator):
    """A file of the bench for each row and variant: kvm-lab compare and the report page take it."""
    first = run.record.events()[0]
    host = first['host']
    mitigations = 'off' if 'mitigations=off' in host['cmdline'].split() else 'default'
    for name, pair in figures.items():
        for variant, one in zip(('stock', 'fast'), pair):
            file = '%s-selftest-%s-mitigations_%s-%s.json' % (
                host['kernel'], name, mitigations, variant)
            run.record.save(file, json.dumps({
                'source': 'rdtsc', 'kernel': host['kernel'], 'l1': 'selftest', 'row': name,
                'variant': variant, 'mitigations': mitigations, 'vcpus': 1, 'params': '',
                'version': first['module'], 'date': time.strftime('%Y-%m-%d'),
                'iterations': found.iterations[name], 'cpu_model': host['cpu_model'],
                'microcode': host['microcode'], 'emulator': emulator, 'cmdline': host['cmdline'],
                'samples': one.samples,
                'per_iteration': {'ticks': one.median, 'ticks_spread': one.spread, 'symbols': []},
            }, indent=1))


def measure(host, module, options):
    """The exit status; the host meets the conditions of runs.py."""
    kit = runs.kit_folder(options.kit, ['exit_bench'])
    run = runs.Runs(host, module, kit, options.out, 'measure', quick=options.quick)
    found = Measure(run, QUICK if options.quick else tuple(TITLES),
                    options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS),
                    1 if options.quick else PASSES)
    broken, told_costs = '', {}
    try:
        found.all()
        told_costs = costs.measure(run, kit)
    except runs.Interrupted:
        broken = 'interrupted under %s' % VARIANTS[run.variant]
    except (runs.Severe, runs.NoModule) as error:
        broken = ' '.join(str(error).split())
    finally:
        told = run.leave()
    figures = found.figures()
    lines = [*table(figures)] if figures else []
    lines += ['%s: left out: %s' % (TITLES.get(name, name), why)
              for name, why in found.trouble.items()]
    lines += costs.table(told_costs) if told_costs else []
    if lines:
        run.record.save('table.txt', '\n'.join(lines) + '\n')
        print('\n'.join(lines))
    emulator = 'an emulator' if costs.emulated(told_costs) else ''
    save_runs(run, found, figures, emulator)
    end = runs.ended(told)
    good = not broken and not told and bool(figures)
    if good:
        verdict = 'measure: %d rows, %d times each under stock and fast; stock drifted by %.1f%%; %s%s' % (
            len(figures), found.rounds * found.passes, 100 * found.drift(),
            'no CPU has so cheap a VM exit: an emulator; ' if emulator else '', end)
    else:
        verdict = 'measure: NOT FINISHED: %s; %s' % (broken or 'no row was measured', end)
    run.finish(verdict, good, left_out=found.trouble, costs=told_costs)
    return 0 if good else 1
