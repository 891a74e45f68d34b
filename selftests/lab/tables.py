# SPDX-License-Identifier: GPL-2.0
"""The bench's tables, in Markdown, from the runs' JSON.

They answer the tables of the talk "Where Does the Time Go? Profiling Nested KVM
on x86/Intel" (KVM Forum 2017).  Its published figures stand in columns of their
own: cycles of another machine, not to be compared in number with instructions.
"""

import collections

TALK_CYCLES = {'l1': 768, 'l2': 18830, 'vmware_l1': 590, 'vmware_l2': 6446}
TALK_EXITS = {  # relative to L2 CPUID exits: KVM, VMware Workstation
    'VMREAD': ('2X', '-'), 'VMWRITE': ('1X', '1X'), 'XSETBV': ('1X', '-'),
    'RDMSR': ('1X', '-'), 'VMRESUME': ('1X', '1X'), 'CPUID': ('-', '1X'),
}
TALK_CULPRITS = {
    ('VMREAD', '0x812'): '49.8%', ('VMREAD', '0x810'): '49.7%',
    ('VMREAD', '0x4000'): '0.3%', ('VMREAD', '0x4818'): '0.0%',
    ('VMWRITE', '0x482e'): '99.0%', ('VMWRITE', '0x4000'): '0.7%',
    ('VMWRITE', '0x810'): '0.3%', ('RDMSR', '0x1d9'): '100%',
}
NAMES = {
    'VMREAD': {'0x812': 'PML index', '0x810': 'Guest interrupt status',
               '0x4000': 'Pin-based controls', '0x4818': 'Guest SS access rights',
               '0x482e': 'Preemption timer', '0x6c14': 'HOST_RSP', '0x6c16': 'HOST_RIP',
               '0x4002': 'Primary controls', '0x4016': 'VM-entry interruption info',
               '0x401e': 'Secondary controls', '0x681e': 'GUEST_RIP'},
    'RDMSR': {'0x1d9': 'IA32_DEBUGCTL', '0x6e0': 'IA32_TSC_DEADLINE', '0x48': 'IA32_SPEC_CTRL',
              '0x49': 'IA32_PRED_CMD', '0x80b': 'x2APIC EOI', '0x830': 'x2APIC ICR'},
}
NAMES['VMWRITE'], NAMES['WRMSR'] = NAMES['VMREAD'], NAMES['RDMSR']
CULPRITS = (('VMREAD', 'exit_vmread_fields'), ('VMWRITE', 'exit_vmwrite_fields'),
            ('RDMSR', 'exit_rdmsr'), ('WRMSR', 'exit_wrmsr'))
ROWS = {
    'l1_cpuid': 'L1 CPUID',
    'cpuid': 'L2 CPUID',
    'cpuid_rewrite_host': 'L2 CPUID, HOST_RSP and HOST_RIP rewritten',
    'cpuid_no_ept': 'the same, and without EPT',
}
L1_NAMES = {'selftest': 'tiny L1', 'linux': 'Linux as L1'}
WORK = ('l0_instructions', 'guest_instructions', 'vmread', 'vmwrite', 'vmwrite_control',
        'vmptrld', 'vmclear', 'invept', 'invvpid', 'verw', 'l1d_flush', 'ibpb', 'page_maps')


def table(header, rows):
    widths = [max(len(str(row[i])) for row in [header] + rows) for i in range(len(header))]

    def line(cells):
        first = str(cells[0]).ljust(widths[0])
        rest = [str(cell).rjust(width) for cell, width in zip(cells[1:], widths[1:])]
        return '| ' + ' | '.join([first] + rest) + ' |'

    rule = '|' + '|'.join(['-' * (widths[0] + 2)] +
                          ['-' * (width + 1) + ':' for width in widths[1:]]) + '|'
    return '\n'.join([line(header), rule] + [line(row) for row in rows])


def number(value):
    if value is None:
        return ''
    if value >= 100:
        return format(round(value), ',')
    return ('%.2f' % value).rstrip('0').rstrip('.') or '0'


def percent(after, before):
    return '%+.1f%%' % (100.0 * (after - before) / before) if before else ''


class Runs:
    """The runs of one bench, found by what they measured."""

    def __init__(self, runs):
        self.runs = runs

    def get(self, l1, row, mitigations, variant):
        for run in self.runs:
            if (run['l1'], run['row'], run['mitigations'], run['variant']) == \
                    (l1, row, mitigations, variant):
                return run['per_iteration']
        return None

    def pairs(self):
        """(l1, mitigations, row, stock, fast), in the order measured."""
        for run in self.runs:
            if run['variant'] != 'stock':
                continue
            key = run['l1'], run['row'], run['mitigations']
            fast = self.get(*key, 'fast')
            if fast:
                yield key[0], key[2], key[1], run['per_iteration'], fast


def performance(runs):
    """The talk's first table: what a CPUID costs, and how often an L1 CPUID."""
    rows = [['talk of 2017: KVM, L1', 'cycles', number(TALK_CYCLES['l1']), '', '', '---'],
            ['talk of 2017: KVM, L2', 'cycles', number(TALK_CYCLES['l2']), '', '', '25X'],
            ['talk of 2017: VMware, L2', 'cycles', number(TALK_CYCLES['vmware_l2']), '', '', '11X']]
    for l1, mitigations, row, stock, fast in runs.pairs():
        base = [runs.get('selftest', 'l1_cpuid', mitigations, v) for v in ('stock', 'fast')]
        ratio = '---' if row == 'l1_cpuid' else ' / '.join(
            '%.1fX' % (run['ticks'] / b['ticks']) for run, b in zip((stock, fast), base) if b)
        title = ROWS[row] if row == 'l1_cpuid' else '%s, %s' % (ROWS[row], L1_NAMES[l1])
        rows.append(['%s, mitigations=%s' % (title, mitigations), 'instructions',
                     number(stock['ticks']), number(fast['ticks']),
                     percent(fast['ticks'], stock['ticks']), ratio])
    return 'CPUID: host and guest together, per iteration\n\n' + table(
        ['configuration', 'unit', 'stock', 'fast', 'change', 'relative to L1'], rows)


def ancillary(runs, l1, mitigations):
    """The second table: what L1 exits for, per L2 CPUID exit."""
    stock, fast = (runs.get(l1, 'cpuid', mitigations, v) for v in ('stock', 'fast'))
    if not stock or not fast:
        return ''
    reasons = list(TALK_EXITS)
    reasons += sorted((set(stock['exits_l1']) | set(fast['exits_l1'])) - set(reasons))
    rows = [[reason, *TALK_EXITS.get(reason, ('-', '-')),
             number(stock['exits_l1'].get(reason, 0)), number(fast['exits_l1'].get(reason, 0))]
            for reason in reasons]
    return 'Ancillary VM exits of L1 per L2 CPUID, %s, mitigations=%s\n\n' % (
        L1_NAMES[l1], mitigations) + table(
            ['exit reason', 'talk: KVM', 'talk: VMware', 'stock', 'fast'], rows)


def culprits(runs, l1, mitigations):
    """The third table: which VMCS field or MSR."""
    stock, fast = (runs.get(l1, 'cpuid', mitigations, v) for v in ('stock', 'fast'))
    if not stock or not fast:
        return ''
    rows = []
    for reason, key in CULPRITS:
        fields = set(stock[key]) | set(fast[key])
        fields |= {field for r, field in TALK_CULPRITS if r == reason}
        for field in sorted(fields, key=lambda f, k=key: (-stock[k].get(f, 0), f)):
            rows.append(['%s %s' % (reason, NAMES[reason].get(field, field)),
                         TALK_CULPRITS.get((reason, field), '-'),
                         number(stock[key].get(field, 0)), number(fast[key].get(field, 0))])
    return 'Culprits: exits per L2 CPUID by field and MSR, %s, mitigations=%s\n\n' % (
        L1_NAMES[l1], mitigations) + table(
            ['exit', 'talk: share', 'stock', 'fast'], rows)


def work(runs, l1, mitigations):
    """What L0 did per L2 CPUID; never to be added up, see Documentation/measuring.md."""
    stock, fast = (runs.get(l1, 'cpuid', mitigations, v) for v in ('stock', 'fast'))
    if not stock or not fast:
        return ''
    rows = [[name, number(stock[name]), number(fast[name]), percent(fast[name], stock[name])]
            for name in WORK]
    for kind in ('rdmsr', 'wrmsr'):
        for msr in sorted(set(stock[kind]) | set(fast[kind])):
            before, after = stock[kind].get(msr, 0), fast[kind].get(msr, 0)
            rows.append(['%s %s' % (kind, NAMES['RDMSR'].get(msr, msr)),
                         number(before), number(after), percent(after, before)])
    return 'Work of L0 per L2 CPUID, %s, mitigations=%s\n\n' % (
        L1_NAMES[l1], mitigations) + table(['', 'stock', 'fast', 'change'], rows)


def symbols(runs, l1, mitigations, most=20):
    """The profile slides: where L0's instructions go."""
    stock, fast = (runs.get(l1, 'cpuid', mitigations, v) for v in ('stock', 'fast'))
    if not stock or not fast:
        return ''
    before, after = (collections.OrderedDict(run['symbols']) for run in (stock, fast))
    rows = [[name, number(count), number(after.get(name, 0)),
             '%.1f%%' % (100 * count / stock['l0_instructions'])]
            for name, count in list(before.items())[:most]]
    return 'Top functions of L0 per L2 CPUID, %s, mitigations=%s\n\n' % (
        L1_NAMES[l1], mitigations) + table(
            ['function', 'stock', 'fast', 'share of stock'], rows)


def report(all_runs):
    """All tables that the runs have figures for."""
    runs = Runs(all_runs)
    kinds = []
    for run in all_runs:
        if run['row'] == 'cpuid' and (run['l1'], run['mitigations']) not in kinds:
            kinds.append((run['l1'], run['mitigations']))
    parts = [performance(runs)]
    for l1, mitigations in kinds:
        parts += [ancillary(runs, l1, mitigations)]
    for l1, mitigations in kinds:
        if mitigations == 'off':
            parts += [culprits(runs, l1, mitigations)]
    for l1, mitigations in kinds:
        parts += [work(runs, l1, mitigations)]
    for l1, mitigations in kinds:
        if mitigations == 'off':
            parts += [symbols(runs, l1, mitigations)]
    return '\n\n'.join(part for part in parts if part)
