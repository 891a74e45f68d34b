# SPDX-License-Identifier: GPL-2.0
"""Find the commit that made KVM dearer.

On a git tree of Linux: builds the small kernel at each step (as
little of it as will do), boots it in the emulated machine, measures, answers
good, bad, or skip when it does not build or boot; names the commit, the metric
before and after, and the functions of L0 that explain the difference.

METRIC is FIGURE[:ROW[:L1]].  FIGURE is one of the bench's figures, such as
l0_instructions, exits_l1.VMREAD, vmwrite_control, rdmsr.0x1d9, symbols.FUNCTION;
ROW one of its rows (default: cpuid), L1 "selftest" (the tiny one, default) or
"linux".  With --test NAME a program decides instead: one of KVM's selftests, of
ours, or a path; a warning of L0's kernel while it runs counts as bad.

The tree stays as it is: work is done in a git worktree of its own in the cache.
Whatever was measured is kept there, so after an interruption the same command
goes on where it was.  --step judges what is checked out in the tree and exits
with 0, 1 or 125, for "git bisect run".
"""

import argparse

from scripts import command
from ..bench import bisection, rows
from .compare import figure as figure_name

EXAMPLES = (
    'kvm-lab bisect --tree ~/linux --good v6.12 --bad HEAD --metric l0_instructions',
    'kvm-lab bisect --good v6.12 --bad HEAD --metric exits_l1.RDMSR:cpuid:linux',
    'kvm-lab bisect --good v6.12 --bad HEAD --test vmx_set_nested_state_test',
)
INTERRUPTED = '; the same command goes on from here'


def failed(argv):
    """For git bisect run, 128 and above end it."""
    return 128 if '--step' in argv else 2


def threshold(text):
    """(number, is it a share)"""
    return (float(text[:-1]) / 100, True) if text.endswith('%') else (float(text), False)


def arguments(parser):
    add = parser.add_argument
    add('--tree', default='.', metavar='DIR', help='git tree of Linux (default: here)')
    add('--good', metavar='REV')
    add('--bad', metavar='REV')
    add('--metric', metavar='FIGURE[:ROW[:L1]]')
    add('--test', metavar='NAME|PATH', help='judge by a program instead')
    add('--threshold', type=threshold, metavar='N|N%',
        help='bad is what differs by more from the good revision (default: half of the '
             'difference between the two)')
    add('--step', action='store_true', help='judge what is checked out; for git bisect run')
    add('--limit', type=float, metavar='N', help='for --step: bad is what is above')
    add('--fresh', action='store_true', help='measure again what is known')
    add('--cpus', type=command.positive, default=1, help='for --test')
    add('--append', default='mitigations=off', metavar='PARAMETERS', help="L0's kernel parameters")
    add('--allow', dest='allowed', action='append', default=[], metavar='REGEX',
        help="a line of L0's log that is no failure")


def parse(parser, argv):
    options = parser.parse_args(argv)
    if bool(options.metric) == bool(options.test):
        parser.error('give one of --metric and --test')
    if options.step:
        if not options.test and options.limit is None:
            parser.error('--step with --metric needs --limit')
    elif not options.good or not options.bad:
        parser.error('give --good and --bad')
    figure, row, l1, *rest = (options.metric or '').split(':') + ['', '']
    options.figure, options.row, options.l1 = figure, row or 'cpuid', l1 or 'selftest'
    try:
        options.metric and figure_name(figure)
    except argparse.ArgumentTypeError as error:
        parser.error(str(error))
    if any(rest):
        parser.error("a metric has three parts at the most: '%s'" % options.metric)
    if options.l1 not in ('selftest', 'linux'):
        parser.error("the L1 of a metric is 'selftest' or 'linux'")
    if options.row not in rows.MEASURED[options.l1, 1]:
        parser.error("no row '%s'; there are: %s" % (options.row,
                                                     ' '.join(rows.MEASURED[options.l1, 1])))
    return options


def main(parser, argv):
    return bisection.run(parse(parser, argv))
