# SPDX-License-Identifier: GPL-2.0
"""The bench's tables, from the runs' JSON, as data and in Markdown.

They answer the tables of the talk "Where Does the Time Go? Profiling Nested KVM
on x86/Intel" (KVM Forum 2017).  Its published figures stand in columns of their
own: cycles of another machine, not to be compared in number with instructions.
"""

from . import listing_tables, rows as measured, workload_tables
from .table import Runs, Table, number, percent, table

ROWS = {name: row.title for name, row in measured.ROWS.items()}
VARIANTS = measured.VARIANTS

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
TALK_PROFILE = {  # of its four profiles of L0: share of the samples, by row
    'cpuid': {
        'nested_vmx_disable_intercept_for_x2apic_msr': '26%', 'nested_vmx_run': '11%',
        'vmx_vcpu_run': '11%', 'kvm_arch_vcpu_ioctl_run': '4%', 'copy_shadow_to_vmcs12': '3%'},
    'compile': {
        'native_queued_spin_lock_slowpath': '16%', '_raw_spin_lock': '3%',
        'nested_vmx_disable_intercept_for_x2apic_msr': '10%', 'vmx_vcpu_run': '8%',
        'nested_vmx_run': '7%', 'kvm_arch_vcpu_ioctl_run': '4%', 'copy_shadow_to_vmcs12': '2%'},
    'network': {
        'nested_vmx_disable_intercept_for_x2apic_msr': '13%', 'vmx_vcpu_run': '13%',
        'nested_vmx_run': '6%', 'kvm_arch_vcpu_ioctl_run': '5%', 'read_tsc': '4%',
        '_raw_spin_lock': '3%', '__srcu_read_lock': '3%'},
    'wakeups_many': {   # of a kernel with lock debugging
        'native_queued_spin_lock_slowpath': '15%', '__lock_acquire': '14%',
        'nested_vmx_disable_intercept_for_x2apic_msr': '8%', 'lock_is_held_type': '7%',
        'vmx_vcpu_run': '4%', 'nested_vmx_run': '4%', 'do_raw_spin_lock': '3%'},
}
TALK_PROFILE['cpuid_timer'] = TALK_PROFILE['cpuid']
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
CACHES = {      # figure: what it is
    'code_lines': 'lines of code that a round trip executes from',
    'data_lines': 'lines of data that it reads or writes',
    'l1i_misses': 'misses of the model of an L1I',
    'l1d_misses': 'misses of the model of an L1D',
    'guest_code_lines': 'guests: lines of code', 'guest_data_lines': 'guests: lines of data',
    'guest_l1i_misses': 'guests: misses of the L1I', 'guest_l1d_misses': 'guests: misses of the L1D',
    'mispredictions': 'conditional branches mispredicted by the model',
    'locked': 'locked instructions', 'div64': '64-bit divisions', 'rdtsc': 'RDTSC and RDTSCP',
    'interrupts_off': 'longest stretch with interrupts off, in all: instructions',
}
L1_NAMES = {'selftest': 'tiny L1', 'linux': 'Linux as L1', 'xen': 'Xen as L1',
            'linux_evmcs': 'Linux as L1 with an enlightened VMCS', 'workload_l2': 'Linux as L1'}
WORK = ('l0_instructions', 'guest_instructions', 'vmread', 'vmwrite', 'vmwrite_control',
        'vmptrld', 'vmclear', 'invept', 'invvpid', 'verw', 'l1d_flush', 'ibpb', 'page_maps')


def performance(runs):
    """The talk's first table: what a CPUID costs, and how often an L1 CPUID."""
    rows = []
    for l1, mitigations, row, stock, fast in runs.pairs():
        if 'cpuid' not in row or row == measured.TWO_VCPUS:     # whose ticks pass at the same time
            continue
        base = [runs.get('selftest', 'l1_cpuid', mitigations, v) for v in VARIANTS]
        ratio = '---' if row == 'l1_cpuid' else ' / '.join(
            '%.1fX' % (run['ticks'] / b['ticks']) for run, b in zip((stock, fast), base) if b)
        title = ROWS[row] if row in measured.L1_ROWS else 'L2 %s, %s' % (ROWS[row], L1_NAMES[l1])
        profile = runs.get(l1, row, mitigations, '2017')
        rows.append(['%s, mitigations=%s' % (title, mitigations), '',
                     number(profile['ticks']) if profile else '',
                     number(stock['ticks']), number(fast['ticks']),
                     percent(fast['ticks'], stock['ticks']), ratio])
    talk = [[name, number(TALK_CYCLES[key]), '', '', '', '', ratio] for name, key, ratio in (
        ('talk of 2017: KVM, L1', 'l1', '---'), ('talk of 2017: KVM, L2', 'l2', '25X'),
        ('talk of 2017: VMware, L2', 'vmware_l2', '11X'))]
    return rows and Table(
        'CPUID: host and guest together, instructions per iteration', [
            'configuration', 'talk: cycles', '2017', 'stock', 'fast', 'change', 'relative to L1'],
        talk + rows)


def own_exits(runs):
    """What an exit of L1 costs that is not about L2."""
    rows = [['%s, mitigations=%s' % (ROWS[row], mode), number(stock['l0_instructions']),
             number(fast['l0_instructions']),
             percent(fast['l0_instructions'], stock['l0_instructions'])]
            for _, mode, row, stock, fast in runs.pairs() if row in measured.L1_ROWS]
    return rows and Table('Exits of L1 itself: instructions of L0 per exit',
                          ['L1 exit', 'stock', 'fast', 'change'], rows)


def every_row(runs, l1, mitigations):
    """One line per kind of L2 exit: the work of L0, and how often L1 exits to it."""
    rows = []
    for kind, mode, row, stock, fast in runs.pairs():
        if (kind, mode) == (l1, mitigations) and row not in measured.L1_ROWS:
            rows.append([ROWS[row], number(stock['l0_instructions']),
                         number(fast['l0_instructions']),
                         percent(fast['l0_instructions'], stock['l0_instructions']),
                         *(number(sum(run['exits_l1'].values())) for run in (stock, fast)),
                         *(number(run['vmread'] + run['vmwrite']) for run in (stock, fast))])
    return rows and Table(
        'Every row: per L2 exit of that kind, %s, mitigations=%s' % (L1_NAMES[l1], mitigations),
        ['L2 exit', 'L0 instructions: stock', 'fast', 'change', 'exits of L1: stock', 'fast',
         'VMREAD and VMWRITE by L0: stock', 'fast'], rows)


def accesses(run):
    """(VMREADs and VMWRITEs of L1, those that exit), per L2 exit."""
    exits = run['exits_l1'].get('VMREAD', 0) + run['exits_l1'].get('VMWRITE', 0)
    return run['guest_vmread'] + run['guest_vmwrite'] + exits, exits


def zoo(runs):
    """How many accesses of differently written L1s exit."""
    rows = [[ROWS[row], number(accesses(stock)[0]), number(accesses(stock)[1]),
             number(accesses(fast)[1])]
            for _, mitigations, row, stock, fast in runs.pairs()
            if row.startswith('zoo_') and mitigations == 'off']
    return rows and Table(
        'VMREADs and VMWRITEs of tiny L1s per L2 CPUID',
        ['L1', 'executed', 'exits: stock', 'fast'], rows)


def shadow_alone(runs):
    """What VMCS shadowing does without the other optimisations."""
    l1, row = 'selftest', 'cpuid_rewrite_host'
    found = [runs.get(l1, row, 'off', variant) for variant in ('stock', 'shadow', 'fast')]
    if not all(found):
        return None
    rows = [['instructions, host and guest', *(number(run['ticks']) for run in found)],
            ['exits of L1', *(number(sum(run['exits_l1'].values())) for run in found)]]
    return Table('VMCS shadowing alone: per L2 %s, %s, mitigations=off' % (
        ROWS[row], L1_NAMES[l1]), ['', 'stock', 'fast, shadowing alone', 'fast'], rows)


def by_round_trip(runs, l1, row, mitigations):
    """{variant: figures}, and a function that relates one to the L2 exits that L1 handled."""
    found = {v: runs.get(l1, row, mitigations, v) for v in ('2017', *VARIANTS)}

    def relate(run, key, name):
        if not run or not run['exits_l1'].get('VMRESUME'):
            return None
        return run[key].get(name, 0) / run['exits_l1']['VMRESUME']

    return found, relate


def ancillary(runs, l1, row, mitigations):
    """The second table: what L1 exits for, per L2 exit that it handles."""
    found, relate = by_round_trip(runs, l1, row, mitigations)
    if not found['stock'] or not found['fast']:
        return None
    reasons = list(TALK_EXITS)
    reasons += sorted({reason for run in found.values() if run for reason in run['exits_l1']} -
                      set(reasons))
    rows = [[reason, *TALK_EXITS.get(reason, ('-', '-')),
             *(number(relate(run, 'exits_l1', reason)) for run in found.values())]
            for reason in reasons]
    return Table(
        'Ancillary VM exits of L1 per L2 exit that it handles, %s, %s, mitigations=%s' % (
            ROWS[row], L1_NAMES[l1], mitigations),
        ['exit reason', 'talk: KVM', 'talk: VMware', '2017', 'stock', 'fast'], rows)


def share(run, key, field):
    total = sum(run[key].values()) if run else 0
    return '%.1f%%' % (100 * run[key].get(field, 0) / total) if total else ''


def culprits(runs, l1, row, mitigations):
    """The third table: which VMCS field or MSR."""
    found, relate = by_round_trip(runs, l1, row, mitigations)
    if not found['stock'] or not found['fast']:
        return None
    rows = []
    for reason, key in CULPRITS:
        fields = {field for run in found.values() if run for field in run[key]}
        fields |= {field for r, field in TALK_CULPRITS if r == reason}
        most = found['2017'] or found['stock']
        for field in sorted(fields, key=lambda f, k=key: (-most[k].get(f, 0), f)):
            rows.append(['%s %s' % (reason, NAMES[reason].get(field, field)),
                         TALK_CULPRITS.get((reason, field), '-'), share(found['2017'], key, field),
                         *(number(relate(run, key, field)) for run in found.values())])
    return Table(
        'Culprits: exits by field and MSR per L2 exit that L1 handles, %s, %s, mitigations=%s' % (
            ROWS[row], L1_NAMES[l1], mitigations),
        ['exit', 'talk: share', '2017: share', '2017', 'stock', 'fast'], rows)


def work(runs, l1, mitigations):
    """What L0 did per L2 CPUID; never to be added up, see Documentation/measuring.md."""
    stock, fast = (runs.get(l1, 'cpuid', mitigations, v) for v in VARIANTS)
    if not stock or not fast:
        return None
    rows = [[name, number(stock[name]), number(fast[name]), percent(fast[name], stock[name])]
            for name in WORK]
    for kind in ('rdmsr', 'wrmsr'):
        for msr in sorted(set(stock[kind]) | set(fast[kind])):
            before, after = stock[kind].get(msr, 0), fast[kind].get(msr, 0)
            rows.append(['%s %s' % (kind, NAMES['RDMSR'].get(msr, msr)),
                         number(before), number(after), percent(after, before)])
    return Table('Work of L0 per L2 CPUID, %s, mitigations=%s' % (
        L1_NAMES[l1], mitigations), ['', 'stock', 'fast', 'change'], rows)


def caches(runs, l1, row, mitigations):
    """What a model of caches and predictors says, and what costs more than an instruction."""
    stock, fast = (runs.get(l1, row, mitigations, v) for v in VARIANTS)
    if not stock or not fast:
        return None

    def cell(run, name):
        low_high = run.get(name + '_range')
        return number(run[name]) + (' (%s to %s)' % tuple(map(number, low_high)) if low_high else '')
    names = dict(CACHES)
    if row == measured.TWO_VCPUS:
        names['shared_lines'] = 'lines that another CPU wrote, transferred'
    return Table('Caches, counted: L0 per L2 %s, %s, mitigations=%s' % (
        ROWS[row], L1_NAMES[l1], mitigations), ['', 'stock', 'fast', 'change'], [
            [title, cell(stock, name), cell(fast, name), percent(fast[name], stock[name])]
            for name, title in names.items()])


def symbols(runs, l1, row, mitigations, title, most=20):
    """The profile slides: where L0's instructions go, and all functions that the talk names."""
    found = {v: runs.get(l1, row, mitigations, v) for v in ('2017', *VARIANTS)}
    found = {v: run for v, run in found.items() if run}
    if not {'stock', 'fast'} <= set(found):
        return None
    first = next(iter(found.values()))
    talk = TALK_PROFILE.get(workload_tables.LIKE.get(row, row), {}) if '2017' in found else {}
    counts = [dict(map(tuple, run['symbols'])) for run in found.values()]
    names = list(counts[0])[:most]
    rows = [[name, *(number(count.get(name, 0)) for count in counts),
             '%.1f%%' % (100 * counts[0].get(name, 0) / first['l0_instructions']),
             talk.get(name, '')]
            for name in names + [name for name in talk if name not in names]]
    return Table(
        'Top functions of L0 per %s, %s, mitigations=%s' % (title, L1_NAMES[l1], mitigations),
        ['function', *found, 'share of ' + next(iter(found)), 'talk: share'], rows)


def is_of_hardware(run):
    """Of "kvm-intel-fast measure"; such runs are on the page beside the emulator's."""
    return run.get('source') == 'rdtsc'


def hardware(all_runs):
    """A table for each CPU and kernel: cycles, and the emulator's ratio of the same row."""
    emulated = Runs([run for run in all_runs if not is_of_hardware(run)])
    machines = {}
    for run in filter(is_of_hardware, all_runs):
        cpu = run['cpu_model'] + (', emulated' if run['emulator'] else '')
        machines.setdefault((cpu, run['kernel'], run['mitigations']), []).append(run)
    for (cpu, kernel, mitigations), runs in machines.items():
        rows = []
        for l1, _, row, stock, fast in Runs(runs).pairs():
            beside = [emulated.get(l1, row, mitigations, variant) or
                      emulated.get(l1, row, 'off', variant) for variant in VARIANTS]
            rows.append([ROWS.get(row, row), *(
                '%s \u00b1 %s' % (number(run['ticks']), number(run['ticks_spread']))
                for run in (stock, fast)), percent(fast['ticks'], stock['ticks']),
                percent(beside[1]['ticks'], beside[0]['ticks']) if all(beside) else ''])
        yield Table('Measured by RDTSC: %s, Linux %s, mitigations=%s' % (cpu, kernel, mitigations), [
            'cycles per iteration', 'stock', 'fast', 'fast against stock',
            'the same in the emulator'], rows)


def tables(all_runs):
    """[Table]: all that the runs have figures for."""
    emulated = [run for run in all_runs if not is_of_hardware(run)]
    runs = Runs(emulated)
    kinds = []
    for run in emulated:
        if run['row'] == 'cpuid' and (run['l1'], run['mitigations']) not in kinds:
            kinds.append((run['l1'], run['mitigations']))
    parts = [performance(runs), *hardware(all_runs)]
    parts += [every_row(runs, l1, mitigations) for l1, mitigations in kinds]
    parts += [own_exits(runs)]
    parts += [zoo(runs), shadow_alone(runs)]
    for l1, mitigations in kinds:
        row = 'cpuid_timer' if l1 == 'linux' else 'cpuid'
        parts += [ancillary(runs, l1, row, mitigations)]
        parts += [culprits(runs, l1, row, mitigations)] if mitigations == 'off' else []
    parts += [work(runs, l1, mitigations) for l1, mitigations in kinds]
    parts += [caches(runs, l1, row, mitigations) for l1, mitigations in kinds
              for row in ('cpuid', measured.TWO_VCPUS) if mitigations == 'off']
    for l1, mitigations in kinds:
        if mitigations == 'off':
            parts += [symbols(runs, l1, row, mitigations, 'L2 ' + ROWS[row])
                      for row in ('cpuid', 'cpuid_timer')]
    parts += listing_tables.listings(runs)
    parts += workload_tables.tables(runs)
    parts += [symbols(runs, 'workload_l2', row, 'off', '%s of L2 %s' % (work.unit, work.title))
              for row, work in measured.WORKLOADS.items()]
    return [part for part in parts if part]


def text(found):
    """Tables in Markdown."""
    return '\n\n'.join('%s\n\n%s' % (part.title, table(part.header, part.rows)) for part in found)


def report(all_runs):
    """The same in Markdown."""
    return text(tables(all_runs))
