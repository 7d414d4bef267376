// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// A connection to the backend. It serves one visitor connection, and under `backend_reuse = shared`
// the next one after that, but only when the last answer was framed and nothing followed it.

#pragma once

#include "stream.h"

struct relay;
struct visitor;

struct backend {
	struct relay *relay;
	struct visitor *visitor;      // whom it serves, NULL while idle in the pool
	struct backend *next, **prev; // in the pool
	struct stream stream;
	bool connected;
	bool used;    // has answered a request: may be closed by the peer at any time
	bool retired; // takes no further request
};

// Takes a connecting socket (consumed, also on failure) for VISITOR. Returns NULL without memory.
struct backend *backend_new(struct visitor *visitor, int fd);
// Closes and frees; NULL is left alone. Returns NULL.
struct backend *backend_free(struct backend *backend);

enum { BACKEND_CONNECTING = 1 };
// Returns 0 once connected, BACKEND_CONNECTING, or the negative errno of the attempt.
int backend_check_connected(struct backend *backend) WARN_UNUSED;

// Whether it can take another request: it has not ended, and has not sent what nobody asked for,
// which must never become the answer to the next request.
bool backend_is_idle(struct backend *backend);

// Lets go of a connection under `backend_reuse = shared`: to the pool or, when it is not idle or
// the pool is full, closed.
void backend_release(struct backend *backend);
// A connection from the pool, now VISITOR's, or NULL.
struct backend *backend_reuse(struct visitor *visitor);
