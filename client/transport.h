// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// An open connection to a server, plain or TLS, without blocking: bytes in, bytes out. opening.h
// makes one.

#pragma once

#include "clock.h"
#include "tls.h"
#include "util.h"

#include <sys/uio.h>

struct transport {
	int fd;         // non-blocking; may be watched, not read or written
	SSL *ssl;       // NULL: plain
	uint32_t wants; // EPOLLIN or EPOLLOUT: what the last -EAGAIN waits for
};

// Takes FD and SSL over in any case. Returns 0 or -ENOMEM.
int transport_new(struct transport **ret, int fd, SSL *ssl) WARN_UNUSED;
// Closes it, without a word to the other side. Accepts NULL, returns NULL.
struct transport *transport_free(struct transport *transport);

// Reads. Returns how many bytes, 0 when the other side has said that it has ended, -EAGAIN when
// ->wants has to be waited for, or another negative errno: a TLS connection that ends without
// close_notify has been cut (-ECONNRESET). Read until -EAGAIN before waiting: bytes that TLS has
// already taken off the socket do not make it readable.
ssize_t transport_read(struct transport *transport, void *bytes, size_t n) WARN_UNUSED;

// Writes as much as goes. Returns how many bytes, -EAGAIN as above, or another negative errno.
// After -EAGAIN the same bytes have to come first in the next call (they may have moved). With TLS
// each piece becomes at least one record: small ones are better put together first.
ssize_t transport_writev(
	struct transport *transport, const struct iovec *pieces, int n) WARN_UNUSED;

// Says that nothing more will be written. Returns 0, -EAGAIN as above, or another negative errno.
int transport_shutdown(struct transport *transport) WARN_UNUSED;

// Blocks until ->wants is there: 0, -ETIMEDOUT or another negative errno.
int transport_wait(struct transport *transport, struct instant deadline) WARN_UNUSED;

// Writes all N bytes, waiting. Returns 0, -ETIMEDOUT or another negative errno.
int transport_write_all(struct transport *transport, const void *bytes, size_t n,
	struct instant deadline) WARN_UNUSED;

// SHA-256 of the SubjectPublicKeyInfo of the certificate the server has shown in this connection.
// Returns 0, or -ENOENT without TLS.
int transport_spki(const struct transport *transport, uint8_t hash[TLS_SPKI_SIZE]) WARN_UNUSED;
