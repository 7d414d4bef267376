// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Numbers and times in words, and elements with text in them. Nothing becomes HTML here or
// elsewhere: names of tunnels are strangers' words.

export const $ = id => document.getElementById(id);

// An element NAME with PROPERTIES (of the object, else attributes) and children.
export function make(name, properties, ...children) {
	const element = document.createElement(name);
	for (const [key, value] of Object.entries(properties ?? {}))
		key in element ? element[key] = value : element.setAttribute(key, value);
	element.append(...children);
	return element;
}

// Sets what is shown only when it changes: less to draw, and nothing for a screen reader.
export function say(element, text) {
	if (element.textContent !== text)
		element.textContent = text;
}

export function amount(bytes) {
	let unit = 0;
	for (; bytes >= 1000 && unit < 4; unit++)
		bytes /= 1000;
	const digits = unit > 0 && bytes < 10 ? 1 : 0;
	return `${bytes.toFixed(digits)}\u00a0${['B', 'kB', 'MB', 'GB', 'TB'][unit]}`;
}

// Seconds are counted in the last hour only.
export function left(ms) {
	const s = Math.ceil(ms / 1000), two = n => String(n).padStart(2, '0');
	if (s <= 0)
		return 'ending';
	if (s < 3600)
		return `${s / 60 | 0}:${two(s % 60)}`;
	const hours = s / 3600 | 0;
	return hours < 24 ? `${hours} h ${two((s / 60 | 0) % 60)} min`
		: `${hours / 24 | 0} d ${hours % 24} h`;
}

export const moment = text => new Date(text).toLocaleString([], {
	month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit'});

// What people call a tunnel.
export const title = tunnel => tunnel.name || tunnel.id;

// Copies TEXT and says so on BUTTON. Without leave to write to the clipboard, SHOWN (may be
// missing) is selected for the person to copy.
export async function copy(button, text, shown) {
	const label = button.textContent;
	try {
		await navigator.clipboard.writeText(text);
		button.textContent = 'Copied';
	} catch {
		if (shown)
			getSelection().selectAllChildren(shown);
		button.textContent = 'Press Ctrl+C';
	}
	setTimeout(() => { button.textContent = label; }, 2000);
}
