# SPDX-License-Identifier: GPL-2.0
"""Print the manual page of kvm-lab, made from the help of its commands.

In the format of man(1): "kvm-lab man | man -l -" shows it.
"""

import argparse

from . import DESCRIPTION, NAMES, STATUSES, config, module, parser as parser_of

EXAMPLES = (
    'kvm-lab man | man -l -',
    'kvm-lab man > kvm-lab.1',
)


def arguments(_):
    pass


def escaped(text):
    """Text as roff: no line of it is a request."""
    text = text.replace('\\', '\\e').replace('-', '\\-')
    return '\n'.join('\\&' + line if line.startswith(('.', "'")) else line
                     for line in text.splitlines())


def literal(lines):
    return ['.nf', *(escaped(line) for line in lines), '.fi']


def option(parser, action):
    """One option or word: its name, then what its help says."""
    if action.option_strings:
        value = '' if action.nargs == 0 else ' ' + parser._get_formatter()._format_args(
            action, action.dest.upper())
        name = ', '.join(action.option_strings) + value
    else:
        name = action.metavar or action.dest
    said = parser._get_formatter()._expand_help(action) if action.help else ''
    return ['.TP', '.B ' + escaped(name), escaped(said)]


def of_command(name):
    made = parser_of(name, 'kvm-lab ' + name)
    lines = ['.SS ' + name, *literal(made.format_usage().split(maxsplit=1)[1].splitlines())]
    for part in made.description.strip().split('\n\n'):
        indented = any(line.startswith('  ') for line in part.splitlines())
        lines += ['.PP', *(literal(part.splitlines()) if indented else [escaped(part)])]
    for action in made._actions:
        if not isinstance(action, argparse._HelpAction):
            lines += option(made, action)
    return lines + ['.PP', 'Examples:', '.PP', *literal(module(name).EXAMPLES)]


def page():
    """The whole page."""
    lines = ['.\\" SPDX-License-Identifier: GPL-2.0', '.TH KVM-LAB 1 "" kvm-intel-fast',
             '.SH NAME',
             'kvm\\-lab \\- measure, test, and bisect KVM in an emulated machine with VMX',
             '.SH SYNOPSIS', '.B kvm\\-lab', '.I COMMAND', '[OPTIONS]', '.SH DESCRIPTION']
    for part in DESCRIPTION.split('\n\n'):
        lines += ['.PP', escaped(part)]
    lines.append('.SH COMMANDS')
    for name in NAMES:
        lines += of_command(name)
    lines += ['.SH FILES', *literal(config.HELP.splitlines()), '.SH "EXIT STATUS"']
    for status, text in STATUSES:
        lines += ['.TP', '.B ' + status, escaped(text)]
    return '\n'.join(line for line in lines if line) + '\n'


def main(parser, argv):
    parser.parse_args(argv)
    print(page(), end='')
    return 0
