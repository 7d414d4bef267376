// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// One direction of a body, or of a byte relay: bytes from one stream are taken out of the framing
// they came in and sent to another in the framing announced there.
//
// Constant memory and back-pressure come from one rule: nothing more is read from the source while
// the sink has not taken what was read before.

#pragma once

#include "http_chunk.h"
#include "http_head.h"
#include "pipes.h"
#include "stream.h"

struct relay;

enum flow_direction { FLOW_UP, FLOW_DOWN }; // visitor to backend, backend to visitor

struct flow {
	enum flow_direction direction;
	enum http_body body; // how the source frames it; HTTP_BODY_CLOSE for a byte relay as well
	bool chunked;        // frame it as chunks for the sink
	bool ended;          // the source's part is complete
	bool bulk;           // the last read filled its buffer: worth a pipe
	bool no_pipe;        // there was none to be had, or it is of no use any more
	uint64_t moved;      // bytes of the body so far
	uint64_t left;       // with HTTP_BODY_LENGTH
	struct http_chunk chunk; // with HTTP_BODY_CHUNKED
	struct pipe *pipe;       // held only while it has bytes or moves them
};

// What the first step of a flow starts with. `lead` goes out before the body, in the same write if
// there is some: the message's head. `rest` are bytes already read that follow the head, in memory
// that may be changed; what of them does not belong to the body goes back to the source's `in`.
struct flow_start {
	struct span lead;
	struct span rest;
};

enum flow_result {
	FLOW_DONE,       // the body has ended and the sink's kernel has it all
	FLOW_WAIT,       // an event of either stream comes first
	FLOW_YIELD,      // there is more to move, but others have waited long enough
	FLOW_BAD_FRAME,  // the source's framing is malformed
	FLOW_SOURCE_CUT, // the source ended or broke before its body did
	FLOW_SINK_GONE,  // the sink takes no more
};

void flow_init(struct flow *flow, enum flow_direction direction, enum http_body body,
	uint64_t length, bool chunked);
// Gives the pipe back. Harmless to repeat.
void flow_deinit(struct flow *flow, struct relay *relay);

// Moves what can be moved. START is given once, with the first step, else NULL; whatever the
// result, it has been used.
enum flow_result flow_step(struct flow *flow, struct relay *relay, struct stream *source,
	struct stream *sink, const struct flow_start *start);
