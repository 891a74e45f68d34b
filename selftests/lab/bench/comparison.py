# SPDX-License-Identifier: GPL-2.0
"""What differs between sets of figures, told: as text, in Markdown, as JSON.

The summary comes first, then what differs and nothing else.  Of many sets, each figure
and each function has one line: the set in which it differs most, and in how many it does.
Left out is what a timer tick more or less in a window makes: see small().
"""

import dataclasses

from . import compare, tables

# Figures that depend on where the linker puts code, and on which instruction a tick hits.
OF_MODELS = {prefix + name for prefix in ('', 'guest_')
             for name in ('l1i_misses', 'l1d_misses', 'mispredictions')} | {'interrupts_off'}
MOST = 15               # lines of a table, unless more are asked for


def small(name, before, after):
    """Is that no more than another place of the timer's ticks makes of a figure?"""
    if name in OF_MODELS:
        return abs(after - before) < max(1, 0.02 * before)
    return abs(after - before) < (0.0005 * before if before >= 1000 else 0.1)


@dataclasses.dataclass
class Pair:
    """Two sets of figures of one name, and how they differ."""
    name: str
    before: dict
    after: dict

    def __post_init__(self):
        self.figures = compare.figures_changed(self.before, self.after)
        self.functions = compare.symbols_changed(self.before, self.after)

    def told(self, everything=False):
        """(figures, functions) that are not small, or all."""
        if everything:
            return self.figures, self.functions
        least = 0.0005 * compare.total(self.before)[1]
        return ([row for row in self.figures if not small(*row)],
                [row for row in self.functions if abs(row[2] - row[1]) >= least])

    def differs(self):
        return any(self.told())


def signed(value):
    return '%+.2f' % value if abs(value) < 100 else format(round(value), '+,')


def plural(count, word):
    return '%d %s%s' % (count, word, '' if count == 1 else 's')


class Comparison:
    """Pairs, judged by the figures of names; labels say what A and B are."""

    def __init__(self, pairs, tolerance, names=compare.COSTS, labels=('A', 'B'), what='set'):
        self.pairs, self.tolerance, self.names = pairs, tolerance, names
        self.labels, self.what = labels, what
        self.dearer = [(pair.name, *row) for pair in pairs
                       for row in compare.dearer(pair.before, pair.after, tolerance, names)]

    def share(self):
        return '%g%%' % (100 * self.tolerance)

    def verdict(self):
        """One sentence."""
        if not self.dearer:
            return 'no cost is more than %s above' % self.share()
        return '%s more than %s above' % (
            plural(len(self.dearer), 'cost') + (' is' if len(self.dearer) == 1 else ' are'),
            self.share())

    def summary(self):
        """One line: how much was compared, how much differs, the verdict."""
        differ = sum(pair.differs() for pair in self.pairs)
        return '%s compared, %s; %s' % (
            plural(len(self.pairs), self.what),
            '%d differ%s' % (differ, 's' if differ == 1 else '') if differ else self.nothing(),
            self.verdict())

    def nothing(self):
        exact = not any(pair.figures or pair.functions for pair in self.pairs)
        return 'nothing differs' if exact else 'nothing differs by more than a timer tick'

    def dearer_lines(self):
        """A line for each figure: the set in which it grew most."""
        lines = []
        for figure in dict.fromkeys(figure for _, figure, _, _ in self.dearer):
            grown = [row for row in self.dearer if row[1] == figure]
            name, _, a, b = max(grown, key=lambda row: row[3] / row[2] if row[2] else row[3])
            where = [name] if name else []
            where += ['%d more' % (len(grown) - 1)] if len(grown) > 1 else []
            lines.append('%s %s -> %s, %s%s' % (
                figure, tables.number(a), tables.number(b), tables.percent(b, a) or 'from nothing',
                ' (%s)' % ', and '.join(where) if where else ''))
        return lines

    def sets(self, everything):
        """(header, rows): the instructions of L0, or the cycles, of each set that differs."""
        names = {compare.total(side)[0] for pair in self.pairs
                 for side in (pair.before, pair.after)}
        name = 'l0_instructions' if names == {'l0_instructions'} else 'ticks'
        found = [(pair.name, *(side[name] for side in (pair.before, pair.after)))
                 for pair in self.pairs if everything or pair.differs()]
        found.sort(key=lambda row: -abs(row[2] - row[1]))
        rows = [[name, tables.number(a), tables.number(b), signed(b - a), tables.percent(b, a)]
                for name, a, b in found]
        title = {'l0_instructions': ', instructions of L0', 'ticks': ', ticks'}[name]
        return [self.what + title, *self.labels, 'difference', 'change'], rows

    def changes(self, title, kind, everything):
        """(header, rows) of all pairs' figures or functions, the largest change first."""
        found = [(pair.name, *change) for pair in self.pairs
                 for change in pair.told(everything)[kind]]
        found.sort(key=lambda row: (-abs(row[3] - row[2]), row[1], row[0]))
        count = {}
        for _, name, _, _ in found:
            count[name] = count.get(name, 0) + 1
        merged, seen = len(self.pairs) > 1 and not everything, set()
        rows = []
        for of, name, a, b in found:
            if merged and name in seen:
                continue
            seen.add(name)
            more = ' and %d more' % (count[name] - 1) if merged and count[name] > 1 else ''
            where = [of + more] if len(self.pairs) > 1 else []
            rows.append([name, *where, tables.number(a), tables.number(b), signed(b - a),
                         tables.percent(b, a)])
        where = [self.what] if len(self.pairs) > 1 else []
        return [title, *where, *self.labels, 'difference', 'change'], rows

    def tables(self, everything=False):
        """[(header, rows)]"""
        found = [self.sets(everything)] if len(self.pairs) > 1 else []
        found.append(self.changes('figure', 0, everything))
        found.append(self.changes('function of L0', 1, everything))
        return [(header, rows) for header, rows in found if rows]

    def written(self, most, everything, hint=True):
        """The tables, each cut after most lines (0: none is)."""
        parts = []
        for header, rows in self.tables(everything):
            shown = rows if everything or not most else rows[:most]
            parts.append(tables.table(header, shown))
            if len(shown) < len(rows):
                # In Markdown, a line below a table is one of its rows.
                parts[-1] += '%sand %d more%s' % ('\n' if hint else '\n\n', len(rows) - len(shown),
                                                  '; --all shows all' if hint else '')
        return parts

    def text(self, most=MOST, everything=False):
        """For a terminal or a mail."""
        lines = [self.summary(), *('DEARER: ' + line for line in self.dearer_lines())]
        return '\n\n'.join(['\n'.join(lines), *self.written(most, everything)]) + '\n'

    def markdown(self, most=MOST, everything=False):
        """For a merge request: the tables of all that differs are folded."""
        lines = ['**%s**' % self.summary()]
        if self.dearer:
            lines.append('\n'.join('- dearer: ' + line for line in self.dearer_lines()))
        parts = self.written(most, everything, hint=False)
        if parts:
            lines += ['<details><summary>what differs</summary>', *parts, '</details>']
        return '\n\n'.join(lines) + '\n'

    def data(self):
        """For JSON."""
        def changes(rows):
            return [{'name': name, 'a': a, 'b': b} for name, a, b in rows]
        return {
            'a': self.labels[0], 'b': self.labels[1], 'tolerance': self.tolerance,
            'verdict': 'dearer' if self.dearer else 'ok', 'summary': self.summary(),
            'dearer': [{self.what: name, 'figure': figure, 'a': a, 'b': b}
                       for name, figure, a, b in self.dearer],
            'sets': [{'name': pair.name, 'differs': pair.differs(),
                      'figures': changes(pair.figures), 'functions': changes(pair.functions)}
                     for pair in self.pairs]}
