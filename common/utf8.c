// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "utf8.h"

// RFC 3629 section 4: by the first byte, how many follow and what the second may be.
struct lead {
	uint8_t first, last; // range of lead bytes
	uint8_t more;        // continuation bytes
	uint8_t low, high;   // range of the first of them; the others are 80..BF
};

static const struct lead leads[] = {
	{0xc2, 0xdf, 1, 0x80, 0xbf},
	{0xe0, 0xe0, 2, 0xa0, 0xbf},
	{0xe1, 0xec, 2, 0x80, 0xbf},
	{0xed, 0xed, 2, 0x80, 0x9f},
	{0xee, 0xef, 2, 0x80, 0xbf},
	{0xf0, 0xf0, 3, 0x90, 0xbf},
	{0xf1, 0xf3, 3, 0x80, 0xbf},
	{0xf4, 0xf4, 3, 0x80, 0x8f},
};

// Length of the sequence at P with N bytes left, 0 if malformed.
static size_t sequence(const uint8_t *p, size_t n)
{
	if (p[0] < 0x80)
		return 1;
	for (size_t i = 0; i < ARRAY_SIZE(leads); i++) {
		const struct lead *lead = &leads[i];
		if (p[0] < lead->first || p[0] > lead->last)
			continue;
		if (n <= lead->more || p[1] < lead->low || p[1] > lead->high)
			return 0;
		for (size_t k = 2; k <= lead->more; k++)
			if ((p[k] & 0xc0) != 0x80)
				return 0;
		return 1 + (size_t)lead->more;
	}
	return 0;
}

bool utf8_valid(struct span text)
{
	const uint8_t *p = (const uint8_t *)text.p;
	for (size_t i = 0; i < text.n;) {
		size_t step = sequence(p + i, text.n - i);
		if (step == 0)
			return false;
		i += step;
	}
	return true;
}

bool utf8_plain(struct span text)
{
	const uint8_t *p = (const uint8_t *)text.p;
	for (size_t i = 0; i < text.n; i++)
		if (p[i] < 0x20 || p[i] == 0x7f ||
			(p[i] == 0xc2 && i + 1 < text.n && p[i + 1] < 0xa0)) // U+0080 to U+009F
			return false;
	return utf8_valid(text);
}
