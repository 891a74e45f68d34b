# SPDX-License-Identifier: GPL-2.0
"""Find the commit that made KVM dearer: selftests/lab/bisect says how.

Git is the user's repository and our worktree of it, Judge builds and measures what is
checked out there, Bisection asks it as git bisect wants.  Invariant: what was measured
is kept under a hash of all that decides a figure, and a revision is measured once.
"""

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import time

from scripts import TOP, cache, command
from scripts.command import SetupError
from .. import machine, project
from ..machine import directboot, tree_kernel
from . import compare, measure, tables

GOOD, BAD, SKIP = 'good', 'bad', 'skip'
EXIT_STATUS = {GOOD: 0, BAD: 1, SKIP: 125}
KSFT_SKIP = 4


@dataclasses.dataclass
class Answer:
    """What one revision showed; saved as it is, but for the verdict on a value."""
    reason: str = ''                    # of SKIP and of BAD by a test
    verdict: str = ''                   # '' while only a value is known
    value: float = 0
    run: dict = None                    # a file of the bench
    output: str = ''                    # of the test


def say_time(seconds):
    return '%d:%02d min' % divmod(round(seconds), 60) if seconds >= 90 else '%d s' % round(seconds)


class Git:
    """The user's repository and our worktree of it."""

    def __init__(self, tree, work):
        self.tree = os.path.abspath(tree)
        self.worktree = os.path.join(work, 'tree')

    @staticmethod
    def call(directory, *argv):
        return subprocess.run(['git', '-C', directory, *argv], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors='replace', check=False)

    def __call__(self, *argv):
        done = self.call(self.worktree, *argv)
        if done.returncode:
            raise SetupError('git %s: %s' % (' '.join(argv), done.stdout.strip()))
        return done.stdout.strip()

    def commit(self, rev):
        done = self.call(self.tree, 'rev-parse', '--verify', '--quiet', rev + '^{commit}')
        if done.returncode:
            names = self.call(self.tree, 'for-each-ref', '--count=12', '--sort=-creatordate',
                              '--format=%(refname:short)').stdout.split()
            raise SetupError("%s knows no commit '%s'; its newest names are: %s"
                             % (self.tree, rev, ' '.join(names) or 'none'))
        commit = done.stdout.strip()
        for name in ('Kbuild', 'arch/x86/kvm/Makefile'):
            if self.call(self.tree, 'cat-file', '-e', '%s:%s' % (commit, name)).returncode:
                raise SetupError("%s is no tree of Linux: its revision '%s' has no %s"
                                 % (self.tree, rev, name), 'a git tree with arch/x86/kvm',
                                 'name one with --tree, as in --tree ~/linux')
        return commit

    def prepare(self, rev):
        """Have the worktree; another repository's, or a damaged one, is made anew."""
        if self.call(self.worktree, 'rev-parse', 'HEAD').returncode == 0:
            return
        shutil.rmtree(self.worktree, ignore_errors=True)
        command.progress('making a worktree in %s' % self.worktree)
        self.call(self.tree, 'worktree', 'prune')
        done = self.call(self.tree, 'worktree', 'add', '--detach', '--force', self.worktree, rev)
        if done.returncode:
            raise SetupError('git worktree add: ' + done.stdout.strip())
        # A sparse work tree hands its patterns on; the kernel needs all files.
        if self.call(self.worktree, 'config', '--bool', 'core.sparseCheckout').stdout.strip() == 'true':
            self('sparse-checkout', 'disable')

    def describe(self, commit):
        return self('show', '-s', '--format=%h %s', commit)


def in_repository(tree):
    """Does it look like a git tree?  Answered without git, so before that is installed."""
    folder = os.path.abspath(tree)
    while True:
        if any(os.path.exists(os.path.join(folder, name)) for name in ('.git', 'objects/pack')):
            return True
        if folder == os.path.dirname(folder):
            return False
        folder = os.path.dirname(folder)


def work_directory(tree):
    """Of one repository: its worktree, its build, what was measured."""
    done = Git.call(tree, 'rev-parse', '--path-format=absolute', '--git-common-dir')
    if done.returncode:
        raise SetupError('%s is no git tree' % os.path.abspath(tree), 'a git tree of Linux',
                         'name one with --tree, as in --tree ~/linux')
    name = hashlib.sha256(done.stdout.strip().encode()).hexdigest()[:16]
    return os.path.join(cache.directory(), 'bisect', name)


@contextlib.contextmanager
def locked(work):
    """Have the work directory to oneself; it is made when it is absent."""
    os.makedirs(work, exist_ok=True)
    with open(os.path.join(work, 'lock'), 'w', encoding='ascii') as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SetupError('another command works on this repository') from error
        yield


def setup_hash(options):
    """Of all that decides a figure besides the revision."""
    digest = hashlib.sha256(repr((options.row, options.l1, options.test, options.cpus,
                                  options.append, options.allowed)).encode())
    digest.update(machine.tool('bochs/build').encode())
    digest.update(machine.read(os.path.join(TOP, 'selftests/lab/machine/mini.config')))
    digest.update(machine.read(options.program))
    digest.update(subprocess.run(['gcc', '--version'], stdout=subprocess.PIPE, check=True).stdout)
    return digest.hexdigest()[:16]


class Judge:
    """Builds and measures what is checked out; remembers by the content of the tree."""

    def __init__(self, options, tree, work):
        self.options = options
        self.tree = tree
        self.kernel = tree_kernel.TreeKernel(tree, work)
        self.results = os.path.join(work, 'results', setup_hash(options))
        os.makedirs(self.results, exist_ok=True)
        self.seconds = []
        self.asked = set()      # in this run

    def path(self):
        content = Git.call(self.tree, 'rev-parse', 'HEAD^{tree}').stdout.strip()
        return os.path.join(self.results, content + '.json')

    def ask(self):
        """(the Answer for what is checked out, how it was found)"""
        path = self.path()
        fresh = self.options.fresh and path not in self.asked or self.kernel.dirty()
        known = os.path.exists(path) and not fresh
        self.asked.add(path)
        if known:
            with open(path, encoding='utf-8') as file:
                return Answer(**json.load(file)), 'known'
        start, cpu = time.monotonic(), tree_kernel.cpu_seconds()
        answer = self.find_out()
        took, cpu = time.monotonic() - start, tree_kernel.cpu_seconds() - cpu
        self.seconds.append(took)
        if not self.kernel.dirty():
            with cache.new_file(path) as new:
                machine.save('/', new, json.dumps(dataclasses.asdict(answer)).encode())
        return answer, '%s build %.1f s (CPU %.1f s), machine %.1f s (CPU %.1f s)' % (
            self.kernel.kind, self.kernel.seconds, self.kernel.cpu,
            took - self.kernel.seconds, cpu - self.kernel.cpu)

    def find_out(self):
        try:
            kernel = self.kernel.build()
        except tree_kernel.BuildError as error:
            return Answer('does not build: %s' % error, SKIP)
        with tempfile.TemporaryDirectory(prefix='kvm-intel-fast-bisect.') as out:
            try:
                return self.test(kernel, out) if self.options.test else self.measure(kernel, out)
            except directboot.BootError as error:
                return Answer(str(error), SKIP)

    def measure(self, kernel, out):
        try:
            run = measure.measure(kernel, self.options.l1, self.options.row, out,
                                  append=self.options.append, allowed=self.options.allowed)
        except measure.MeasureError as error:
            return Answer(str(error), SKIP)
        return Answer(run=run)

    def test(self, kernel, out):
        result = machine.run(machine.Spec(
            kernel=kernel, program=[self.options.program], cpus=self.options.cpus, modules=['msr'],
            append=self.options.append, allowed=self.options.allowed,
            time_limit=measure.TIME_LIMIT), out)
        output = machine.read(os.path.join(out, 'stdout.txt')).decode(errors='replace')
        if result['status'] != 'ok':
            started = result['ticks']['start'] is not None
            return Answer('%s: %s' % (result['status'], result['reason']),
                          BAD if started else SKIP, output=output)
        status = result['program_exit']
        if status == KSFT_SKIP:
            return Answer('%s was skipped' % self.options.test, SKIP, output=output)
        return Answer('exit status %s' % status if status else '', BAD if status else GOOD,
                      output=output)


def valued(answer, options):
    """Fill in .value; SKIP stays SKIP."""
    if answer.run:
        answer.value = compare.metric(answer.run['per_iteration'], options.figure)
    return answer


class Limit:
    """Which values are bad."""

    def __init__(self, good, bad, threshold):
        self.rising = bad > good
        if threshold is None:
            self.value = (good + bad) / 2
        else:
            step = good * threshold[0] if threshold[1] else threshold[0]
            self.value = good + (step if self.rising else -step)

    def verdict(self, value):
        return BAD if (value > self.value) == self.rising and value != self.value else GOOD


def show(answer, limit, options):
    if answer.verdict == SKIP or options.test:
        return answer.reason.splitlines()[0] if answer.reason else ''
    return '%s %s%s' % (options.figure, tables.number(answer.value),
                        ' (limit %s)' % tables.number(limit.value) if limit else '')


class Bisection:
    def __init__(self, options, git, judge):
        self.options, self.git, self.judge = options, git, judge
        self.limit = None
        self.steps = 0

    def answer(self, commit):
        self.git('checkout', '-q', '--force', '--detach', commit)
        answer, how = self.judge.ask()
        answer = valued(answer, self.options)
        if not answer.verdict and self.limit:
            answer.verdict = self.limit.verdict(answer.value)
        return answer, how

    def ends(self, good, bad):
        """Measure both ends, or refuse: what they show decides all that follows."""
        answers = []
        for name, commit in ((GOOD, good), (BAD, bad)):
            command.progress('the %s end %s' % (name, self.git.describe(commit)))
            answer, how = self.answer(commit)
            command.progress('%-4s %s: %s; %s' % (name, self.git.describe(commit),
                                          show(answer, None, self.options), how))
            if answer.verdict == SKIP:
                raise SetupError('the %s revision cannot be judged: %s' % (name, answer.reason))
            answers.append(answer)
        if self.options.test:
            for name, answer in zip((GOOD, BAD), answers):
                if answer.verdict != name:
                    raise SetupError('the %s revision is %s. %s\n%s' % (
                        name, answer.verdict, answer.reason, answer.output[-2000:]))
            return
        before, after = (answer.value for answer in answers)
        self.limit = Limit(before, after, self.options.threshold)
        if before == after or self.limit.verdict(after) != BAD:
            raise SetupError('nothing to find: %s is %s at the good revision, %s at the bad one%s' % (
                self.options.figure, tables.number(before), tables.number(after),
                '; --threshold asks for more' if before != after else ''))

    def remaining(self, text):
        steps = re.search(r'roughly (\d+) step', text)
        if not steps or not self.judge.seconds:
            return ''
        count = int(steps.group(1)) + 1
        # The first build is no measure for the others.
        times = self.judge.seconds[1:] or self.judge.seconds
        return '; about %d more, %s' % (count, say_time(count * sum(times) / len(times)))

    def run(self, good, bad):
        """The first bad commit, or the list of candidates when too much was skipped."""
        self.ends(good, bad)
        text = self.git('bisect', 'start', bad, good)
        try:
            while True:
                found = re.search(r'^([0-9a-f]{40,64}) is the first bad commit', text, re.M)
                if found:
                    return [found.group(1)]
                commit = self.git('rev-parse', 'HEAD')
                command.progress('next %s%s' % (self.git.describe(commit), self.remaining(text)))
                answer, how = self.answer(commit)
                self.steps += 1
                command.progress('%-4s %s; %s' % (
                    answer.verdict, show(answer, self.limit, self.options), how))
                done = self.git.call(self.git.worktree, 'bisect', answer.verdict)
                text = done.stdout
                if "only 'skip'ped commits left" in text:
                    return re.findall(r'^([0-9a-f]{40,64})$', text, re.M)
                if done.returncode:
                    raise SetupError('git bisect %s: %s' % (answer.verdict, text.strip()))
        finally:
            self.git.call(self.git.worktree, 'bisect', 'reset', 'HEAD')

    def explain(self, commit, good):
        """Print what the commit changed, against its parent."""
        print(self.git('show', '-s', '--format=commit %H%nAuthor: %an <%ae>%nDate:   %ad%n%n    %s',
                       commit))
        after, _ = self.answer(commit)
        parent = self.git('rev-parse', commit + '^')
        before, _ = self.answer(parent)
        if before.verdict == SKIP:
            print('\nIts parent cannot be judged; compared with the good revision instead.')
            before, _ = self.answer(good)
        if self.options.test:
            print('\n%s: good before, bad since: %s\n' % (self.options.test, after.reason))
            print('\n'.join('    ' + line for line in after.output.splitlines()[-15:]))
            return
        print('\n%s: %s -> %s (%s) per %s\n' % (
            self.options.metric, tables.number(before.value), tables.number(after.value),
            tables.percent(after.value, before.value) or 'from nothing', self.options.row))
        old, new = before.run['per_iteration'], after.run['per_iteration']
        for title, changes in (('function of L0', compare.symbols_changed(old, new)),
                               ('figure', compare.figures_changed(old, new))):
            lines = [[name, tables.number(a), tables.number(b), tables.number(b - a)
                      if b > a else '-' + tables.number(a - b)] for name, a, b in changes[:12]]
            print(tables.table([title, 'before', 'after', 'difference'], lines) if lines
                  else 'No %s differs.' % title, end='\n\n')


def find_program(options):
    """What is run in the machine."""
    name = options.test or 'exit_bench'
    if os.path.isfile(name):
        return os.path.abspath(name)
    path = os.path.join(project.programs(), name)
    if not os.path.isfile(path):
        raise SetupError("there is no test '%s'; there are: %s"
                         % (name, ' '.join(sorted(os.listdir(os.path.dirname(path))))))
    return path


def step(options, work):
    """--step: the exit status for git bisect run."""
    judge = Judge(options, os.path.abspath(options.tree), os.path.join(work, 'step'))
    answer, how = judge.ask()
    answer = valued(answer, options)
    if not answer.verdict:
        answer.verdict = BAD if answer.value > options.limit else GOOD
    command.progress('%s %s; %s' % (answer.verdict, show(answer, None, options), how))
    return EXIT_STATUS[answer.verdict]


def whole(options, git, work):
    good, bad = git.commit(options.good), git.commit(options.bad)
    git.prepare(good)
    judge = Judge(options, git.worktree, work)
    bisection = Bisection(options, git, judge)
    candidates = bisection.run(good, bad)
    command.progress('done: %d steps' % bisection.steps)
    if len(candidates) > 1:
        print('It is one of these; what lies between could not be judged:')
        for commit in candidates:
            print('    ' + git.describe(commit))
        return 1
    bisection.explain(candidates[0], good)
    return 0


def run(options):
    """Do what the options of the command say; the exit status."""
    project.use_first_line()    # of exit_bench, which must run on each revision
    project.setup()
    work = work_directory(options.tree)
    git = Git(options.tree, work)
    for rev in ['HEAD'] if options.step else [options.good, options.bad]:
        git.commit(rev)             # or refuse, before anything is made
    options.program = find_program(options)
    with locked(work):
        os.makedirs(os.path.join(work, 'step'), exist_ok=True)
        return step(options, work) if options.step else whole(options, git, work)
