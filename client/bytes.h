// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Bytes from outside, taken from the front piece by piece: nothing is read that is not there.

#pragma once

#include "util.h"

// Takes N bytes off *FROM into *TAKEN (may be NULL: skipped). Returns false, and takes nothing,
// when there are fewer.
static inline bool bytes_take(struct span *from, size_t n, struct span *taken)
{
	if (n > from->n)
		return false;
	if (taken != NULL)
		*taken = (struct span){from->p, n};
	from->p += n;
	from->n -= n;
	return true;
}

// Little-endian number of S, which has at most eight bytes.
static inline uint64_t bytes_number(struct span s)
{
	uint64_t number = 0;
	for (size_t i = s.n; i > 0; i--)
		number = number << 8 | (unsigned char)s.p[i - 1];
	return number;
}

static inline bool bytes_zero(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] != 0)
			return false;
	return true;
}

static inline struct span bytes_of(const void *p, size_t n)
{
	return (struct span){p, n};
}
