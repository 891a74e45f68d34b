# SPDX-License-Identifier: GPL-2.0
"""Say what one set of figures costs more and less than another, with a verdict.

A and B are files as the bench writes them, or two directories of such files:
then files of one name are compared, and those without a partner are named.
Prints every figure and every function of L0 that differs, the largest first.
"""

import os
import sys

from scripts.command import SetupError
from ..bench import compare, tables

EXAMPLES = (
    'kvm-lab compare OLD NEW                    # two copies of build/bench',
    'kvm-lab compare A.json B.json --tolerance 0.5%',
)


def tolerance(text):
    """'1%' or '0.01'"""
    value = float(text[:-1]) / 100 if text.endswith('%') else float(text)
    if value < 0:
        raise ValueError(text)
    return value


def signed(value):
    return '%+.2f' % value if abs(value) < 100 else format(round(value), '+,')


def rows(changes, most):
    shown = changes[:most] if most else changes
    return [[name, tables.number(a), tables.number(b), signed(b - a), tables.percent(b, a)]
            for name, a, b in shown]


def print_changes(title, changes, most):
    if not changes:
        print('%s: no difference' % title)
        return
    print(tables.table([title, 'A', 'B', 'B - A', 'change'], rows(changes, most)))
    if most and len(changes) > most:
        print('and %d more; --most 0 shows all' % (len(changes) - most))


def print_comparison(name, before, after, options):
    """Print the comparison of two sets; True when nothing is too dear."""
    bad = compare.dearer(before, after, options.tolerance, options.figures or compare.COSTS)
    if name:
        print('\n%s\n' % name)
    print_changes('figure', compare.figures_changed(before, after), options.most)
    print()
    print_changes('function of L0', compare.symbols_changed(before, after), options.most)
    print()
    for figure, a, b in bad:
        print('DEARER: %s %s -> %s, %s; tolerance %g%%'
              % (figure, tables.number(a), tables.number(b), tables.percent(b, a) or 'from nothing',
                 100 * options.tolerance))
    if not bad:
        print('no cost is more than %g%% above' % (100 * options.tolerance))
    return not bad


def pairs(a, b):
    """[(name, path of A, path of B)]"""
    if os.path.isdir(a) != os.path.isdir(b):
        raise SetupError('%s and %s: expected two files or two directories' % (a, b))
    if not os.path.isdir(a):
        return [('', a, b)]
    names = [{name for name in os.listdir(d) if name.endswith('.json')} for d in (a, b)]
    for name in sorted(names[0] ^ names[1]):
        print('compare: only in %s: %s' % (a if name in names[0] else b, name), file=sys.stderr)
    both = sorted(names[0] & names[1])
    if not both:
        raise SetupError('%s and %s have no file in common' % (a, b))
    return [(name, os.path.join(a, name), os.path.join(b, name)) for name in both]


def arguments(parser):
    add = parser.add_argument
    add('--tolerance', type=tolerance, default=0.01, metavar='N%', help='default: 1%%')
    add('--figure', dest='figures', action='append', metavar='NAME',
        help='judge this figure (may be repeated; default: %s)' % ' '.join(compare.COSTS))
    add('--most', type=int, default=30, metavar='N', help='rows per table, 0 for all')
    add('a', metavar='A.json')
    add('b', metavar='B.json')


def main(parser, argv):
    options = parser.parse_args(argv)
    good = [print_comparison(name, compare.read(a), compare.read(b), options)
            for name, a, b in pairs(options.a, options.b)]
    return 0 if all(good) else 1
