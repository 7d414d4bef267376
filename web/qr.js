// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// QR codes (ISO/IEC 18004) of texts as bytes, at error correction level L, as SVG. Versions 1 to 20
// hold 858 bytes: more than any link of ours. Secrets are as random as a mask makes them: the best
// of the eight is not looked for.

// By version: bytes of error correction a block, and blocks.
const ECC = [7, 10, 15, 20, 26, 18, 20, 24, 30, 18, 20, 24, 26, 30, 22, 24, 28, 30, 28, 28];
const BLOCKS = [1, 1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 4, 4, 6, 6, 6, 6, 7, 8];
const QUIET = 4, MASK = 3;

// Arithmetic in GF(256), polynomial 0x11d.
const EXP = [], LOG = [];
for (let i = 0, x = 1; i < 255; i++, x = x << 1 ^ (x >> 7) * 0x11d) {
	EXP[i] = EXP[i + 255] = x;
	LOG[x] = i;
}
const times = (a, b) => a && b ? EXP[LOG[a] + LOG[b]] : 0;

// Centres of the alignment patterns, in both directions.
function centres(version) {
	if (version === 1)
		return [];
	const n = (version / 7 | 0) + 2;
	const step = ((version * 8 + n * 3 + 5) / (n * 4 - 4) | 0) * 2;
	return [6, ...Array.from({length: n - 1}, (_, i) => version * 4 + 10 - step * (n - 2 - i))];
}

// Bytes of data and error correction together.
function capacity(version) {
	const n = centres(version).length;
	const patterns = n ? (25 * n - 10) * n - 55 + (version > 6 ? 36 : 0) : 0;
	return (16 * version + 128) * version + 64 - patterns >> 3;
}

function remainder(data, degree) {
	let divisor = [1];
	for (let i = 0; i < degree; i++)
		divisor = [...divisor, 0].map((c, j) => c ^ (j ? times(divisor[j - 1], EXP[i]) : 0));
	const rest = [...data, ...Array(degree).fill(0)];
	data.forEach((_, i) => {
		const factor = rest[i];
		divisor.forEach((c, j) => { rest[i + j] ^= times(c, factor); });
	});
	return rest.slice(data.length);
}

// Mode, length, bytes and padding, as bytes.
function pack(bytes, version, size) {
	let bits = '0100' + bytes.length.toString(2).padStart(version < 10 ? 8 : 16, '0');
	for (const byte of bytes)
		bits += byte.toString(2).padStart(8, '0');
	bits = (bits + '0000').slice(0, size * 8);
	const out = bits.match(/.{1,8}/g).map(byte => parseInt(byte.padEnd(8, '0'), 2));
	for (let pad = 0xec; out.length < size; pad ^= 0xec ^ 0x11)
		out.push(pad);
	return out;
}

function interleave(data, version) {
	const n = BLOCKS[version - 1], ecc = ECC[version - 1], all = capacity(version);
	const short = (all / n | 0) - ecc, longer = all % n;
	const blocks = [], codes = [], out = [];
	for (let i = 0, at = 0; i < n; i++) {
		const size = short + (i >= n - longer);
		blocks.push(data.slice(at, at += size));
		codes.push(remainder(blocks[i], ecc));
	}
	for (const [rows, length] of [[blocks, short + 1], [codes, ecc]])
		for (let i = 0; i < length; i++)
			rows.forEach(row => i < row.length && out.push(row[i]));
	return out;
}

// BITS with the remainder of a division by POLYNOMIAL, which has DEGREE, behind them.
function checked(bits, polynomial, degree) {
	let rest = bits << degree;
	for (let i = 31; i >= degree; i--)
		if (rest >>> i & 1)
			rest ^= polynomial << i - degree;
	return bits << degree | rest;
}

function square(grid, cx, cy, radius, dark) {
	for (let y = -radius; y <= radius; y++)
		for (let x = -radius; x <= radius; x++)
			if (grid[cy + y]?.[cx + x] !== undefined)
				grid[cy + y][cx + x] = +dark(Math.max(Math.abs(x), Math.abs(y)));
}

// What is the same whatever is encoded; null: a place for data.
function frame(version) {
	const size = version * 4 + 17, places = centres(version);
	const grid = Array.from({length: size}, () => Array(size).fill(null));
	for (let i = 0; i < size; i++)
		grid[6][i] = grid[i][6] = +(i % 2 === 0);
	for (const [x, y] of [[3, 3], [size - 4, 3], [3, size - 4]])
		square(grid, x, y, 4, r => r !== 2 && r !== 4);
	places.forEach((y, i) => places.forEach((x, j) => {
		const last = places.length - 1;
		if (!(i === 0 && j % last === 0) && !(i === last && j === 0))
			square(grid, x, y, 2, r => r !== 1);
	}));
	for (let i = 0; version > 6 && i < 18; i++) {
		const bit = checked(version, 0x1f25, 12) >> i & 1;
		const a = i / 3 | 0, b = size - 11 + i % 3;
		grid[a][b] = grid[b][a] = bit;
	}
	format(grid);
	return grid;
}

// Level L is 01.
function format(grid) {
	const size = grid.length, bits = checked(8 | MASK, 0x537, 10) ^ 0x5412;
	for (let i = 0; i < 15; i++) {
		const bit = bits >> i & 1, skip = i + (i > 5);
		if (i < 8)
			grid[skip][8] = grid[8][size - 1 - i] = bit;
		else
			grid[8][i === 8 ? 7 : 14 - i] = grid[size - 15 + i][8] = bit;
	}
	grid[size - 8][8] = 1;
}

// Two columns at a time, from the right, up and down, around the vertical timing pattern.
function fill(grid, bytes) {
	const size = grid.length;
	let i = 0;
	for (let right = size - 1; right > 0; right -= right === 8 ? 3 : 2)
		for (let step = 0; step < size; step++)
			for (let x = right; x > right - 2; x--) {
				const y = right + 1 & 2 ? step : size - 1 - step;
				if (grid[y][x] !== null)
					continue;
				grid[y][x] = bytes[i >> 3] >> 7 - i % 8 & 1 ^ (x + y) % 3 === 0;
				i++;
			}
	return grid;
}

// Rows of 1 (dark) and 0; null: TEXT is too long.
export function encode(text) {
	const bytes = [...new TextEncoder().encode(text)];
	for (let version = 1; version <= ECC.length; version++) {
		const size = capacity(version) - ECC[version - 1] * BLOCKS[version - 1];
		if (bytes.length + (version < 10 ? 2 : 3) > size)
			continue;
		return fill(frame(version), interleave(pack(bytes, version, size), version));
	}
	return null;
}

// An SVG element with the code of TEXT; null: it is too long.
export function draw(text, label) {
	const grid = encode(text);
	if (!grid)
		return null;
	const size = grid.length + 2 * QUIET, make = name => document.createElementNS(
		'http://www.w3.org/2000/svg', name);
	const svg = make('svg'), path = make('path');
	let d = '';
	grid.forEach((row, y) => row.forEach((dark, x) => {
		if (dark)
			d += `M${x + QUIET} ${y + QUIET}h1v1h-1z`;
	}));
	path.setAttribute('d', d);
	svg.setAttribute('viewBox', `0 0 ${size} ${size}`);
	svg.setAttribute('role', 'img');
	svg.setAttribute('aria-label', label);
	svg.setAttribute('class', 'qr');
	svg.append(path);
	return svg;
}
