# SPDX-License-Identifier: GPL-2.0
"""Say what a patch costs: measure two revisions of a tree, and name the functions.

REV_A (default: HEAD^) is compared with REV_B (default: the work tree as it is,
with what is not committed).  Both are built, as little of them as will do, and
booted in the emulated machine; the table goes into a mail as it is.  The work
tree is not touched.  What was measured is kept: while you work on B, A is not
built again.

With --test the programs of KVM's selftests run on both, too; with --unit-tests
the vmx group of a built checkout of kvm-unit-tests.  A test that is worse under B
than under A counts as a cost that is too high.
"""

import json
import os
import shutil
import tempfile

from scripts import cache, command
from .. import project
from ..bench import ab, bisection, comparison, export, rows
from ..machine import linux_l1
from . import compare, reports, test

USAGE = '%(prog)s [OPTIONS] [REV_A] [REV_B]'
EXAMPLES = (
    'kvm-lab ab                                 # what is not committed, and HEAD, against HEAD^',
    'kvm-lab ab HEAD                            # what is not committed alone',
    'kvm-lab ab v6.12 my-branch --markdown',
    'kvm-lab ab --row cpuid --row mmio --tolerance 0.3%',
    'kvm-lab ab --test --only vmx_set_nested_state_test',
)


def arguments(parser):
    add = parser.add_argument
    add('rev_a', nargs='?', metavar='REV_A')
    add('rev_b', nargs='?', metavar='REV_B')
    add('--tree', default='.', metavar='DIR', help='git tree of Linux (default: here)')
    add('--row', dest='rows', action='append', default=[], metavar='ROW',
        help='measure this row (may be repeated; default: %s; "all")' % ' '.join(
            ab.ROWS['selftest'])).values = (*rows.MEASURED['selftest', 1], 'all')
    add('--l1', choices=('selftest', 'linux'), default='selftest',
        help='who makes L2 exit: the tiny L1 (default), or Linux in QEMU')
    add('--append', default='mitigations=off', metavar='PARAMETERS', help="L0's kernel parameters")
    add('--allow', dest='allowed', action='append', default=[], metavar='REGEX',
        help="a line of L0's log that is no failure")
    add('--fresh', action='store_true', help='measure again what is known')
    compare.add_verdict_options(parser)
    test.add_choice(parser)
    reports.add_options(parser)
    parser.add_argument('--out', metavar='DIR',
                        help='keep the figures of B there, a file a row, as the bench does')


def header(sides, options):
    """Lines that say what was compared."""
    run = next(iter(sides[1].runs.values()))
    return ['%s: %s' % (side.name, side.title) for side in sides] + [
        'L0: Linux %s, %s; L1: %s; per iteration, in the emulated machine' % (
            run['kernel'], options.append, {'selftest': 'tiny', 'linux': 'Linux'}[options.l1])]


def keep(runs, out):
    """Write the files of one side; what was there goes, so that DIR holds one measurement."""
    shutil.rmtree(out, ignore_errors=True)
    with cache.new_folder(os.path.abspath(out)) as new:
        for row, run in runs.items():
            path = os.path.join(new, '%s-%s.json' % (run['l1'], row))
            with open(path, 'w', encoding='ascii') as file:
                json.dump(run, file, indent=1)


def main(parser, argv):
    options = parser.parse_args(argv)
    options.rows = ab.chosen_rows(options.l1, options.rows)
    test.check_choice(parser, options)
    test.check_tree(parser, options.tree)
    project.use_first_line()    # of exit_bench, which must run on what the tree is
    project.setup()
    if options.l1 == 'linux':
        linux_l1.qemu()
    git, sides = ab.prepare(options.tree, options.rev_a, options.rev_b)
    options.worktree = git.worktree
    options.row, options.test, options.cpus = options.rows, '', 1     # for the hash
    options.program = os.path.join(project.programs(), 'exit_bench')
    with bisection.locked(os.path.dirname(git.worktree)), \
            tempfile.TemporaryDirectory(prefix='kvm-intel-fast-ab.') as scratch:
        test.refuse_unknown(options, scratch, git, sides[1].commit)
        git.prepare(sides[0].commit)
        builder = ab.Builder(git, scratch)
        ab.measure_sides(sides, options, builder, scratch)
        tested = test.compare_sides(sides, options, builder, scratch)
    a, b = (side.runs for side in sides)
    found = comparison.Comparison(
        [comparison.Pair(row, a[row]['per_iteration'], b[row]['per_iteration'])
         for row in options.rows], options.tolerance, options.figures or compare.compare.COSTS,
        what='row')
    worse = {row for row, *_ in found.dearer}
    reports.write_all(options, tested.after if tested else {}, sides[1].commit,
                      b[options.rows[0]]['kernel'], export.kcidb_rows(b.values(), worse))
    if options.out:
        keep(b, options.out)
    command.progress('done')
    return compare.show(found, options, header(sides, options), tested)
