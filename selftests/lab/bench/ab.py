# SPDX-License-Identifier: GPL-2.0
"""What a change of KVM costs and breaks: two revisions of a tree, built and measured.

    git, sides = ab.prepare(tree, 'HEAD^', None)    # None: the work tree as it is
    ab.measure_sides(sides, options, ab.Builder(git, scratch), scratch)     # side.runs, {row: run}

The work tree is not touched: its state becomes a commit that no branch holds, and both sides
are built in the worktree of bisection.py, with its build folder.  Invariant: what was measured
is kept under a hash of all that decides a figure and under the content of the tree, so of two
sides that were measured before nothing is built.
"""

import concurrent.futures
import json
import os
import shutil
import subprocess
import tempfile

from scripts import cache, command
from scripts.command import SetupError
from .. import machine
from ..machine import directboot, tree_kernel
from . import bisection, measure, rows

# What is measured unless rows are named: in ten seconds, each kind of exit.
ROWS = {'selftest': (*rows.L1_ROWS, 'cpuid', 'cpuid_rewrite_host', 'cpuid_no_ept',
                     *rows.EXIT_ROWS),
        'linux': ('cpuid',)}
IDENTITY = {'GIT_%s_%s' % (who, what): value for who in ('AUTHOR', 'COMMITTER')
            for what, value in (('NAME', 'kvm-lab'), ('EMAIL', 'kvm-lab@localhost'))}


def chosen_rows(l1, names):
    """The rows that are named, all for "all", the default without; raises SetupError."""
    known = rows.MEASURED[l1, 1]
    unknown = [name for name in names if name not in (*known, 'all')]
    if unknown:
        raise SetupError('there is no row %s; there are: %s' % (' '.join(unknown), ' '.join(known)))
    return known if 'all' in names else tuple(names) or ROWS[l1]


class Side:
    """A or B: a commit, how it is called, and what came of it."""

    def __init__(self, git, name, rev, commit):
        self.name, self.commit = name, commit
        self.content = git.call(git.tree, 'rev-parse', commit + '^{tree}').stdout.strip()
        self.title = git.call(git.tree, 'show', '-s', '--format=%h %s',
                              rev or 'HEAD').stdout.strip()
        self.kernel, self.runs = '', None       # a directory; {row: run}
        if not rev:
            changed = git.call(git.tree, 'diff', '--name-only', 'HEAD', commit).stdout.splitlines()
            self.title += ' with %d changed file%s (%s)' % (
                len(changed), 's'[len(changed) == 1:], ' '.join(changed[:3])
            ) if changed else ', nothing uncommitted'


def snapshot(git):
    """A commit of the work tree as it is, ignored files left out; HEAD if it is the same."""
    if git.call(git.tree, 'rev-parse', '--is-inside-work-tree').stdout.strip() != 'true':
        raise SetupError('%s has no work tree' % git.tree, 'two revisions there',
                         'name them: kvm-lab ab REV_A REV_B')
    top = git.call(git.tree, 'rev-parse', '--show-toplevel').stdout.strip()
    index = git.call(git.tree, 'rev-parse', '--path-format=absolute', '--git-path', 'index'
                     ).stdout.strip()
    with tempfile.TemporaryDirectory(prefix='kvm-intel-fast-ab.') as scratch:
        own = os.path.join(scratch, 'index')
        if os.path.exists(index):
            shutil.copy2(index, own)

        def call(*argv):
            done = subprocess.run(['git', '-C', top, *argv], text=True, check=False,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  env={**os.environ, **IDENTITY, 'GIT_INDEX_FILE': own})
            if done.returncode:
                raise SetupError('git %s: %s' % (' '.join(argv), done.stderr.strip()))
            return done.stdout.strip()
        call('add', '-A')
        content = call('write-tree')
        if content == call('rev-parse', 'HEAD^{tree}'):
            return call('rev-parse', 'HEAD')
        return call('commit-tree', content, '-p', 'HEAD', '-m', 'The work tree')


def prepare(tree, rev_a, rev_b):
    """(Git, [Side A, Side B]); raises SetupError for what is no commit or no Linux."""
    git = bisection.Git(tree, bisection.work_directory(tree))
    git.commit('HEAD')
    a = Side(git, 'A', rev_a or 'HEAD^', git.commit(rev_a or 'HEAD^'))
    return git, [a, Side(git, 'B', rev_b, git.commit(rev_b) if rev_b else snapshot(git))]


class Builder:
    """Builds one side after the other; each has a kernel directory of its own."""

    def __init__(self, git, scratch):
        self.git, self.scratch = git, scratch
        self.kernel = tree_kernel.TreeKernel(git.worktree, os.path.dirname(git.worktree))

    def build(self, side):
        if side.kernel:
            return                  # figures and tests may both ask for it
        self.git('checkout', '-q', '--force', '--detach', side.commit)
        command.progress('%s: building %s: %s' % (
            side.name, "KVM's modules" if self.kernel.kvm_is_enough() else
            'the whole kernel, which takes minutes', side.title))
        try:
            built = self.kernel.build()
        except tree_kernel.BuildError as error:
            raise SetupError('%s does not build: %s\n%s' % (
                side.name, side.title, error)) from error
        side.kernel = os.path.join(self.scratch, side.name)
        shutil.copytree(built, side.kernel)
        command.progress('%s: built in %.1f s' % (side.name, self.kernel.seconds))


def path_of(side, options):
    """Where the runs of a side are kept."""
    names = bisection.setup_hash(options)
    return os.path.join(os.path.dirname(options.worktree), 'results', names, side.content + '.json')


def boot(side, options, directory):
    """Measure one side; its runs, kept."""
    try:
        side.runs = measure.measure_rows(side.kernel, options.l1, options.rows, directory,
                                         append=options.append, allowed=options.allowed)
    except measure.MeasureError as error:
        machine.explain(error.result, 'no directory')
        raise SetupError('%s cannot be measured: %s' % (side.name, side.title)) from error
    except directboot.BootError as error:
        raise SetupError('%s does not boot: %s' % (side.name, error)) from error
    with cache.new_file(path_of(side, options)) as new, open(new, 'w', encoding='ascii') as file:
        json.dump(side.runs, file)
    command.progress('%s: measured' % side.name)


def known(side, options):
    """Has it its runs from an earlier call?"""
    if options.fresh or not os.path.exists(path_of(side, options)):
        return False
    with open(path_of(side, options), encoding='ascii') as file:
        side.runs = json.load(file)
    command.progress('%s: known: %s' % (side.name, side.title))
    return True


def measure_sides(sides, options, builder, scratch):
    """Give each side its runs; A runs while B is built."""
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        jobs = []
        for side in sides:
            if not known(side, options):
                builder.build(side)
                jobs.append(pool.submit(boot, side, options,
                                        os.path.join(scratch, 'run-' + side.name)))
        for job in jobs:
            job.result()
