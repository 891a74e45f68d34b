# SPDX-License-Identifier: GPL-2.0
"""Flushes and barriers per L2 entry and per reflection to L1, stock against fast.

On a CPU that has SPEC_CTRL, IBPB and MD_CLEAR, under the default mitigations.
Invariant: a count that is 0 on stock proves nothing and fails.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'lab'))
sys.dont_write_bytecode = True
import figures          # noqa: E402
import machine          # noqa: E402

ITERATIONS = 1000       # of exit_bench
MSR_SPEC_CTRL = '0x48'
COUNTS = (('L1D flushes', lambda f: f['l1d_flush']), ('IBPB', lambda f: f['ibpb']),
          ('SPEC_CTRL writes', lambda f: f['wrmsr'].get(MSR_SPEC_CTRL, 0)),
          ('VERW', lambda f: f['verw']))


def measure(module, program, directory):
    """Figures per L2 CPUID of module, a path or "stock"; LabError if it did not end well."""
    result = machine.run(machine.Spec(program=[program, 'nested'], symbols=True, append='',
                                      cpu_features='sca_mitigations', kvm_intel=module), directory)
    if result['status'] != 'ok' or result['program_exit']:
        machine.explain(result, directory)
        raise machine.LabError('the machine with mitigations did not end well')
    return figures.load(directory + '/counters.0.json', directory + '/kallsyms.txt', ITERATIONS)


def nested_entries(run):
    return run['exits'].get('VMRESUME', 0) + run['exits'].get('VMLAUNCH', 0)


def demanded(name, stock, fast):
    """How many of them fast must have, going by stock's.

    L1D flushes beyond one per nested entry follow timer interrupts, of which a
    shorter round trip has fewer.
    """
    count = dict(COUNTS)[name](stock)
    if name != 'L1D flushes':
        return count
    return nested_entries(fast) + (count - nested_entries(stock)) * fast['ticks'] / stock['ticks']


def compare(stock, fast):
    """[(good, name, detail)]"""
    results = []
    for name, count in COUNTS:
        results.append((0 < count(stock) and demanded(name, stock, fast) <= count(fast) + 0.002,
                        '%s are not fewer than on stock' % name,
                        '%s -> %s' % (count(stock), count(fast))))
    results.append((abs(fast['verw'] - fast['vm_entries']) < 0.01, 'VERW once per VM entry',
                    '%s in %s entries' % (fast['verw'], fast['vm_entries'])))
    return results
