// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What comes in: frames become messages, and messages are judged. Whatever a peer of this protocol
// would not send ends the connection with a few words that say what it was.

#include "mux_private.h"

void mux_init(struct mux *mux, enum mux_role role, const struct mux_handlers *handlers,
	const struct instant *now, struct mux_store *store)
{
	*mux = (struct mux){.role = role, .handlers = handlers, .now = now, .store = store};
	websocket_init(&mux->websocket, role == MUX_RELAY ? WEBSOCKET_SERVER : WEBSOCKET_CLIENT);
	buf_init(&mux->message, MUX_MESSAGE_MAX);
	buf_init(&mux->out, MUX_OUT_MAX);
	mux->queue_end = mux->bulk = &mux->queue;
}

void mux_deinit(struct mux *mux)
{
	mux->end.ended = true; // handlers send nothing any more
	for (uint32_t i = 0; i < mux->table_size; i++)
		while (mux->table[i] != NULL)
			mux_stream_over(mux->table[i], MUX_RESET_GONE);
	free(mux->table);
	mux->table = NULL;
	mux->table_size = 0;
	buf_reset(&mux->message);
	buf_reset(&mux->out);
}

// ---- messages; each handler returns what is wrong, or NULL

static const char *on_hello(struct mux *mux, const struct mux_message *m)
{
	if (mux->greeted)
		return "a second HELLO";
	mux->greeted = true;
	mux->streams_max = m->number > 0 ? (uint32_t)MIN(m->number, (uint64_t)MUX_STREAMS_MAX)
					 : MUX_STREAMS_MAX;
	mux->handlers->hello(mux, m);
	return NULL;
}

static const char *on_open(struct mux *mux, const struct mux_message *m)
{
	enum mux_reset code = MUX_RESET_STREAMS;
	struct mux_stream *stream = NULL;
	if (m->stream <= mux->last_id)
		return "an OPEN of a stream that has been";
	mux->last_id = m->stream;
	if (mux->n_streams < MUX_STREAMS_MAX)
		stream = mux->handlers->open(mux, m, &code);
	if (stream != NULL && mux_add(mux, stream, m->stream) == 0)
		return NULL;
	if (stream != NULL)
		mux->handlers->reset(stream, MUX_RESET_GONE); // no memory for it
	mux->late += MUX_WINDOW;
	(void)mux_post(
		mux, &(struct mux_message){.type = MUX_RESET, .stream = m->stream, .number = code});
	return NULL;
}

static const char *on_credit(struct mux *mux, const struct mux_message *m)
{
	struct mux_stream *stream = mux_find(mux, m->stream);
	if (stream == NULL)
		return NULL;
	if (m->number == 0 || m->number > MUX_WINDOW_MAX - stream->credit)
		return "credit that overflows";
	mux_credit(stream, (uint32_t)m->number);
	return NULL;
}

static const char *on_fin(struct mux *mux, const struct mux_message *m)
{
	struct mux_stream *stream = mux_find(mux, m->stream);
	if (stream == NULL)
		return NULL;
	if (stream->fin_received)
		return "a second FIN";
	stream->fin_received = true;
	mux->handlers->fin(stream);
	return NULL;
}

static const char *on_reset(struct mux *mux, const struct mux_message *m)
{
	struct mux_stream *stream = mux_find(mux, m->stream);
	if (stream != NULL)
		mux_stream_over(stream,
			m->number < MUX_RESETS ? (enum mux_reset)m->number : MUX_RESET_CANCEL);
	return NULL;
}

static const char *on_notice(struct mux *mux, const struct mux_message *m)
{
	mux->handlers->notice(mux, m);
	return NULL;
}

enum { OF_STREAM = 1, FROM_RELAY = 2 };

static const struct {
	const char *(*handle)(struct mux *mux, const struct mux_message *message);
	int flags;
} messages[MUX_TYPES] = {
	[MUX_HELLO] = {on_hello, 0},
	[MUX_OPEN] = {on_open, FROM_RELAY},
	[MUX_CREDIT] = {on_credit, OF_STREAM},
	[MUX_FIN] = {on_fin, OF_STREAM},
	[MUX_RESET] = {on_reset, OF_STREAM},
	[MUX_NOTICE] = {on_notice, FROM_RELAY},
};

static const char *on_message(struct mux *mux, struct span bytes)
{
	struct mux_message m;
	const char *wrong = mux_message_decode(&m, bytes);
	if (wrong != NULL)
		return wrong;
	if (!mux->greeted && m.type != MUX_HELLO)
		return "a message before HELLO";
	if ((messages[m.type].flags & FROM_RELAY) && mux->role == MUX_RELAY)
		return "a message that only relays send";
	if ((messages[m.type].flags & OF_STREAM) && m.stream > mux->last_id)
		return "a stream that was never opened";
	return messages[m.type].handle(mux, &m);
}

// ---- DATA

static const char *data_begin(struct mux *mux, uint32_t id, uint32_t n)
{
	const struct mux_stream *stream = mux_find(mux, id);
	if (!mux->greeted)
		return "a message before HELLO";
	if (id > mux->last_id)
		return "a stream that was never opened";
	if (n > MUX_DATA_MAX)
		return "a DATA of more than 64 KiB";
	if (stream != NULL && stream->fin_received)
		return "DATA behind a FIN";
	if (n > (stream != NULL ? stream->unspent : mux->late))
		return "DATA beyond its credit";
	mux->in_data = true;
	mux->data_stream = id;
	mux->data_left = n;
	return NULL;
}

static const char *data_piece(struct mux *mux, struct span piece, bool last)
{
	size_t n = MIN(piece.n, (size_t)mux->data_left);
	// A handler may have closed it since the last piece.
	struct mux_stream *stream = mux_find(mux, mux->data_stream);
	mux->data_left -= (uint32_t)n;
	mux->in_data = !last;
	if (n > 0 && stream != NULL)
		mux_deliver(stream, (char *)(uintptr_t)piece.p, n);
	else
		mux->late -= MIN(mux->late, (uint64_t)n);
	if (n < piece.n)
		return "bytes behind a message";
	return last && mux->data_left > 0 ? "a malformed DATA" : NULL;
}

// ---- messages out of pieces

// A piece of a message that is no DATA.
static const char *other_piece(struct mux *mux, struct span piece, bool last)
{
	if (piece.n > MUX_MESSAGE_MAX - buf_len(&mux->message))
		return "a message of more than 1 KiB"; // in one piece, too
	if (buf_len(&mux->message) == 0 && last)
		return on_message(mux, piece);
	if (buf_add_span(&mux->message, piece) < 0)
		return "out of memory";
	if (!last)
		return NULL;
	const char *wrong = on_message(mux, buf_span(&mux->message));
	buf_reset(&mux->message);
	return wrong;
}

// The head of a message lies in several pieces: takes bytes off this one until it is clear what the
// message is. Returns as mux_data_decode().
static int head_complete(struct mux *mux, struct span *piece, uint32_t *id, uint32_t *n)
{
	int head = mux_data_decode(buf_span(&mux->message), id, n);
	while (head == 0 && piece->n > 0) {
		if (buf_add(&mux->message, piece->p, 1) < 0)
			return -1;
		piece->p++;
		piece->n--;
		head = mux_data_decode(buf_span(&mux->message), id, n);
	}
	return head;
}

static const char *message_piece(struct mux *mux, struct span piece, bool last)
{
	uint32_t id = 0, n = 0;
	if (mux->in_data)
		return data_piece(mux, piece, last);
	bool kept = buf_len(&mux->message) > 0;
	int head = kept ? head_complete(mux, &piece, &id, &n) : mux_data_decode(piece, &id, &n);
	if (head <= 0)
		return other_piece(mux, piece, last);
	if (kept)
		buf_reset(&mux->message);
	else
		piece = (struct span){piece.p + head, piece.n - (size_t)head};
	const char *wrong = data_begin(mux, id, n);
	return wrong != NULL ? wrong : data_piece(mux, piece, last);
}

static void on_event(
	struct mux *mux, enum websocket_outcome outcome, const struct websocket_event *event)
{
	const char *wrong = NULL;
	switch (outcome) {
	case WEBSOCKET_DATA:
		if (event->text)
			mux_close(mux, WEBSOCKET_UNSUPPORTED, "a text message");
		else
			wrong = message_piece(mux, event->payload, event->last);
		break;
	case WEBSOCKET_PING: (void)mux_pong(mux, event->payload); break;
	case WEBSOCKET_PONG: mux_ponged(mux, event->payload); break;
	case WEBSOCKET_CLOSE: mux_closed(mux, event->code, event->payload); break;
	case WEBSOCKET_BAD: mux_close(mux, event->code, event->why); break;
	case WEBSOCKET_MORE: break;
	}
	if (wrong != NULL)
		mux_close(mux, WEBSOCKET_PROTOCOL_ERROR, wrong);
}

int mux_input(struct mux *mux, char *bytes, size_t n)
{
	struct span in = {bytes, n};
	struct websocket_event event;
	enum websocket_outcome outcome;

	while (!mux->end.ended && mux->failed == 0 &&
		(outcome = websocket_next(&mux->websocket, &in, &event)) != WEBSOCKET_MORE)
		on_event(mux, outcome, &event);
	if (mux->queue != NULL && !mux->end.ended)
		mux->handlers->queued(mux); // credit has come for those that wait
	if (mux->failed < 0)
		return mux->failed;
	return mux->end.ended ? (int)MUX_ENDED : 0;
}
