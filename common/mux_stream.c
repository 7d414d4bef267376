// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The streams of a connection: their table, their credit, and the queue of those that wait to send.

#include "mux_private.h"

#include <assert.h>

enum {
	TABLE_LEAST = 16,
	WINDOW_LOW = 64 * 1024,  // at most, while the store is under pressure
	WINDOW_LEAST = 8 * 1024, // then, however many streams there are
	FRAME_HEAD_MAX = WEBSOCKET_HEAD_MAX + MUX_DATA_HEAD_MAX,
};

// ---- the table: ids are counted up, so their low bits spread evenly

static struct mux_stream **slot_of(const struct mux *mux, uint32_t id)
{
	return &mux->table[id & (mux->table_size - 1)];
}

struct mux_stream *mux_find(const struct mux *mux, uint32_t id)
{
	if (mux->table_size == 0)
		return NULL;
	struct mux_stream *stream = *slot_of(mux, id);
	while (stream != NULL && stream->id != id)
		stream = stream->next;
	return stream;
}

static void table_put(struct mux *mux, struct mux_stream *stream)
{
	struct mux_stream **slot = slot_of(mux, stream->id);
	stream->next = *slot;
	*slot = stream;
}

static int table_grow(struct mux *mux)
{
	struct mux_stream **old = mux->table;
	uint32_t old_size = mux->table_size;
	uint32_t size = old_size > 0 ? old_size * 2 : TABLE_LEAST;
	struct mux_stream **table = calloc(size, sizeof *table);
	if (table == NULL)
		return -ENOMEM;
	mux->table = table;
	mux->table_size = size;
	for (uint32_t i = 0; i < old_size; i++) {
		while (old[i] != NULL) {
			struct mux_stream *stream = old[i];
			old[i] = stream->next;
			table_put(mux, stream);
		}
	}
	free(old);
	return 0;
}

int mux_add(struct mux *mux, struct mux_stream *stream, uint32_t id)
{
	if (mux->n_streams == mux->table_size) {
		int r = table_grow(mux);
		if (r < 0)
			return r;
	}
	*stream = (struct mux_stream){
		.mux = mux,
		.id = id,
		.credit = MUX_WINDOW,
		.window = MUX_WINDOW,
		.unspent = MUX_WINDOW,
		.since = *mux->now,
	};
	table_put(mux, stream);
	mux->n_streams++;
	return 0;
}

static void table_remove(struct mux *mux, struct mux_stream *stream)
{
	struct mux_stream **slot = slot_of(mux, stream->id);
	while (*slot != stream)
		slot = &(*slot)->next;
	*slot = stream->next;
	mux->n_streams--;
}

void mux_each(struct mux *mux, void (*visit)(struct mux_stream *stream))
{
	for (uint32_t i = 0; i < mux->table_size; i++) {
		struct mux_stream *next;
		for (struct mux_stream *s = mux->table[i]; s != NULL; s = next) {
			next = s->next;
			visit(s);
		}
	}
}

// ---- the queue

static void enqueue(struct mux_stream *stream)
{
	struct mux *mux = stream->mux;
	if (stream->place != NULL)
		return;
	stream->place = stream->bulk ? mux->queue_end : mux->bulk;
	stream->after = *stream->place;
	*stream->place = stream;
	if (stream->after != NULL)
		stream->after->place = &stream->after;
	else
		mux->queue_end = &stream->after;
	if (!stream->bulk)
		mux->bulk = &stream->after;
}

static void dequeue(struct mux_stream *stream)
{
	if (stream->place == NULL)
		return;
	*stream->place = stream->after;
	if (stream->after != NULL)
		stream->after->place = stream->place;
	else
		stream->mux->queue_end = stream->place;
	if (stream->mux->bulk == &stream->after)
		stream->mux->bulk = stream->place;
	stream->place = NULL;
}

void mux_want(struct mux_stream *stream)
{
	if (stream->mux == NULL)
		return;
	stream->wants = true;
	stream->bulk = stream == stream->mux->turn;
	if (stream->credit > 0)
		enqueue(stream);
}

// Each of those that wait now gets at most one turn: who wants another queues again.
void mux_wake(struct mux *mux)
{
	for (uint32_t n = mux->n_streams; n > 0 && mux->queue != NULL; n--) {
		struct mux_stream *stream = mux->queue;
		if (mux_is_full(mux) || mux->end.ended)
			return;
		dequeue(stream);
		stream->wants = false;
		mux->turn = stream;
		mux->handlers->writable(stream);
		mux->turn = NULL;
	}
}

void mux_credit(struct mux_stream *stream, uint32_t n)
{
	stream->credit += n;
	if (stream->wants)
		enqueue(stream);
}

// ---- life

int mux_open(struct mux *mux, struct mux_stream *stream, struct span peer, struct span proto)
{
	if (mux->end.ended || !mux->greeted || mux->n_streams >= mux->streams_max ||
		mux->last_id == UINT32_MAX)
		return MUX_FULL;
	int r = mux_add(mux, stream, mux->last_id + 1);
	if (r < 0)
		return r;
	mux->last_id++;
	return mux_post(
		mux, &(struct mux_message){
			     .type = MUX_OPEN, .stream = stream->id, .peer = peer, .proto = proto});
}

static void held_less(struct mux *mux, struct mux_stream *stream, size_t n)
{
	stream->held -= (uint32_t)n;
	mux->held -= n;
	mux->store->held -= n;
}

static void forget(struct mux_stream *stream)
{
	struct mux *mux = stream->mux;
	held_less(mux, stream, stream->held);
	dequeue(stream);
	table_remove(mux, stream);
	stream->mux = NULL;
}

void mux_stream_over(struct mux_stream *stream, enum mux_reset code)
{
	struct mux *mux = stream->mux;
	forget(stream);
	mux->handlers->reset(stream, code);
}

// What the peer had credit for may be on its way, and is let pass.
static void reset_peer(struct mux_stream *stream, enum mux_reset code)
{
	struct mux *mux = stream->mux;
	if (!stream->fin_received)
		mux->late += stream->unspent;
	(void)mux_post(mux,
		&(struct mux_message){.type = MUX_RESET, .stream = stream->id, .number = code});
}

void mux_stream_close(struct mux_stream *stream, enum mux_reset code)
{
	if (stream->mux == NULL)
		return;
	if (!stream->fin_sent || !stream->fin_received)
		reset_peer(stream, code);
	forget(stream);
}

// ---- receiving

static bool under_pressure(const struct mux *mux)
{
	return mux->held > MUX_HELD_MAX / 4 || mux->store->held > mux->store->most / 4;
}

// A share of what is left, so that many that do not read fit in.
static uint32_t window_low(const struct mux *mux)
{
	const struct mux_store *store = mux->store;
	size_t left = MIN(MUX_HELD_MAX - MIN(mux->held, (size_t)MUX_HELD_MAX),
		store->most - MIN(store->held, store->most));
	size_t share = left / MAX(mux->n_streams, 1u);
	return (uint32_t)MAX(MIN(share, (size_t)WINDOW_LOW), (size_t)WINDOW_LEAST);
}

static void reset_largest(struct mux *mux)
{
	struct mux_stream *largest = NULL;
	for (uint32_t i = 0; i < mux->table_size; i++)
		for (struct mux_stream *s = mux->table[i]; s != NULL; s = s->next)
			if (largest == NULL || s->held > largest->held)
				largest = s;
	if (largest == NULL)
		return;
	reset_peer(largest, MUX_RESET_OVERLOADED);
	mux_stream_over(largest, MUX_RESET_OVERLOADED);
}

void mux_deliver(struct mux_stream *stream, char *bytes, size_t n)
{
	struct mux *mux = stream->mux;
	stream->unspent -= (uint32_t)n;
	stream->held += (uint32_t)n;
	mux->held += n;
	mux->store->held += n;
	mux->handlers->data(stream, bytes, n);
	if (mux->held > MUX_HELD_MAX || mux->store->held > mux->store->most)
		reset_largest(mux);
}

// A window that was used up in little more than a round trip was what held the peer up: how much
// more the path carries is not known, so it grows fast. One that lasted three has room to spare.
static void window_grow(struct mux_stream *stream)
{
	const struct mux *mux = stream->mux;
	int64_t elapsed = instant_diff_us(*mux->now, stream->since);
	int64_t windows = stream->taken / stream->window;
	if (elapsed == 0)
		return; // what one read has brought says nothing about the path
	stream->since = *mux->now;
	stream->taken = 0;
	bool keeps_up = stream->held <= stream->window / 8;
	if (!keeps_up || elapsed > 3 * mux->rtt_us * windows)
		return;
	uint32_t factor = 2 * elapsed < 3 * mux->rtt_us * windows ? 4 : 2;
	stream->window = MIN(stream->window * factor, (uint32_t)MUX_WINDOW_MAX);
}

// Credit goes back in pieces of half a window.
void mux_taken(struct mux_stream *stream, size_t n)
{
	struct mux *mux = stream->mux;
	if (mux == NULL)
		return;
	held_less(mux, stream, n);
	if (stream->fin_received || mux->end.ended)
		return;
	bool pressure = under_pressure(mux);
	stream->taken += (uint32_t)MIN(n, (size_t)UINT32_MAX - stream->taken);
	if (stream->taken >= stream->window && !pressure)
		window_grow(stream);
	uint32_t window = pressure ? window_low(mux) : stream->window;
	uint32_t out = stream->unspent + stream->held;
	if (out > window / 2)
		return;
	stream->unspent += window - out;
	(void)mux_post(
		mux, &(struct mux_message){
			     .type = MUX_CREDIT, .stream = stream->id, .number = window - out});
}

// ---- sending

size_t mux_room(const struct mux_stream *stream)
{
	const struct mux *mux = stream->mux;
	if (mux == NULL || mux->end.ended || stream->fin_sent || mux_is_full(mux))
		return 0;
	return MIN(stream->credit, (uint32_t)MUX_DATA_MAX);
}

// The frame's and the message's head of N bytes of payload; KEY is where the payload's mask begins.
static int frame_head(const struct mux_stream *stream, size_t n, char *out,
	uint8_t key[WEBSOCKET_KEY_SIZE], size_t *size)
{
	char data[MUX_DATA_HEAD_MAX];
	bool masked = stream->mux->role == MUX_AGENT;
	size_t data_size = mux_data_encode(data, stream->id, n);
	if (masked) {
		int r = websocket_key(key);
		if (r < 0)
			return r;
	}
	*size = websocket_head(
		(uint8_t *)out, WEBSOCKET_OP_BINARY, true, data_size + n, masked ? key : NULL);
	if (masked)
		websocket_mask(data, data_size, key);
	memcpy(out + *size, data, data_size);
	*size += data_size;
	return 0;
}

int mux_send(struct mux_stream *stream, const struct iovec *pieces, int n)
{
	struct mux *mux = stream->mux;
	char head[FRAME_HEAD_MAX];
	uint8_t key[WEBSOCKET_KEY_SIZE];
	struct iovec all[1 + MUX_PIECES_MAX] = {{head, 0}};
	size_t size = 0;

	assert(n <= MUX_PIECES_MAX);
	for (int i = 0; i < n; i++) {
		all[i + 1] = pieces[i];
		size += pieces[i].iov_len;
	}
	assert(size <= mux_room(stream));
	if (size == 0)
		return 0;
	int r = frame_head(stream, size, head, key, &all[0].iov_len);
	if (r < 0)
		return r;
	for (int i = 0; i < n && mux->role == MUX_AGENT; i++)
		websocket_mask(pieces[i].iov_base, pieces[i].iov_len, key);
	stream->credit -= (uint32_t)size;
	return mux_write(mux, all, n + 1);
}

int mux_fin(struct mux_stream *stream)
{
	if (stream->mux == NULL || stream->fin_sent)
		return 0;
	stream->fin_sent = true;
	return mux_post(stream->mux, &(struct mux_message){.type = MUX_FIN, .stream = stream->id});
}
