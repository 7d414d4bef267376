// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Server-sent events (WHATWG HTML, section 9.2) by fetch, since an EventSource sends no
// Authorization. A connection that breaks, or is silent for longer than the server ever is, is made
// again from the last event on, ever more slowly.

import {ask} from './api.js';

const SILENCE_MS = 40_000, WAIT_MS = 1000, WAIT_MOST_MS = 15_000;

// Calls EACH with every block of TEXT's lines.
function reader(each) {
	let rest = '', block = {};
	return text => {
		const lines = (rest + text).split('\n');
		rest = lines.pop();
		for (const line of lines) {
			const [, name, value] = line.match(/^([^:]*):? ?(.*)$/);
			if (line === '') {
				each(block);
				block = {};
			} else if (name) {
				block[name] = name in block ? `${block[name]}\n${value}` : value;
			}
		}
	};
}

// One connection, to its end.
async function once(place, outer, each) {
	const own = new AbortController(), stop = () => own.abort();
	let watch = setTimeout(stop, SILENCE_MS);
	outer.addEventListener('abort', stop);
	try {
		const response = await ask('/_api/events?counters=1', {
			signal: own.signal, headers: place ? {'Last-Event-ID': place} : {}});
		const source = response.body.getReader(), decoder = new TextDecoder();
		const read = reader(each);
		for (let piece; !(piece = await source.read()).done;) {
			clearTimeout(watch);
			watch = setTimeout(stop, SILENCE_MS);
			read(decoder.decode(piece.value, {stream: true}));
		}
	} finally {
		clearTimeout(watch);
		outer.removeEventListener('abort', stop);
	}
}

// Until MS are over, the network is back, or SIGNAL ends it all.
const pause = (ms, signal) => new Promise(resolve => {
	const timer = setTimeout(over, ms);
	function over() {
		clearTimeout(timer);
		removeEventListener('online', over);
		signal.removeEventListener('abort', over);
		resolve();
	}
	addEventListener('online', over);
	signal.addEventListener('abort', over);
});

// Follows what happens until SIGNAL is aborted or the token is refused. Calls on.open(fresh) when
// connected, with whether it is not known what happened before; on.event(kind, data); on.lost(error)
// when a connection broke, or could not be made (ERROR says why, if anybody has).
export async function follow(on, signal) {
	let place, wait = WAIT_MS;
	while (!signal.aborted) {
		let opened = false, failure;
		try {
			await once(place, signal, block => {
				const fresh = !place || block.event === 'reset';
				place = block.id ?? place;
				if (!opened || block.event === 'reset')
					on.open(fresh);
				opened = true;
				wait = WAIT_MS;
				if (block.data && block.event !== 'reset')
					on.event(block.event, JSON.parse(block.data));
			});
		} catch (error) {
			failure = error;
		}
		if (signal.aborted || failure?.status === 401)
			return;
		on.lost(failure);
		await pause(Math.max(wait, (failure?.wait || 0) * 1000), signal);
		wait = Math.min(wait * 2, WAIT_MOST_MS);
	}
}
