# SPDX-License-Identifier: GPL-2.0
"""Flushes and barriers per L2 entry and per reflection to L1, stock against fast.

On a CPU that has SPEC_CTRL, IBPB and MD_CLEAR, under the default mitigations.
Invariant: a count that is 0 on stock proves nothing and fails.
"""

from selftests.lab import machine
from selftests.lab.bench.measure import MeasureError, read_rows

MSR_SPEC_CTRL = '0x48'
TOTALS = (('SPEC_CTRL writes', lambda f: f['wrmsr'].get(MSR_SPEC_CTRL, 0)),
          ('VERW', lambda f: f['verw']))
# What counts by its place: between which exit and which entry, and with whose VMCS current.
BY_PLACE = (('L1D flushes', '0x10b'), ('IBPB', '0x49'), ('SPEC_CTRL writes', MSR_SPEC_CTRL))
# Per nested entry.  At a place with fewer they follow timer interrupts, of which a shorter
# round trip has fewer.
EVERY_TIME = 0.9
MARGIN = 0.002


def measure(module, program, directory, kernel='debian'):
    """Figures per L2 CPUID of module, a path or "stock"; SetupError if it did not end well."""
    result = machine.run(machine.Spec(kernel=kernel, program=[program, 'nested'], symbols=True, append='',
                                      cpu_features='sca_mitigations', kvm_intel=module), directory)
    try:
        return read_rows('selftest', ['cpuid'], result, directory)['cpuid']['per_iteration']
    except MeasureError:
        machine.explain(result, directory)
        raise


def nested_entries(run):
    return run['exits'].get('VMRESUME', 0) + run['exits'].get('VMLAUNCH', 0)


def places(run, msr):
    """{place: writes of the MSR there, per nested entry}"""
    return {place: count / nested_entries(run) for place, count in
            run['barriers'].get(msr, {}).items()}


def compare(stock, fast):
    """[(good, name, detail)]"""
    results = []
    for name, count in TOTALS:
        was, now = (count(run) / run['vm_entries'] for run in (stock, fast))
        results.append((0 < was <= now + MARGIN, '%s are not fewer than on stock, per VM entry' % name,
                        '%s -> %s' % (was, now)))
    for name, msr in BY_PLACE:
        was, now = places(stock, msr), places(fast, msr)
        each = [place for place, count in was.items() if count > EVERY_TIME]
        results.append((each and all(now.get(place, 0) >= was[place] - MARGIN for place in each),
                        '%s are not fewer than on stock where it has them each time: %s' % (
                            name, '; '.join('exit of %s, VMCS of %s, entry of %s' % tuple(
                                place.split()) for place in sorted(each))),
                        '%s -> %s' % (was, now)))
    results.append((abs(fast['verw'] - fast['vm_entries']) < 0.01, 'VERW once per VM entry',
                    '%s in %s entries' % (fast['verw'], fast['vm_entries'])))
    return results
