# SPDX-License-Identifier: GPL-2.0
"""The bench as one HTML page: report.html, no other file and no network needed.

Bars from the runs' JSON, the flame graphs of flames.py, and the tables of tables.py.
"""

import html
import os
import re

from . import figures, flames, tables

VARIANTS = flames.VARIANTS
HARDWARE = 'hardware'

STYLE = '''
:root { color-scheme: light dark; --page: #fff; --text: #1f2328; --dim: #656d76; --line: #d0d7de;
	--stripe: #f6f8fa; --stock: #8b949e; --fast: #1f6feb; --2017: #c2410c;
	--hot: 62%; --ink: #1b1b1b; }
@media (prefers-color-scheme: dark) { :root { --page: #0d1117; --text: #e6edf3; --dim: #8d96a0;
	--line: #30363d; --stripe: #161b22; --stock: #6e7681; --fast: #388bfd; --2017: #f0883e;
	--hot: 34%; --ink: #f0f0f0; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1400px; padding: 1rem; background: var(--page);
	color: var(--text); font: 15px/1.45 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: .3rem 0; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
p { margin: .4rem 0; } .dim { color: var(--dim); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
td, th { padding: .2rem .6rem; border: 1px solid var(--line); text-align: right; }
td:first-child, th:first-child { text-align: left; } tr:nth-child(even) { background: var(--stripe); }
.bars { display: grid; grid-template-columns: minmax(9rem, 22rem) 1fr; gap: .1rem .8rem;
	align-items: center; font-size: 13px; }
.bars .name { grid-row: span var(--rows); padding: .35rem 0; overflow-wrap: anywhere; }
.bars a { color: inherit; text-decoration: underline dotted; }
@media (max-width: 700px) { .bars { grid-template-columns: 1fr; } .bars .name { grid-row: auto; } }
.bar { display: flex; align-items: center; gap: .4rem; min-width: 0; }
.bar i { height: .85rem; display: block; flex: none; width: calc(var(--share) * (100% - 6.5rem)); }
.bar span { white-space: nowrap; font-variant-numeric: tabular-nums; }
/* Two gaps in the bar, and a jagged end. */
.bar i.cut { clip-path: polygon(0 0, calc(80% + 4px) 0, 80% 100%, calc(80% + 5px) 100%,
	calc(80% + 9px) 0, calc(80% + 14px) 0, calc(80% + 10px) 100%, calc(80% + 15px) 100%,
	calc(80% + 19px) 0, calc(100% - 6px) 0, 100% 25%, calc(100% - 6px) 50%, 100% 75%,
	calc(100% - 6px) 100%, 0 100%); }
.lead { font-size: 1.2rem; } nav ul { columns: 24rem; padding-left: 1.2rem; margin: .4rem 0; }
.key i { display: inline-block; width: .9rem; height: .75rem; margin: 0 .3rem 0 .9rem; }
'''

def chart(rows):
    """Bars of [(name in HTML, [(variant, number)])]; one too long for the page is cut."""
    # A row many times dearer than the others must not make them invisible.
    everything = sorted(value for _, values in rows for _, value in values)
    limit = 5 * everything[len(everything) // 2]
    longest = max(value for value in everything if value <= limit)
    parts = []
    for name, values in rows:
        parts.append('<div class="name" style="--rows:%d">%s</div>' % (len(values), name))
        for variant, value in values:
            cut = value > longest
            parts.append('<div class="bar"><i%s style="background:var(--%s); --share:%.4f"></i>'
                         '<span>%s%s</span></div>' % (
                             ' class="cut"' if cut else '', variant, min(1, value / longest),
                             tables.number(value), ', cut' if cut else ''))
    used = [v for v in VARIANTS if any(v == name for _, values in rows for name, _ in values)]
    key = ''.join('<i style="background:var(--%s)"></i>%s' % (v, v) for v in used)
    return '<p class="key">%s</p><div class="bars">%s</div>' % (key, '\n'.join(parts))


def figures_of(runs, l1, row, name):
    """[(variant, figure)] of a row with mitigations=off."""
    found = [(variant, runs.get(l1, row, 'off', variant)) for variant in VARIANTS]
    return [(variant, run[name]) for variant, run in found if run]


def bars(runs):
    """What L0 executes in each row of one exit."""
    rows = []
    for l1, mitigations, row, _, _ in runs.pairs():
        if mitigations == 'off' and row in tables.ROWS:
            name = '<a href="%s">%s</a>' % (flames.link(l1, row), html.escape(flames.title(l1, row)))
            rows.append((name, figures_of(runs, l1, row, 'l0_instructions')))
    return rows and '<h2>Instructions of L0 per exit</h2>' + chart(rows)


def conclusion(runs):
    """What came of it, in a sentence and a chart: an L2 CPUID, as the talk's first table."""
    for l1, row in (('linux', 'cpuid_timer'), ('linux', 'cpuid'), ('selftest', 'cpuid')):
        found = dict(figures_of(runs, l1, row, 'ticks'))
        if {'stock', 'fast'} <= set(found):
            break
    else:
        return ''
    name = tables.L1_NAMES[l1]
    of_2017 = ', and %s as in 2017, when the talk profiled it' % tables.number(found['2017']) \
        if '2017' in found else ''
    return ('<p class="lead">%s: an L2 CPUID takes <b>%s</b> instructions of host and guests '
            'together. Under stock it takes %s (fast: <b>%s</b>)%s.</p>%s' % (
                name[0].upper() + name[1:], tables.number(found['fast']),
                tables.number(found['stock']), tables.percent(found['fast'], found['stock']),
                of_2017, chart([('L2 CPUID, ' + html.escape(name), list(found.items()))])))


def about(all_runs):
    """Of what the figures are."""
    fast = next((run for run in all_runs if run['variant'] == 'fast'), all_runs[0])
    words = [fast.get('date', ''), 'L0: Linux %s' % fast['kernel'], fast.get('version', ''),
             'parameters: %s' % (fast.get('params') or 'none'),
             'CPU: %s' % fast['cpu_model'], 'emulator: Bochs, build %s' % fast['emulator']]
    return '<p>%s.</p>' % '; '.join(html.escape(word) for word in words if word)


def with_contents(body):
    """Names each heading, and puts a list of them before the first."""
    headings = re.findall('<h2>(.*?)</h2>', body)
    for i, heading in enumerate(headings):
        body = body.replace('<h2>%s</h2>' % heading, '<h2 id="s%d">%s</h2>' % (i, heading), 1)
    links = ''.join('<li><a href="#s%d">%s</a></li>' % pair for pair in enumerate(headings))
    return '<nav><details><summary>Contents</summary><ul>%s</ul></details></nav>%s' % (links, body)


def html_tables(found):
    """Tables of tables.py."""
    def cells(kind, row):
        return '<tr>%s</tr>' % ''.join('<%s>%s</%s>' % (kind, html.escape(str(cell)), kind)
                                       for cell in row)
    return '\n'.join('<h2>%s</h2>\n<div class="wide"><table><thead>%s</thead>\n<tbody>%s</tbody>'
                     '</table></div>' % (html.escape(table.title), cells('th', table.header),
                                         '\n'.join(cells('td', row) for row in table.rows))
                     for table in found)


def page(all_runs):
    """The whole page as text, of a list of the bench's runs."""
    emulated = [run for run in all_runs if not tables.is_of_hardware(run)]
    runs = tables.Runs(emulated)
    graphs = flames.section(runs)
    body = [bars(runs), graphs, html_tables(tables.tables(all_runs))]
    return '\n'.join([
        '<!DOCTYPE html>', '<!-- SPDX-License-Identifier: GPL-2.0 -->',
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        'style-src \'unsafe-inline\'; script-src \'unsafe-inline\'">',
        '<title>kvm-intel-fast: bench</title><style>%s</style></head><body>' % (STYLE + flames.STYLE),
        '<h1>kvm-intel-fast: stock and fast, side by side</h1>',
        conclusion(runs), about(emulated),
        '<p class="dim">Counts of an emulator: the same each time, and not cycles. A VMREAD '
        'counts as much as an addition here, a VM exit not at all; see '
        'Documentation/measuring.md. The figures of the talk of 2017 are cycles.</p>',
        with_contents('\n'.join(filter(None, body))),
        '<script>%s</script></body></html>' % (flames.SCRIPT if graphs else ''), ''])


def write(directory):
    """Read the bench's JSON in directory, write report.html beside it; its path.

    What "kvm-intel-fast measure" said of other machines is in its folder HARDWARE."""
    runs = figures.read_runs(directory) + figures.read_runs(os.path.join(directory, HARDWARE))
    order = list(tables.ROWS)
    runs.sort(key=lambda run: (run['l1'] == 'linux', run['mitigations'] != 'off',
                               order.index(run['row']) if run['row'] in order else len(order)))
    path = os.path.join(directory, 'report.html')
    with open(path, 'w', encoding='utf-8') as file:
        file.write(page(runs))
    return path
