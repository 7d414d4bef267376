// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What the files of the multiplexer share: mux.c reads, mux_out.c writes, mux_stream.c keeps the
// streams.

#pragma once

#include "mux.h"

// ---- mux_out.c

static inline bool mux_is_full(const struct mux *mux)
{
	return buf_len(&mux->out) >= MUX_OUT_FULL;
}

// Writes or queues a frame, or what belongs to one. Returns 0 or a negative errno, which
// mux_flush() returns as well from then on. Nothing is sent once the connection has ended.
int mux_write(struct mux *mux, const struct iovec *pieces, int n);
// The same for a message that is no DATA.
int mux_post(struct mux *mux, const struct mux_message *message);
// The same for a pong; while the connection is full there is none (RFC 6455 section 5.5.3 asks for
// the latest only).
int mux_pong(struct mux *mux, struct span payload);
// The pong to the last ping has come.
void mux_ponged(struct mux *mux, struct span payload);
// The peer's close frame: answers it.
void mux_closed(struct mux *mux, uint16_t code, struct span why);

// ---- mux_stream.c

// The stream with this id, or NULL.
struct mux_stream *mux_find(const struct mux *mux, uint32_t id);
// Puts a zeroed stream into the table, with the credit of a new one. Returns 0 or -ENOMEM.
int mux_add(struct mux *mux, struct mux_stream *stream, uint32_t id) WARN_UNUSED;
// It is not the mux's any more, and its owner is told.
void mux_stream_over(struct mux_stream *stream, enum mux_reset code);
// The peer may send so much more; it has been checked.
void mux_credit(struct mux_stream *stream, uint32_t n);
// Bytes for the stream have come.
void mux_deliver(struct mux_stream *stream, char *bytes, size_t n);
// Lets those that wait send, as long as there is room.
void mux_wake(struct mux *mux);
