# SPDX-License-Identifier: GPL-2.0
"""Run KVM's selftests, and kvm-unit-tests, in the emulated machine.

L0 is the kernel of a git tree (--tree, its work tree or --rev), or one of the lab
(--kernel).  The selftests are those of that tree; where it lacks them, and with
--kernel, those of the lab's source package.  --unit-tests DIR adds the vmx group
of a checkout of kvm-unit-tests that is built.  A test during which L0 warns
fails.
"""

import os
import tempfile

from scripts import command
from scripts.command import SetupError
from .. import machine, project
from ..bench import ab, bisection, kvm_tests, tables
from . import reports

SELFTESTS = 'tools/testing/selftests/kvm'
USAGE = '%(prog)s [OPTIONS] [TEST...]'
EXAMPLES = (
    'kvm-lab test --tree ~/linux                # all, under the work tree of ~/linux',
    'kvm-lab test --kernel debian vmx_dirty_log_test state_test',
    'kvm-lab test --tree ~/linux --unit-tests ~/kvm-unit-tests unit-vmx',
)


def add_choice(parser):
    """Of a command that measures, too: which tests."""
    add = parser.add_argument
    add('--test', dest='tests', action='store_true', help="run KVM's selftests of B under both")
    add('--only', action='append', default=[], metavar='TEST',
        help='of these run this one alone (may be repeated)')
    add_unit_tests(parser)


def add_unit_tests(parser):
    parser.add_argument('--unit-tests', type=command.existing, metavar='DIR',
                        help='run the vmx group of this built checkout of kvm-unit-tests, too')


def check_choice(parser, options):
    if options.only and not (options.tests or options.unit_tests):
        parser.error('--only is of --test and --unit-tests')


def check_tree(parser, tree):
    if not bisection.in_repository(tree):
        parser.error('%s is no git tree; name one of Linux with --tree' % os.path.abspath(tree))


def split(only):
    """(names of KVM's selftests, names of unit tests)"""
    units = [name.removeprefix('unit-') for name in only if name.startswith('unit-')]
    return [name for name in only if not name.startswith('unit-')], units


def refuse_unknown(options, scratch, git=None, commit=''):
    """Raise SetupError for tests that there are not, before anything is built."""
    others, units = split(options.only)
    if units and not options.unit_tests:
        raise SetupError('unit-%s is a test of kvm-unit-tests' % units[0], 'their checkout',
                         'name it with --unit-tests DIR')
    if options.unit_tests:
        units_of(options, units, scratch)
    if not others:
        return
    listed = git.call(git.tree, 'ls-tree', '-r', '--name-only', commit, '--full-tree',
                      SELFTESTS).stdout.splitlines() if git else []
    known = {os.path.basename(path)[:-2] for path in listed if path.endswith('.c')} or \
        set(os.listdir(project.programs()))
    unknown = [name for name in others if name.split()[0] not in known]
    if unknown:
        raise SetupError('there is no test %s; there are: %s'
                         % (' '.join(unknown), ' '.join(sorted(known))))


def units_of(options, units, scratch):
    try:
        return kvm_tests.unit_tests(options.unit_tests, scratch, only=units)
    except kvm_tests.UnknownTest as error:
        raise SetupError(str(error)) from error


def choose(options, selftests, tree, scratch):
    """([Test], files) of both kinds: those that options.only names, or all."""
    others, units = split(options.only)
    tests, files = [], []
    if selftests and (others or not options.only):
        try:
            tests, files = kvm_tests.selftests(*programs_of(tree), others)
        except kvm_tests.UnknownTest as error:
            raise SetupError(str(error)) from error
    if options.unit_tests and (units or not options.only):
        more = units_of(options, units, scratch)
        tests, files = tests + more[0], files + more[1]
    return tests, files


def programs_of(tree):
    """(the directory of KVM's selftests, {programs there that are none of these})"""
    if not tree or not os.path.exists(os.path.join(tree, SELFTESTS, 'lib', 'kvm_util.c')):
        if tree:
            command.progress("the tree has no %s: the lab's are run" % SELFTESTS)
        return project.programs(), {os.path.basename(path)[:-2] for path in project.own_sources()}
    command.progress("building KVM's selftests of the tree")
    return machine.tool('../kvm/build', KSRC=tree, KVM_ALONE='1'), set()


def compare_sides(sides, options, builder, scratch):
    """The tests under both sides, as a Verdicts; None if none are asked for."""
    if not options.tests and not options.unit_tests:
        return None
    for side in sides:
        builder.build(side)                 # B last: the worktree has its tests
    tests, files = choose(options, options.tests, builder.git.worktree, scratch)
    told = []
    for side in sides:
        command.progress('%s: running %d tests' % (side.name, len(tests)))
        told.append(kvm_tests.run(side.kernel, tests, files,
                                  os.path.join(scratch, 'tests-' + side.name),
                                  append=options.append, allowed=options.allowed))
    return kvm_tests.Verdicts(told[0][0], told[1][0],
                              ['%s: %s' % (side.name, complaint) for side, (_, complaint)
                               in zip(sides, told) if complaint])


def arguments(parser):
    add = parser.add_argument
    add('only', nargs='*', metavar='TEST', help='run these (default: all)')
    add('--tree', metavar='DIR', help='git tree of Linux, whose kernel is L0')
    add('--rev', metavar='REV', help='this revision of it (default: the work tree as it is)')
    add('--kernel', default='debian', metavar='NAME|DIR',
        help='without --tree: a kernel of the lab, or a build folder (default: debian)'
        ).values = ('debian', 'mini', 'debug')
    add('--append', default='mitigations=off', metavar='PARAMETERS', help="L0's kernel parameters")
    add('--cpus', type=command.positive, default=1, help='of L0')
    add('--allow', dest='allowed', action='append', default=[], metavar='REGEX',
        help="a line of L0's log that is no failure")
    add_unit_tests(parser)
    reports.add_options(parser)
    reports.add_github(parser)


def show(results, options):
    """Print the verdicts; the exit status."""
    rows = [[name, result.verdict, result.detail, '%.2f' % result.seconds]
            for name, result in results.items()]
    table = tables.table(['test', 'verdict', '', 'seconds of the machine'], rows)
    print(table)
    bad = [name for name, result in results.items()
           if result.verdict not in kvm_tests.Verdicts.GOOD]
    for name in bad:
        print('\n%s:' % name)
        print('\n'.join('    ' + line.lstrip('# ') for line in results[name].output[-15:]))
    summary = '%d tests, %d of them bad' % (len(results), len(bad))
    print('\n' + summary)
    if options.github:
        reports.github(['%s: %s %s' % (name, results[name].verdict, results[name].detail)
                        for name in bad], '**%s**\n\n%s' % (summary, table))
    return 1 if bad else 0


def run(options, kernel, tree, commit, scratch):
    selftests = not options.unit_tests or not options.only or any(
        not name.startswith('unit-') for name in options.only)
    tests, files = choose(options, selftests, tree, scratch)
    command.progress('running %d tests' % len(tests))
    results, complaint = kvm_tests.run(kernel, tests, files, scratch, append=options.append,
                                       cpus=options.cpus, allowed=options.allowed)
    if complaint:
        print(complaint)
    release = machine.read(os.path.join(kernel, 'release')).decode().strip()
    reports.write_all(options, results, commit, release)
    return show(results, options)


def main(parser, argv):
    options = parser.parse_args(argv)
    if options.rev and not options.tree:
        parser.error('--rev is of --tree')
    if options.tree:
        check_tree(parser, options.tree)
        project.use_first_line()
    else:
        parser.choose('test', split(options.only)[0], kvm_tests.listed())
    project.setup()
    with tempfile.TemporaryDirectory(prefix='kvm-intel-fast-tests.') as scratch:
        if not options.tree:
            refuse_unknown(options, scratch)
            return run(options, machine.kernel_directory(options.kernel), None, '', scratch)
        git = bisection.Git(options.tree, bisection.work_directory(options.tree))
        commit = git.commit(options.rev or 'HEAD')
        side = ab.Side(git, 'L0', options.rev, commit if options.rev else ab.snapshot(git))
        refuse_unknown(options, scratch, git, side.commit)
        with bisection.locked(os.path.dirname(git.worktree)):
            git.prepare(commit)
            ab.Builder(git, scratch).build(side)
            return run(options, side.kernel, git.worktree, side.commit, scratch)
