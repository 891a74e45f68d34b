# SPDX-License-Identifier: GPL-2.0
"""Measure what stock KVM costs as L0, release by release.

A VERSION is a release (6.12) or a point release (6.12.107) of which Debian has a
package; without one, the newest point release of each release that the archive has.
Packages are fetched and unpacked, never installed.  Each kernel is L0 for the same
L1s: the tiny one, and (without --quick) this project's Linux L1.

Writes build/history/*.json in the form of the bench, history.md (tables, with the
functions of L0 that grew and shrank between neighbours) and history.svg, the plot.
A kernel that was measured with the same emulator and program is not measured again.
The options have their defaults from QUICK= and OUT= in the environment.
"""

import os
import re

from scripts import TOP, command
from ..bench import history

EXAMPLES = (
    'kvm-lab history --quick 6.1 6.12 7.3       # the newest point release of each',
    'kvm-lab history                            # all that the archive has: 20 minutes',
)
OUT = os.path.join(TOP, 'build', 'history')


def arguments(parser):
    add = parser.add_argument
    add('--quick', action='store_true', default=command.said('QUICK'),
        help='leave the Linux L1 out')
    add('--out', default=os.environ.get('OUT') or OUT, metavar='DIR',
        help='where the figures go (default: build/history)')
    add('versions', nargs='*', metavar='VERSION')


def main(parser, argv):
    options = parser.parse_args(argv)
    for version in options.versions:
        if not re.fullmatch(r'\d+\.\d+(\.\d+)?', version):
            parser.error('"%s" is no release of Linux, such as 6.12 or 6.12.107' % version)
    return history.run(options.versions, options.quick, os.path.abspath(options.out))
