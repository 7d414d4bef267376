// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Calls of the API. The token is a variable of this module: not in storage, a cookie, an address or
// the document, and gone with the page.

let token = '', ended = () => {}, skew = 0;

// The server's time, as its last answer had it.
export const now = () => Date.now() + skew;

// TEXT is the token from now on; WHEN_ENDED is called when the server does not take it any more.
export function hold(text, whenEnded) {
	token = text;
	ended = whenEnded;
}

export const forget = () => hold('', () => {});

// The server said no, in the words of its problem document.
export class Refused extends Error {
	constructor(status, problem, wait) {
		super(problem.detail ?? `The server answered with status ${status}.`);
		Object.assign(this, {status, code: problem.code, errors: problem.errors ?? [], wait});
	}
}

// Nobody answered.
export class Offline extends Error {
	constructor() {
		super('The server cannot be reached.');
	}
}

// The response, if it is a good one. Throws Refused, Offline, or what ended OPTIONS.signal. What was
// asked for with a token that is gone by now is not answered.
export async function ask(path, options = {}) {
	const mine = token;
	let response, problem = {};
	try {
		response = await fetch(path, {
			...options, cache: 'no-store', credentials: 'omit', redirect: 'error',
			headers: {Authorization: `Bearer ${mine}`, ...options.headers},
		});
	} catch (error) {
		throw options.signal?.aborted ? error : new Offline();
	}
	if (mine !== token)
		throw new Offline();
	const date = Date.parse(response.headers.get('Date'));
	if (date)
		skew = date - Date.now();
	if (response.ok)
		return response;
	try {
		problem = await response.json();
	} catch { /* its status has to do */ }
	if (response.status === 401 && mine === token)
		ended();
	throw new Refused(response.status, problem, Number(response.headers.get('Retry-After')));
}

// The document that METHOD on PATH answers with.
export async function call(method, path, body, headers) {
	const mine = token;
	const response = await ask(path, {method, headers, body: body && JSON.stringify(body)});
	const document = await response.json().catch(() => undefined);
	if (!document || mine !== token)
		throw new Offline();
	return document;
}

// All pages of a list.
export async function list(path) {
	const all = [];
	while (path) {
		const response = await ask(path);
		all.push(...await response.json());
		path = next(response);
	}
	return all;
}

export const next = response => response.headers.get('Link')?.match(/^<(\/[^>]*)>; rel="next"$/)?.[1];
