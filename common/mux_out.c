// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What goes out: small messages are gathered until the owner flushes, large ones are written at
// once behind what was gathered.

#include "mux_private.h"

enum {
	DIRECT_LEAST = 8 * 1024, // below it a copy is cheaper than a system call
	GATHERED = 32 * 1024,    // room made for the messages of a round
};

static int fail(struct mux *mux, int error)
{
	if (mux->failed == 0)
		mux->failed = error;
	return error;
}

// Keeps what of the pieces follows the first SKIP bytes.
static int keep(struct mux *mux, const struct iovec *pieces, int n, size_t skip)
{
	size_t all = 0;
	for (int i = 0; i < n; i++)
		all += pieces[i].iov_len;
	if (all > skip && mux->out.base == NULL && buf_room(&mux->out, GATHERED) == NULL)
		return fail(mux, -errno);
	for (int i = 0; i < n; i++) {
		size_t have = pieces[i].iov_len, gone = MIN(skip, have);
		skip -= gone;
		const char *rest = (const char *)pieces[i].iov_base + gone;
		int r = buf_add(&mux->out, rest, have - gone);
		if (r < 0)
			return fail(mux, r);
	}
	return 0;
}

// Writes what was gathered and the pieces in one call. Returns how much of the pieces has left.
static ssize_t write_with_gathered(struct mux *mux, const struct iovec *pieces, int n)
{
	struct span gathered = buf_span(&mux->out);
	struct iovec all[2 + MUX_PIECES_MAX] = {{(void *)(uintptr_t)gathered.p, gathered.n}};
	for (int i = 0; i < n; i++)
		all[1 + i] = pieces[i];
	int first = gathered.n == 0;
	ssize_t sent = mux->handlers->write(mux, all + first, n + 1 - first);
	if (sent < 0)
		return fail(mux, (int)sent);
	mux->written += (uint64_t)sent;
	size_t of_gathered = MIN((size_t)sent, gathered.n);
	if (of_gathered > 0)
		buf_consume(&mux->out, of_gathered);
	return sent - (ssize_t)of_gathered;
}

int mux_write(struct mux *mux, const struct iovec *pieces, int n)
{
	size_t all = 0;
	ssize_t sent = 0;
	if (mux->failed < 0 || mux->end.ended)
		return mux->failed;
	for (int i = 0; i < n; i++)
		all += pieces[i].iov_len;
	if (all >= DIRECT_LEAST && !mux_is_full(mux))
		sent = write_with_gathered(mux, pieces, n);
	int r = sent < 0 ? (int)sent : keep(mux, pieces, n, (size_t)sent);
	if (r < 0 || buf_len(&mux->out) > 0)
		mux->handlers->queued(mux);
	return r;
}

// ---- flushing

static int write_gathered(struct mux *mux)
{
	while (mux->failed == 0 && buf_len(&mux->out) > 0) {
		size_t before = buf_len(&mux->out);
		ssize_t r = write_with_gathered(mux, NULL, 0);
		if (r >= 0 && buf_len(&mux->out) == before)
			return MUX_PENDING;
	}
	return mux->failed;
}

int mux_flush(struct mux *mux)
{
	int r = write_gathered(mux);
	if (r < 0 || mux_is_full(mux) || mux->queue == NULL || mux->end.ended)
		return r;
	mux_wake(mux);
	r = write_gathered(mux);
	if (r == 0 && mux->queue != NULL)
		mux->handlers->queued(mux); // others have their turn first
	return r;
}

// ---- messages

static enum websocket_role websocket_role(const struct mux *mux)
{
	return mux->role == MUX_RELAY ? WEBSOCKET_SERVER : WEBSOCKET_CLIENT;
}

int mux_post(struct mux *mux, const struct mux_message *message)
{
	char head[WEBSOCKET_HEAD_MAX], text[MUX_MESSAGE_MAX];
	uint8_t key[WEBSOCKET_KEY_SIZE];
	bool masked = mux->role == MUX_AGENT;
	size_t n = mux_message_encode(text, message);
	if (masked) {
		int r = websocket_key(key);
		if (r < 0)
			return fail(mux, r);
	}
	size_t size =
		websocket_head((uint8_t *)head, WEBSOCKET_OP_BINARY, true, n, masked ? key : NULL);
	if (masked)
		websocket_mask(text, n, key);
	return mux_write(mux, (struct iovec[]){{head, size}, {text, n}}, 2);
}

static int post_control(struct mux *mux, enum websocket_opcode opcode, struct span payload)
{
	uint8_t frame[WEBSOCKET_CONTROL_FRAME_MAX];
	size_t n = websocket_control(frame, websocket_role(mux), opcode, payload);
	return n > 0 ? mux_write(mux, &(struct iovec){frame, n}, 1) : fail(mux, -EIO);
}

int mux_pong(struct mux *mux, struct span payload)
{
	return mux_is_full(mux) ? 0 : post_control(mux, WEBSOCKET_OP_PONG, payload);
}

static int ping(struct mux *mux)
{
	mux->ping = (uint64_t)mux->now->us;
	return post_control(
		mux, WEBSOCKET_OP_PING, (struct span){(const char *)&mux->ping, sizeof mux->ping});
}

int mux_ping(struct mux *mux)
{
	if (mux->ping != 0 && ++mux->missed >= MUX_PINGS_MISSED) {
		mux_close(mux, MUX_CLOSE_SILENT, "pings were not answered");
		return MUX_ENDED;
	}
	return ping(mux);
}

void mux_ponged(struct mux *mux, struct span payload)
{
	if (mux->ping == 0 || payload.n != sizeof mux->ping ||
		memcmp(payload.p, &mux->ping, sizeof mux->ping) != 0)
		return; // RFC 6455 section 5.5.3: they may come unasked
	int64_t rtt_us = MAX(mux->now->us - (int64_t)mux->ping, 1);
	mux->rtt_us = mux->rtt_us == 0 ? rtt_us : MIN(mux->rtt_us, rtt_us);
	mux->ping = 0;
	mux->missed = 0;
}

int mux_hello(struct mux *mux, const struct mux_message *hello)
{
	int r = mux_post(mux, hello);
	return r < 0 ? r : ping(mux);
}

int mux_notice(struct mux *mux, struct span kind, uint64_t value)
{
	return mux_post(
		mux, &(struct mux_message){.type = MUX_NOTICE, .kind = kind, .number = value});
}

// ---- the end

static void post_close(struct mux *mux, uint16_t code, struct span why)
{
	uint8_t frame[WEBSOCKET_CONTROL_FRAME_MAX];
	size_t n = websocket_close(frame, websocket_role(mux), code, why);
	if (n > 0)
		(void)mux_write(mux, &(struct iovec){frame, n}, 1);
}

static void end(struct mux *mux, uint16_t code, struct span why, bool by_peer)
{
	mux->end = (struct mux_end){.ended = true, .by_peer = by_peer, .code = code};
	if (why.n > 0)
		memcpy(mux->end.why, why.p, MIN(why.n, sizeof mux->end.why - 1));
}

void mux_close(struct mux *mux, uint16_t code, const char *why)
{
	if (mux->end.ended)
		return;
	post_close(mux, code, span_of(why));
	end(mux, code, span_of(why), false);
}

void mux_closed(struct mux *mux, uint16_t code, struct span why)
{
	if (mux->end.ended)
		return;
	post_close(mux, code == WEBSOCKET_NO_CODE ? 0 : code, (struct span){NULL, 0});
	end(mux, code, why, true);
}
