# SPDX-License-Identifier: GPL-2.0
"""Exact flame graphs of each row on the bench's page: stock, fast, and what differs.

The page holds the trees of calls; a script of its own draws those of the row that is chosen.
"""

import html
import json

from . import rows, tables

VARIANTS = ('2017', *rows.VARIANTS)
NARROWEST = 0.0005      # of the graph's width, for a frame to be there
ID = 'flame-%s-%s'      # kind of L1 and row, as in the address #flame-linux-cpuid
FIRST = [(l1, 'cpuid') for l1 in ('linux', 'selftest', 'xen')]

STYLE = '''
.flame { position: relative; overflow: hidden; font-size: 11px; line-height: 16px; }
.flame div { position: absolute; height: 16px; overflow: hidden; white-space: nowrap;
	padding: 0 2px; border-right: 1px solid var(--page); cursor: pointer;
	color: var(--ink); background: hsl(var(--h) var(--s) var(--hot)); text-overflow: ellipsis;
	container-type: inline-size; }
@container (max-width: 28px) { .flame span { display: none; } }
.flame div:hover { filter: brightness(1.15); } .flame .past { opacity: .45; }
.flame .found { background: hsl(300 75% var(--hot)); }
.choice { display: flex; flex-wrap: wrap; gap: .5rem; } .choice * { font: inherit; max-width: 100%; }
'''

# A node is {name, size, below: [node], words, hue, saturation}.
SCRIPT = '''
{
const {names, variants, rows} = JSON.parse(document.getElementById('flames').textContent);
const chosen = document.getElementById('flame-row'), sought = document.getElementById('flame-find');
const place = document.getElementById('flame-graphs');
const number = n => n >= 100 ? Math.round(n).toLocaleString('en') : String(+n.toFixed(2));
const sum = nodes => nodes.reduce((all, node) => all + node.size, 0);
// As flame graphs have them; what has no name of a function is last.
const sorted = nodes => nodes.sort((a, b) =>
	(a.name[0] === '(') - (b.name[0] === '(') || (a.name < b.name ? -1 : 1));

// The same hue for a function in every graph; red to green, less tiring than the circle.
const hue = name => [...name].reduce((h, c) => (h * 31 + c.charCodeAt(0)) % 10007, 7) % 110;

function plain([index, size, below = []], whole = size) {
	return {name: names[index], size, hue: hue(names[index]), saturation: 65,
		words: number(size) + ' instructions, ' + (100 * size / whole).toFixed(1) + '%',
		below: sorted(below.map(each => plain(each, whole)))};
}

// Of two trees: as wide as the dearer, blue where the second takes less, red where more.
function difference(one, other) {
	const [name, before, first = []] = one || [other[0], 0], [, after, second = []] = other || [0, 0];
	const pairs = new Map(first.map(each => [each[0], [each, undefined]]));
	for (const each of second)
		pairs.set(each[0], [(pairs.get(each[0]) || [])[0], each]);
	const own = (size, below) => size - below.reduce((all, each) => all + each[1], 0);
	const below = sorted([...pairs.values()].map(pair => difference(...pair)));
	const change = (after - before) / Math.max(after, before, 1e-9);
	return {name: names[name], hue: change < 0 ? 215 : 0, saturation: 75 * Math.abs(change),
		size: Math.max(own(before, first), own(after, second), 0) + sum(below), below,
		words: number(before) + ' -> ' + number(after) + ' instructions'};
}

function draw(graph, node, whole, left = 0, depth = 0) {
	const frame = document.createElement('div'), text = document.createElement('span');
	const x = left / whole, w = node.size / whole;
	text.textContent = node.name;
	frame.title = node.name + ': ' + node.words;
	Object.assign(frame.dataset, {x, w});
	frame.style.cssText = `left:${100 * x}%;width:${100 * w}%;top:${17 * depth}px;` +
		`--h:${node.hue};--s:${node.saturation}%`;
	frame.append(text);
	graph.append(frame);
	graph.style.height = Math.max(parseInt(graph.style.height) || 0, 17 * (depth + 1)) + 'px';
	left += node.size - sum(node.below);
	for (const callee of node.below) {
		draw(graph, callee, whole, left, depth + 1);
		left += callee.size;
	}
}

function add(title, node, whole) {
	const line = document.createElement('p'), graph = document.createElement('div');
	line.innerHTML = '<b></b><span></span><span class="share"></span>';
	line.children[0].textContent = title;
	line.children[1].textContent = ': ' + node.words.replace(', 100.0%', '');
	graph.className = 'flame';
	draw(graph, node, whole);
	graph.addEventListener('click', event => enlarge(graph, event.target.closest('.flame > div')));
	place.append(line, graph);
}

// The frame becomes as wide as the page; with the top frame all is as it was.
function enlarge(graph, to) {
	if (!to) return;
	const frames = [...graph.children], top = to === frames[0];
	const left = top ? 0 : +to.dataset.x, width = top ? 1 : +to.dataset.w;
	for (const frame of frames) {
		const x = (+frame.dataset.x - left) / width, w = +frame.dataset.w / width;
		const outer = x < 1e-9 && x + w > 1 - 1e-9;
		frame.style.display = x + w < 1e-9 || x > 1 - 1e-9 ? 'none' : '';
		frame.style.left = Math.max(x, 0) * 100 + '%';
		frame.style.width = (outer ? 1 : w) * 100 + '%';
		frame.classList.toggle('past', outer && frame !== to);
	}
}

function find() {
	const word = sought.value.trim().toLowerCase();
	for (const graph of place.querySelectorAll('.flame')) {
		let share = 0, end = -1;
		for (const frame of graph.children) {
			const found = word && frame.textContent.toLowerCase().includes(word);
			frame.classList.toggle('found', Boolean(found));
			// What is below a frame that was found is part of it.
			if (found && +frame.dataset.x > end - 1e-9) {
				share += +frame.dataset.w / +graph.children[0].dataset.w;
				end = +frame.dataset.x + +frame.dataset.w;
			}
		}
		graph.previousElementSibling.querySelector('.share').textContent =
			word ? `; found: ${(100 * share).toFixed(1)}%` : '';
	}
}

function show() {
	const trees = rows[chosen.value];
	const whole = Math.max(...Object.values(trees).map(tree => tree[1]));
	place.replaceChildren();
	for (const variant of variants.filter(variant => trees[variant]))
		add(variant, plain(trees[variant]), whole);
	const both = difference(trees.stock, trees.fast);
	add('stock -> fast', both, both.size);
	find();
}

function follow() {
	const row = location.hash.slice(1);
	if (!rows[row]) return;
	chosen.value = row;
	show();
	chosen.scrollIntoView();
}

chosen.addEventListener('change', show);
sought.addEventListener('input', find);
addEventListener('hashchange', follow);
show();
follow();
}
'''


def total(tree):
    return tree[1] + sum(total(child) for child in tree[2])


def packed(tree, least, names):
    """[number of the name, instructions with callees, callees that are as large as least]"""
    below = [packed(child, least, names) for child in tree[2] if total(child) >= least]
    return [names.setdefault(tree[0], len(names)), round(total(tree), 2), *([below] if below else [])]


def title(l1, row):
    if l1 in rows.WORKLOAD_L1S:
        work = rows.WORKLOADS[row]
        return '%s %s, per %s' % (work.title, 'in L1 alone' if l1 == 'workload_l1' else 'in L2',
                                  work.unit)
    name = tables.ROWS.get(row, row)
    return name if row in rows.L1_ROWS else 'L2 %s, %s' % (
        name, tables.L1_NAMES[l1])


def found(runs):
    """{(l1, row): {variant: tree of calls}} of rows with mitigations=off under stock and fast."""
    trees = {}
    for l1, mitigations, row, _, _ in runs.pairs():
        each = {variant: run['call_tree'] for variant in VARIANTS
                for run in [runs.get(l1, row, 'off', variant)] if run and run.get('call_tree')}
        if mitigations == 'off' and set(rows.VARIANTS) <= set(each):
            trees[l1, row] = each
    return trees


def link(l1, row):
    return '#' + ID % (l1, row)


def section(runs):
    """The part of the page, or ''."""
    trees, names = found(runs), {}
    if not trees:
        return ''
    first = next((key for key in FIRST if key in trees), next(iter(trees)))
    data = {}
    for key, each in trees.items():
        least = NARROWEST * max(map(total, each.values()))
        data[ID % key] = {variant: packed(tree, least, names) for variant, tree in each.items()}
    options = ''.join('<option value="%s"%s>%s</option>' % (
        ID % key, ' selected' if key == first else '', html.escape(title(*key))) for key in trees)
    text = json.dumps({'variants': VARIANTS, 'rows': data, 'names': list(names)},
                      separators=(',', ':')).replace('<', '\\u003c')
    return ('<h2>L0 by call stack</h2><p class="dim">Every instruction of L0, not samples. Callees '
            'hang below their callers; a frame is as wide as the instructions spent in it and '
            'below. Click enlarges, the top frame goes back. In the last graph a frame is as wide as '
            'the dearer of stock and fast: blue where fast takes less, red where more.</p>'
            '<p class="choice"><select id="flame-row">%s</select><input id="flame-find" '
            'type="search" placeholder="find a function"></p><div id="flame-graphs"></div>'
            '<script type="application/json" id="flames">%s</script>' % (options, text))
