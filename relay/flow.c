// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "flow.h"

#include "relay.h"

#include <fcntl.h>
#include <stdio.h>

enum {
	ROUND_BYTES = 1024 * 1024, // moved before other connections get their turn
	BULK_LEAST = 16 * 1024,    // a splice below this is no bulk any more
	GO_ON = -1,                // internal: the step continues
};

void flow_init(struct flow *flow, enum flow_direction direction, enum http_body body,
	uint64_t length, bool chunked)
{
	*flow = (struct flow){
		.direction = direction,
		.body = body,
		.chunked = chunked,
		.left = length,
		.ended = body == HTTP_BODY_NONE || (body == HTTP_BODY_LENGTH && length == 0),
	};
}

void flow_deinit(struct flow *flow, struct relay *relay)
{
	pipes_return(&relay->pipes, flow->pipe);
	flow->pipe = NULL;
}

static void count(struct flow *flow, struct relay *relay, size_t n)
{
	struct counters *counters = relay->counters;
	flow->moved += n;
	relay_count_bytes(
		relay, flow->direction == FLOW_UP ? &counters->bytes_in : &counters->bytes_out, n);
}

// ---- out of the source's framing

// Decodes chunks in place: the body bytes of DATA end up at its start, *BODY long. *USED are the
// bytes of DATA that belonged to this body. Returns GO_ON or FLOW_BAD_FRAME.
static int unchunk(struct flow *flow, struct span data, size_t *body, size_t *used)
{
	struct span in = data, piece;
	char *out = (char *)(uintptr_t)data.p;
	*body = 0;
	for (;;) {
		switch ((enum http_chunk_outcome)http_chunk_next(&flow->chunk, &in, &piece)) {
		case HTTP_CHUNK_DATA:
			memmove(out + *body, piece.p, piece.n);
			*body += piece.n;
			break;
		case HTTP_CHUNK_END: flow->ended = true; __attribute__((fallthrough));
		case HTTP_CHUNK_OK: *used = data.n - in.n; return GO_ON;
		case HTTP_CHUNK_BAD: return FLOW_BAD_FRAME;
		}
	}
}

static int unframe(struct flow *flow, struct span data, size_t *body, size_t *used)
{
	switch (flow->body) {
	case HTTP_BODY_CHUNKED: return unchunk(flow, data, body, used);
	case HTTP_BODY_LENGTH:
		*body = *used = (size_t)MIN((uint64_t)data.n, flow->left);
		flow->left -= *body;
		flow->ended = flow->left == 0;
		return GO_ON;
	case HTTP_BODY_CLOSE: *body = *used = data.n; return GO_ON;
	case HTTP_BODY_NONE: break;
	}
	*body = *used = 0;
	return GO_ON;
}

// ---- into the sink's framing

static int emit(struct flow *flow, struct stream *sink, struct span lead, struct span body)
{
	char size[20];
	struct iovec pieces[4];
	int n = 0;
	if (lead.n > 0)
		pieces[n++] = (struct iovec){(void *)(uintptr_t)lead.p, lead.n};
	if (flow->chunked && body.n > 0) {
		int digits = snprintf(size, sizeof size, "%zx\r\n", body.n);
		pieces[n++] = (struct iovec){size, (size_t)digits};
	}
	if (body.n > 0)
		pieces[n++] = (struct iovec){(void *)(uintptr_t)body.p, body.n};
	if (flow->chunked) {
		static const char tail[] =
			"\r\n0\r\n\r\n"; // end of this chunk, then the last chunk
		size_t from = body.n > 0 ? 0 : 2, to = flow->ended ? sizeof tail - 1 : 2;
		if (from < to)
			pieces[n++] = (struct iovec){(void *)(uintptr_t)(tail + from), to - from};
	}
	return n > 0 && stream_send(sink, pieces, n) < 0 ? (int)FLOW_SINK_GONE : GO_ON;
}

// DATA has come from the source: passes the body in it on and returns the rest to the source.
static int pass(struct flow *flow, struct relay *relay, struct stream *source, struct stream *sink,
	struct span lead, struct span data)
{
	size_t body = 0, used = 0;
	int r = unframe(flow, data, &body, &used);
	if (r != GO_ON)
		return r;
	size_t room = relay_bytes_left(relay, body);
	if (room < body) { // the tunnel ends here: what is left of its budget, and no end of a body
		flow->ended = false;
		count(flow, relay, room);
		r = emit(flow, sink, lead, (struct span){data.p, room});
		return r == GO_ON ? (int)FLOW_WAIT : r;
	}
	count(flow, relay, body);
	r = emit(flow, sink, lead, (struct span){data.p, body});
	if (r == GO_ON && used < data.n && buf_add(&source->in, data.p + used, data.n - used) < 0)
		return FLOW_SOURCE_CUT;
	return r;
}

// ---- the ways bytes come in

// How much of SIZE may be read for the body; 0 when the tunnel's budget is used up.
static size_t read_size(const struct flow *flow, const struct relay *relay, size_t size)
{
	if (flow->body == HTTP_BODY_LENGTH)
		size = (size_t)MIN((uint64_t)size, flow->left);
	return relay_bytes_left(relay, size);
}

static int at_end(struct flow *flow, struct stream *sink, struct span lead)
{
	if (flow->body != HTTP_BODY_CLOSE)
		return FLOW_SOURCE_CUT;
	flow->ended = true;
	return emit(flow, sink, lead, (struct span){NULL, 0});
}

static int from_buffer(
	struct flow *flow, struct relay *relay, struct stream *source, struct stream *sink)
{
	// Taken out first: what does not belong to the body is put back.
	struct buf in = source->in;
	buf_init(&source->in, in.cap);
	int r = pass(flow, relay, source, sink, (struct span){NULL, 0}, buf_span(&in));
	buf_reset(&in);
	return r;
}

static int from_stream(struct flow *flow, struct relay *relay, struct stream *source,
	struct stream *sink, struct span lead, size_t *moved)
{
	char *data;
	size_t room = stream_room(sink);
	size_t size = read_size(flow, relay, MIN(room - MIN(room, lead.n), (size_t)RELAY_SCRATCH));
	if (size == 0)
		return FLOW_WAIT;
	ssize_t n = stream_take(source, relay->scratch, size, &data);
	if (n == -EAGAIN)
		return FLOW_WAIT;
	if (n < 0)
		return FLOW_SOURCE_CUT;
	if (n == 0)
		return at_end(flow, sink, lead);
	flow->bulk = n == RELAY_SCRATCH;
	*moved += (size_t)n;
	return pass(flow, relay, source, sink, lead, (struct span){data, (size_t)n});
}

// ---- bulk: socket to pipe to socket

// splice(2) does not get over urgent bytes.
static bool wants_pipe(
	const struct flow *flow, const struct stream *source, const struct stream *sink)
{
	return flow->bulk && !flow->no_pipe && !flow->chunked && flow->body != HTTP_BODY_CHUNKED &&
	       !source->urgent && stream_is_socket(source) && stream_is_socket(sink);
}

// Empties the pipe into the sink. Returns GO_ON when it is empty.
static int drain_pipe(struct flow *flow, struct stream *sink)
{
	struct pipe *pipe = flow->pipe;
	while (pipe != NULL && pipe->held > 0) {
		if (!sink->writable)
			return FLOW_WAIT;
		ssize_t n = splice(pipe->out, NULL, sink->watch.fd, NULL, pipe->held,
			SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
		if (n > 0) {
			pipe->held -= (size_t)n;
			sink->written += (uint64_t)n;
		} else if (n < 0 && errno == EAGAIN) {
			stream_full(sink);
		} else if (n == 0 || errno != EINTR) {
			return FLOW_SINK_GONE;
		}
	}
	return GO_ON;
}

static int fill_pipe(struct flow *flow, struct relay *relay, struct stream *source, size_t *moved)
{
	struct pipe *pipe = flow->pipe;
	size_t size = read_size(flow, relay, pipe->size);
	if (size == 0)
		return FLOW_WAIT;
	ssize_t n = splice(
		source->watch.fd, NULL, pipe->in, NULL, size, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	if (n < 0 && errno == EINTR)
		return GO_ON;
	if (n < 0 && errno == EAGAIN) {
		source->readable = false;
		return FLOW_WAIT;
	}
	if (n < 0) {
		source->broken = true;
		return FLOW_SOURCE_CUT;
	}
	if (n == 0) {
		// The end, or urgent bytes with the end behind them: a read tells.
		flow->no_pipe = true;
		return GO_ON;
	}
	pipe->held = (size_t)n;
	*moved += (size_t)n;
	count(flow, relay, (size_t)n);
	flow->bulk = n >= BULK_LEAST;
	if (flow->body == HTTP_BODY_LENGTH) {
		flow->left -= (uint64_t)n;
		flow->ended = flow->left == 0;
	}
	return GO_ON;
}

static int through_pipe(
	struct flow *flow, struct relay *relay, struct stream *source, size_t *moved)
{
	if (flow->pipe == NULL)
		flow->pipe = pipes_take(&relay->pipes);
	flow->no_pipe = flow->pipe == NULL;
	return flow->no_pipe ? GO_ON : fill_pipe(flow, relay, source, moved);
}

// ---- the step

// Everything read so far must have left before more is read. Returns GO_ON then.
static int settle(struct flow *flow, struct relay *relay, struct stream *sink)
{
	int r = stream_flush(sink);
	if (r < 0)
		return FLOW_SINK_GONE;
	if (r == STREAM_PENDING)
		return FLOW_WAIT;
	r = drain_pipe(flow, sink);
	if (r != GO_ON)
		return r;
	if (flow->ended || !flow->bulk)
		flow_deinit(flow, relay);
	return flow->ended ? (int)FLOW_DONE : GO_ON;
}

static int begin(struct flow *flow, struct relay *relay, struct stream *source, struct stream *sink,
	const struct flow_start *start, size_t *moved)
{
	if (!flow->ended && start->rest.n > 0)
		return pass(flow, relay, source, sink, start->lead, start->rest);
	if (start->rest.n > 0 && buf_add_span(&source->in, start->rest) < 0)
		return FLOW_SOURCE_CUT;
	if (!flow->ended && buf_len(&source->in) == 0 && source->readable) {
		int r = from_stream(flow, relay, source, sink, start->lead, moved);
		if (r != FLOW_WAIT)
			return r;
	}
	bool empty =
		flow->ended && flow->chunked; // an empty body in chunks still has its last chunk
	if (!empty) {
		struct iovec lead = {(void *)(uintptr_t)start->lead.p, start->lead.n};
		return stream_send(sink, &lead, 1) < 0 ? (int)FLOW_SINK_GONE : GO_ON;
	}
	return emit(flow, sink, start->lead, (struct span){NULL, 0});
}

static int move(struct flow *flow, struct relay *relay, struct stream *source, struct stream *sink,
	size_t *moved)
{
	if (buf_len(&source->in) > 0)
		return from_buffer(flow, relay, source, sink);
	if (!source->readable)
		return FLOW_WAIT;
	if (wants_pipe(flow, source, sink))
		return through_pipe(flow, relay, source, moved);
	return from_stream(flow, relay, source, sink, (struct span){NULL, 0}, moved);
}

enum flow_result flow_step(struct flow *flow, struct relay *relay, struct stream *source,
	struct stream *sink, const struct flow_start *start)
{
	size_t moved = 0;
	int r = GO_ON;
	if (start != NULL)
		r = begin(flow, relay, source, sink, start, &moved);
	while (r == GO_ON) {
		r = settle(flow, relay, sink);
		if (r == GO_ON && moved >= ROUND_BYTES)
			return FLOW_YIELD;
		if (r == GO_ON)
			r = move(flow, relay, source, sink, &moved);
	}
	if (flow->pipe != NULL && flow->pipe->held == 0)
		flow_deinit(flow, relay); // nobody waits holding an empty pipe
	return (enum flow_result)r;
}
