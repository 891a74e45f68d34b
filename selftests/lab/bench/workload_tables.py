# SPDX-License-Identifier: GPL-2.0
"""The tables of whole workloads, beside those of the talk of 2017: see tables.py."""

from .rows import VARIANTS, WORKLOADS
from .table import Table, number, percent

ALL_VARIANTS = ('2017', *VARIANTS)
# Rows to which the talk's figures of another one belong, too.
LIKE = {'compile_50m': 'compile', 'compile_3000m': 'compile', 'compile_two_vcpus': 'compile',
        'network_siblings': 'network'}
ALONE, NESTED = 'workload_l1', 'workload_l2'

# What the talk published, by our row: what it measured, and L2 relative to L1.
TALK_RELATIVE = {
    'compile': ('time', '1.04X', '1.07X'),
    'network': ('bandwidth', '1.1X', '0.3X'),
    'wakeups_many': ('p99 latency', '1.6X', '1.1X'),
}
# KVM's exits per second, as sampled.
TALK_EXITS = {
    'compile': {
        'L1 VMREAD': 50451, 'L1 VMWRITE': 25641, 'L2 EXTERNAL_INTERRUPT': 17311,
        'L1 RDMSR': 16822, 'L1 XSETBV': 16809, 'L1 VMRESUME': 16809, 'L2 WRMSR': 12786,
        'L1 WRMSR': 6939, 'L2 PREEMPTION_TIMER': 3374, 'L2 RDTSC': 3358, 'L2 HLT': 592,
        'L1 HLT': 552, 'L1 TIMER': 274, 'L1 EXTERNAL_INTERRUPT': 149, 'L2 RDMSR': 12,
        'L2 EXCEPTION_NMI': 11},
    'network': {
        'L1 VMREAD': 422462, 'L1 VMWRITE': 166269, 'L1 RDMSR': 70169, 'L1 XSETBV': 70157,
        'L1 VMRESUME': 70153, 'L2 WRMSR': 54385, 'L1 WRMSR': 29951, 'L2 HLT': 26354,
        'L1 HLT': 4683, 'L1 EXTERNAL_INTERRUPT': 2132, 'L2 EXTERNAL_INTERRUPT': 1829,
        'L1 VMPTRLD': 1788, 'L2 EPT_VIOLATION': 1001, 'L1 PREEMPTION_TIMER': 754,
        'L2 PREEMPTION_TIMER': 450, 'L1 PAUSE': 22},
    'wakeups_many': {
        'L1 VMREAD': 27532, 'L1 VMWRITE': 17008, 'L2 EXTERNAL_INTERRUPT': 14405,
        'L1 RDMSR': 10013, 'L1 XSETBV': 9998, 'L1 VMRESUME': 9998, 'L2 WRMSR': 5022,
        'L1 WRMSR': 3964, 'L2 PREEMPTION_TIMER': 2927, 'L1 HLT': 239, 'L2 HLT': 233,
        'L1 EXTERNAL_INTERRUPT': 38, 'L2 RDMSR': 15, 'L2 EXCEPTION_NMI': 9,
        'L1 PREEMPTION_TIMER': 5, 'L1 PAUSE': 0},
}
for talk in (TALK_RELATIVE, TALK_EXITS):
    talk.update({row: talk[like] for row, like in LIKE.items() if like in talk})
LEAST_SHARE = 0.001     # of all exits, for one that the talk lacks to have a line


def found(runs, l1, row, variants):
    """[run or None] of these variants."""
    return [runs.run(l1, row, 'off', variant) for variant in variants]


def complete(runs):
    """(row, runs of L1 alone, runs of L2) with stock and fast; of L2 2017 comes first, or is None."""
    for row in WORKLOADS:
        alone, nested = found(runs, ALONE, row, VARIANTS), found(runs, NESTED, row, ALL_VARIANTS)
        if all(alone) and all(nested[1:]):
            yield row, alone, nested


def relative(alone, nested, measure):
    """L2 relative to L1, as the talk has it: of a bandwidth more is better."""
    if not alone or not nested:
        return ''
    one, other = (run['latency_ns']['p99'] if measure == 'p99 latency' else
                  run['bits_per_second'] if measure == 'bandwidth' else
                  run['per_iteration']['ticks'] for run in (alone, nested))
    return '%.2fX' % (other / one)


def performance(runs):
    """The talk's three tables of performance, and what L1 alone and L2 cost here."""
    rows = []
    for row, alone, nested in complete(runs):
        work = WORKLOADS[row]
        usual = 'p99 latency' if row.startswith('wakeups') else 'time'
        measures, kvm, vmware = TALK_RELATIVE.get(row, (usual, '', ''))
        # The module of 2017 costs an L1 without L2 what stock does.
        rows.append([work.title, measures, kvm, vmware,
                     *(relative(one, other, measures)
                       for one, other in zip([alone[0], *alone], nested)),
                     work.unit, *(number(run and run['per_iteration']['ticks'])
                                  for run in [*alone, *nested])])
    return rows and Table(
        'Workloads: L2 relative to L1, and ticks per unit', [
            'workload', 'relative to L1 by', 'talk: KVM', 'talk: VMware', '2017', 'stock', 'fast',
            'unit', 'ticks, L1 alone: stock', 'fast', 'L2: 2017', 'stock', 'fast'], rows)


def units(row, runs):
    """[(unit, [how many of it are in a unit of the row, by run])]: what else to relate to."""
    yield WORKLOADS[row].unit, [1 for _ in runs]
    if row.startswith('network'):
        yield '1,000 packets', [run and run['per_iteration']['packets'] / 1000 for run in runs]
        yield 'access to the device', [run and device_accesses(run['per_iteration']) for run in runs]


def device_accesses(figures):
    """Of the guest that works, to a register of its virtio device."""
    exits = figures['exits_l2'] or figures['exits_l1']
    return exits.get('EPT_VIOLATION', 0) + exits.get('EPT_MISCONFIGURATION', 0)


def cost(runs):
    """What L0 spends on a unit of work, and the exits to it."""
    rows = []
    for row, alone, nested in complete(runs):
        measured = alone + nested
        for unit, sizes in units(row, measured):
            l0 = [run and run['per_iteration']['l0_instructions'] / size
                  for run, size in zip(measured, sizes)]
            exits = [number(sum(run['per_iteration'][key].values()) / size)
                     for key in ('exits_l1', 'exits_l2')
                     for run, size in zip(measured[-2:], sizes[-2:])]
            change = [percent(l0[1], l0[0]), percent(l0[-1], l0[-2])]
            rows.append([WORKLOADS[row].title, unit, *map(number, l0[:2]), change[0],
                         *map(number, l0[2:]), change[1], *exits])
    return rows and Table(
        'Workloads: L0 instructions per unit', [
            'workload', 'unit', 'L1 alone: stock', 'fast', 'change', 'L2: 2017', 'stock', 'fast',
            'change', 'exits of L1: stock', 'fast', 'exits of L2: stock', 'fast'], rows)


def latencies(runs):
    rows = []
    for row, work in WORKLOADS.items():
        for l1, level in ((ALONE, 'L1 alone'), (NESTED, 'L2')):
            for variant, run in zip(ALL_VARIANTS, found(runs, l1, row, ALL_VARIANTS)):
                if run and 'latency_ns' in run:
                    rows.append([work.title, level, variant, *(
                        number(run['latency_ns'][name] / 1000) for name in ('p50', 'p99', 'max'))])
    return rows and Table(
        'Wake-ups: latency in microseconds of the emulated clock, not of a real one',
        ['workload', 'in', 'variant', 'p50', 'p99', 'max'], rows)


def exits_of(run):
    """{'L1 VMREAD': n per unit, ...}"""
    figures = run['per_iteration']
    return {'%s %s' % (level, reason): count
            for level, key in (('L1', 'exits_l1'), ('L2', 'exits_l2'))
            for reason, count in figures[key].items()}


def top_exits(runs, row):
    """The talk's "top VM exits": L1's and L2's, apart."""
    measured = [(variant, run) for variant, run
                in zip(ALL_VARIANTS, found(runs, NESTED, row, ALL_VARIANTS)) if run]
    if not set(VARIANTS) <= {variant for variant, _ in measured}:
        return None
    talk = TALK_EXITS.get(row, {})
    exits = [exits_of(run) for _, run in measured]
    least = LEAST_SHARE * sum(exits[0].values())
    names = {name for counts in exits for name, count in counts.items() if count >= least}
    names = sorted({*names, *talk}, key=lambda name: (-exits[0].get(name, 0), -talk.get(name, 0), name))
    per_second = [run['ips'] / run['per_iteration']['ticks'] for _, run in measured]
    rows = [[name, format(talk[name], ',') if name in talk else '',
             *(number(count.get(name, 0)) for count in exits),
             *(number(count.get(name, 0) * factor) for count, factor in zip(exits, per_second))]
            for name in names]
    variants = [variant for variant, _ in measured]
    return Table(
        'Top VM exits of L2 %s: per %s, and per second of the emulated clock' % (
            WORKLOADS[row].title, WORKLOADS[row].unit),
        ['exit', 'talk: KVM, per second', 'per unit: ' + variants[0], *variants[1:],
         'per second: ' + variants[0], *variants[1:]], rows)


def tables(runs):
    """[Table or something false]"""
    return [performance(runs), cost(runs), latencies(runs),
            *(top_exits(runs, row) for row in WORKLOADS)]
