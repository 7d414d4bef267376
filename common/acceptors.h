// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Accepting. All gates share the same listening sockets; each new connection wakes one of them
// (EPOLLEXCLUSIVE).
//
// When descriptors run out, accepting stops before anything else does: some are held in reserve so
// that a new tunnel's channel can still be received. Nothing here is retried without a pause, as a
// listener with a connection waiting is ready all the time.

#pragma once

#include "facts.h"
#include "loop.h"

#include <sys/queue.h>

enum {
	LISTENER_RESERVE = 32, // descriptors
	LISTENER_PAUSE_MS = 100,
};

struct acceptors;

struct acceptor {
	SLIST_ENTRY(acceptor) link;
	struct loop_watch watch; // watch.fd is -1 while accepting is paused
	int fd;                  // owned
	struct facts facts;      // of who comes by it, but for the peer
	struct acceptors *all;
};

struct acceptors {
	struct loop *loop;
	SLIST_HEAD(, acceptor) list;
	size_t n;
	int reserve[LISTENER_RESERVE];
	size_t n_reserve;
	bool paused;
	struct loop_timer resume;

	// A connection that came as FACTS say. Consumes FD.
	void (*arrived)(struct acceptors *all, int fd, const struct facts *facts);
	// Asks to give descriptors back; false: there are none to spare.
	bool (*shed)(struct acceptors *all);
	// Optional, for the log: accepting stops for a moment, because of ERROR (an errno).
	void (*stopped)(struct acceptors *all, int error);
};

// The caller sets the callbacks. Returns 0 or a negative errno.
int acceptors_init(struct acceptors *all, struct loop *loop) WARN_UNUSED;

// Starts accepting from FD (consumed, also on failure), whose visitors come as FACTS say. Returns 0
// or a negative errno; -EEXIST when there is a listener with this number.
int acceptors_add(struct acceptors *all, int fd, const struct facts *facts) WARN_UNUSED;
