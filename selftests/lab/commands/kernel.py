# SPDX-License-Identifier: GPL-2.0
"""Print the directory of a kernel that can be L0, made when it is absent.

NAME is
  debian, LINE      Debian's kernel of the version that scripts/resolve chooses, or of
                    the newest version of that kernel line
  debian=VERSION    of that version, as in debian=6.1.190-1
  mini, debug       small, from the source of that version, KVM as modules; debug has
                    lock and memory checkers
  source            no kernel: the whole source tree
  NAME@LINE         any of these of another kernel line, as in mini@6.12
The directory holds release, vmlinux (ELF), config, modules/*.ko, build (usable
as KDIR) and source (usable as KSRC).
"""

import re

from .fetch import script

EXAMPLES = (
    'kvm-lab kernel mini@6.12',
    'make KDIR=$(kvm-lab kernel 6.12)/build KSRC=$(kvm-lab kernel 6.12)/source',
)
KNOWN = re.compile(r'((debian|mini|debug|source)(@\d+\.\d+)?|debian=.+|\d+\.\d+)$')


def arguments(parser):
    parser.add_argument('name', metavar='NAME').values = ('debian', 'mini', 'debug', 'source')


def main(parser, argv):
    options = parser.parse_args(argv)
    if not KNOWN.match(options.name):
        parser.error("no kernel is named '%s'; there are: debian, debian=VERSION, mini, debug, "
                     'source, any of these @LINE, and LINE' % options.name)
    return script('selftests/lab/kernel', options.name)
