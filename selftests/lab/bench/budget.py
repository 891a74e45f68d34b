# SPDX-License-Identifier: GPL-2.0
"""What each row of the quick bench may cost: selftests/lab/budgets.

The file holds, a section a row, the costs of fast and the functions of L0 that
make up most of them, and what stock cost in the same run:

    [selftest cpuid off]
    stock 9649
    l0_instructions 8847
    ...
    symbol vmx_vcpu_run 440

On another kernel than the file's, a budget is scaled by what stock costs there:
a point release that makes stock dearer is not ours to answer for.  Of what another compiler
makes of the module the budgets say nothing.
"""

import os
import subprocess

from scripts import TOP
from . import compare

PATH = os.path.join(TOP, 'selftests', 'lab', 'budgets')
TOLERANCE = 0.01
LEAST = 40              # instructions of a function that is worth a line
COSTS = compare.COSTS
HEADER = '''# SPDX-License-Identifier: GPL-2.0
# What kvm-intel-fast may cost per iteration, by row of the quick bench: budget.py.
# A change that costs more than 1%% fails budget_test; to accept it, or to make use
# of a gain: make bench QUICK=1 && selftests/host/budget_test --update build/bench
kernel %s
compiler %s
'''


def compiler():
    """The one of this computer, as in gcc-12."""
    done = subprocess.run(['gcc', '-dumpversion'], stdout=subprocess.PIPE, text=True, check=True)
    return 'gcc-' + done.stdout.strip().partition('.')[0]


class Budget:
    """Of one row: {cost: number}, {function: number}, and stock's l0_instructions."""

    def __init__(self, stock=0):
        self.stock = stock
        self.costs, self.symbols = {}, {}


def read(path=PATH):
    """(kernel, compiler, {(l1, row, mitigations): Budget})"""
    head, budgets, current = {}, {}, None
    with open(path, encoding='ascii') as file:
        for line in file:
            words = line.split()
            if not words or words[0] == '#':
                continue
            if words[0].startswith('['):
                current = budgets.setdefault(tuple(line.strip('[]\n').split()), Budget())
            elif words[0] in ('kernel', 'compiler'):
                head[words[0]] = words[1]
            elif words[0] == 'stock':
                current.stock = float(words[1])
            elif words[0] == 'symbol':
                current.symbols[words[1]] = float(words[2])
            else:
                current.costs[words[0]] = float(words[1])
    return head['kernel'], head['compiler'], budgets


def key(run):
    return run['l1'], run['row'], run['mitigations']


def by_variant(runs):
    """{key: {variant: figures}} of the rows that have stock and fast."""
    rows = {}
    for run in runs:
        rows.setdefault(key(run), {})[run['variant']] = run['per_iteration']
    return {name: row for name, row in rows.items() if {'stock', 'fast'} <= set(row)}


def write(runs, path=PATH):
    """Make what runs cost the budgets."""
    with open(path, 'w', encoding='ascii') as file:
        file.write(HEADER % (runs[0]['kernel'], compiler()))
        for name, row in sorted(by_variant(runs).items()):
            file.write('\n[%s]\nstock %g\n' % (' '.join(name),
                                               round(row['stock']['l0_instructions'], 1)))
            for cost in COSTS:
                file.write('%s %.10g\n' % (cost, round(row['fast'][cost], 2)))
            for symbol, count in row['fast']['symbols']:
                if count >= LEAST:
                    file.write('symbol %s %.10g\n' % (symbol, round(count, 1)))


def where(budget, figures, most=8):
    """Lines: the functions that cost more than the budget has for them."""
    now = dict(map(tuple, figures['symbols']))
    grown = [(name, budget.symbols.get(name, 0), count) for name, count in now.items()
             if count > budget.symbols.get(name, LEAST) + 0.5]
    grown.sort(key=lambda row: row[1] - row[2])
    return ['%s: %.1f -> %.1f' % row for row in grown[:most]]


def check(runs, kernel, budgets):
    """[(name, complaints)], a row each; a row or a budget without the other complains."""
    results = []
    rows = by_variant(runs)
    for name in sorted({*rows, *budgets}):
        title = ' '.join(name)
        if name not in rows or name not in budgets:
            results.append((title, ['there is no %s for it' % (
                'budget' if name in rows else 'measurement')]))
            continue
        budget, fast = budgets[name], rows[name]['fast']
        scale = 1.0
        if runs[0]['kernel'] != kernel and budget.stock:
            scale = rows[name]['stock']['l0_instructions'] / budget.stock
        allowed = {cost: value * scale for cost, value in budget.costs.items()}
        dearer = compare.dearer({**allowed, 'symbols': []}, fast, TOLERANCE, COSTS)
        complaints = ['%s: %.2f, budget %.2f (%+.1f%%)' % (
            cost, b, a, 100 * (b - a) / a if a else 100) for cost, a, b in dearer]
        results.append((title, complaints + (where(budget, fast) if complaints else [])))
    return results


def gains(runs, budgets):
    """[(row, budget, now)] of l0_instructions that are more than 1% below."""
    found = []
    for name, row in sorted(by_variant(runs).items()):
        now = row['fast']['l0_instructions']
        budget = budgets[name].costs['l0_instructions'] if name in budgets else 0
        if now < budget * (1 - TOLERANCE):
            found.append((' '.join(name), budget, now))
    return found
