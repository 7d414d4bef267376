// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The chunked transfer coding (RFC 9112 section 7.1) as a push decoder without memory of its own.

#pragma once

#include "util.h"

// State between calls: zero-initialised at the start of a body.
struct http_chunk {
	uint64_t left;     // bytes of the current chunk still to come
	uint32_t line;     // bytes of the current chunk's extensions so far
	uint32_t trailers; // bytes of the trailer section so far
	uint8_t state;     // private to http_chunk.c
	uint8_t digits;    // of the current chunk's size so far
};

enum http_chunk_outcome {
	HTTP_CHUNK_OK = 0,   // the input is used up and the body goes on
	HTTP_CHUNK_DATA = 1, // *data is a run of body bytes inside the input
	HTTP_CHUNK_END = 2,  // the body, its trailers included, has ended; the rest is not its
	HTTP_CHUNK_BAD = 3,  // malformed: the connection cannot be trusted any further
};

// Consumes from *IN (advancing it) up to the next event. Body bytes are not copied: *DATA points
// into the input. Extensions are dropped, trailers checked for form and dropped. Limits: 16 hex
// digits that fit 63 bits, 1 KiB of extensions a chunk, 8 KiB of trailers, its empty line included.
// Bare LF is refused. After HTTP_CHUNK_END or HTTP_CHUNK_BAD nothing more is consumed and the
// answer stays the same.
int http_chunk_next(struct http_chunk *chunk, struct span *in, struct span *data) WARN_UNUSED;
