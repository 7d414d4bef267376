// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// One end of an agent connection: many byte streams over one WebSocket, by the messages of
// `tunneld.v1` (mux_message.h). It knows no descriptors: its owner feeds it the bytes that arrive
// and gives it a way to write, so that it runs over TCP and TLS alike.
//
// No stream stops another. What a stream may send is bounded by its credit, which the other end
// returns as its reader takes the bytes; while the connection itself is full, streams that have
// bytes wait in a queue and get their turns one after the other, a DATA message or two at a time.
// Those whose last turn was enough for all they had go first, so that a short answer does not wait
// for a turn of each of a thousand long ones.
//
// Nothing is copied that need not be. Of what arrives, payload goes to the stream's owner where it
// lies, in pieces as they come; of what is sent, large payloads go out with their head in one
// write, and small messages of a round of the loop are gathered and leave together.
//
// Streams are embedded in the objects they belong to. Handlers may open and close streams, any of
// them; they may not free the mux.

#pragma once

#include "buf.h"
#include "clock.h"
#include "mux_message.h"
#include "websocket.h"

#include <sys/types.h>
#include <sys/uio.h>

enum mux_role { MUX_RELAY, MUX_AGENT }; // the WebSocket's server and its client

enum {
	MUX_WINDOW = 256 * 1024,           // credit of a new stream, each way
	MUX_WINDOW_MAX = 16 * 1024 * 1024, // and the most there can be
	MUX_HELD_MAX = 128 * 1024 * 1024,  // received on a connection and not taken
	MUX_OUT_FULL = 128 * 1024,         // waiting to be written: streams send no more
	MUX_OUT_MAX = 4 * 1024 * 1024,     // waiting to be written, messages of ours included
	MUX_PING_MS = 20 * 1000,           // between two pings of a relay
	MUX_PINGS_MISSED = 2,              // the peer is dead
	MUX_HELLO_MS = 10 * 1000,          // patience with the peer's HELLO
	MUX_PIECES_MAX = 6,                // of one mux_send()
};

// Close codes of our own, beside those of RFC 6455.
enum mux_close {
	MUX_CLOSE_REPLACED = 4000, // a newer connection of the same instance is there
	MUX_CLOSE_SILENT = 4001,   // no HELLO, or no answer to pings, in time
	MUX_CLOSE_TOO_MANY = 4002, // agents of this tunnel
};

// Bytes received and not yet taken, of all connections that share a purse.
struct mux_store {
	size_t held;
	size_t most; // beyond it the stream that holds most is reset; beyond a quarter windows
		     // shrink
};

struct mux_stream {
	struct mux *mux;                   // NULL: not open
	struct mux_stream *next;           // in the table
	struct mux_stream *after, **place; // in the queue of those that wait to send
	uint32_t id;
	uint32_t credit;      // may be sent
	uint32_t window;      // what the peer may have on its way and here
	uint32_t unspent;     // what it may still send
	uint32_t held;        // received and not taken
	struct instant since; // of `taken`
	uint32_t taken;       // by the reader, a window or more
	bool wants;           // waits to send
	bool bulk;            // had more to send than fitted into its last turn
	bool fin_sent, fin_received;
};

struct mux;

struct mux_handlers {
	// Writes what can be written now of N pieces, their bytes unchanged. Returns their number,
	// 0 when nothing can be, or a negative errno, with which the connection is over.
	ssize_t (*write)(struct mux *mux, const struct iovec *pieces, int n);
	// There is something to be written: mux_flush() has to be called once this round is over.
	void (*queued)(struct mux *mux);

	// The peer's HELLO, once, before anything else.
	void (*hello)(struct mux *mux, const struct mux_message *hello);
	// The relay has opened a stream; agents only. Returns the stream to be used for it, zeroed,
	// or NULL with *CODE set to why it is refused.
	struct mux_stream *(*open)(
		struct mux *mux, const struct mux_message *open, enum mux_reset *code);
	// A word from the relay; agents only.
	void (*notice)(struct mux *mux, const struct mux_message *notice);

	// Bytes have come; they are valid, and may be changed, during the call. Until mux_taken()
	// they count against the stream's window and the store.
	void (*data)(struct mux_stream *stream, char *bytes, size_t n);
	// The peer sends no more.
	void (*fin)(struct mux_stream *stream);
	// The stream is over: by the peer, by us (MUX_RESET_OVERLOADED), or because its connection
	// ended (MUX_RESET_GONE). It is not the mux's any more.
	void (*reset)(struct mux_stream *stream, enum mux_reset code);
	// A stream that waits to send has room.
	void (*writable)(struct mux_stream *stream);
};

// Why a connection ended.
struct mux_end {
	bool ended;
	bool by_peer;  // by its close frame; else for a violation of its, or by mux_close()
	uint16_t code; // of the close frame
	char why[WEBSOCKET_REASON_MAX + 1]; // UTF-8; the peer's words when it was the peer
};

struct mux {
	enum mux_role role;
	const struct mux_handlers *handlers;
	const struct instant *now; // of the loop
	struct mux_store *store;
	struct websocket websocket;
	struct mux_end end;
	bool greeted; // the peer's HELLO has come

	// The message being read.
	bool in_data; // a DATA, of which `data_left` bytes are to come
	uint32_t data_stream;
	uint32_t data_left;
	struct buf message; // any other message, or the head of a DATA, as far as it is here

	int failed;       // a negative errno, sticky: nothing more can be sent
	uint64_t written; // bytes that `write` has taken, in all
	struct buf out;
	struct mux_stream **table; // by the low bits of the id
	uint32_t table_size;
	uint32_t n_streams;
	uint32_t streams_max; // the peer's word
	uint32_t last_id;
	struct mux_stream *queue, **queue_end;
	struct mux_stream **bulk;      // where those that are bulk begin in the queue
	const struct mux_stream *turn; // whose turn it is; NULL: nobody's
	size_t held;                   // received and not taken, of all streams
	uint64_t late;                 // what may still come for streams that we have reset

	// Pings.
	uint64_t ping;   // what the last one carried, 0: answered
	unsigned missed; // in a row
	int64_t rtt_us;  // the shortest round trip so far, 0: none
};

// NOW and STORE are borrowed. It takes the connection after its 101.
void mux_init(struct mux *mux, enum mux_role role, const struct mux_handlers *handlers,
	const struct instant *now, struct mux_store *store);
// Every stream that is open gets `reset` with MUX_RESET_GONE.
void mux_deinit(struct mux *mux);

// Bytes have arrived; they are changed in place. Returns 0; MUX_ENDED when the connection is over,
// see mux->end: the owner flushes what it can and closes; or a negative errno.
enum { MUX_ENDED = 1 };
int mux_input(struct mux *mux, char *bytes, size_t n) WARN_UNUSED;

// Writes what waits to be written, then lets streams send. Returns 0 when nothing is left,
// MUX_PENDING when the connection takes no more now, or a negative errno.
enum { MUX_PENDING = 1 };
int mux_flush(struct mux *mux) WARN_UNUSED;

// What follows queues one message each. Returns 0, or a negative errno with which the connection is
// over, and which mux_flush() returns from then on: -ENOMEM, or -ENOBUFS when the peer reads so
// little that MUX_OUT_MAX is reached.

// HELLO; also measures the round trip for the first time.
int mux_hello(struct mux *mux, const struct mux_message *hello) WARN_UNUSED;
// NOTICE; relays only.
int mux_notice(struct mux *mux, struct span kind, uint64_t value);
// To be called every MUX_PING_MS. Returns MUX_ENDED when too many were not answered.
int mux_ping(struct mux *mux) WARN_UNUSED;
// A close frame; nothing is read or sent after it. Does nothing when the connection has ended.
void mux_close(struct mux *mux, uint16_t code, const char *why);

// Opens STREAM, which is zeroed; relays only. Returns MUX_FULL when the peer takes no more streams.
enum { MUX_FULL = 1 };
int mux_open(struct mux *mux, struct mux_stream *stream, struct span peer,
	struct span proto) WARN_UNUSED;

// Calls VISIT for every stream that is open; it may close that one.
void mux_each(struct mux *mux, void (*visit)(struct mux_stream *stream));

// How many bytes STREAM may send now: at most MUX_DATA_MAX, 0 without credit or when the connection
// is full.
size_t mux_room(const struct mux_stream *stream);
// Asks for `writable`, once, when there is room.
void mux_want(struct mux_stream *stream);
// Sends at most MUX_PIECES_MAX pieces of together at most mux_room() bytes. An agent's are masked
// where they lie.
int mux_send(struct mux_stream *stream, const struct iovec *pieces, int n) WARN_UNUSED;
// Nothing more is sent. Repeating it is harmless.
int mux_fin(struct mux_stream *stream) WARN_UNUSED;

// The reader has taken N bytes: returns credit in time. A stream that is not open is left alone.
void mux_taken(struct mux_stream *stream, size_t n);

// Gives the stream up, with a RESET unless both ends have sent FIN. What it holds is forgotten. A
// stream that is not open is left alone.
void mux_stream_close(struct mux_stream *stream, enum mux_reset code);
