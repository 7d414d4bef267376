// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Server-sent events (HTML Living Standard section 9.2) as a push decoder: bytes in, events out.
// What is too long for its cap ends the stream; the standard has no limits, but memory has.

#pragma once

#include "buf.h"

enum { SSE_LINE_MAX = 128 * 1024, SSE_DATA_MAX = 256 * 1024, SSE_NAME_MAX = 64, SSE_ID_MAX = 256 };

enum sse_event {
	SSE_MORE = 0,  // the input is used up
	SSE_EVENT = 1, // ->event, ->data and ->id are those of one event, until the next call
	SSE_BAD = 2,   // longer than allowed, or no memory
};

struct sse {
	char event[SSE_NAME_MAX + 1]; // "message" if the server did not name it
	char id[SSE_ID_MAX + 1];      // of the last event that had one: for Last-Event-ID
	struct buf data;
	int64_t retry_ms; // -1: the server did not say
	// Private.
	struct buf line;
	bool after_cr, shown, started;
};

void sse_init(struct sse *sse);
void sse_deinit(struct sse *sse);
// A new connection begins; the id is kept.
void sse_restart(struct sse *sse);

// Consumes from *IN (advancing it) up to the next event.
enum sse_event sse_next(struct sse *sse, struct span *in);
