// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The tunnels that live, a row each. Rows stay what they are while their tunnel lives, so that
// nothing that has the focus, or is being read, is taken away.

import {now} from './api.js';
import {$, amount, copy, left, say, title} from './text.js';

const entries = new Map(); // by id: {tunnel, row, time, end, seen}

// Which rows are in sight: the others can wait for a second to be counted.
const sight = new IntersectionObserver(changes => {
	for (const {target, isIntersecting} of changes) {
		const entry = entries.get(target.dataset.id);
		if (entry)
			entry.seen = isIntersecting;
	}
	tick();
});

export const known = id => entries.get(id)?.tunnel;
export const first = () => entries.values().next().value?.tunnel;

// Calls ACT(name, tunnel) for the buttons of rows.
export function watch(act) {
	$('list').addEventListener('click', ({target}) => {
		const tunnel = known(target.closest('li')?.dataset.id);
		if (target.dataset.act === 'copy')
			copy(target, tunnel.url, target.closest('li').querySelector('a'));
		else if (target.dataset.act)
			act(target.dataset.act, tunnel);
	});
}

function make(tunnel) {
	const row = $('row').content.firstElementChild.cloneNode(true);
	const heading = row.querySelector('h3'), link = row.querySelector('a');
	row.dataset.id = tunnel.id;
	heading.id = tunnel.id;
	for (const button of row.querySelectorAll('button'))
		button.setAttribute('aria-describedby', tunnel.id);
	if (/^https?:/.test(tunnel.url))
		link.href = tunnel.url;
	say(link, tunnel.url);
	row.querySelector('[data-count=agents]').parentElement.hidden = tunnel.mode !== 'pull';
	sight.observe(row);
	return {row, time: row.querySelector('time')};
}

function fill(entry, tunnel) {
	const [name, what] = entry.row.querySelectorAll('bdi');
	const auth = {bearer: 'with a secret', basic: 'with a password', none: 'open to all'};
	entry.tunnel = tunnel;
	entry.end = Date.parse(tunnel.expires_at);
	say(name, title(tunnel));
	say(what, `${tunnel.backend ?? 'by an agent'}, ${auth[tunnel.auth] ?? tunnel.auth}`);
	entry.time.dateTime = tunnel.expires_at;
	entry.time.title = new Date(entry.end).toLocaleString();
	say(entry.time, left(entry.end - now()));
}

function show() {
	$('loading').hidden = true;
	$('empty').hidden = entries.size > 0;
}

// The row of TUNNEL as it is now.
function keep(tunnel) {
	const entry = entries.get(tunnel.id) ?? make(tunnel);
	fill(entry, tunnel);
	entries.set(tunnel.id, entry);
	return entry.row;
}

// A new one, at the top, or one that has changed.
export function put(tunnel) {
	const row = keep(tunnel);
	if (!row.isConnected)
		$('list').prepend(row);
	show();
}

export function remove(id) {
	const entry = entries.get(id);
	const focused = entry?.row.contains(document.activeElement);
	entry?.row.remove();
	entries.delete(id);
	if (focused)
		$('tunnels-title').focus();
	show();
}

// These, newest first, and no others.
export function replace(tunnels) {
	const ids = new Set(tunnels.map(tunnel => tunnel.id));
	for (const id of [...entries.keys()])
		ids.has(id) || remove(id);
	tunnels.forEach((tunnel, i) => {
		const row = keep(tunnel), there = $('list').children[i];
		if (row !== there)
			$('list').insertBefore(row, there ?? null);
	});
	show();
}

export function count({id, counters}) {
	const entry = entries.get(id);
	for (const cell of entry?.row.querySelectorAll('[data-count]') ?? []) {
		const name = cell.dataset.count, number = counters[name];
		say(cell, name.startsWith('bytes') ? amount(number) : number.toLocaleString());
	}
	entry?.row.classList.toggle('waits', counters.agents === 0);
}

// To be called every second.
export function tick() {
	const all = Math.round(now() / 1000) % 30 === 0;
	for (const {time, end, seen} of entries.values())
		if (seen || all)
			say(time, left(end - now()));
}
