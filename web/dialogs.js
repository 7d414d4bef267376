// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What people do to tunnels: make one, move its end, revoke it, show its address.

import {call} from './api.js';
import {$, copy, make, title} from './text.js';
import {draw} from './qr.js';

// ---- forms in dialogs

// What is wrong, beside the fields it is about, or below them all.
function complain(form, error) {
	const rest = [];
	for (const {pointer, detail} of error.errors ?? []) {
		const field = pointer && form.querySelector(`[data-member="${CSS.escape(pointer)}"]`);
		if (!field || field.closest('[hidden]')) {
			rest.push(detail);
			continue;
		}
		const id = `${field.id}-wrong`;
		field.setAttribute('aria-invalid', 'true');
		field.setAttribute('aria-errormessage', id);
		field.closest('.pair, div, form').insertBefore(make('p', {id, className: 'wrong field', textContent: detail}),
			field.closest('.pair') ? null : field.nextSibling);
	}
	form.querySelector('[role=alert]').textContent =
		form.querySelector('.field') ? rest.join(' ') : error.message;
	form.querySelector('[aria-invalid]')?.focus();
}

function clean(form) {
	form.querySelector('[role=alert]').textContent = '';
	for (const note of form.querySelectorAll('.field'))
		note.remove();
	for (const field of form.querySelectorAll('[aria-invalid]')) {
		field.removeAttribute('aria-invalid');
		field.removeAttribute('aria-errormessage');
	}
}

// Has the form of dialog ID do WORK, and closes it when that went well.
function serve(id, work) {
	const dialog = $(id), form = dialog.querySelector('form'), button = form.querySelector('button:not([type])');
	form.addEventListener('submit', async event => {
		event.preventDefault();
		if (button.disabled)
			return;
		clean(form);
		button.disabled = true;
		try {
			await work(dialog);
			dialog.close();
			if (dialog.contains(document.activeElement) || document.activeElement === document.body)
				$('tunnels-title').focus(); // what had the focus before has gone
		} catch (error) {
			complain(form, error);
		} finally {
			button.disabled = false;
		}
	});
}

function open(id, tunnel) {
	const dialog = $(id), form = dialog.querySelector('form');
	clean(form);
	dialog.dataset.id = tunnel?.id ?? '';
	if (tunnel)
		dialog.querySelector('bdi').textContent = title(tunnel);
	dialog.showModal();
}

// ---- making

let key; // of the request that has not been answered: repeated, it makes no second tunnel

const newKey = () => [...crypto.getRandomValues(new Uint8Array(16))]
	.map(byte => byte.toString(16).padStart(2, '0')).join('');

function wanted() {
	const body = {name: $('name').value, auth: $('auth').value,
		timeout: $('life').value * $('life-unit').value};
	if (!$('push').hidden)
		body.backend = $('backend').value.trim();
	return body;
}

async function create() {
	const body = wanted(), text = JSON.stringify(body);
	if (key?.text !== text)
		key = {text, value: newKey()};
	try {
		announce(await call('POST', '/_api/tunnels', body, {'Idempotency-Key': key.value}));
		key = undefined;
	} catch (error) {
		if (error.code === 'idempotency_expired')
			key = undefined;
		throw error;
	}
}

// A line to be copied, under what it is.
function line(label, text) {
	const code = make('code', {textContent: text});
	const button = make('button', {type: 'button', className: 'quiet', textContent: 'Copy',
		'aria-label': `Copy: ${label}`});
	button.addEventListener('click', () => copy(button, text, code));
	return make('div', {}, make('h3', {textContent: label}), make('div', {className: 'line'}, code, button));
}

function announce(tunnel) {
	const body = $('made-body'), share = tunnel.share_url ?? tunnel.url;
	const code = draw(share, 'QR code of the link');
	body.replaceChildren(line(tunnel.share_url ? 'Link to share, with the secret' : 'Address', share));
	if (tunnel.secret)
		body.append(line(tunnel.auth === 'basic' ? 'Password, for any user name' : 'Secret', tunnel.secret));
	if (tunnel.agent) {
		body.append(
			line('To serve it, run where the service is (3000: its port)',
				`tunnel up 3000 --attach ${tunnel.id} --server ${location.origin}`),
			make('p', {className: 'soft', textContent:
				'It needs your API token: by tunnel login, --token-file or TUNNEL_TOKEN.'}),
			make('details', {}, make('summary', {textContent: 'For an agent of your own'}),
				line('Agents connect to', tunnel.agent.url), line('with this token', tunnel.agent.token)));
	}
	if (code)
		body.append(code);
	$('made').showModal();
}

// ---- all of them

export function act(name, tunnel) {
	if (name === 'code') {
		$('code-body').replaceChildren(
			draw(tunnel.url, 'QR code of the address') ?? 'It is too long for one.',
			make('p', {}, make('code', {textContent: tunnel.url})),
			make('p', {className: 'soft', textContent: tunnel.auth === 'none' ? ''
				: 'The secret is not in it: it was shown when the tunnel was made.'}));
		$('code').showModal();
	} else {
		open(name, tunnel);
	}
}

// Nothing of a token that is gone stays on the screen.
export function close() {
	key = undefined;
	for (const dialog of document.querySelectorAll('dialog'))
		dialog.close();
	for (const form of document.querySelectorAll('dialog form'))
		form.reset();
}

export function begin() {
	serve('create', create);
	serve('extend', ({dataset}) => call('PATCH', `/_api/tunnels/${dataset.id}`,
		{timeout: $('more').value * $('more-unit').value}));
	serve('revoke', ({dataset}) => call('DELETE', `/_api/tunnels/${dataset.id}`));
	$('new').addEventListener('click', () => open('create'));
	$('create').addEventListener('change', ({target}) => {
		if (target.name === 'mode')
			$('push').hidden = !($('backend').required = target.value === 'push');
	});
	$('create').addEventListener('reset', () => { $('push').hidden = !($('backend').required = true); });
	$('made').addEventListener('close', () => $('made-body').replaceChildren());
	for (const button of document.querySelectorAll('[data-close]'))
		button.addEventListener('click', () => button.closest('dialog').close());
}
