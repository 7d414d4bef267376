// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// One HTTP response, taken apart as its bytes come; knows of no connection. What the server sends
// is hostile: the head has the limits of http_head.h, at most ANSWER_INTERIM answers 1xx are
// skipped, framing is judged strictly, and how much of a body is too much is the caller's to say.

#pragma once

#include "buf.h"
#include "http_chunk.h"
#include "http_head.h"

enum { ANSWER_INTERIM = 8 };

enum answer_event {
	ANSWER_MORE = 0, // the input is used up
	ANSWER_HEAD = 1, // ->head is there; once
	ANSWER_DATA = 2, // *DATA is a run of body bytes inside the input
	ANSWER_END = 3,  // it is complete; what is left of the input is not its. With status 101
			 // that belongs to the protocol that begins
	ANSWER_BAD = 4,  // not HTTP; ->why says in a few words what
};

struct answer {
	struct http_head head; // spans point into ->bytes
	const char *why;
	// Private.
	bool to_head;
	uint8_t state;
	uint8_t interim;
	size_t scanned;
	uint64_t left;
	struct http_chunk chunk;
	struct buf bytes;
};

// TO_HEAD: it answers a HEAD request.
void answer_init(struct answer *answer, bool to_head);
void answer_deinit(struct answer *answer);

// Consumes from *IN (advancing it) up to the next event. ANSWER_END and ANSWER_BAD stay.
enum answer_event answer_next(struct answer *answer, struct span *in, struct span *data);

// The connection has ended in an orderly way: ANSWER_END if the answer is complete by that, else
// ANSWER_BAD.
enum answer_event answer_eof(struct answer *answer);
