# SPDX-License-Identifier: GPL-2.0
"""Figures and verdicts in formats that other tools read.

Call stacks: folded (flamegraph.pl, inferno), speedscope, pprof; with whole instructions of
L0 in the window, not those per iteration.  Tests: KTAP, JUnit.  Both: JSON in the shape of
KCIDB's reports, version 4.
"""

import gzip
import json
from xml.sax import saxutils

from scripts.command import SetupError

ORIGIN = 'kvm_lab'


def stacks(run):
    """[(names from the root on, instructions)] of a file of the bench."""
    if not run['per_iteration'].get('call_tree'):
        raise SetupError('the figures of %s hold no call stacks' % run.get('row', 'this file'))

    def walk(node, above):
        path = above + (node[0],)
        count = round(node[1] * run['iterations'])
        yield from [(path, count)] if count else []
        for callee in node[2]:
            yield from walk(callee, path)
    return list(walk(run['per_iteration']['call_tree'], ()))


def folded(run):
    return ''.join('%s %d\n' % (';'.join(path), count) for path, count in stacks(run)).encode()


def speedscope(run):
    found = stacks(run)
    frames = {}
    samples = [[frames.setdefault(name, len(frames)) for name in path] for path, _ in found]
    weights = [count for _, count in found]
    name = '%s, %s, %s' % (run['kernel'], run['l1'], run['row'])
    return json.dumps({
        '$schema': 'https://www.speedscope.app/file-format-schema.json',
        'exporter': 'kvm-lab', 'name': name, 'activeProfileIndex': 0,
        'shared': {'frames': [{'name': frame} for frame in frames]},
        'profiles': [{'type': 'sampled', 'name': 'instructions of L0: ' + name, 'unit': 'none',
                      'startValue': 0, 'endValue': sum(weights),
                      'samples': samples, 'weights': weights}]}).encode()


def varint(value):
    """Protocol buffers, "Base 128 Varints"."""
    out = bytearray()
    while value > 0x7f:
        out.append(value & 0x7f | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


def field(number, value):
    """One field of a message: an integer, text, a message, or a packed list of integers."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, list):
        value = b''.join(map(varint, value))
    elif isinstance(value, str):
        value = value.encode()
    return varint(number << 3 | 2) + varint(len(value)) + value


def pprof(run):
    """profile.proto; a function is its own location, since there are no addresses."""
    strings, functions, samples = {'': 0}, {}, b''

    def text(name):
        return strings.setdefault(name, len(strings))
    kind = field(1, text('instructions')) + field(2, text('count'))
    for path, count in stacks(run):
        ids = [functions.setdefault(name, len(functions) + 1) for name in path]
        samples += field(2, field(1, ids[::-1]) + field(2, [count]))
    locations = b''.join(field(4, field(1, number) + field(4, field(1, number)))
                         for number in functions.values())
    named = b''.join(field(5, field(1, number) + field(2, text(name)) + field(3, text(name)))
                     for name, number in functions.items())
    table = b''.join(field(6, name) for name in strings)
    return gzip.compress(field(1, kind) + samples + locations + named + table, mtime=0)


def ktap(results):
    """The kernel's dialect of TAP, of {name: kvm_tests.Result}."""
    lines = ['KTAP version 1', '1..%d' % len(results)]
    for number, (name, result) in enumerate(results.items(), 1):
        lines += ['# ' + line.lstrip('# ') for line in result.output]
        if result.verdict == 'skip':
            lines.append('ok %d %s # SKIP %s' % (
                number, name, result.detail.removeprefix('SKIP').strip()))
        else:
            lines.append('%sok %d %s%s' % ('' if result.verdict == 'pass' else 'not ', number, name,
                                          ' # ' + result.detail if result.detail else ''))
    return '\n'.join(lines) + '\n'


def junit(results, suite='kvm'):
    """JUnit's XML, as GitLab, Jenkins and others read it."""
    bad = [name for name, result in results.items() if result.verdict not in ('pass', 'skip')]
    lines = ['<?xml version="1.0" encoding="UTF-8"?>',
             '<testsuite name="%s" tests="%d" failures="%d" skipped="%d">' % (
                 suite, len(results), len(bad),
                 sum(result.verdict == 'skip' for result in results.values()))]
    for name, result in results.items():
        why = saxutils.quoteattr(result.detail or result.verdict)
        # XML 1.0 has no place for control characters.
        output = ''.join(c for c in '\n'.join(result.output) if c >= ' ' or c in '\t\n')
        lines.append('  <testcase classname="%s" name=%s time="%.2f">' % (
            suite, saxutils.quoteattr(name), result.seconds))
        if result.verdict == 'skip':
            lines.append('    <skipped message=%s/>' % why)
        elif name in bad:
            lines.append('    <failure message=%s>%s</failure>' % (why, saxutils.escape(output)))
        lines.append('  </testcase>')
    return '\n'.join(lines + ['</testsuite>', ''])


KCIDB_STATUS = {'pass': 'PASS', 'fail': 'FAIL', 'skip': 'SKIP', 'no result': 'MISS'}


def kcidb(commit, kernel, tests):
    """A report; tests are [(path, status, seconds or None, {more})], status one of KCIDB's."""
    checkout, build = ('%s:%s' % (ORIGIN, name) for name in (
        commit or kernel, '%s-%s' % (commit or kernel, kernel)))
    return json.dumps({
        'version': {'major': 4, 'minor': 0},
        'checkouts': [{'id': checkout, 'origin': ORIGIN, 'valid': True,
                       **({'git_commit_hash': commit} if commit else {})}],
        'builds': [{'id': build, 'checkout_id': checkout, 'origin': ORIGIN, 'valid': True,
                    'architecture': 'x86_64', 'misc': {'kernel': kernel}}],
        'tests': [{'id': '%s-%s' % (build, path), 'build_id': build, 'origin': ORIGIN,
                   'path': path, 'status': status, 'environment': {'comment': 'emulated machine'},
                   **({'duration': round(seconds, 2)} if seconds is not None else {}),
                   **({'misc': more} if more else {})}
                  for path, status, seconds, more in tests]}, indent=1) + '\n'


def kcidb_tests(results):
    """The tests of a report, of {name: Result}."""
    return [('kvm.' + name.replace(' ', '_').replace('unit-', 'unit_tests.'),
             KCIDB_STATUS[result.verdict], result.seconds, {'detail': result.detail}
             if result.detail else {}) for name, result in results.items()]


def kcidb_rows(runs, worse=()):
    """The same of files of the bench: their costs; a row in worse fails."""
    return [('kvm_lab.bench.%s.%s%s' % (run['l1'], run['row'], '.' + run['variant']
                                        if run.get('variant', 'stock') != 'stock' else ''),
             'FAIL' if run['row'] in worse else 'PASS', None,
             {'per_iteration': {name: value for name, value in run['per_iteration'].items()
                                if isinstance(value, (int, float))}}) for run in runs]
