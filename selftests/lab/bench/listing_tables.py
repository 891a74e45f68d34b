# SPDX-License-Identifier: GPL-2.0
"""The talk's annotated listings: which lines of a function took what share, see listing.py."""

from .rows import VARIANTS
from .table import Table, number

# What one boot of the bench has listings of: Linux as L1, whose exits are those of the talk.
L1, ROW = 'linux', 'cpuid_timer'
LEAST_SHARE = 0.02      # of a function in one of the variants, for a line to be in the short table
# The talk's shares, by a word of the line; of several lines it is the dearest.
TALK = {
    'nested_get_vmcs12_pages': {'nested_vmx_disable_intercept_for_x2apic_msr': '32%'},
    'vmx_vcpu_run': {'get_debugctlmsr': '25%', 'rdtsc': '6%'},
    'kvm_arch_vcpu_ioctl_run': {
        'kvm_cpu_has_pending_timer': '16%', 'srcu_read_lock': '9%', 'kvm_read_l1_tsc': '8%'},
}


def keyed(lines):
    """{(function, text, which of the same): [own, with callees]} in the order of the source."""
    found = {}
    for function, _, text, *counts in lines:
        which = 0
        while (function, text, which) in found:
            which += 1
        found[function, text, which] = counts
    return found


def merged(orders):
    """All keys of several orders; one that an order lacks is behind that which it follows."""
    found = []
    for order in orders:
        at = -1
        for key in order:
            if key in found:
                at = found.index(key)
            else:
                at += 1
                found.insert(at, key)
    return found


def listing(name, found, least):
    """Of a function; found is {variant: its lines}."""
    lines = {variant: keyed(each) for variant, each in found.items()}
    totals = [[sum(counts[i] for counts in each.values()) for i in (0, 1)]
              for each in lines.values()]
    order, first = merged(lines.values()), next(iter(lines.values()))
    said = {max((key for key in order if word in key[1]), default=None,
                key=lambda key: first.get(key, [0])[0]): share
            for word, share in TALK.get(name, {}).items()}
    rows, left = [], 0
    for key in order:
        counts = [each.get(key) for each in lines.values()]
        shares = [n / total for count, both in zip(counts, totals) if count
                  for n, total in zip(count, both)]
        if key not in said and max(shares) <= least:
            left += 1
            continue
        rows.append([key[1], key[0] if key[0] != name else '', said.get(key, ''),
                     *('%.1f%%' % (100 * count[0] / both[0]) if count else ''
                       for count, both in zip(counts, totals)),
                     *(number(count and count[1]) for count in counts)])
    rows.append(['all, %d other lines among them' % left, '', '',
                 *(number(both[0]) for both in totals), *(number(both[1]) for both in totals)])
    oldest, *others = found
    return Table(
        'Lines of %s: share of its instructions per L2 CPUID, and instructions with callees' % name,
        ['line', 'of', 'talk: share', 'share: ' + oldest, *others, 'with callees: ' + oldest,
         *others], rows)


def listings(runs, least=LEAST_SHARE):
    """[Table] of the functions that are listed for stock and fast."""
    found = {variant: run['listing'] for variant in ('2017', *VARIANTS)
             for run in [runs.run(L1, ROW, 'off', variant)] if run and 'listing' in run}
    if not set(VARIANTS) <= set(found):
        return []
    return [listing(name, {variant: each[name] for variant, each in found.items() if name in each},
                    least)
            for name in found['fast'] if name in found['stock']]
