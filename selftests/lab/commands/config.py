# SPDX-License-Identifier: GPL-2.0
"""Defaults for kvm-lab's options, from the user's configuration file.

What the file says becomes words before those of the command line: so it has the types and
the refusals of the options, and a word of the command line counts for more.
"""

import argparse
import configparser
import os

from scripts.command import SetupError

HELP = """configuration file: ~/.config/kvm-lab.conf, or the path in KVM_LAB_CONFIG
  [DEFAULT]                 # for each command that has the option
  tree = ~/linux
  [bisect]                  # for this one; "yes" sets an option without a value
  threshold = 2%"""
YES, NO = ('yes', 'true', 'on', '1'), ('no', 'false', 'off', '0')


def path():
    named = os.environ.get('KVM_LAB_CONFIG')
    folder = os.environ.get('XDG_CONFIG_HOME') or os.path.expanduser('~/.config')
    return named or os.path.join(folder, 'kvm-lab.conf')


def read():
    """A ConfigParser, empty without a file."""
    found = configparser.ConfigParser(interpolation=None, default_section='')
    found.optionxform = str
    try:
        with open(path(), encoding='utf-8') as file:
            found.read_file(file)
    except FileNotFoundError:
        if os.environ.get('KVM_LAB_CONFIG'):
            raise SetupError('KVM_LAB_CONFIG names %s, which does not exist' % path(),
                             'a configuration file', 'write it, or unset KVM_LAB_CONFIG') from None
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        raise SetupError('%s cannot be read: %s' % (path(), error),
                         'lines NAME = VALUE below a line [COMMAND]',
                         'correct it; kvm-lab --help shows one') from error
    return found


def option_words(name, action, value, section):
    """The words of one option with that value."""
    if isinstance(action, argparse._StoreTrueAction):
        if value.lower() not in YES + NO:
            raise SetupError('%s: [%s] %s is "%s"' % (path(), section, name, value), 'yes or no',
                             'correct it')
        return ['--' + name] if value.lower() in YES else []
    return ['--%s=%s' % (name, os.path.expanduser(line)) for line in value.splitlines() if line]


def words(command, parser):
    """What the file says of a command."""
    file = read()
    known = {option[2:]: action for action in parser._actions for option in action.option_strings
             if option.startswith('--') and option != '--help'}
    own = dict(file[command]) if file.has_section(command) else {}
    for name in own:
        if name not in known:
            raise SetupError('%s: [%s] has no option "%s"' % (path(), command, name),
                             'one of: ' + ' '.join(sorted(known)), 'correct it')
    shared = dict(file['DEFAULT']) if file.has_section('DEFAULT') else {}
    found = []
    for name, value in {**shared, **own}.items():
        if name in known:
            found += option_words(name, known[name], value, command if name in own else 'DEFAULT')
    return found
