# SPDX-License-Identifier: GPL-2.0
"""Measure one row of the bench on one kernel: for bisect and history.

    run = measure.measure(kernel, 'selftest', 'cpuid', 'out')

The same program and the same marks as the bench; what comes back has the form
of its files.  Invariant: no figures unless the machine ended well and the row
was measured to its end.
"""

import os
import re

from .. import machine, project
from ..machine import linux_l1
from . import figures

L1_ROW = 'l1_cpuid'     # the one row in which no L2 runs
TIME_LIMIT = 300        # seconds for one machine with the tiny L1


class MeasureError(Exception):
    """The machine did not end well; .result is machine.run()'s."""

    def __init__(self, message, result):
        super().__init__(message)
        self.result = result


def run(kernel, l1, rows, directory, **options):
    """Boot kernel as L0, run rows in this order; the content of result.json.

    With l1 "host" no L1 is measured, but user space beside a VM (exit_bench/host.h).
    """
    program = os.path.join(project.programs(), 'exit_bench')
    spec = machine.Spec(kernel=kernel, symbols=True, time_limit=TIME_LIMIT, **options)
    if l1 == 'linux':
        spec.time_limit = 2 * linux_l1.TIME_LIMIT
        guest = linux_l1.Guest(program=[program, 'guest', *rows], l1_append='mitigations=off')
        return linux_l1.run(spec, guest, directory)
    others = [row for row in rows if row != L1_ROW]
    words = ['/test/exit_bench guest l1_cpuid'] if L1_ROW in rows else []
    words += ['/test/exit_bench %s %s' % ('host' if l1 == 'host' else 'nested', ' '.join(others))
              ] if others else []
    spec.program = ['sh', '-c', ' && '.join(words)]
    spec.files = [(program, '/test/exit_bench')]
    return machine.run(spec, directory)


def measure_rows(kernel, l1, rows, directory, **options):
    """{row: run}, the content of a file of the bench each; raises MeasureError.

    kernel is a directory as selftests/lab/kernel makes it, l1 "selftest" (the
    tiny L1), "linux" or "host"; options are members of machine.Spec.
    """
    rows = sorted(rows, key=lambda row: row != L1_ROW)
    result = run(kernel, l1, rows, directory, **options)
    text = machine.read(os.path.join(directory, 'stdout.txt')).decode(errors='replace')
    done = re.findall(r'^row (\S+) iterations (\d+)', text, re.M)
    if result['status'] != 'ok':
        raise MeasureError('%s: %s' % (result['status'], result['reason']), result)
    if result['program_exit'] or len(done) != len(rows):
        raise MeasureError('exit_bench ended with status %s after %d of %d rows: %s' % (
            result['program_exit'], len(done), len(rows), ' '.join(text.split()[-20:])), result)
    return {row: {'kernel': result['kernel'], 'l1': l1, 'row': row, 'variant': 'stock',
                  'iterations': int(done[i][1]), 'cpu_model': result['cpu_model'],
                  'emulator': result['emulator'], 'cmdline': result['cmdline'],
                  'per_iteration': figures.load(
                      os.path.join(directory, 'counters.%d.json' % i),
                      os.path.join(directory, 'kallsyms.txt'), int(done[i][1]))}
            for i, row in enumerate(rows)}


def measure(kernel, l1, row, directory, **options):
    """One row of measure_rows()."""
    return measure_rows(kernel, l1, [row], directory, **options)[row]
