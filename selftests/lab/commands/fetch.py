# SPDX-License-Identifier: GPL-2.0
"""Get a Debian package of any suite, and print where it lies.

The computer's apt configuration is left alone.  "bin" gets a binary package,
"src" the upstream tarballs of a source package; "list" prints package, version
and size of those whose names match a regular expression, "kept" those that are
in the cache; "sources" the lines of sources.list that are used.  SUITE is a
suite's name, or "-" for those that the computer itself uses.
"""

import os
import subprocess

from scripts import TOP

EXAMPLES = (
    "kvm-lab fetch trixie list '^linux-image-.*-amd64$'",
    'kvm-lab fetch trixie src bochs',
)
USAGE = '%(prog)s SUITE src|bin|list|kept NAME [VERSION]'


def script(*words):
    """Run a bash command of ours; its exit status, as those of kvm-lab are."""
    done = subprocess.run([os.path.join(TOP, words[0]), *words[1:]], check=False)
    return 2 if done.returncode else 0


def arguments(parser):
    add = parser.add_argument
    add('suite', metavar='SUITE')
    add('kind', metavar='KIND', choices=('src', 'bin', 'list', 'kept', 'sources'),
        help='src, bin, list, kept or sources')
    add('package', metavar='NAME', nargs='?', help='a package, or a regular expression')
    add('version', metavar='VERSION', nargs='?')


def main(parser, argv):
    options = parser.parse_args(argv)
    if (options.kind == 'sources') != (options.package is None):
        parser.error('"%s" takes %s' % (
            options.kind, 'no more words' if options.package else 'a NAME'))
    return script('scripts/fetch', *argv)
