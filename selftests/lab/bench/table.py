# SPDX-License-Identifier: GPL-2.0
"""What all tables of the bench are made of: runs, found by what they measured, and cells."""

import collections

Table = collections.namedtuple('Table', 'title header rows')


def table(header, rows):
    """In Markdown."""
    widths = [max(len(str(row[i])) for row in [header] + rows) for i in range(len(header))]

    def line(cells):
        first = str(cells[0]).ljust(widths[0])
        rest = [str(cell).rjust(width) for cell, width in zip(cells[1:], widths[1:])]
        return '| ' + ' | '.join([first] + rest) + ' |'

    rule = '|' + '|'.join(['-' * (widths[0] + 2)] +
                          ['-' * (width + 1) + ':' for width in widths[1:]]) + '|'
    return '\n'.join([line(header), rule] + [line(row) for row in rows])


def number(value):
    if value is None:
        return ''
    if value >= 100:
        return format(round(value), ',')
    return ('%.2f' % value).rstrip('0').rstrip('.') or '0'


def percent(after, before):
    return '%+.1f%%' % (100.0 * (after - before) / before) if before else ''


class Runs:
    """The runs of one bench, found by what they measured."""

    def __init__(self, runs):
        self.runs = runs

    def run(self, l1, row, mitigations, variant):
        for run in self.runs:
            if (run['l1'], run['row'], run['mitigations'], run['variant']) == \
                    (l1, row, mitigations, variant):
                return run
        return None

    def get(self, *key):
        """The figures per iteration of that run, or None."""
        run = self.run(*key)
        return run and run['per_iteration']

    def pairs(self):
        """(l1, mitigations, row, stock, fast), in the order measured."""
        for run in self.runs:
            if run['variant'] != 'stock':
                continue
            key = run['l1'], run['row'], run['mitigations']
            fast = self.get(*key, 'fast')
            if fast:
                yield key[0], key[2], key[1], run['per_iteration'], fast
