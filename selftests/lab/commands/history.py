# SPDX-License-Identifier: GPL-2.0
"""Measure what stock KVM costs as L0, release by release.

A VERSION is a release (6.12) or a point release (6.12.107) of which Debian has a
package; without one, the newest point release of each release that the archive has.
Packages are fetched and unpacked, never installed.  Each kernel is L0 for the same
L1s: the tiny one, and (without --quick) this project's Linux L1.

Writes *.json to --out, in the form of the bench, history.md (tables, with the
functions of L0 that grew and shrank) and history.svg, the plot.  A kernel that was
measured with the same emulator and program is not measured again.  Each is compared
with the newest older one that the same compiler built.

--follow takes every point release that the archive has, or those of the VERSIONs,
measures what was not measured yet, adds it to the tables, and says what moved and
by which function.  A kernel whose package is gone by then stays in the tables.
The options have their defaults from QUICK= and OUT= in the environment.
"""

import os
import re

from scripts import cache, command
from ..bench import history
from .compare import tolerance

EXAMPLES = (
    'kvm-lab history --quick 6.1 6.12 7.3       # the newest point release of each',
    'kvm-lab history                            # all releases that the archive has: 20 minutes',
    'kvm-lab history --follow --quick           # weekly: what is new, and what moved by it',
)
OUT = cache.build_folder('history')


def arguments(parser):
    add = parser.add_argument
    add('--quick', action='store_true', default=command.said('QUICK'),
        help='leave the Linux L1 out')
    add('--follow', action='store_true',
        help='measure what is new, and say what moved; exit status 1 if a cost rose')
    add('--tolerance', type=tolerance, default=0.01, metavar='N%',
        help='what changed by no more than that did not move (default: 1%%)')
    add('--out', default=os.environ.get('OUT') or OUT, metavar='DIR',
        help='where the figures go (default: %s)' % cache.shown(OUT))
    add('versions', nargs='*', metavar='VERSION')


def main(parser, argv):
    options = parser.parse_args(argv)
    for version in options.versions:
        if not re.fullmatch(r'\d+\.\d+(\.\d+)?', version):
            parser.error('"%s" is no release of Linux, such as 6.12 or 6.12.107' % version)
    run = history.follow if options.follow else history.run
    return run(options.versions, options.quick, options.tolerance, os.path.abspath(options.out))
