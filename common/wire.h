// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Flat MessagePack arrays of plain values: the form of every message between our processes and of
// a tunnel's CONFIG. Encoding and decoding are msgpack-c's; this adds that nothing is allocated,
// nothing nests, and a value that does not fit is refused. Encodings are always the shortest, so
// equal values give equal bytes.

#pragma once

#include "util.h"

enum wire_kind {
	WIRE_NONE = 0,
	WIRE_UINT,
	WIRE_BOOL,
	WIRE_STR, // UTF-8 text
	WIRE_BIN, // any bytes
};

struct wire_value {
	enum wire_kind kind;
	uint64_t number;   // WIRE_UINT; WIRE_BOOL as 0 or 1
	struct span bytes; // WIRE_STR, WIRE_BIN: borrowed
};

static inline struct wire_value wire_uint(uint64_t n)
{
	return (struct wire_value){.kind = WIRE_UINT, .number = n};
}

static inline struct wire_value wire_bool(bool b)
{
	return (struct wire_value){.kind = WIRE_BOOL, .number = b};
}

static inline struct wire_value wire_str(struct span s)
{
	return (struct wire_value){.kind = WIRE_STR, .bytes = s};
}

static inline struct wire_value wire_bin(const void *p, size_t n)
{
	return (struct wire_value){.kind = WIRE_BIN, .bytes = {p, n}};
}

// Encodes N values as one array into OUT of SIZE bytes. Returns the length, or 0 when it does not
// fit.
size_t wire_encode(void *out, size_t size, const struct wire_value *values, size_t n);

// Decodes exactly one array that fills all of BYTES into at most MAX values that point into it.
// Returns their number, or -EBADMSG: not one flat array, a value of another kind (negative numbers,
// floats, nil, extensions, nesting), more than MAX values, bytes left over, or text that is not
// valid UTF-8 or contains NUL.
int wire_decode(const void *bytes, size_t n, struct wire_value *values, size_t max) WARN_UNUSED;
