# SPDX-License-Identifier: GPL-2.0
"""How much of arch/x86/kvm/vmx/nested.c the programs of some seeds execute.

From the emulator's list of executed addresses of L0 and the module's own symbol
table: percent of nested.c's functions entered, and of its instructions.
"""

import bisect
import collections
import json
import os
import re
import subprocess

from scripts import command
from scripts.command import SetupError
from selftests import tap
from selftests.lab import machine

SOURCE = 'nested.c'
SECONDS_PER_SEED = 20
FUNCTIONS_GOAL, INSTRUCTIONS_GOAL = 75, 60
Function = collections.namedtuple('Function', 'section offset size name')


def output_of(*argv):
    return subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True).stdout


def functions_of(module, source):
    """The functions of one source file: its local ones, and global ones between them."""
    found, local, file = [], {}, ''
    for line in output_of('readelf', '-sW', module).splitlines():
        words = line.split()
        if len(words) < 8:
            continue
        _, value, size, kind, binding, _, section, name = words[:8]
        if kind == 'FILE':
            file = name
        elif kind == 'FUNC' and section.isdigit():
            function = Function(section, int(value, 16), int(size, 0), name)
            found.append(function)
            if binding == 'LOCAL':
                local[function] = file
    found.sort()
    chosen = []
    for i, function in enumerate(found):
        if function in local:
            inside = local[function] == source
        else:
            inside = all(any(local.get(f) == source for f in side if f.section == function.section and
                             f in local and local[f] == source)
                         for side in (nearest(found[:i][::-1], local), nearest(found[i + 1:], local)))
        if inside:
            chosen.append(function)
    return chosen


def nearest(functions, local):
    """The next local function, as a list of one or none."""
    return next(([f] for f in functions if f in local), [])


def instructions_of(module, sections):
    """{(section number, offset)} of every instruction, padding left out."""
    names = {}
    for line in output_of('readelf', '-SW', module).splitlines():
        match = re.match(r'\s*\[\s*(\d+)\]\s+(\S+)', line)
        if match:
            names[match.group(1)] = match.group(2)
    found = {}
    for section in sections:
        text = output_of('objdump', '-d', '--no-show-raw-insn', '-j', names[section], module)
        found[section] = sorted(
            int(m.group(1), 16)
            for m in re.finditer(r'^\s*([0-9a-f]+):\t(?!nop|int3|xchg   %ax,%ax|cs nop|data16)', text, re.M))
    return found


def bases(functions, kallsyms):
    """Where each section was loaded."""
    address = {}
    with open(kallsyms, encoding='ascii', errors='replace') as file:
        for line in file:
            words = line.split()
            if len(words) == 4 and words[3] == '[kvm_intel]':
                address.setdefault(words[2], int(words[0], 16))
    count = collections.Counter(f.name for f in functions)
    return {f.section: address[f.name] - f.offset for f in functions
            if f.name in address and count[f.name] == 1}


def measure(module, directory):
    """[(function, instructions executed, instructions)]."""
    counters = os.path.join(directory, 'counters.0.json')
    if not os.path.exists(counters):
        raise SetupError('the run left no counters.0.json; see ' + directory)
    with open(counters, encoding='ascii') as file:
        executed = {address for address, _ in json.load(file)['host_ip']}
    functions = functions_of(module, SOURCE)
    base = bases(functions, os.path.join(directory, 'kallsyms.txt'))
    instructions = instructions_of(module, {f.section for f in functions})
    rows = []
    for f in functions:
        if f.section not in base:
            continue
        all_of = instructions[f.section]
        mine = all_of[bisect.bisect_left(all_of, f.offset):bisect.bisect_left(all_of, f.offset + f.size)]
        rows.append((f, sum(base[f.section] + offset in executed for offset in mine), len(mine)))
    return rows


def percent(part, whole):
    return 100.0 * part / whole if whole else 0.0


def merged(rows):
    """By name: parts that the compiler split off belong to their function."""
    total = collections.OrderedDict()
    for function, hit, count in rows:
        name = function.name.split('.')[0]
        before = total.get(name, (0, 0))
        total[name] = (before[0] + hit, before[1] + count)
    return total


def report(stock, options):
    """Run the seeds under stock, print the figures; 0 when the goals are met."""
    first, _, last = options.seeds.partition('-')
    count = int(last or first) - int(first) + 1
    command.progress('running %d seeds under stock, counting each instruction' % count)
    directory = os.path.join(options.out, 'runs', 'coverage')
    _, failure = stock.run(['--mark', '--seeds', options.seeds], SECONDS_PER_SEED * count,
                           'coverage', symbols=True)
    if failure:
        raise SetupError(failure)
    module = os.path.join(machine.kernel_directory(options.kernel), 'modules', 'kvm-intel.ko')
    total = merged(measure(module, os.path.join(directory, stock.name)))
    entered = sum(1 for hit, _ in total.values() if hit)
    hits, whole = (sum(row[i] for row in total.values()) for i in (0, 1))
    for name, (hit, size) in sorted(total.items(), key=lambda item: item[1][0] - item[1][1]):
        print('# %5.1f%% of %4d instructions: %s' % (percent(hit, size), size, name))
    good = [percent(entered, len(total)) >= FUNCTIONS_GOAL, percent(hits, whole) >= INSTRUCTIONS_GOAL]
    said = tap.Tap()
    said.check(good[0], '%d of %d functions of %s: %.1f%% (goal: %d%%)' % (
        entered, len(total), SOURCE, percent(entered, len(total)), FUNCTIONS_GOAL))
    said.check(good[1], '%d of %d instructions: %.1f%% (goal: %d%%)' % (
        hits, whole, percent(hits, whole), INSTRUCTIONS_GOAL))
    return said.end()
