# SPDX-License-Identifier: GPL-2.0
"""Measure rows of the bench in one machine: for the bench, its tests, bisect and history.

    runs = measure.measure_rows(kernel, 'selftest', ['cpuid'], 'out')

Invariant: no figures unless the machine ended well and every row was measured to its
end.  Which counters are a row's they say themselves: the program gives the row's name to
the emulator with the first mark.
"""

import glob
import json
import os
import re

from scripts.command import SetupError
from .. import machine, project
from ..machine import linux_l1, xen_l1
from . import figures, workloads
from .rows import IPS, L1_ROWS, ROWS, WORKLOAD_L1S, WORKLOADS

TIME_LIMIT = 300        # seconds for one machine with the tiny L1


class MeasureError(SetupError):
    """The machine did not end well, or did not measure all; .result is machine.run()'s."""

    def __init__(self, message, result):
        super().__init__(message)
        self.result = result


def run(kernel, l1, names, directory, l1_append='mitigations=off', **options):
    """Boot kernel as L0, run rows, those of L1 first; the content of result.json.

    kernel is a directory as selftests/lab/kernel makes it, l1 "selftest" (the tiny L1),
    "linux", "linux_evmcs" (with an enlightened VMCS), "xen", one of WORKLOAD_L1S, or "host": no
    L1, but user space beside a VM (exit_bench/host.c).  options are members of machine.Spec.
    """
    if l1 in (*WORKLOAD_L1S, 'xen'):
        spec = machine.Spec(kernel=kernel, symbols=True,
                            **{'time_limit': 2 * linux_l1.TIME_LIMIT,
                               'ips': WORKLOADS[names[0]].ips if l1 in WORKLOAD_L1S else IPS,
                               **options})
        if l1 in WORKLOAD_L1S:
            return workloads.run(spec, l1, names, l1_append, directory)
        return xen_l1.run(spec, dom0(names, l1_append), directory)
    program = os.path.join(project.programs(), 'exit_bench')
    is_linux = l1 in ('linux', 'linux_evmcs')
    limit = 2 * linux_l1.TIME_LIMIT if is_linux else TIME_LIMIT
    spec = machine.Spec(kernel=kernel, symbols=True, **{'time_limit': limit, **options})
    names = sorted(names, key=lambda name: name not in L1_ROWS)
    if is_linux:
        guest = linux_l1.Guest(program=[program, 'guest', *names], l1_append=l1_append,
                               l1_cpus=spec.cpus,
                               l1_cpu=linux_l1.CPU if l1 == 'linux' else linux_l1.CPU_EVMCS)
        return linux_l1.run(spec, guest, directory)
    of_l1 = [name for name in names if name in L1_ROWS]
    others = names[len(of_l1):]
    words = ['/test/exit_bench %s %s' % (program, ' '.join(chosen)) for program, chosen in (
        ('guest', of_l1), ('host' if l1 == 'host' else 'nested', others)) if chosen]
    spec.program = ['sh', '-c', ' && '.join(words)]
    spec.files = [(program, '/test/exit_bench')]
    return machine.run(spec, directory)


def dom0(names, append):
    """Xen as L1, whose dom0 runs rows; "domu" is a program of its own."""
    exits = [name for name in names if name != 'domu']
    words = (['/xen/exits ' + ' '.join(exits)] if exits else []) + (
        ['/xen/domu domu'] if 'domu' in names else [])
    return xen_l1.Guest(program=['sh', '-c', ' && '.join(words)], l1_append=append,
                        l1_modules=['xen-privcmd'],
                        l1_files=[(os.path.join(workloads.programs(), 'exits'), '/xen/exits'),
                                  (xen_l1.domu(), '/xen/domu')])


def vcpus_of(name):
    return ROWS[name].vcpus if name in ROWS else 1


def units_of(name):
    """How many of what the program counts are an iteration."""
    return WORKLOADS[name].per if name in WORKLOADS else 1


def row_of(path):
    """The row that counters are of."""
    with open(path, encoding='ascii') as file:
        return json.load(file)['row']


def windows(names, result, directory):
    """{row: (iterations, path of its counters)} of a machine; raises MeasureError."""
    text = machine.read(os.path.join(directory, 'stdout.txt')).decode(errors='replace')
    said = re.findall(r'^row (\S+) iterations (\d+)', text, re.M)
    if result['status'] != 'ok':
        raise MeasureError('%s: %s' % (result['status'], result['reason']), result)
    if result['program_exit'] or sorted(name for name, _ in said) != sorted(names):
        raise MeasureError('exit_bench ended with status %s after the rows "%s" of "%s": %s' % (
            result['program_exit'], ' '.join(name for name, _ in said), ' '.join(names),
            ' '.join(text.split()[-20:])), result)
    counters = [(row_of(path), path) for path in sorted(
        glob.glob(os.path.join(directory, 'counters.*.json')))]
    if sorted(row for row, _ in counters) != sorted(names):
        raise MeasureError('of the rows "%s" there are counters of "%s"; were both marks executed?' % (
            ' '.join(names), ' '.join(row for row, _ in counters)), result)
    iterations = {name: int(number) * vcpus_of(name) / units_of(name) for name, number in said}
    return {row: (iterations[row], path) for row, path in counters}


def read_rows(l1, names, result, directory):
    """{row: run} of what run() left, in the order of names; raises MeasureError."""
    found = windows(names, result, directory)
    kallsyms = os.path.join(directory, 'kallsyms.txt')
    runs = {name: {'kernel': result['kernel'], 'l1': l1, 'row': name, 'variant': 'stock',
                   'iterations': found[name][0], 'cpu_model': result['cpu_model'],
                   'emulator': result['emulator'], 'ips': result['ips'],
                   'cmdline': result['cmdline'],
                   'per_iteration': figures.load(found[name][1], kallsyms, found[name][0])}
            for name in names}
    if l1 in WORKLOAD_L1S:
        workloads.add_said(runs, directory)
    return runs


def measure_rows(kernel, l1, names, directory, **options):
    """{row: run}, the content of a file of the bench each; arguments as of run()."""
    return read_rows(l1, names, run(kernel, l1, names, directory, **options), directory)


def measure(kernel, l1, name, directory, **options):
    """One row of measure_rows()."""
    return measure_rows(kernel, l1, [name], directory, **options)[name]
