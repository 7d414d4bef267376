// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "keccak.h"

#include "bytes.h"

enum { LANES = 25, ROUNDS = 24, RATE = 136 };

static uint64_t rotate(uint64_t word, unsigned by)
{
	return by == 0 ? word : word << by | word >> (64 - by);
}

// FIPS 202, section 3.2.1
static void theta(uint64_t a[LANES])
{
	uint64_t column[5];
	for (unsigned x = 0; x < 5; x++)
		column[x] = a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20];
	for (unsigned i = 0; i < LANES; i++)
		a[i] ^= column[(i + 4) % 5] ^ rotate(column[(i + 1) % 5], 1);
}

// Sections 3.2.2 and 3.2.3: the lanes are turned while they change places, along the one path that
// visits all but the first.
static void rho_pi(uint64_t a[LANES])
{
	unsigned x = 1, y = 0;
	uint64_t moving = a[1];
	for (unsigned t = 0; t < LANES - 1; t++) {
		unsigned next = (2 * x + 3 * y) % 5;
		x = y;
		y = next;
		uint64_t there = a[x + 5 * y];
		a[x + 5 * y] = rotate(moving, (t + 1) * (t + 2) / 2 % 64);
		moving = there;
	}
}

// Section 3.2.4
static void chi(uint64_t a[LANES])
{
	for (unsigned y = 0; y < LANES; y += 5) {
		uint64_t row[5];
		memcpy(row, a + y, sizeof row);
		for (unsigned x = 0; x < 5; x++)
			a[y + x] = row[x] ^ (~row[(x + 1) % 5] & row[(x + 2) % 5]);
	}
}

// Section 3.2.5: the constants come from a shift register, of which STATE is the eight bits.
static uint64_t round_constant(uint8_t *state)
{
	uint64_t constant = 0;
	for (unsigned j = 0; j <= 6; j++) {
		if ((*state & 1) != 0)
			constant |= (uint64_t)1 << ((1u << j) - 1);
		*state = (uint8_t)(*state << 1 ^ ((*state & 0x80) != 0 ? 0x71 : 0));
	}
	return constant;
}

static void permute(uint64_t a[LANES])
{
	uint8_t state = 1;
	for (unsigned round = 0; round < ROUNDS; round++) {
		theta(a);
		rho_pi(a);
		chi(a);
		a[0] ^= round_constant(&state);
	}
}

static void absorb(uint64_t a[LANES], const char block[RATE])
{
	for (size_t i = 0; i < RATE / 8; i++)
		a[i] ^= bytes_number(bytes_of(block + 8 * i, 8));
	permute(a);
}

void keccak256(uint8_t out[KECCAK256_SIZE], struct span bytes)
{
	uint64_t a[LANES] = {0};
	char last[RATE] = {0};
	struct span block;
	while (bytes_take(&bytes, RATE, &block))
		absorb(a, block.p);
	if (bytes.n > 0)
		memcpy(last, bytes.p, bytes.n);
	last[bytes.n] = 0x01; // the standard's would be 0x06
	last[RATE - 1] = (char)(last[RATE - 1] | 0x80);
	absorb(a, last);
	for (size_t i = 0; i < KECCAK256_SIZE; i++)
		out[i] = (uint8_t)(a[i / 8] >> 8 * (i % 8));
}
