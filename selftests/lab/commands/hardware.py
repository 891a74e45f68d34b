# SPDX-License-Identifier: GPL-2.0
"""Put what "kvm-intel-fast measure" said of a machine beside the bench's figures.

ARCHIVE is what the operator sent.  Its figures go to a folder of the bench's, and report.html is
written anew, with a table for each machine.  A bench that runs later begins without them.
"""

import json
import os
import re
import tarfile

from scripts import cache
from scripts.command import SetupError, existing
from ..bench import figures, page

EXAMPLES = ('kvm-lab hardware kvm-intel-fast-measure-20260101-120000.tar.gz',)


def arguments(parser):
    bench = cache.build_folder('bench')
    parser.add_argument('--bench', type=existing, default=bench, metavar='DIR',
                        help='the figures of the bench (default: %s)' % cache.shown(bench))
    parser.add_argument('archive', type=existing, metavar='ARCHIVE')


def read(path):
    """[run] of an archive; what else it holds is left alone."""
    try:
        with tarfile.open(path) as archive:
            texts = [archive.extractfile(member).read() for member in archive
                     if member.isfile() and member.name.endswith('.json')]
        found = [run for run in map(json.loads, texts) if run.get('source') == 'rdtsc']
    except (tarfile.TarError, OSError, ValueError) as error:
        raise SetupError('%s cannot be read: %s' % (path, str(error).partition(':')[0]), 'an archive of kvm-intel-fast '
                         'measure', 'ask for it anew') from error
    if not found:
        raise SetupError('%s has no figures' % path, 'an archive of kvm-intel-fast measure',
                         'read its report.json, which says why')
    return found


def main(parser, argv):
    options = parser.parse_args(argv)
    if not os.path.isdir(options.bench) or not figures.read_runs(options.bench):
        raise SetupError('%s has no figures' % options.bench, 'a bench that ran', 'make bench')
    runs = read(options.archive)
    folder = os.path.join(options.bench, page.HARDWARE)
    for run in runs:
        words = [run[key] for key in ('cpu_model', 'kernel', 'row', 'mitigations', 'variant')]
        name = re.sub(r'[^A-Za-z0-9_.]+', '-', '-'.join(map(str, words)))
        with cache.new_file(os.path.join(folder, name + '.json')) as new:
            with open(new, 'w', encoding='utf-8') as file:
                json.dump(run, file, indent=1)
    print('%d rows of %s are in %s' % (
        len({run['row'] for run in runs}), runs[0]['cpu_model'], page.write(options.bench)))
    return 0
