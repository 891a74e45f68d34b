# SPDX-License-Identifier: GPL-2.0
"""How our Python commands are called, how they speak and fail.

    def main(argv):
        options = command.Parser(__doc__).parse_args(argv)
        command.progress('measuring')
        raise command.SetupError('there is no x')

    if __name__ == '__main__':
        command.run(main, 'bench')

The bash ones have arguments(), progress() and die() of lib.sh.  Invariant: a parser
reads its words and nothing else, so a command that begins with it does nothing before
it is well called.
"""

import argparse
import os
import sys
import time

START = time.monotonic()
NAME = os.path.basename(sys.argv[0])


class SetupError(Exception):
    """Nothing can be done.

    Says what was found, what was expected and what to do; one sentence may be all three.
    """

    def __init__(self, found, expected='', remedy=''):
        more = '\n  expected: %s\n  to do: %s' % (expected, remedy) if expected else ''
        super().__init__(found + more)


def progress(text, to=None):
    """One line, with the seconds since the command began; to: standard error."""
    print('%s: [%4ds] %s' % (NAME, time.monotonic() - START, text), file=to or sys.stderr,
          flush=True)


def run(main, name, status=1):
    """End with what main(argv) returns; with status when it raises SetupError, which is said."""
    global NAME
    NAME = name
    try:
        sys.exit(main(sys.argv[1:]))
    except SetupError as error:
        print('%s: error: %s' % (name, error), file=sys.stderr)
        sys.exit(status)


class Parser(argparse.ArgumentParser):
    def __init__(self, description=None, **more):
        super().__init__(description=description, allow_abbrev=False,
                         formatter_class=argparse.RawDescriptionHelpFormatter, **more)

    def error(self, message):
        """Refuse the call; exit 2.  argparse may complain of what lacks alone: name the words."""
        words = ' '.join(sys.argv[1:])
        called = ' '.join([sys.argv[0], *self.prog.split()[1:]])
        print('%s: error: %s%s\n  expected: %s\n  to do: correct it; %s --help lists what there is' % (
            called, message, '' if words in message or not words else ', in "%s"' % words,
            ' '.join(self.format_usage().split()[1:]), called), file=sys.stderr)
        sys.exit(2)

    def choose(self, kind, names, known):
        """Refuse names that are not among those known."""
        unknown = [name for name in names if name not in known]
        if unknown:
            self.error('there is no %s %s; there are: %s' % (kind, ' '.join(unknown), ' '.join(known)))

    def parse_program(self, argv):
        """(options, PROGRAM and its arguments): "--" comes between the two."""
        at = argv.index('--') if '--' in argv else len(argv)
        options, program = self.parse_args(argv[:at]), argv[at + 1:]
        if not program:
            self.error('no program is named after "--"')
        return options, program


def existing(path):
    """The type of an argument that names a file or a directory which is there."""
    if not os.path.exists(path):
        raise argparse.ArgumentTypeError('%s does not exist' % path)
    return path


def positive(text):
    """The type of an argument that is a whole number above 0."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError('%s is below 1' % text)
    return value


def seconds(text):
    """The type of an argument that is a time."""
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError('%s seconds are none' % text)
    return value


def said(name):
    """Is an environment variable set, and not to 0?  For the default of a switch."""
    return os.environ.get(name, '') not in ('', '0')
