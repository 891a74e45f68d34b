# SPDX-License-Identifier: GPL-2.0
"""The subcommands of kvm-lab, a module each, and the one way in which they are called.

A module holds its help as docstring, the first line of which is a summary, and

    EXAMPLES                    command lines with a comment each, in its help and in the manual
    USAGE                       of argparse, where its own would not do
    arguments(parser)           adds its options and words
    main(parser, argv)          parses, refuses, works; the exit status
    failed(argv)                the exit status when nothing can be done (default: FAILED)
    INTERRUPTED                 said after Ctrl-C (default: nothing more)

kvm_lab() is the command with all of them.  old() is the command of one of them, at the
path that it had before: selftests/lab/run and others.
"""

import functools
import importlib.machinery
import importlib.util
import os
import signal
import sys

from scripts import TOP, command
from . import config

NAMES = ('run', 'shell', 'bench', 'ab', 'test', 'bisect', 'compare', 'hardware', 'export',
         'history', 'kit', 'fetch', 'kernel', 'man', 'completion')
FAILED = 2
DESCRIPTION = """Measure, test, and bisect KVM in an emulated machine with VMX.

Needs neither VMX nor /dev/kvm.  The machine counts instructions, VM exits, VMX
instructions and MSR accesses; the same inputs give the same counts."""
# What each exit status means, said here and nowhere else.
STATUSES = (
    ('0', 'done, and nothing is wrong; run: the program ended with 0'),
    ('1', 'done, and something is wrong: a cost is above the tolerance, a test failed, '
          'no commit was found'),
    ('2', 'the call was wrong, or nothing could be done; standard error says why'),
    ('124', 'run: the time limit passed'),
    ('125', 'run: the machine failed, or could not be started; bisect --step: this revision '
            'cannot be judged'),
    ('128', 'bisect --step: nothing could be done, which ends "git bisect run"'),
    ('130', 'interrupted by Ctrl-C'),
    ('other', "run: the program's own status"),
)


def module(name):
    return importlib.import_module('%s.%s' % (__name__, name))


@functools.lru_cache(maxsize=None)
def script(name):
    """A command of selftests/, which is also one of ours, as a module."""
    path = os.path.join(TOP, 'selftests', name)
    spec = importlib.util.spec_from_loader(name, importlib.machinery.SourceFileLoader(name, path))
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def of_script(name):
    """(arguments, main) of a command that is a script; loaded when it is asked for."""
    return (lambda parser: script(name).arguments(parser),
            lambda parser, argv: script(name).main(parser, argv))


def summary(name):
    return module(name).__doc__.splitlines()[0].rstrip('.')


def parser(name, prog):
    """The parser of one subcommand; its help ends with examples."""
    of = module(name)
    examples = '\n'.join('  ' + line for line in of.EXAMPLES)
    made = command.Parser(of.__doc__, prog=prog, usage=getattr(of, 'USAGE', None),
                          epilog='examples:\n' + examples)
    of.arguments(made)
    return made


def end_well(number, _):
    """On SIGTERM, and when the terminal is closed: no emulator is left behind."""
    sys.exit(128 + number)


def call(name, prog, argv, settings=()):
    """Run a subcommand and end with its exit status; settings(parser) are words before argv."""
    of = module(name)
    made = parser(name, prog)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end_well)
    failed = getattr(of, 'failed', lambda _: FAILED)(argv)
    try:
        command.run(lambda _: of.main(made, [*(settings(made) if settings else ()), *argv]), prog,
                    status=failed)
    except KeyboardInterrupt:
        print('\n%s: interrupted%s' % (prog, getattr(of, 'INTERRUPTED', '')), file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:         # of "| head": nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)


def old(name, before=()):
    """The command at its old path, which reads no configuration file."""
    call(name, name, [*before, *sys.argv[1:]])


def statuses(width=8):
    return '\n'.join('  %s %s' % (status.ljust(width - 1), text) for status, text in STATUSES)


def top_parser():
    lines = ['  %-11s %s' % (name, summary(name)) for name in NAMES]
    made = command.Parser(
        DESCRIPTION, prog='kvm-lab', usage='kvm-lab COMMAND [OPTIONS]', epilog='\n'.join([
            'commands (kvm-lab COMMAND --help has their options, and examples):', *lines, '',
            'exit status:', statuses(), '', config.HELP]))
    made.add_argument('command', metavar='COMMAND', help='one of those below')
    return made


def kvm_lab():
    made = top_parser()
    name = made.parse_args(sys.argv[1:2]).command
    made.choose('command', [name], NAMES)
    call(name, 'kvm-lab ' + name, sys.argv[2:], lambda of: config.words(name, of))
