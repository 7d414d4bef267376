// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "agent_stream.h"

enum { TURN = 2 }; // pieces before others have theirs

static struct agent_stream *stream_of(struct mux_stream *mux)
{
	return container_of(mux, struct agent_stream, mux);
}

// ---- reading along

static void sniff_settle(struct agent_stream *stream)
{
	if (stream->sniff == NULL || !stream->sniff->done)
		return;
	free(stream->sniff);
	stream->sniff = NULL;
}

static void sniff_begin(struct agent_stream *stream)
{
	stream->sniff = malloc(sizeof *stream->sniff);
	if (stream->sniff != NULL) // without memory there are no lines
		sniff_init(stream->sniff);
}

static void sniff_up(struct agent_stream *stream, struct span bytes)
{
	if (stream->sniff == NULL)
		return;
	sniff_request(stream->sniff, bytes, stream->agent->loop->now);
	sniff_settle(stream);
}

static void sniff_down(struct agent_stream *stream, struct span bytes)
{
	if (stream->sniff == NULL)
		return;
	sniff_response(
		stream->sniff, bytes, stream->agent->loop->now, &stream->agent->journal->requests);
	sniff_settle(stream);
}

// ---- the end

// The stream is the mux's no more.
static void drop(struct agent_stream *stream, bool reset)
{
	struct agent *agent = stream->agent;
	if (stream->sniff != NULL)
		sniff_end(stream->sniff, agent->loop->now, &agent->journal->requests);
	free(stream->sniff);
	backend_close(&stream->backend, reset);
	buf_reset(&stream->pending);
	free(stream);
	agent->n_streams--;
}

static void close_stream(struct agent_stream *stream, enum mux_reset code, bool reset)
{
	struct mux *mux = stream->mux.mux;
	if (mux != NULL) {
		mux_stream_close(&stream->mux, code);
		agent_link_wake(agent_link_of(mux));
	}
	drop(stream, reset);
}

// ---- to the target

// Returns 0, or a negative errno: it takes no more.
static int write_pending(struct agent_stream *stream)
{
	while (buf_len(&stream->pending) > 0 && stream->backend.writable) {
		ssize_t n = backend_write(&stream->backend, buf_span(&stream->pending));
		if (n < 0)
			return (int)n;
		buf_consume(&stream->pending, (size_t)n);
		buf_trim(&stream->pending);
		mux_taken(&stream->mux, (size_t)n);
	}
	if (stream->fin && buf_len(&stream->pending) == 0)
		return backend_shut(&stream->backend);
	return 0;
}

// What the target takes at once is not copied.
void agent_stream_data(struct mux_stream *mux, char *bytes, size_t n)
{
	struct agent_stream *stream = stream_of(mux);
	struct backend *backend = &stream->backend;
	struct span rest = {bytes, n};
	bool direct = backend->state == BACKEND_OPEN && buf_len(&stream->pending) == 0;
	sniff_up(stream, rest);
	while (direct && backend->writable && rest.n > 0) {
		ssize_t taken = backend_write(backend, rest);
		if (taken < 0) {
			close_stream(stream, MUX_RESET_FAILED, true);
			return;
		}
		mux_taken(&stream->mux, (size_t)taken);
		rest = (struct span){rest.p + taken, rest.n - (size_t)taken};
	}
	if (buf_add_span(&stream->pending, rest) < 0)
		close_stream(stream, MUX_RESET_OVERLOADED, true);
}

static bool is_over(const struct agent_stream *stream)
{
	return stream->fin && stream->backend.ended && buf_len(&stream->pending) == 0;
}

void agent_stream_fin(struct mux_stream *mux)
{
	struct agent_stream *stream = stream_of(mux);
	stream->fin = true;
	if (stream->backend.state != BACKEND_OPEN)
		return;
	// A target that has reset already will be heard of by an event.
	(void)!write_pending(stream);
	if (is_over(stream))
		close_stream(stream, MUX_RESET_CANCEL, false);
}

// ---- from the target

// Reads what there is and the relay wants. Returns 0, or a negative errno: there will be no more.
static int pump(struct agent_stream *stream)
{
	struct backend *backend = &stream->backend;
	struct agent *agent = stream->agent;
	for (int turn = 0; backend->readable && !backend->ended; turn++) {
		size_t room = turn < TURN ? mux_room(&stream->mux) : 0;
		if (room == 0) {
			mux_want(&stream->mux);
			return 0;
		}
		ssize_t n = backend_read(backend, agent->piece, room);
		if (n == -EAGAIN)
			return 0;
		if (n < 0)
			return (int)n;
		if (n == 0) {
			if (stream->sniff != NULL)
				sniff_response_end(
					stream->sniff, agent->loop->now, &agent->journal->requests);
			sniff_settle(stream);
			return mux_fin(&stream->mux);
		}
		sniff_down(stream, (struct span){agent->piece, (size_t)n});
		const struct iovec piece = {.iov_base = agent->piece, .iov_len = (size_t)n};
		int r = mux_send(&stream->mux, &piece, 1);
		if (r < 0)
			return r;
	}
	return 0;
}

static void go_on(struct agent_stream *stream)
{
	struct agent_link *link = agent_link_of(stream->mux.mux);
	// What it still has to say is heard even where it listens no more.
	int w = write_pending(stream), r = pump(stream);
	if (r < 0 || (w < 0 && stream->backend.ended))
		close_stream(stream, MUX_RESET_FAILED, true);
	else if (is_over(stream))
		close_stream(stream, MUX_RESET_CANCEL, false);
	agent_link_wake(link);
}

void agent_stream_writable(struct mux_stream *mux)
{
	struct agent_stream *stream = stream_of(mux);
	if (stream->backend.state == BACKEND_OPEN)
		go_on(stream);
}

static void backend_event(struct backend *backend)
{
	static const enum mux_reset codes[] = {
		[BACKEND_REFUSED] = MUX_RESET_REFUSED,
		[BACKEND_TIMEOUT] = MUX_RESET_TIMEOUT,
		[BACKEND_UNTRUSTED] = MUX_RESET_REFUSED,
		[BACKEND_NO_ROOM] = MUX_RESET_OVERLOADED,
	};
	struct agent_stream *stream = container_of(backend, struct agent_stream, backend);
	agent_target(stream->agent, (enum backend_failure)backend->failure);
	if (backend->state == BACKEND_FAILED)
		close_stream(stream, codes[backend->failure], true);
	else
		go_on(stream);
}

// ---- from the relay

void agent_stream_reset(struct mux_stream *mux, enum mux_reset code)
{
	(void)code;
	drop(stream_of(mux), true);
}

struct mux_stream *agent_stream_open(
	struct mux *mux, const struct mux_message *open, enum mux_reset *code)
{
	struct agent *agent = agent_link_of(mux)->agent;
	bool http = !span_eq(open->proto, SPAN("tcp"));
	if (http != agent->options.target->http) {
		*code = MUX_RESET_PROTO;
		return NULL;
	}
	*code = MUX_RESET_STREAMS;
	if (agent->n_streams >= agent->streams_max)
		return NULL;
	*code = MUX_RESET_OVERLOADED;
	struct agent_stream *stream = calloc(1, sizeof *stream);
	if (stream == NULL)
		return NULL;
	stream->agent = agent;
	buf_init(&stream->pending, MUX_WINDOW_MAX);
	if (backend_open(&stream->backend, &agent->backends, backend_event) < 0) {
		free(stream);
		return NULL;
	}
	if (http && !agent->journal->options.quiet)
		sniff_begin(stream);
	agent->n_streams++;
	return &stream->mux;
}
