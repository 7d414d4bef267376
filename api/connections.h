// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// All connections, and how many there may be. When it is full those give way that have shown no
// valid token, and those that have been answered. So visitors who open connections and do nothing
// cost the owner nothing, and holders of scoped tokens cannot take all places.

#pragma once

#include "code.h"
#include "loop.h"
#include "request_log.h"

#include <sys/queue.h>

struct connection;
struct connection_server;

enum connection_kind {
	CONNECTION_SERVED,  // its request is read and answered
	CONNECTION_REFUSED, // the same, but there are too many: the server's `begin` sees to it
	CONNECTION_PAGE,    // answered once, nothing is read
	CONNECTION_STREAM,  // was served, and its answer has no end
	CONNECTION_KINDS
};

enum {
	CONNECTION_REFUSED_MAX = 32, // beyond that they are closed without a word
	CONNECTION_PAGES_MAX = 64,
	CONNECTION_TUNNEL_PAGES_MAX = 16, // of them for one tunnel
};

TAILQ_HEAD(connection_list, connection);

struct connections {
	struct loop *loop;
	const struct connection_server *server;
	struct connection_list all; // oldest first
	size_t n[CONNECTION_KINDS];
	size_t most;     // CONNECTION_SERVED; half of them of scoped tokens and not to be given up
	int64_t head_ms; // from the beginning to the end of the head
	int64_t patience_ms; // for a body from then on, and without a byte of an answer taken
	struct span abuse;   // where pages say to report abuse, as a URL; absent: nowhere
	struct request_log log;
	uint64_t requests;       // heads that were read, ever
	uint64_t refused[CODES]; // requests answered with an error; pages are counted by relays
};

// The caller sets `most` and both times before the first connection.
void connections_init(
	struct connections *set, struct loop *loop, const struct connection_server *server);
// Closes all; whoever waits is told.
void connections_deinit(struct connections *set);

// Makes a place, if need be by another *KIND. TUNNEL: of a page. Returns false when there is none.
bool connections_find_place(
	struct connections *set, enum connection_kind *kind, const char *tunnel);

// Bytes of answers nobody has taken yet.
size_t connections_waiting(const struct connections *set);
