// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// A connection to the target: found, dialled, with TLS if it has it, then a byte pipe that is read
// and written when it is ready.
//
// Edge-triggered, like the relay's streams: `readable` and `writable` are set by events and cleared
// only by a call that found nothing to read or no room.

#pragma once

#include "addresses.h"
#include "tls.h"
#include "transport.h"

enum { BACKEND_CONNECT_MS = 5000 }; // name, TCP and TLS together

enum backend_state {
	BACKEND_DIALLING = 1,
	BACKEND_OPEN,
	BACKEND_FAILED,
};

enum backend_failure {
	BACKEND_REFUSED = 1, // or unreachable, or its name is not known
	BACKEND_TIMEOUT,
	BACKEND_UNTRUSTED, // its certificate, or no TLS at all
	BACKEND_NO_ROOM,   // we have no descriptor or memory left
};

// What all connections to one target share.
struct backend_context {
	struct loop *loop;
	const struct target *target;
	struct addresses addresses;
	struct tls_trust *trust; // with TLS
};

// TARGET is borrowed. Certificates are checked with the system's roots. Returns 0, an exit code
// with its sentence, or a negative errno.
int backend_context_init(struct backend_context *context, struct loop *loop,
	const struct target *target, struct failure *failure) WARN_UNUSED;
void backend_context_deinit(struct backend_context *context);

struct backend_dial; // what is needed only until it is connected

struct backend {
	struct backend_context *context;
	struct loop_watch watch;
	struct backend_dial *dial;
	struct transport *transport;            // once TCP is there
	void (*event)(struct backend *backend); // something has changed
	uint8_t state, failure;
	bool readable, writable;
	bool peer_done; // the kernel has seen its end (bytes may be left to read)
	bool urgent;    // it has sent urgent bytes: reads stop short at them
	bool ended;     // backend_read() has returned 0
	bool shut;      // backend_shut() has said so
	bool broken;    // reset or another error
};

// Begins to connect; event() tells when it is open or has failed, never before this returns.
// Returns 0 or -ENOMEM.
int backend_open(struct backend *backend, struct backend_context *context,
	void (*event)(struct backend *backend)) WARN_UNUSED;

// Closes at once, in whatever state. RESET: a TCP peer is told that it is no orderly end.
void backend_close(struct backend *backend, bool reset);

// Returns the bytes read, 0 at the end, -EAGAIN when there are none now, or a negative errno. A TLS
// connection that ends without saying so is -ECONNRESET.
ssize_t backend_read(struct backend *backend, void *bytes, size_t size) WARN_UNUSED;

// Returns the bytes written, 0 when there is no room now, or a negative errno.
ssize_t backend_write(struct backend *backend, struct span bytes) WARN_UNUSED;

// Says that nothing more will be written. Returns 0 or a negative errno. Where TLS has no room for
// that now ->shut stays false: to be called again after the next event.
int backend_shut(struct backend *backend) WARN_UNUSED;
