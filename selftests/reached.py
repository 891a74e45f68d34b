# SPDX-License-Identifier: GPL-2.0
"""What machines reached: exit reasons, MSRs, controls, of L1 and of L2.

"selftests/test --reach" asks for it (machine/reach.py) from the machines of its groups and
merges it into build/test/reach.json, from which selftests/reach writes
Documentation/reach.md.
Invariant: numbers are added and bits joined, so the order of machines does not matter.
"""

import json
import os

from scripts import cache
from .lab.machine.reach import FILE, VARIABLE  # noqa: F401

NO_VMX = 'runs no machine with kvm_intel'
NO_L2 = 'about the lab or the loading of modules'
OTHER = 'what runs there is another module than this one'
# Groups of selftests/test whose machines are not looked at, and why.
LEFT_OUT = {
    'build': NO_VMX, 'style': NO_VMX, 'resolve': NO_VMX, 'review': NO_VMX, 'versions': NO_VMX,
    'commands': NO_VMX, 'kunit': NO_VMX, 'image': NO_VMX,
    'lab': NO_L2, 'kvm-lab': NO_L2, 'load': NO_L2, 'badinput-loading': NO_L2,
    'ab': OTHER, 'bisect': OTHER, 'mutants': OTHER,
    **dict.fromkeys(('bare', 'bare-13', 'budgets', 'report'), 'measures what `bench` does'),
    **dict.fromkeys(('package', 'status', 'hardware'), 'runs what `bench` does'),
    'upstream': 'runs what `switch-fast` does',
    'differential-programs-fast': 'runs what `differential-programs` does',
    **dict.fromkeys(('desc-exits-umip-stock', 'desc-exits-umip-fast', 'desc-exits-ept-stock',
                     'desc-exits-ept-fast', 'desc-exits-ept-verify'),
                    'runs what `desc-exits-fast` does'),
    **dict.fromkeys(('workloads', 'xen', 'soak'), 'whole guests: what they reach is not tested for')}


BITS = ('entered', 'written', 'supported')


def shown(groups):
    return [name for name in groups if name not in LEFT_OUT]


def merge(one, other, bits=False):
    """Counts are added, bits of control words joined."""
    if isinstance(one, dict):
        return {**one, **other,
                **{name: merge(one[name], other[name], bits or name in BITS)
                   for name in one if name in other}}
    return [a | b if bits else a + b for a, b in zip(one, other)]


def merged(directory):
    """What all machines in a directory reached, and how many they were."""
    total = {}
    names = sorted(os.listdir(directory)) if os.path.isdir(directory) else []
    for name in names:
        with open(os.path.join(directory, name), encoding='utf-8') as file:
            total = merge(total, json.load(file))
    return {'machines': len(names), **total}


def store(path, directories):
    """Put what groups reached, {name: directory of their machines}, into a file beside the others."""
    known = load(path) if os.path.exists(path) else {}
    known.update((name, merged(directory)) for name, directory in directories.items())
    with cache.new_file(path) as new, open(new, 'w', encoding='utf-8') as file:
        json.dump(known, file, indent=1, sort_keys=True)


def load(path):
    with open(path, encoding='utf-8') as file:
        return json.load(file)
