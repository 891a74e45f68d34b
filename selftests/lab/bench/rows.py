# SPDX-License-Identifier: GPL-2.0
"""What the bench measures: rows, and the machines that measure them.

A row is one kind of L2 exit, or one way in which an L1 handles it; the programs
are in selftests/exit_bench/.  "exit" is the exit of the guest by which the row must show
that it measured what it says.
"""

import collections

Row = collections.namedtuple('Row', 'title exit vcpus', defaults=(1,))
ROWS = {
    'l1_cpuid': Row('L1 CPUID', 'CPUID'),
    'l1_sgdt': Row('L1 SGDT, without UMIP in the CPU', 'GDTR_IDTR_ACCESS'),
    'l1_sidt': Row('L1 SIDT, the same', 'GDTR_IDTR_ACCESS'),
    'l1_sldt': Row('L1 SLDT, the same', 'LDTR_TR_ACCESS'),
    'l1_str': Row('L1 STR, the same', 'LDTR_TR_ACCESS'),
    'l1_lgdt': Row('L1 LGDT, the same', 'GDTR_IDTR_ACCESS'),
    'l1_lidt': Row('L1 LIDT, the same', 'GDTR_IDTR_ACCESS'),
    'l1_lldt': Row('L1 LLDT, the same', 'LDTR_TR_ACCESS'),
    'l1_ltr': Row('L1 LTR, the same', 'LDTR_TR_ACCESS'),
    'cpuid': Row('CPUID', 'CPUID'),
    'cpuid_timer': Row('CPUID, x2APIC on and a timer armed', 'CPUID'),
    'cpuid_two_vcpus': Row('CPUID on two vCPUs at once', 'CPUID', 2),
    'cpuid_rewrite_host': Row('CPUID, HOST_RSP and HOST_RIP rewritten', 'CPUID'),
    'cpuid_no_ept': Row('CPUID, the two rewritten and no EPT', 'CPUID'),
    'vmcall': Row('VMCALL', 'VMCALL'),
    'rdmsr': Row('RDMSR', 'RDMSR'),
    'wrmsr_icr': Row('WRMSR of the x2APIC ICR', 'WRMSR'),
    'wrmsr_deadline': Row('WRMSR of the TSC deadline', 'WRMSR'),
    'out': Row('port OUT', 'IO_INSTRUCTION'),
    'in': Row('port IN', 'IO_INSTRUCTION'),
    'mmio': Row('MMIO, by an EPT violation', 'EPT_VIOLATION'),
    'apic_access': Row('APIC access', 'APIC_ACCESS'),
    'hlt': Row('HLT and wake-up', 'HLT'),
    'interrupt': Row('external interrupt', 'PREEMPTION_TIMER'),    # L0's, for L1's timer
    'cpuid_1_vmcs12': Row('CPUID, L1 loads its vmcs12 each time', 'CPUID'),
    'cpuid_8_vmcs12s': Row('CPUID, L1 takes turns with 8 vmcs12s', 'CPUID'),
    'cpuid_9_vmcs12s': Row('CPUID, with 9', 'CPUID'),
    'cpuid_16_vmcs12s': Row('CPUID, with 16', 'CPUID'),
    'cpuid_32_vmcs12s': Row('CPUID, with 32', 'CPUID'),
    'cpuid_vmclear': Row('CPUID, VMCLEAR and VMLAUNCH each time', 'CPUID'),
    'cpuid_vmxoff': Row('CPUID, L1 leaves VMX operation each time', 'CPUID'),
    'cpuid_workstation': Row('CPUID, world switch as VMware Workstation', 'CPUID'),
    'cpuid_dirty_log': Row('CPUID, dirty pages logged', 'CPUID'),
    'cpuid_bitmap_changes': Row('CPUID, L1 changes its MSR bitmap each time', 'CPUID'),
    'zoo_kvm': Row('CPUID, VMCS accesses as KVM', 'CPUID'),
    'zoo_haxm': Row('CPUID, VMCS accesses as HAXM', 'CPUID'),
    'zoo_rewrite_all_host': Row('CPUID, all host state rewritten', 'CPUID'),
    'zoo_alternate': Row('CPUID, as HAXM and host state in turn', 'CPUID'),
    'zoo_walk': Row('CPUID, every field read and written', 'CPUID'),
    'domu': Row('dom0 and a domU take turns', 'VMCALL'),
}
# Fast may cost that much of stock: the price of looking, where L1 defeats what is remembered, or
# does what is left to stock.  Of all others DEAREST.
WORST_CASE = {'cpuid_bitmap_changes': 1.05, 'zoo_alternate': 1.05, 'l1_ltr': 1.02}
DEAREST = 1.01
TWO_VCPUS = 'cpuid_two_vcpus'
# Those in which no L2 runs: the guest directly under KVM, an L1.
L1_ROWS = tuple(row for row in ROWS if row.startswith('l1_'))

EXIT_ROWS = ('vmcall', 'rdmsr', 'wrmsr_icr', 'wrmsr_deadline', 'out', 'in', 'mmio',
             'apic_access', 'hlt', 'interrupt')
# What one boot measures, in this order, by kind of L1 and number of CPUs.
MEASURED = {
    ('selftest', 1): (*L1_ROWS, 'cpuid', 'cpuid_rewrite_host', 'cpuid_no_ept', *EXIT_ROWS,
                      *(row for row in ROWS if row.endswith(('_vmcs12', '_vmcs12s'))),
                      'cpuid_vmclear', 'cpuid_vmxoff', 'cpuid_workstation', 'cpuid_dirty_log',
                      'cpuid_bitmap_changes',
                      *(row for row in ROWS if row.startswith('zoo_'))),
    ('selftest', 2): (TWO_VCPUS,),
    ('linux', 1): ('cpuid', 'cpuid_timer', *EXIT_ROWS),
    ('linux', 2): (TWO_VCPUS,),
    ('linux_evmcs', 1): ('cpuid', 'vmcall'),
    ('xen', 1): ('cpuid', 'vmcall', 'in', 'domu'),
}
# Whole workloads, see Documentation/workloads.md: what one unit is, and how many of what the program
# counts are one.  Measured in a Linux guest that is L1, and in the same guest as L2; and in what
# machine: one instruction is one tick, so at the speed of a real CPU a tick of the scheduler is as
# rare per unit of work as there.
IPS = 1000000000
Workload = collections.namedtuple('Workload', 'title unit per vcpus ips sibling',
                                  defaults=(1, 1, IPS, False))
WORKLOADS = {
    'compile': Workload('compile', 'file'),
    'compile_gcc': Workload('compile by gcc', 'file'),
    'exec': Workload('fork, exec and wait', 'process'),
    'wakeups': Workload('wake-ups', '1,000 wake-ups', 1000),
    'wakeups_many': Workload('wake-ups, more threads than CPUs', '1,000 wake-ups', 1000),
    'network': Workload('network', 'MiB'),
    'compile_50m': Workload('compile, 50 million instructions per second', 'file', ips=50000000),
    'compile_3000m': Workload('compile, 3,000 million', 'file', ips=3000000000),
    'compile_two_vcpus': Workload('compile, two at once on two vCPUs', 'file', vcpus=2),
    'wakeups_two_vcpus': Workload('wake-ups on two vCPUs', '1,000 wake-ups', 1000, vcpus=2),
    'network_siblings': Workload('network between siblings', 'MiB', sibling=True),
}
WORKLOAD_L1S = ('workload_l1', 'workload_l2')


def machine_of(row):
    """Rows that one machine measures have the same."""
    work = WORKLOADS[row]
    return work.vcpus, work.ips, work.sibling


# The part "workloads"; the rest is of the part "long".
SHORT_WORKLOADS = tuple(row for row in WORKLOADS if machine_of(row) == machine_of('compile'))
MEASURED.update({(l1, 1): SHORT_WORKLOADS for l1 in WORKLOAD_L1S})
# What other variants than stock and fast measure of these.
VARIANT_ROWS = {'2017': ('l1_cpuid', 'cpuid', 'cpuid_timer', *WORKLOADS),
                'shadow': ('cpuid_rewrite_host',)}
# "shadow": kvm-intel-fast with VMCS shadowing as its only optimisation.
SHADOW_ALONE = 'debugctl_passthrough=0 msr_bitmap_cache=0 page_cache=0 ' \
               'fast_switch=0 desc_exits=0'
MITIGATIONS = {'off': 'mitigations=off', 'default': ''}
VARIANTS = ('stock', 'fast')

# One machine; rows where it measures others than MEASURED says.
Job = collections.namedtuple('Job', 'l1 cpus mitigations variant rows', defaults=((),))


def rows_of(job):
    rows = job.rows or MEASURED[job.l1, job.cpus]
    return [row for row in rows if row in VARIANT_ROWS.get(job.variant, rows)]


def exit_jobs(quick):
    """The machines of the rows of one exit each; quick: the tiny L1 alone, stock and fast."""
    if quick:
        return [Job('selftest', 1, 'off', variant) for variant in VARIANTS]
    found = [Job('linux', 2, 'off', variant) for variant in VARIANTS]
    for l1 in ('linux', 'selftest'):
        found += [Job(l1, 1, mitigations, variant)
                  for mitigations in MITIGATIONS for variant in VARIANTS]
        found += [Job(l1, 1, 'off', '2017')]
    found += [Job('linux_evmcs', 1, 'off', variant) for variant in VARIANTS]
    return found + [Job('selftest', 2, 'off', variant) for variant in VARIANTS] + [
        Job('selftest', 1, 'off', 'shadow')]


# Where the guest of a workload runs, and under what.  2017's module does to an L1 without L2 what
# stock's does.
WORKLOAD_MACHINES = [('workload_l2', variant) for variant in (*VARIANTS, '2017')] + [
    ('workload_l1', variant) for variant in VARIANTS]


def workload_jobs():
    """Those of the workloads."""
    return [Job(l1, 1, 'off', variant) for l1, variant in WORKLOAD_MACHINES]


def long_jobs():
    """Those of the workloads for which the machine is another one."""
    groups = {}
    for row in WORKLOADS:
        groups.setdefault(machine_of(row), []).append(row)
    return [Job(l1, vcpus, 'off', variant, tuple(group))
            for (vcpus, *_), group in groups.items() if group[0] not in SHORT_WORKLOADS
            for l1, variant in WORKLOAD_MACHINES]


def xen_jobs():
    return [Job('xen', 1, 'off', variant) for variant in VARIANTS]


# Longest first.
PARTS = {'long': long_jobs, 'workloads': workload_jobs, 'exits': lambda: exit_jobs(quick=False),
         'quick': lambda: exit_jobs(quick=True), 'xen': xen_jobs}


def jobs(parts):
    """All machines of these parts, longest first."""
    return [job for part in PARTS if part in parts for job in PARTS[part]()]
