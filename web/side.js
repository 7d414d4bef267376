// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What the server says of itself, and what has happened to tunnels. Whether the evidence is good is
// not for a page to say.

import {ask, call, next} from './api.js';
import {first} from './list.js';
import {$, make, moment, say} from './text.js';

// ---- evidence

const WHY = {
	pending: 'it is still waiting for one',
	unavailable: 'there is no guest service: it does not run in a dstack machine, or has no access to its socket',
	slow: 'the guest service did not answer in time',
	cut_off: 'the answer was cut off',
	too_large: 'the answer was too large',
	malformed: 'the answer could not be read',
	error: 'the guest service says that it failed',
	mismatch: 'it got a quote about something else',
};

const decode = text => JSON.parse(new TextDecoder().decode(
	Uint8Array.from(atob(text), character => character.charCodeAt(0))));

function fact(name, ...values) {
	$('facts').append(make('dt', {textContent: name}), make('dd', {}, ...values));
}

const hash = text => make('code', {textContent: text});

function keys(statement) {
	if (statement.tls.length === 0)
		return ['TLS does not end in this server: whatever ends it can read everything'];
	return statement.tls.map(key => make('div', {}, hash(key.spki_sha256),
		key.from_file ? ' from a file of the operator' : ''));
}

function state(document) {
	fact('State', document.tee ? 'quoted' : document.instance.quote_state);
	say($('vouch'), document.tee
		? 'This server shows a quote: a statement signed by an Intel TDX processor about the machine it runs in, which names the key that signs what is written here.'
		: `Nothing vouches for this server. It shows no quote of the hardware (${
			WHY[document.instance.quote_state] ?? document.instance.quote_state}). What is written here is its own word.`);
}

function describe(document) {
	const statement = decode(document.instance.statement), {source} = statement;
	$('facts').replaceChildren();
	state(document);
	fact('Source', `${source.version} `, hash(source.tree_sha256));
	fact('Settings', hash(statement.config_sha256));
	fact('Key that signs', hash(statement.instance_key));
	fact('TLS keys', ...keys(statement));
	fact('Running since', moment(statement.started_at));
	fact('Programs', make('details', {}, make('summary', {textContent: `${statement.components.length} files`}),
		...statement.components.map(({name, sha256}) => make('div', {}, `${name} `, hash(sha256)))));
	$('check').hidden = false;
	command();
}

// Visitors come by another address than this page's: tunnels know it.
export function command() {
	const tunnel = first();
	say($('verify'), `tunnel verify ${tunnel ? tunnel.url : 'https://ADDRESS-OF-VISITORS'}`);
}

export async function evidence() {
	try {
		describe(await call('GET', '/_api/attestation'));
	} catch (error) {
		$('facts').replaceChildren();
		$('check').hidden = true;
		say($('vouch'), error.status === 404
			? 'This server gives no evidence of what runs here (attestation = off). Whether to trust it is between you and its operator.'
			: `What runs here could not be asked for. ${error.message}`);
	}
}

// ---- audit

const PAGE = 20;
let tokens = new Map(), older;

// What the ids of tokens are called, for the owner.
export function name(list) {
	tokens = new Map(list.map(token => [token.id, token.name]));
}

function entry({at, subject, name, became, actor, reason}) {
	return make('li', {}, make('time', {dateTime: at, textContent: moment(at)}), ' ',
		make('bdi', {textContent: name || tokens.get(subject) || subject}), ' ',
		make('strong', {textContent: became}), ` – ${reason} (`,
		make('bdi', {textContent: tokens.get(actor) || actor}), ')');
}

async function page(path, add) {
	try {
		const response = await ask(path), rows = (await response.json()).map(entry);
		add(rows);
		older = next(response);
		$('older').hidden = !older;
		$('quiet').hidden = $('log').childElementCount > 0;
		say($('quiet'), 'Nothing yet.');
	} catch (error) {
		$('quiet').hidden = false;
		say($('quiet'), `It could not be read. ${error.message}`);
	}
}

export const activity = () => page(`/_api/audit?limit=${PAGE}`, rows => $('log').replaceChildren(...rows));

let soon;

// Events come in crowds: one look for all of a second.
export function activitySoon() {
	soon ??= setTimeout(() => {
		soon = undefined;
		activity();
	}, 1000);
}

export function clear() {
	clearTimeout(soon);
	soon = older = undefined;
	name([]);
	$('log').replaceChildren();
	$('facts').replaceChildren();
}

export function begin() {
	$('older').addEventListener('click', () => page(older, rows => $('log').append(...rows)));
}
