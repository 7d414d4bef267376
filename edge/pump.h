// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Moves a stream between TLS on a TCP socket and its decrypted form on a socket pair, whose other
// end is in another process.
//
// Back-pressure: nothing is read from one side while the other has not taken what was read before.
// Ends (common/ending.h): an end that was said goes on as close_notify and FIN, or as shutdown(2);
// everything else aborts both sides, TCP with an RST. So neither side can take a cut stream for a
// whole one.

#pragma once

#include "ending.h"
#include "loop.h"
#include "tls_io.h"

#include <openssl/ssl.h>

enum {
	PUMP_ROUND = 1024 * 1024,   // bytes before other connections get their turn
	PUMP_RECORD = 1024,         // that a shorter record of the peer counts as: it costs as much
	PUMP_NEW_KEYS = 32,         // a peer may have, and one more for each MiB
	PUMP_TICK_MS = 250,         // while an end is being delivered
	PUMP_STALLED_MS = 20000,    // without a byte taken of what its writer has left behind
	PUMP_LINGER_TICKS = 8,      // that the peer may take to end after us
	PUMP_DRAIN_MAX = 256 * 1024 // bytes of it that are thrown away meanwhile
};

struct pump {
	struct loop *loop;
	SSL *ssl; // owned
	struct tls_io io;
	struct loop_watch tcp;  // tcp.fd owned once watched, as is io.fd
	struct loop_watch pair; // owned; -1: not there
	struct loop_timer timer;
	struct loop_task task;
	struct buf up; // decrypted, not taken by the pair yet
	bool pair_readable, pair_writable, pair_hung_up;
	bool pair_done; // its other end has shut its side: no further edge announces bytes
	bool tcp_room, pair_room; // the loop tells when there is room to write
	bool heard;               // close_notify of the peer
	bool passed;              // that has been passed on to the pair
	int8_t said;              // by the other end of the pair: enum ending, -1 nothing
	bool answered;            // which has gone out as close_notify
	bool finished;            // and as FIN
	uint8_t ticks;            // since it was delivered
	size_t drained;
	uint64_t received; // decrypted
	uint64_t new_keys; // of the peer

	// It is over: the owner frees it with pump_deinit().
	void (*over)(struct pump *pump);
};

// Takes over FD and SSL (consumed, also on failure), which has its side chosen already. READY is
// called for events of the TCP socket until pump_start(). Returns 0 or a negative errno.
int pump_init(struct pump *pump, struct loop *loop, int fd, SSL *ssl,
	void (*ready)(struct loop_watch *, uint32_t));
// Ends both sides at once, TCP with an RST where it has SO_LINGER {1, 0}.
void pump_deinit(struct pump *pump);

// To be called with what an event of the TCP socket says.
void pump_note(struct pump *pump, uint32_t events);

// Reads what has come decrypted, at most SIZE bytes, which may write as well (a session ticket, an
// alert, the answer to a new key). Returns how many, 0 for close_notify, -EAGAIN, or another
// negative errno: the stream is cut.
ssize_t pump_read(struct pump *pump, char *bytes, size_t size);

// To be called after everything that may have written: a new socket has room, so the loop is asked
// to tell of that only where there was none.
void pump_watch_room(struct pump *pump);

// From now on moves bytes between the peer and PAIR (consumed, also on failure). The pump may be
// over when this returns. Returns 0 or a negative errno, and then nothing was called.
int pump_start(struct pump *pump, int pair);
