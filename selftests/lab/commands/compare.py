# SPDX-License-Identifier: GPL-2.0
"""Say what one set of figures costs more and less than another, with a verdict.

A and B are files as the bench writes them, or two directories of such files:
then files of one name are compared, and those without a partner are named.
The summary comes first, then what differs: each figure and each function of L0
where it differs most.
"""

import argparse
import json
import os
import sys

from scripts.command import SetupError
from ..bench import compare
from ..bench.comparison import MOST, Comparison, Pair
from . import reports

EXAMPLES = (
    'kvm-lab compare OLD NEW                    # two copies of build/bench',
    'kvm-lab compare A.json B.json --tolerance 0.5%',
    'kvm-lab compare OLD NEW --figure vmread --markdown',
)


def tolerance(text):
    """'1%' or '0.01'"""
    value = float(text[:-1]) / 100 if text.endswith('%') else float(text)
    if value < 0:
        raise ValueError(text)
    return value


def figure(text):
    """A name of a figure, refused at once when there is none."""
    try:
        return compare.check_name(text)
    except SetupError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def add_verdict_options(parser):
    """How to judge and how to tell: of each command that compares."""
    add = parser.add_argument
    add('--tolerance', type=tolerance, default=0.01, metavar='N%',
        help='a cost that is not more than that above is no worse (default: 1%%)')
    add('--figure', dest='figures', action='append', type=figure, metavar='NAME',
        help='judge this figure (may be repeated; default: %s)' % ' '.join(compare.COSTS))
    add('--all', action='store_true', help='show what does not differ, too, and every line')
    add('--most', type=int, default=MOST, metavar='N',
        help='lines per table, 0 for all (default: %(default)s)')
    add('--markdown', action='store_true', help='for a merge request')
    add('--json', action='store_true', help='all of it as JSON')
    reports.add_github(parser)


def show(comparison, options, header=(), tests=None, **more):
    """Print a comparison as the options say; the exit status.

    header are lines that say what was compared, tests a kvm_tests.Verdicts; more goes into the
    JSON."""
    def told(write):
        lines = ['- ' + line for line in header] if write == comparison.markdown else list(header)
        parts = [write(options.most, options.all), *([tests.text()] if tests else [])]
        return '\n'.join([*lines, ''] if lines else []) + '\n' * bool(lines) + '\n'.join(parts)
    if options.json:
        more.update({'tests': tests.data()} if tests else {})
        print(json.dumps({'header': list(header), **comparison.data(), **more}, indent=1))
    else:
        print(told(comparison.markdown if options.markdown else comparison.text), end='')
    if options.github:
        worse = ['%s is worse under B' % name for name in tests.worse] if tests else []
        reports.github(['dearer: ' + line for line in comparison.dearer_lines()] + worse,
                       told(comparison.markdown), sys.stderr if options.json else None)
    return 1 if comparison.dearer or tests and tests.worse else 0


def arguments(parser):
    add_verdict_options(parser)
    parser.add_argument('a', metavar='A.json')
    parser.add_argument('b', metavar='B.json')


def shortened(names):
    """{name: itself without the words that all begin or end with}"""
    words = [name.removesuffix('.json').split('-') for name in names]
    first = len(os.path.commonprefix(words))
    last = len(os.path.commonprefix([word[first + 1:][::-1] for word in words]))
    last = min([last] + [len(word) - first - 1 for word in words])
    return {name: '-'.join(word[first:len(word) - last]) if len(names) > 1 else ''
            for name, word in zip(names, words)}


def pairs(a, b):
    """([(name, path of A, path of B)], {which: names that the other lacks})"""
    if os.path.isdir(a) != os.path.isdir(b):
        raise SetupError('%s and %s: expected two files or two directories' % (a, b))
    if not os.path.isdir(a):
        return [('', a, b)], {}
    names = [{name for name in os.listdir(d) if name.endswith('.json')} for d in (a, b)]
    both = sorted(names[0] & names[1])
    if not both:
        raise SetupError('%s and %s have no file in common' % (a, b))
    return ([(short, os.path.join(a, name), os.path.join(b, name))
             for name, short in shortened(both).items()],
            {a: sorted(names[0] - names[1]), b: sorted(names[1] - names[0])})


def main(parser, argv):
    options = parser.parse_args(argv)
    found, alone = pairs(options.a, options.b)
    comparison = Comparison([Pair(name, compare.read(a), compare.read(b)) for name, a, b in found],
                            options.tolerance, options.figures or compare.COSTS)
    for which, names in alone.items():
        for name in names:
            print('compare: only in %s: %s' % (which, name), file=sys.stderr)
    return show(comparison, options, alone=alone)
