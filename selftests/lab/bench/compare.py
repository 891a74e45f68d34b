# SPDX-License-Identifier: GPL-2.0
"""What differs between two sets of figures, and whether it is too much.

A set is what figures.per_iteration() makes.  Nothing is added up over figures:
Documentation/measuring.md says why.  A difference counts against a tolerance
only where more of the figure is dearer (COSTS).
"""

import json
import re

from scripts.command import SetupError
from . import figures as bench_figures

# Figures of which more is dearer.
COSTS = ('l0_instructions', 'ticks', 'vmread', 'vmwrite', 'vmwrite_control', 'vmptrld', 'vmclear',
         'invept', 'invvpid', 'xsetbv', 'page_maps', 'vm_entries')
# Per iteration: below it is the one timer tick more or less in a thousand iterations.
SLACK = 0.01


def load(path):
    try:
        with open(path, encoding='utf-8') as file:
            return json.load(file)
    except (OSError, ValueError) as error:
        raise SetupError('%s: %s' % (path, error)) from error


def read_run(path):
    """A file of the bench, which says what was measured, too."""
    found = load(path)
    if not isinstance(found, dict) or \
            not {'per_iteration', 'row', 'l1', 'iterations'} <= set(found):
        raise SetupError('%s is no file of the bench' % path)
    return found


def read(path):
    """The figures in a file of the bench (or of bisect, or bare ones), or of "measure"."""
    content = load(path)
    found = content.get('per_iteration', content) if isinstance(content, dict) else None
    if not found or 'ticks' not in found or 'symbols' not in found:
        raise SetupError('%s holds no figures; expected a file of build/bench' % path)
    return found


def flat(figures):
    """{name: number}; that of a table is TABLE.KEY, as in exits_l1.RDMSR."""
    result = {}
    for name, value in figures.items():
        if isinstance(value, dict):
            result.update(('%s.%s' % (name, key), number) for key, number in value.items())
        elif not isinstance(value, list):
            result[name] = value
    return result


def check_name(name):
    """Refuse a name that no figure has, before anything is measured; returns it.

    It is that of a plain figure, TABLE.KEY, or symbols.FUNCTION."""
    plain, tables = bench_figures.names()
    table, dot, key = name.partition('.')
    if table == 'symbols' and key or not dot and name in plain:
        return name
    known = ' '.join(plain + [table + '.KEY' for table in tables]) + ' symbols.FUNCTION'
    if table not in tables:
        raise SetupError("there is no figure '%s'; there are: %s" % (name, known))
    if table.startswith('exits'):
        reasons = sorted(bench_figures.EXIT_REASONS.values())
        good, expected = key in reasons or key.isdigit(), ' '.join(reasons)
    else:
        good, expected = re.fullmatch('0x[0-9a-f]+', key) or table == 'barriers' and key, \
            'a number as in %s.0x4002' % table
    if not good:
        raise SetupError("the figure '%s' has no line '%s'; there are: %s" % (table, key, expected))
    return name


def metric(figures, name):
    """One figure by the name that check_name() knows; absent means 0."""
    table, _, key = name.partition('.')
    if table == 'symbols':
        return dict(map(tuple, figures['symbols'])).get(key, 0)
    value = figures.get(table, 0)
    return value.get(key, 0) if key else value


def changed(before, after, least=0.005):
    """[(name, before, after)] of two {name: number}, the largest change first."""
    rows = [(name, before.get(name, 0), after.get(name, 0)) for name in {**before, **after}]
    rows = [row for row in rows if abs(row[2] - row[1]) >= least]
    return sorted(rows, key=lambda row: (-abs(row[2] - row[1]), row[0]))


def figures_changed(before, after):
    """The same of all figures, the dearest kinds of work in the order of the bench.

    Of a host with VMX only cycles are known."""
    before, after = flat(before), flat(after)
    if ('l0_instructions' in before) != ('l0_instructions' in after):
        before, after = ({name: side[name] for name in side if name in other}
                         for side, other in ((before, after), (after, before)))
    return changed(before, after)


def total(figures):
    """(name, value) of what sums a set up: cycles are all that "measure" knows of a host."""
    name = 'l0_instructions' if 'l0_instructions' in figures else 'ticks'
    return name, figures[name]


def symbols_changed(before, after, least=0.5):
    """The same of L0's functions, in instructions; nothing if one set knows none."""
    if not before['symbols'] or not after['symbols']:
        return []
    return changed(dict(map(tuple, before['symbols'])), dict(map(tuple, after['symbols'])), least)


def dearer(before, after, tolerance, names=COSTS):
    """[(name, before, after)] of the costs that grew by more than tolerance (0.01: 1%)."""
    found = [(name, metric(before, name), metric(after, name)) for name in names
             if '.' in name or name in before and name in after]
    return [row for row in found if row[2] > row[1] * (1 + tolerance) + SLACK]
