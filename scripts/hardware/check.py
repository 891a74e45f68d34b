# SPDX-License-Identifier: GPL-2.0
"""kvm-intel-fast check: does this CPU run L2 under fast as it does under stock?

The same programs run under stock, under fast with verify=1, and under fast: tests, whose verdict
must not become worse, and transcripts, whose lines must be the same.  A line that differs is asked
of stock once more at the end: what stock itself does not repeat tells nothing of fast.
"""

import collections
import os
import re

from scripts.hardware import runs
from scripts.hardware.runs import VARIANTS, progress

SEEDS, QUICK_SEEDS = 300, 6
BLOCK = 25                      # seeds in one process
SECONDS_PER_SEED = 2
QUICK = ('switch_test', 'vmx_apic_access_test', 'field_walk_test')
PHASES = ('stock', 'verify', 'fast')
GOOD = {'pass': 0, 'skip': 0}
SEED = re.compile(r'^seed (\d+) ((?:steps \d+ |crashed).*)$')
WALK = re.compile(r'^# ((?:cleared|exit|random) .*)$')
SHOWN = 5

Test = collections.namedtuple('Test', 'name words limit kind')


def read_list(folder):
    """[Test] of the kit: "program | arguments | seconds | test or transcript", a line each."""
    tests = []
    with open(os.path.join(folder, 'list'), encoding='utf-8') as file:
        for line in file:
            if line.strip() and not line.startswith('#'):
                name, words, limit, kind = (part.strip() for part in line.split('|'))
                tests.append(Test(name, words.split(), int(limit), kind))
    return tests


def title_of(test):
    return ' '.join([test.name, *test.words])


def not_ok(text):
    """The cases of a test that failed, by name."""
    return re.findall(r'^not ok \d+ (?:- )?(.*)', text, re.M)


class Seen:
    """What was seen under one variant."""

    def __init__(self):
        self.verdicts, self.failed, self.lines, self.mismatches = {}, {}, {}, []


class Check:
    def __init__(self, run, tests, seeds):
        self.run, self.seeds = run, seeds
        self.tests = [test for test in tests if test.kind == 'test']
        self.walks = [test for test in tests if test.kind == 'transcript']
        self.seen, self.failures, self.notes = {}, [], []

    def blocks(self):
        return ['%d-%d' % (first, min(first + BLOCK, self.seeds) - 1)
                for first in range(0, self.seeds, BLOCK)]

    def phase(self, variant):
        """All programs under a variant."""
        self.run.load(variant)
        seen = self.seen[variant] = Seen()
        for test in self.tests:
            progress('%s: %s' % (VARIANTS[variant], title_of(test)))
            verdict, text = self.run.program(test.name, test.words, test.limit, title_of(test))
            seen.verdicts[title_of(test)] = verdict
            seen.failed[title_of(test)] = not_ok(text)
        for test in self.walks:
            progress('%s: %s' % (VARIANTS[variant], title_of(test)))
            self.walk(test, seen)
        for block in self.blocks():
            progress('%s: random programs %s of %d' % (VARIANTS[variant], block, self.seeds))
            self.block(block, seen)
        self.judge(variant, seen)

    def walk(self, test, seen):
        verdict, text = self.run.program(test.name, test.words, test.limit, title_of(test))
        seen.verdicts[title_of(test)] = verdict
        lines = [found[1] for found in map(WALK.match, text.splitlines()) if found]
        for number, line in enumerate(lines):
            seen.lines['%s, line %d' % (test.name, number)] = line

    def block(self, block, seen):
        first, last = map(int, block.split('-'))
        verdict, text = self.run.program('differential_test', ['--seeds', block],
                                         10 + SECONDS_PER_SEED * (last - first + 1),
                                         'random programs ' + block)
        seen.verdicts['random programs ' + block] = verdict
        lines = text.splitlines()
        seen.lines.update(('seed %s' % found[1], found[2])
                          for found in map(SEED.match, lines) if found)
        for seed in range(first, last + 1):
            seen.lines.setdefault('seed %d' % seed, 'no result')
        seen.mismatches += [line for line in lines if line.startswith('mismatch ')]

    def fail(self, variant, text):
        self.failures.append('%s: %s' % (VARIANTS[variant], text))
        self.run.record.note('failure', variant=variant, text=text)

    def judge(self, variant, seen):
        """What is worse than under stock; differing lines wait for again()."""
        stock = self.seen['stock']
        for name, verdict in seen.verdicts.items():
            if variant == 'stock':
                if verdict not in GOOD:
                    self.notes.append('%s: %s under stock, too' % (name, verdict))
            elif verdict not in GOOD and stock.verdicts[name] in GOOD:
                self.fail(variant, '%s: %s, under stock: %s' % (
                    name, verdict, stock.verdicts[name]))
            elif verdict == 'skip' and stock.verdicts[name] == 'pass':
                self.fail(variant, '%s: skipped, but not under stock' % name)
            new = set(seen.failed.get(name, ())) - set(stock.failed.get(name, ()))
            if variant != 'stock' and new and stock.verdicts[name] not in GOOD:
                self.fail(variant, '%s: %s, but not under stock' % (name, ', '.join(sorted(new))))
        if seen.mismatches:
            self.fail(variant, 'verify=1 counted: ' + ', '.join(sorted(set(seen.mismatches))))
        known = {runs.place_of(text) for phase, _, wrong in self.run.wrong if phase == 'stock'
                 for text in wrong}
        for phase, during, wrong in self.run.wrong:
            new = [text for text in wrong if runs.place_of(text) not in known]
            if phase == variant and variant != 'stock' and new:
                self.fail(variant, 'the kernel said, during %s: %s' % (during, new[0]))

    def differing(self):
        """{what: [variants in which its line is not stock's]}"""
        stock, found = self.seen['stock'].lines, {}
        for variant in PHASES[1:]:
            lines = self.seen[variant].lines if variant in self.seen else {}
            for what in lines or ():
                if lines[what] != stock.get(what):
                    found.setdefault(what, []).append(variant)
            for what in set(stock) - set(lines) if lines else ():
                found.setdefault(what, []).append(variant)
        return found

    def again(self):
        """Ask stock again what differs, and something at all; stock is loaded."""
        differing = self.differing()
        seen = Seen()
        blocks = {block for block in self.blocks() for what in differing
                  if what.startswith('seed ') and
                  int(block.split('-')[0]) <= int(what[5:]) <= int(block.split('-')[1])}
        for block in sorted(blocks) or self.blocks()[:1]:
            progress('%s: random programs %s' % (VARIANTS['again'], block))
            self.block(block, seen)
        for test in self.walks:
            if any(what.startswith(test.name + ',') for what in differing):
                self.walk(test, seen)
        stock = self.seen['stock'].lines
        for what, variants in differing.items():
            if seen.lines.get(what) == stock.get(what):
                for variant in variants:
                    self.fail(variant, '%s is not as under stock' % what)
            else:
                self.notes.append('%s: stock does not repeat it' % what)

    def compared(self):
        """What the verdict rests on."""
        stock = self.seen['stock']
        tests = [title_of(test) for test in self.tests]
        passed = sum(stock.verdicts[name] == 'pass' for name in tests)
        return '%d tests (%d skip), %d random programs, %d lines of VMCS fields' % (
            passed, sum(stock.verdicts[name] == 'skip' for name in tests),
            sum(what.startswith('seed ') for what in stock.lines),
            sum(not what.startswith('seed ') for what in stock.lines))


def steps(check):
    """All phases; what could not be done is a failure."""
    run = check.run
    for variant in PHASES:
        try:
            check.phase(variant)
        except runs.NoModule as error:
            if variant == 'stock':
                raise
            check.fail(variant, 'the module did not load: %s' % error)
            break
    if run.host.loaded() != 'stock':
        run.load('again')
    run.variant = 'again'
    if 'stock' in check.seen:
        check.again()


def verdict_of(check, told, broken):
    """(one line, is it good?)"""
    end = runs.ended(told)
    if check.failures:
        more = ', and %d more' % (len(check.failures) - 1) if len(check.failures) > 1 else ''
        return 'check: FAILED: %s%s%s; %s' % (
            check.failures[0], more, '; ' + broken if broken else '', end), False
    if broken or 'fast' not in check.seen:
        return 'check: NOT FINISHED: %s; %s' % (broken, end), False
    notes = ', %d remarks' % len(check.notes) if check.notes else ''
    return 'check: GOOD: stock and fast are the same on this CPU, with verify=1 and without: ' \
        '%s%s; %s' % (check.compared(), notes, end), not told


def check(host, module, options):
    """The exit status; the host meets the conditions of runs.py."""
    kit = runs.kit_folder(options.kit, ['differential_test'])
    tests = read_list(kit)
    runs.kit_folder(kit, [test.name for test in tests])
    if options.quick:
        tests = [test for test in tests if test.name in QUICK]
    run = runs.Runs(host, module, kit, options.out, 'check', quick=options.quick)
    found = Check(run, tests, options.seeds or (QUICK_SEEDS if options.quick else SEEDS))
    broken = ''
    try:
        steps(found)
    except runs.Interrupted:
        broken = 'interrupted under %s' % VARIANTS[run.variant]
    except runs.Severe as error:
        found.fail(run.variant, str(error))
    except runs.NoModule as error:
        broken = 'stock did not load: %s' % error
    finally:
        told = run.leave()
    verdict, good = verdict_of(found, told, broken)
    for text in (*found.failures[:SHOWN], *found.notes[:SHOWN]):
        print('- ' + text)
    run.finish(verdict, good, failures=found.failures, remarks=found.notes)
    return 0 if good else 1
