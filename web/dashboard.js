// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The dashboard: signing in and out, and what is done with what the server tells. It is a client of
// the API like any other.

import * as api from './api.js';
import * as dialogs from './dialogs.js';
import * as list from './list.js';
import * as side from './side.js';
import {follow} from './stream.js';
import {$, copy, say, title} from './text.js';

let signed; // AbortController of all that goes on while signed in
let queue;  // events that came while the list was on its way: it may be older than they are

// ---- signing in and out

function door(why) {
	signed?.abort();
	signed = queue = undefined;
	api.forget();
	dialogs.close();
	list.replace([]);
	side.clear();
	for (const id of ['link', 'news', 'scope'])
		say($(id), '');
	$('desk').hidden = $('who').hidden = true;
	$('door').hidden = false;
	$('why').hidden = !why;
	say($('why'), why ?? '');
	$('token').value = '';
	$(why ? 'token' : 'door-title').focus();
}

const ended = () => door('This token is not valid any more: it was revoked, or its life is over. Its tunnels have ended with it.');

// Why a token was not taken.
function refusal(error) {
	if (error.status === 401)
		return 'The server does not know this token: it is wrong, was revoked, or its life is over.';
	if (error.status === 429)
		return `Too many wrong tokens have come from your address. Try again in ${error.wait || 60} seconds.`;
	return error.message;
}

// The list of tokens is the owner's alone: whether it is given tells whose token this is.
async function identify() {
	try {
		side.name(await api.list('/_api/tokens'));
		return 'Owner';
	} catch (error) {
		if (error.code === 'token_scope')
			return 'Scoped token: its own tunnels only';
		throw error;
	}
}

async function signIn(event) {
	event.preventDefault();
	const text = $('token').value.trim(), button = $('sign').querySelector('button');
	button.disabled = true;
	$('why').hidden = true;
	try {
		if (!/^[!-~]+$/.test(text))
			throw new api.Refused(401, {});
		api.hold(text, () => {});
		const scope = await identify();
		api.hold(text, ended);
		begin(scope);
	} catch (error) {
		door(refusal(error));
	} finally {
		button.disabled = false;
	}
}

function begin(scope) {
	signed = new AbortController();
	$('token').value = '';
	say($('scope'), scope);
	$('door').hidden = $('empty').hidden = $('failed').hidden = true;
	$('desk').hidden = $('who').hidden = $('loading').hidden = false;
	$('tunnels-title').focus();
	say($('link'), 'Connecting…');
	side.activity();
	follow({open: opened, event: told, lost}, signed.signal);
}

// ---- what the server tells

async function load() {
	const mine = queue = [];
	$('failed').hidden = true;
	side.evidence();
	side.activitySoon();
	const tunnels = await api.list('/_api/tunnels').catch(error => error);
	if (queue !== mine)
		return; // it is asked for again, or nobody is signed in any more
	queue = undefined;
	if (tunnels instanceof Error) {
		$('loading').hidden = true;
		$('failed').hidden = false;
		say($('failed-why'), `The tunnels could not be read. ${tunnels.message}`);
	} else {
		list.replace(tunnels);
		side.command();
	}
	mine.forEach(event => told(...event));
}

function opened(fresh) {
	document.body.classList.remove('lost');
	say($('link'), 'Live');
	if (fresh || !$('failed').hidden)
		load();
}

function lost(error) {
	document.body.classList.add('lost');
	say($('link'), error?.status ? `Not live. ${error.message}`
		: 'The connection is lost; it is being made again. What is shown may be out of date.');
	if (error?.status || !$('loading').hidden)
		load(); // what can be had without a stream
}

const words = {expired: 'is over: its time has come', revoked: 'was revoked', exhausted: 'is over: a budget is used up',
	failed: 'has failed'};

function told(kind, data) {
	if (queue) {
		queue.push([kind, data]);
		return;
	}
	if (kind === 'counters') {
		list.count(data);
		return;
	}
	if (kind === 'ended')
		list.remove(data.id);
	else
		list.put(data);
	side.command();
	side.activitySoon();
	say($('news'), `${title(data)} ${kind === 'created' ? 'is open'
		: kind === 'updated' ? 'ends at another time' : words[data.state] ?? 'is over'}.`);
}

// ----

dialogs.begin();
side.begin();
list.watch(dialogs.act);
$('sign').addEventListener('submit', signIn);
$('out').addEventListener('click', () => door());
$('again').addEventListener('click', load);
document.querySelector('[data-copy]').addEventListener('click', ({target}) =>
	copy(target, $(target.dataset.copy).textContent, $(target.dataset.copy)));
addEventListener('pagehide', () => door());
setInterval(list.tick, 1000);
door();
