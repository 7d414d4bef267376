// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "channel.h"

#include "agent.h"
#include "peer.h"
#include "relay.h"
#include "visitor.h"

#include <assert.h>

static const struct stream_kind channel_kind;

static struct channel *channel_of(struct mux_stream *stream)
{
	return container_of(stream, struct channel, mux);
}

static struct channel *channel_of_stream(const struct stream *stream)
{
	return container_of((uintptr_t)stream, struct channel, backend.stream);
}

// ---- life

int channel_new(
	struct channel **ret, struct visitor *visitor, struct agent *agent, struct span proto)
{
	static_assert(offsetof(struct channel, backend) == 0, "backend_free() frees it");
	char text[PEER_TEXT_SIZE];
	struct channel *channel = calloc(1, sizeof *channel);
	if (channel == NULL)
		return -ENOMEM;
	*channel = (struct channel){
		.backend = {.relay = visitor->relay, .visitor = visitor, .connected = true},
		.code = -1,
	};
	struct stream *stream = &channel->backend.stream;
	stream->kind = &channel_kind;
	stream->loop = &visitor->relay->loop;
	stream->watch.fd = -1;
	stream->writable = true;
	buf_init(&stream->in, STREAM_IN_MAX);
	buf_init(&stream->out, STREAM_OUT_MAX);
	buf_init(&channel->received, MUX_WINDOW_MAX);
	int r = mux_open(
		&agent->mux, &channel->mux, peer_format(visitor->sender.peer, text), proto);
	if (r != 0) {
		backend_free(&channel->backend);
		return r;
	}
	channel->agent = agent;
	*ret = channel;
	return 0;
}

// The agent has nothing to do with it any more.
static void detach(struct channel *channel)
{
	if (channel->agent != NULL)
		agent_stream_over(channel->agent);
	channel->agent = NULL;
}

static void channel_close(struct stream *stream)
{
	struct channel *channel = channel_of_stream(stream);
	struct agents *agents = &channel->backend.relay->agents;
	mux_stream_close(&channel->mux, MUX_RESET_CANCEL);
	detach(channel);
	if (agents->delivering == channel)
		agents->delivering = NULL;
	buf_reset(&stream->in);
	buf_reset(&stream->out);
	buf_reset(&channel->received);
}

bool channel_is(const struct backend *backend)
{
	return backend->stream.kind == &channel_kind;
}

int channel_code(const struct backend *backend)
{
	return channel_is(backend) ? channel_of_stream(&backend->stream)->code : -1;
}

struct span channel_host(const struct backend *backend)
{
	if (!channel_is(backend) || channel_of_stream(&backend->stream)->agent == NULL)
		return (struct span){NULL, 0};
	return span_of(channel_of_stream(&backend->stream)->agent->host);
}

void channel_begin(struct backend *backend)
{
	struct channel *channel = channel_of_stream(&backend->stream);
	if (!channel_is(backend) || channel->agent == NULL)
		return;
	const struct mux *mux = &channel->agent->mux;
	channel->start = mux->written + buf_len(&mux->out);
}

bool channel_unsent(const struct backend *backend)
{
	return channel_is(backend) && channel_of_stream(&backend->stream)->unsent;
}

// One that is idle is of no use any more.
void channel_retire(struct mux_stream *stream)
{
	struct backend *backend = &channel_of(stream)->backend;
	struct visitor *visitor = backend->visitor;
	backend->retired = true;
	if (visitor != NULL && visitor->state != VISITOR_HEAD)
		return;
	if (visitor != NULL)
		visitor->backend = NULL;
	backend_free(backend);
}

// ---- taking

static void return_lent(struct channel *channel)
{
	if (channel->lent == 0)
		return;
	buf_consume(&channel->received, channel->lent);
	buf_trim(&channel->received);
	channel->lent = 0;
}

// Whoever comes for more has passed on what it took last (flow.c): only now has that been taken, as
// far as credit and memory go.
static void settle(struct channel *channel)
{
	return_lent(channel);
	if (channel->passing > 0)
		mux_taken(&channel->mux, channel->passing);
	channel->passing = 0;
}

static bool channel_empty(struct stream *stream)
{
	struct channel *channel = channel_of_stream(stream);
	settle(channel);
	stream->readable = channel->piece.n > 0 || buf_len(&channel->received) > 0 ||
			   channel->fin || stream->broken;
	return !stream->readable;
}

static ssize_t channel_take(struct stream *stream, char *scratch, size_t size, char **ret)
{
	struct channel *channel = channel_of_stream(stream);
	if (channel_empty(stream))
		return -EAGAIN;
	bool kept = buf_len(&channel->received) > 0;
	struct span from = kept ? buf_span(&channel->received) : channel->piece;
	size_t n = MIN(size, from.n);
	if (n == 0 && channel->fin) {
		stream->ended = true;
		return 0;
	}
	if (n == 0)
		return -ECONNRESET;
	*ret = (char *)(uintptr_t)from.p;
	if (kept)
		channel->lent = n;
	else
		channel->piece = (struct span){from.p + n, from.n - n};
	channel->passing = n;
	return (ssize_t)n;
}

// ---- sending

static int channel_flush(struct stream *stream)
{
	struct channel *channel = channel_of_stream(stream);
	while (buf_len(&stream->out) > 0) {
		struct span waiting = buf_span(&stream->out);
		size_t n = MIN(waiting.n, mux_room(&channel->mux));
		if (channel->agent == NULL)
			return -EPIPE;
		if (n == 0) {
			mux_want(&channel->mux);
			return STREAM_PENDING;
		}
		int r = mux_send(
			&channel->mux, &(struct iovec){(void *)(uintptr_t)waiting.p, n}, 1);
		if (r < 0)
			return r;
		buf_consume(&stream->out, n);
	}
	return 0;
}

static int channel_send(struct stream *stream, const struct iovec *pieces, int n)
{
	struct channel *channel = channel_of_stream(stream);
	size_t all = 0;
	for (int i = 0; i < n; i++)
		all += pieces[i].iov_len;
	if (channel->agent == NULL)
		return -EPIPE;
	if (buf_len(&stream->out) == 0 && all <= mux_room(&channel->mux))
		return mux_send(&channel->mux, pieces, n);
	for (int i = 0; i < n; i++) {
		int r = buf_add(&stream->out, pieces[i].iov_base, pieces[i].iov_len);
		if (r < 0)
			return r;
	}
	return MIN(channel_flush(stream), 0);
}

static size_t channel_room(struct stream *stream)
{
	struct channel *channel = channel_of_stream(stream);
	size_t room = mux_room(&channel->mux);
	if (channel->agent == NULL)
		return SIZE_MAX; // sending tells
	if (room == 0)
		mux_want(&channel->mux);
	return room;
}

static int channel_shut(struct stream *stream)
{
	stream->shut = true;
	return mux_fin(&channel_of_stream(stream)->mux);
}

// What has been sent stands behind other channels' bytes, not behind this one any more.
static bool channel_delivered(const struct stream *stream)
{
	return buf_len(&stream->out) == 0;
}

static void channel_set_orderly(struct stream *stream)
{
	// FIN and RESET are told apart by their messages.
}

static const struct stream_kind channel_kind = {
	.take = channel_take,
	.empty = channel_empty,
	.send = channel_send,
	.flush = channel_flush,
	.room = channel_room,
	.shut = channel_shut,
	.delivered = channel_delivered,
	.set_orderly = channel_set_orderly,
	.close = channel_close,
};

// ---- what the agent says

// Goes on with whoever the channel is for, which may free it.
static void go_on(struct channel *channel)
{
	struct backend *backend = &channel->backend;
	if (backend->visitor != NULL)
		visitor_step(backend->visitor);
	else if (!backend_is_idle(backend))
		backend_free(backend);
}

static void keep(struct channel *channel, struct span rest)
{
	if (buf_add_span(&channel->received, rest) == 0)
		return;
	channel->backend.stream.broken = true; // no memory: it is this stream that ends
	mux_stream_close(&channel->mux, MUX_RESET_OVERLOADED);
	detach(channel);
	go_on(channel);
}

void channel_on_data(struct mux_stream *stream, char *bytes, size_t n)
{
	struct channel *channel = channel_of(stream);
	struct agents *agents = &channel->backend.relay->agents;
	return_lent(channel);
	channel->backend.stream.readable = true;
	if (buf_len(&channel->received) > 0) { // its visitor is behind, and knows
		keep(channel, (struct span){bytes, n});
		return;
	}
	channel->piece = (struct span){bytes, n};
	agents->delivering = channel;
	go_on(channel);
	if (agents->delivering != channel)
		return; // freed
	struct span rest = channel->piece;
	agents->delivering = NULL;
	channel->piece = (struct span){NULL, 0};
	if (rest.n > 0)
		keep(channel, rest);
}

void channel_on_fin(struct mux_stream *stream)
{
	struct channel *channel = channel_of(stream);
	channel->fin = true;
	channel->backend.stream.peer_done = true;
	channel->backend.stream.readable = true;
	go_on(channel);
}

void channel_on_reset(struct mux_stream *stream, enum mux_reset code)
{
	struct channel *channel = channel_of(stream);
	struct stream *s = &channel->backend.stream;
	if (channel->agent != NULL)
		channel->unsent =
			code == MUX_RESET_GONE && channel->agent->mux.written <= channel->start;
	detach(channel);
	channel->code = (int)code;
	s->broken |= !channel->fin; // else all there was to come has come
	s->readable = true;
	go_on(channel);
}

void channel_on_writable(struct mux_stream *stream)
{
	struct channel *channel = channel_of(stream);
	if (channel->backend.visitor != NULL)
		visitor_step(channel->backend.visitor);
}
