// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// A request and its answer on their way, and the byte relay a 101 turns them into. Both directions
// move at the same time: a backend may answer before it has read everything.

#include "channel.h"
#include "relay.h"
#include "rewrite.h"
#include "visitor.h"

enum { INTERIM_MAX = 32 }; // 1xx answers to one request

static enum step bad_answer(struct visitor *visitor, const char *why)
{
	return refuse(visitor, CODE_BACKEND_BAD_RESPONSE, span_of(why));
}

// There is more to move, but others have their turn first.
static void yield(struct visitor *visitor)
{
	loop_task_set(&visitor->relay->loop, &visitor->task);
}

// ---- up: the request

// STEP_AGAIN: go on with the answer.
static enum step up_result(struct visitor *visitor, enum flow_result result)
{
	struct exchange *x = &visitor->x;
	switch (result) {
	case FLOW_DONE: x->up_done = true; break;
	case FLOW_WAIT: break;
	case FLOW_YIELD: yield(visitor); break;
	case FLOW_BAD_FRAME:
		return refuse(
			visitor, CODE_BAD_REQUEST, SPAN("The chunked request body is malformed."));
	case FLOW_SOURCE_CUT: return visitor_drop(visitor);
	case FLOW_SINK_GONE:
		x->up_dead = true;
		flow_deinit(&x->up, visitor->relay);
		visitor->backend->stream.readable = true; // whatever it said before it went
		break;
	}
	if (x->up.ended || x->up_dead || x->answering)
		return STEP_AGAIN;
	return visitor_deadline(visitor, visitor->relay->idle_timeout_ms, STEP_AGAIN);
}

enum step exchange_stalled(struct visitor *visitor)
{
	const struct exchange *x = &visitor->x;
	if (x->up.ended || x->up_dead || x->answering)
		return STEP_WAIT; // the timer was set for a body that has come; answers take their
				  // time
	// It may be the backend that keeps the body waiting.
	const struct pipe *pipe = x->up.pipe;
	struct stream *backend = &visitor->backend->stream;
	if ((x->expecting && x->interim == 0) || buf_len(&backend->out) > 0 ||
		stream_room(backend) == 0 || (pipe != NULL && pipe->held > 0))
		return visitor_deadline(visitor, visitor->relay->idle_timeout_ms, STEP_WAIT);
	return refuse(visitor, CODE_REQUEST_TIMEOUT,
		SPAN("Nothing of the request body arrived for idle_timeout."));
}

static enum step up_step(struct visitor *visitor, const struct flow_start *start)
{
	struct exchange *x = &visitor->x;
	if (x->up_done || x->up_dead)
		return STEP_AGAIN;
	return up_result(visitor, flow_step(&x->up, visitor->relay, &visitor->stream,
					  &visitor->backend->stream, start));
}

enum step exchange_begin(struct visitor *visitor, const struct flow_start *start)
{
	visitor->state = VISITOR_EXCHANGE;
	channel_begin(visitor->backend);
	return up_step(visitor, start);
}

// ---- the end of an exchange

static enum step exchange_done(struct visitor *visitor)
{
	struct exchange *x = &visitor->x;
	struct backend *backend = visitor->backend;
	bool keep_backend = x->up_done && x->reusable && buf_len(&backend->stream.in) == 0 &&
			    !backend->stream.peer_done;
	bool last = !x->keep_alive || !x->up_done;
	// First of all: so an edge mostly finds it behind the last bytes, and sends both at once.
	if (last && visitor->stream.local && stream_flush(&visitor->stream) == 0)
		(void)stream_finish(&visitor->stream); // is tried again where the visitor is closed
	if (!keep_backend) {
		visitor->backend = backend_free(backend);
	} else if (visitor->relay->config.reuse == REUSE_SHARED) {
		visitor->backend = NULL;
		backend_release(backend);
	} else {
		backend->used = true;
	}
	return last ? visitor_finish(visitor) : visitor_next(visitor);
}

// ---- down: the answer

static enum step down_result(struct visitor *visitor, enum flow_result result)
{
	switch (result) {
	case FLOW_DONE: return exchange_done(visitor);
	case FLOW_WAIT: break;
	case FLOW_YIELD: yield(visitor); break;
	case FLOW_BAD_FRAME:  // the answer has begun: all that is left is to cut it,
	case FLOW_SOURCE_CUT: // so that it cannot be taken for a complete one
	case FLOW_SINK_GONE: return visitor_drop(visitor);
	}
	return STEP_WAIT;
}

static enum step down_step(struct visitor *visitor, const struct flow_start *start)
{
	return down_result(visitor, flow_step(&visitor->x.down, visitor->relay,
					    &visitor->backend->stream, &visitor->stream, start));
}

static enum step answer_final(
	struct visitor *visitor, const struct http_head *head, struct span rest)
{
	struct exchange *x = &visitor->x;
	struct relay *relay = visitor->relay;
	bool no_body = head->body == HTTP_BODY_NONE;
	bool unlength = head->body == HTTP_BODY_CHUNKED || head->body == HTTP_BODY_CLOSE;
	bool chunked = unlength && !x->old;
	// A body that is still on its way up when the answer comes is not waited for.
	x->keep_alive = x->keep_alive && x->up.ended && !budget_requests_gone(&relay->budget);
	x->reusable = head->keep_alive && head->body != HTTP_BODY_CLOSE;
	const struct mapping mapping = request_mapping(visitor);
	size_t n = rewrite_response(&(struct rewrite_response){.head = head,
					    .mapping = &mapping,
					    .chunked = chunked,
					    .no_body = no_body,
					    .close = !x->keep_alive},
		relay->head_out, RELAY_HEAD_OUT);
	if (n == 0)
		return bad_answer(visitor, "The head of its answer is too large.");
	flow_init(&x->down, FLOW_DOWN, head->body, head->length, chunked);
	x->answering = true;
	x->status = (uint16_t)head->status;
	buf_reset(&x->head);
	return down_step(visitor, &(struct flow_start){{relay->head_out, n}, rest});
}

static enum step answer_interim(
	struct visitor *visitor, const struct http_head *head, struct span rest)
{
	struct exchange *x = &visitor->x;
	struct relay *relay = visitor->relay;
	if (++x->interim > INTERIM_MAX)
		return bad_answer(visitor, "It sent too many interim answers.");
	if (buf_add_span(&visitor->backend->stream.in, rest) < 0)
		return visitor_drop(visitor);
	if (x->old)
		return STEP_AGAIN; // HTTP/1.0 does not know them
	struct mapping mapping = request_mapping(visitor);
	mapping.routing = false;
	size_t n = rewrite_response(
		&(struct rewrite_response){.head = head, .mapping = &mapping, .no_body = true},
		relay->head_out, RELAY_HEAD_OUT);
	struct iovec piece = {relay->head_out, n};
	if (n == 0 || stream_send(&visitor->stream, &piece, 1) < 0)
		return visitor_drop(visitor);
	return STEP_AGAIN;
}

static enum step answer_switch(
	struct visitor *visitor, const struct http_head *head, struct span rest)
{
	struct relay *relay = visitor->relay;
	if (!visitor->x.upgrade || !head->upgrade)
		return bad_answer(visitor, "It switched protocols without being asked to.");
	const struct mapping mapping = request_mapping(visitor);
	size_t n = rewrite_response(
		&(struct rewrite_response){
			.head = head, .mapping = &mapping, .no_body = true, .upgrade = true},
		relay->head_out, RELAY_HEAD_OUT);
	if (n == 0)
		return bad_answer(visitor, "The head of its answer is too large.");
	return exchange_switch(visitor, (struct span){relay->head_out, n}, rest);
}

static enum step answer_head(struct visitor *visitor, char *bytes, size_t size, struct span rest)
{
	static struct http_head head; // 4 KiB, of use only within this call
	const char *why = NULL;
	if (http_response_parse(&head, bytes, size, visitor->x.to_head, &why) != HTTP_OK)
		return bad_answer(visitor, "Its answer is not valid HTTP/1.1.");
	if (head.status == 101)
		return answer_switch(visitor, &head, rest);
	if (head.status < 200)
		return answer_interim(visitor, &head, rest);
	return answer_final(visitor, &head, rest);
}

// Why there is no answer through an agent, by what it said of the stream; 0: of the connection.
static enum step agent_refused(struct visitor *visitor, int code)
{
	static const struct {
		enum code code;
		const char *detail;
	} answers[MUX_RESETS + 1] = {
		[MUX_RESET_REFUSED] = {CODE_BACKEND_REFUSED,
			"The agent could not connect to the service."},
		[MUX_RESET_TIMEOUT] = {CODE_BACKEND_TIMEOUT,
			"The service did not accept the agent's connection in time."},
		[MUX_RESET_PROTO] = {CODE_BAD_REQUEST, REQUEST_TCP_DETAIL},
		[MUX_RESET_STREAMS] = {CODE_TOO_MANY_CONNECTIONS,
			"The agent takes no more connections now."},
		[MUX_RESET_GONE] = {CODE_BACKEND_BAD_RESPONSE,
			"The agent's connection ended before there was an answer. The request may have "
			"reached the service."},
	};
	if (code < 0 || answers[code].code == CODE_NONE)
		return bad_answer(visitor, "It closed the connection without an answer.");
	return refuse(visitor, answers[code].code, span_of(answers[code].detail));
}

// The backend has ended before it answered. A connection that was idle may have been closed just
// before the request came; one through an agent goes when the agent goes.
static enum step no_answer(struct visitor *visitor)
{
	enum { RESENT_MAX = 3 };
	struct exchange *x = &visitor->x;
	int code = channel_code(visitor->backend);
	bool nothing = buf_len(&visitor->backend->stream.in) == 0 && x->interim == 0;
	bool lost = code == MUX_RESET_GONE || code == MUX_RESET_STREAMS;
	bool may = x->safe || channel_unsent(visitor->backend);
	bool again = nothing && may && buf_len(&x->head) > 0 &&
		     (lost ? x->resent < RESENT_MAX : visitor->backend->used && x->resent == 0);
	visitor->backend = backend_free(visitor->backend);
	if (!again)
		return agent_refused(visitor, code);
	x->resent++;
	visitor->scanned = 0;
	x->up_done = false;
	x->up_dead = false;
	return request_dial(visitor, 0);
}

// Looks for a head in what the backend has sent. *INCOMPLETE: the caller keeps the bytes.
static enum step answer_feed(struct visitor *visitor, char *bytes, size_t n, bool *incomplete)
{
	size_t size = 0;
	int r = http_head_find(bytes, n, false, &visitor->scanned, &size);
	*incomplete = r == HTTP_MORE;
	if (r != HTTP_MORE)
		visitor->scanned = 0;
	if (r == HTTP_OK)
		return answer_head(visitor, bytes, size, (struct span){bytes + size, n - size});
	return r == HTTP_MORE ? STEP_WAIT
			      : bad_answer(visitor, "Its answer is not valid HTTP/1.1.");
}

static enum step answer_buffered(struct visitor *visitor, bool *incomplete)
{
	struct stream *stream = &visitor->backend->stream;
	struct buf in = stream->in;
	buf_init(&stream->in, in.cap);
	enum step step = answer_feed(visitor, in.base + in.start, buf_len(&in), incomplete);
	if (*incomplete)
		stream->in = in;
	else
		buf_reset(&in);
	return step;
}

static enum step answer_read(struct visitor *visitor)
{
	struct stream *stream = &visitor->backend->stream;
	char *bytes;
	bool incomplete;
	if (!stream->readable)
		return STEP_WAIT;
	ssize_t n = stream_take(stream, visitor->relay->scratch, RELAY_SCRATCH / 2, &bytes);
	if (n == -EAGAIN)
		return STEP_WAIT;
	if (n <= 0)
		return no_answer(visitor);
	if (buf_len(&stream->in) == 0) {
		enum step step = answer_feed(visitor, bytes, (size_t)n, &incomplete);
		if (!incomplete)
			return step;
	}
	if (buf_add(&stream->in, bytes, (size_t)n) < 0)
		return visitor_drop(visitor);
	enum step step = answer_buffered(visitor, &incomplete);
	return incomplete ? STEP_AGAIN : step;
}

static enum step answer_step(struct visitor *visitor)
{
	if (visitor->x.interim > 0 && buf_len(&visitor->backend->stream.in) > 0) {
		bool incomplete; // what followed an interim answer
		enum step step = answer_buffered(visitor, &incomplete);
		if (!incomplete)
			return step;
	}
	return answer_read(visitor);
}

enum step exchange_step(struct visitor *visitor)
{
	enum step step = up_step(visitor, NULL);
	if (step != STEP_AGAIN || visitor->state != VISITOR_EXCHANGE)
		return step;
	if (!visitor->x.answering) {
		// Interim answers that wait to go out hold further ones back.
		int r = stream_flush(&visitor->stream);
		if (r != 0)
			return r < 0 ? visitor_drop(visitor) : STEP_WAIT;
		return answer_step(visitor);
	}
	return down_step(visitor, NULL);
}

// ---- byte relays

enum step exchange_switch(struct visitor *visitor, struct span lead, struct span rest)
{
	struct exchange *x = &visitor->x;
	struct relay *relay = visitor->relay;
	visitor->state = VISITOR_BYTES;
	buf_reset(&x->head);
	flow_deinit(&x->up, relay);
	flow_init(&x->up, FLOW_UP, HTTP_BODY_CLOSE, 0, false);
	flow_init(&x->down, FLOW_DOWN, HTTP_BODY_CLOSE, 0, false);
	x->up_done = false;
	x->up_dead = false;
	x->answering = true;
	x->status = 101;
	enum flow_result r = flow_step(&x->down, relay, &visitor->backend->stream, &visitor->stream,
		&(struct flow_start){lead, rest});
	if (r == FLOW_SINK_GONE || r == FLOW_SOURCE_CUT)
		return visitor_drop(visitor);
	return STEP_AGAIN;
}

// Backend to visitor. STEP_AGAIN: go on with the other direction.
static enum step bytes_down(struct visitor *visitor)
{
	struct stream *ours = &visitor->stream, *theirs = &visitor->backend->stream;
	if (ours->shut)
		return STEP_AGAIN; // this direction has ended
	switch (flow_step(&visitor->x.down, visitor->relay, theirs, ours, NULL)) {
	case FLOW_DONE: stream_shut(ours); break;
	case FLOW_WAIT: break;
	case FLOW_YIELD: yield(visitor); break;
	case FLOW_BAD_FRAME:
	case FLOW_SOURCE_CUT:
	case FLOW_SINK_GONE: return visitor_drop(visitor);
	}
	return STEP_AGAIN;
}

static enum step bytes_up(struct visitor *visitor)
{
	struct stream *ours = &visitor->stream, *theirs = &visitor->backend->stream;
	if (theirs->shut)
		return STEP_WAIT;
	switch (flow_step(&visitor->x.up, visitor->relay, ours, theirs, NULL)) {
	case FLOW_DONE: stream_shut(theirs); break;
	case FLOW_WAIT: break;
	case FLOW_YIELD: yield(visitor); break;
	case FLOW_BAD_FRAME:
	case FLOW_SOURCE_CUT: return visitor_drop(visitor);
	case FLOW_SINK_GONE:
		// The backend listens no more; what it said before that is still delivered.
		flow_deinit(&visitor->x.up, visitor->relay);
		theirs->shut = true;
		theirs->broken = true;
		theirs->readable = true;
		return STEP_AGAIN;
	}
	return STEP_WAIT;
}

enum step exchange_bytes_step(struct visitor *visitor)
{
	struct stream *ours = &visitor->stream, *theirs = &visitor->backend->stream;
	enum step step = bytes_down(visitor);
	if (step == STEP_AGAIN && ours->shut && theirs->broken)
		theirs->shut = true; // ended, then reset: it takes nothing any more
	if (step == STEP_AGAIN)
		step = bytes_up(visitor);
	if (step != STEP_WAIT || !ours->shut || !theirs->shut)
		return step;
	return visitor_finish(visitor);
}
