# SPDX-License-Identifier: GPL-2.0
"""The bench as one HTML page: report.html, no other file and no network needed.

Bars and exact flame graphs from the runs' JSON, and the tables of tables.py.
A flame graph shows where every counted instruction of L0 was, by call stack:
nothing is sampled.  Those of one L1 have the same scale.
"""

import html
import os
import zlib

from . import figures, tables

VARIANTS = ('stock', 'fast', '2017')
# An L2 exit whose call stacks are shown.
FLAME_ROW = 'cpuid'
NARROWEST = 0.0005      # of the graph's width, for a frame to be drawn

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
@media (max-width: 700px) { .bars { grid-template-columns: 1fr; } .bars .name { grid-row: auto; } }
.bar { display: flex; align-items: center; gap: .4rem; min-width: 0; }
.bar i { height: .85rem; display: block; flex: none; max-width: calc(100% - 5.5rem); }
.bar span { white-space: nowrap; font-variant-numeric: tabular-nums; }
.cut { mask-image: linear-gradient(90deg, #000 70%, transparent 95%); }
.key i { display: inline-block; width: .9rem; height: .75rem; margin: 0 .3rem 0 .9rem; }
.flame { position: relative; overflow: hidden; font-size: 11px; line-height: 16px; }
.flame div { position: absolute; height: 16px; overflow: hidden; white-space: nowrap;
	padding: 0 2px; border-right: 1px solid var(--page); cursor: pointer;
	color: var(--ink); background: hsl(var(--h) 65% var(--hot)); text-overflow: ellipsis;
	container-type: inline-size; }
@container (max-width: 28px) { .flame span { display: none; } }
.flame div:hover { filter: brightness(1.15); } .flame .past { opacity: .45; }
'''

# Click on a frame: it becomes as wide as the page; on one above it, back.
SCRIPT = '''
for (const flame of document.querySelectorAll('.flame')) {
	const frames = [...flame.children];
	flame.addEventListener('click', event => {
		const to = event.target.closest('.flame > div');
		if (!to) return;
		// The top frame is narrower than the page where another variant costs more.
		const top = to === frames[0];
		const left = top ? 0 : +to.dataset.x, width = top ? 1 : +to.dataset.w;
		for (const frame of frames) {
			const x = (+frame.dataset.x - left) / width, w = +frame.dataset.w / width;
			const outer = x < 1e-9 && x + w > 1 - 1e-9;
			frame.style.display = x + w < 1e-9 || x > 1 - 1e-9 ? 'none' : '';
			frame.style.left = Math.max(x, 0) * 100 + '%';
			frame.style.width = (outer ? 1 : w) * 100 + '%';
			frame.classList.toggle('past', outer && frame !== to);
		}
	});
}
'''


def hue(name):
    """The same for a function in every graph; red to green, less tiring than the circle."""
    return zlib.crc32(name.encode()) % 110


def total(tree):
    return tree[1] + sum(total(child) for child in tree[2])


def callees(tree):
    """Callees sorted by name, as flame graphs have them; OTHER last."""
    return sorted(tree[2], key=lambda child: (child[0] == figures.OTHER, child[0]))


def frames(tree, left, depth, whole):
    """(name, depth, left, width, instructions) of each frame, the root first."""
    count = total(tree)
    if count / whole < NARROWEST:
        return
    yield tree[0], depth, left / whole, count / whole, count
    left += tree[1]
    for child in callees(tree):
        yield from frames(child, left, depth + 1, whole)
        left += total(child)


def flame_graph(tree, whole):
    found = list(frames(tree, 0, 0, whole))
    height = 17 * (1 + max(depth for _, depth, _, _, _ in found))
    parts = ['<div class="flame" style="height:%dpx">' % height]
    for name, depth, left, width, count in found:
        name = html.escape(name)
        parts.append(
            '<div data-x="%.5f" data-w="%.5f" style="--h:%d;left:%.3f%%;width:%.3f%%;top:%dpx" '
            'title="%s: %s instructions, %.1f%%"><span>%s</span></div>' % (
                left, width, hue(name), 100 * left, 100 * width, 17 * depth, name,
                tables.number(count), 100 * width, name))
    return '\n'.join(parts + ['</div>'])


def flame_graphs(runs, l1):
    """Stock and fast, as wide as what they cost."""
    shown = [(variant, run) for variant in VARIANTS
             for run in [runs.get(l1, FLAME_ROW, 'off', variant)] if run and run.get('call_tree')]
    if not shown:
        return ''
    whole = max(total(run['call_tree']) for _, run in shown)
    parts = ['<h2>L0 per L2 CPUID, by call stack: %s</h2>' % html.escape(tables.L1_NAMES[l1]),
             '<p class="dim">Every instruction of L0, not samples. Callees hang below their '
             'callers; a frame is as wide as the instructions spent in it and below. Click '
             'enlarges, the top frame goes back.</p>']
    for variant, run in shown:
        parts += ['<p><b>%s</b>: %s instructions</p>' % (
            html.escape(variant), tables.number(total(run['call_tree']))),
                  flame_graph(run['call_tree'], whole)]
    return '\n'.join(parts)


def bars(runs):
    """Ticks of each row; a bar too long for the page is cut, and shows it."""
    rows = []
    for l1, mitigations, row, _, _ in runs.pairs():
        if mitigations == 'off' and row in tables.ROWS:
            ticks = [(variant, runs.get(l1, row, mitigations, variant)) for variant in VARIANTS]
            rows.append((l1, row, [(v, run['ticks']) for v, run in ticks if run]))
    if not rows:
        return ''
    # A row many times dearer than the others must not make them invisible.
    everything = sorted(ticks for _, _, values in rows for _, ticks in values)
    limit = 5 * everything[len(everything) // 2]
    longest = max(ticks for ticks in everything if ticks <= limit)
    parts = []
    for l1, row, values in rows:
        name = tables.ROWS.get(row, row)
        if row != 'l1_cpuid':
            name = 'L2 %s, %s' % (name, tables.L1_NAMES[l1])
        parts.append('<div class="name" style="--rows:%d">%s</div>' % (len(values),
                                                                       html.escape(name)))
        for variant, ticks in values:
            parts.append('<div class="bar"><i%s style="background:var(--%s); width:%.2f%%"></i>'
                         '<span>%s</span></div>' % (
                             ' class="cut"' if ticks > longest else '', variant,
                             min(100, 100 * ticks / longest), tables.number(ticks)))
    used = [v for v in VARIANTS if any(v == name for _, _, values in rows for name, _ in values)]
    key = ''.join('<i style="background:var(--%s)"></i>%s' % (v, v) for v in used)
    return ('<h2>Instructions per iteration, host and guests together</h2>'
            '<p class="key">%s</p><div class="bars">%s</div>' % (key, '\n'.join(parts)))


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
    runs = tables.Runs(all_runs)
    first = all_runs[0]
    l1s = [l1 for l1 in ('linux', 'selftest') if runs.get(l1, FLAME_ROW, 'off', 'stock')]
    return '\n'.join([
        '<!DOCTYPE html>', '<!-- SPDX-License-Identifier: GPL-2.0 -->',
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        'style-src \'unsafe-inline\'; script-src \'unsafe-inline\'">',
        '<title>kvm-intel-fast: bench</title><style>%s</style></head><body>' % STYLE,
        '<h1>kvm-intel-fast: stock and fast, side by side</h1>',
        '<p>L0: Linux %s on the emulated CPU %s.</p>' % (
            html.escape(first['kernel']), html.escape(first['cpu_model'])),
        '<p class="dim">Counts of an emulator: the same each time, and not cycles. A VMREAD '
        'counts as much as an addition here, a VM exit not at all; see '
        'Documentation/measuring.md. The figures of the talk of 2017 are cycles.</p>',
        bars(runs), *[flame_graphs(runs, l1) for l1 in l1s],
        html_tables(tables.tables(all_runs)),
        '<script>%s</script></body></html>' % SCRIPT, ''])


def write(directory):
    """Read the bench's JSON in directory, write report.html beside it; its path."""
    runs = figures.read_runs(directory)
    order = list(tables.ROWS)
    runs.sort(key=lambda run: (run['l1'] == 'linux', run['mitigations'] != 'off',
                               order.index(run['row']) if run['row'] in order else len(order)))
    path = os.path.join(directory, 'report.html')
    with open(path, 'w', encoding='utf-8') as file:
        file.write(page(runs))
    return path
