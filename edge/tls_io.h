// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What stands between OpenSSL and a TCP socket: a BIO of ours.
//
// Writing into it always succeeds. Records gather in one buffer of the process and leave with one
// system call (tls_io_flush()); only what the socket does not take, or what is to leave with the
// next ones (tls_io_hold()), is kept with the connection, so that an idle one has no buffer, and no
// plaintext has to be held for another try. Whoever writes sees to it that nothing is pending
// (tls_io_pending()): so at most one round's records wait.

#pragma once

#include "buf.h"

#include <openssl/bio.h>

enum { TLS_IO_OUT_MAX = 192 * 1024 };

struct tls_io {
	int fd;           // borrowed
	bool readable;    // set by events; cleared when the socket was found empty
	bool writable;    // the same for sending
	bool peer_done;   // the peer's FIN is announced: no further edge will tell of bytes
	bool ended;       // read to the end
	bool broken;      // nothing goes either way any more
	struct buf out;   // records to be sent before anything else
	bool held;        // they wait for the next ones, not for the socket
	uint64_t written; // in all
};

void tls_io_init(struct tls_io *io, int fd);
void tls_io_deinit(struct tls_io *io);

// A BIO that reads and writes by IO, which outlives it; NULL without memory.
BIO *tls_io_bio(struct tls_io *io);

// Sends what has gathered: to be called, or tls_io_hold(), after everything that may have written.
// Returns 0, also when something is pending now, or a negative errno.
int tls_io_flush(struct tls_io *io);
// The same, when the end of the connection follows at once (shutdown(2)) and can travel along.
int tls_io_flush_last(struct tls_io *io);

// Keeps what has gathered until more is flushed. Returns 0 or a negative errno.
int tls_io_hold(struct tls_io *io);

// Whether something could not be sent yet.
static inline bool tls_io_pending(const struct tls_io *io)
{
	return buf_len(&io->out) > 0 && !io->held;
}

// Whether so little is left unacknowledged that the kernel has already sent it: what is closed in
// an orderly way now leaves nothing behind.
bool tls_io_delivered(const struct tls_io *io);
