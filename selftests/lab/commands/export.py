# SPDX-License-Identifier: GPL-2.0
"""Write figures of the bench in a format that another tool reads.

FILE is a file of the bench; for kcidb it may be a directory of them.  The call
stacks are exact: every instruction of L0 between the marks, by its stack.

  folded        a line a stack: flamegraph.pl, inferno-flamegraph
  speedscope    JSON for www.speedscope.app, which needs no upload
  pprof         profile.proto, gzipped: go tool pprof, pprof -http
  kcidb         JSON in the shape of KCIDB's reports: the costs of each row
"""

import os
import sys

from scripts import command
from ..bench import compare, export, figures

EXAMPLES = (
    'kvm-lab export --format folded FILE.json | flamegraph.pl > l0.svg',
    'kvm-lab export --format pprof FILE.json --out l0.pb.gz && pprof -http=: l0.pb.gz',
    'kvm-lab export --format kcidb build/bench',
)
FORMATS = {'folded': export.folded, 'speedscope': export.speedscope, 'pprof': export.pprof}


def arguments(parser):
    add = parser.add_argument
    add('--format', required=True, choices=(*FORMATS, 'kcidb'))
    add('--out', metavar='FILE', help='default: standard output')
    add('--commit', default='', metavar='HASH', help='for kcidb: what was measured')
    add('path', type=command.existing, metavar='FILE.json')


def main(parser, argv):
    options = parser.parse_args(argv)
    if os.path.isdir(options.path) and options.format != 'kcidb':
        parser.error('%s is a directory; name a file of it' % options.path)
    runs = figures.read_runs(options.path) if os.path.isdir(options.path) else [
        compare.read_run(options.path)]
    if not runs:
        raise command.SetupError('%s holds no file of the bench' % options.path)
    if options.format == 'kcidb':
        data = export.kcidb(options.commit, runs[0]['kernel'], export.kcidb_rows(runs)).encode()
    else:
        data = FORMATS[options.format](runs[0])
    if options.out:
        with open(options.out, 'wb') as file:
            file.write(data)
    else:
        sys.stdout.buffer.write(data)
    return 0
