# SPDX-License-Identifier: GPL-2.0
"""Print the completion of kvm-lab for bash, made from the help of its commands.

An option's values are completed where they are known: rows, kernels, files.
"""

from . import NAMES, parser as parser_of

EXAMPLES = (
    'source <(kvm-lab completion)',
    'kvm-lab completion > /etc/bash_completion.d/kvm-lab',
)
OF_FILES = ('DIR', 'PATH', 'FILE', 'HOST', '.json')
SCRIPT = '''# SPDX-License-Identifier: GPL-2.0
# bash completion of kvm-lab, made by "kvm-lab completion"

_kvm_lab() {
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} words=-
	case $word in =) word='' ;; esac
	[ "$before" != = ] || before=${COMP_WORDS[COMP_CWORD - 2]}
	if [ "$COMP_CWORD" = 1 ]; then
		words='%s'
	else
		case ${COMP_WORDS[1]} in
%s
		esac
	fi
	if [ "$words" = - ]; then
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
	else
		mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
	fi
}
complete -F _kvm_lab kvm-lab
'''


def arguments(_):
    pass


def values(action):
    """The words that complete the value of an option; "-" stands for a file."""
    known = getattr(action, 'values', None) or action.choices
    if known:
        return ' '.join(known)
    return '-' if any(mark in (action.metavar or '') for mark in OF_FILES) else ''


def of_command(name):
    actions = parser_of(name, 'kvm-lab ' + name)._actions
    lines = ['\t\t%s) case $before in' % name]
    for action in actions:
        if action.option_strings and action.nargs != 0:
            lines.append("\t\t\t%s) words='%s' ;;" % (
                '|'.join(action.option_strings), values(action)))
    options = ' '.join(option for action in actions for option in action.option_strings)
    words = ' '.join(filter(None, (values(action) for action in actions
                                   if not action.option_strings)))
    lines += ["\t\t\t*) case $word in -*) words='%s' ;; *) words='%s' ;; esac ;;" % (
        options, '-' if '-' in words.split() else words or options), '\t\t\tesac ;;']
    return '\n'.join(lines)


def main(parser, argv):
    parser.parse_args(argv)
    print(SCRIPT % (' '.join(NAMES), '\n'.join(of_command(name) for name in NAMES)), end='')
    return 0
