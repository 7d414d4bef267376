// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The edge: accepts on TLS listeners, ends TLS, and passes the decrypted streams to gates. It holds
// the key of the instance and the visitors' plaintext, and knows nothing of HTTP or tunnels.

#pragma once

#include "acceptors.h"
#include "contexts.h"
#include "session.h"

enum {
	EDGE_GATES_FD = 4, // where an edge finds the sending end towards the gates
	EDGE_ROOTS_FD = 5, // and the certificates of the authorities it believes
};

enum edge_exit {
	EDGE_EXIT_USAGE = 2,   // started with other arguments than a supervisor gives
	EDGE_EXIT_SEAL = 3,    // the sandbox could not be entered
	EDGE_EXIT_START = 4,   // no memory or descriptors to begin with
	EDGE_EXIT_CONTROL = 5, // the control channel ended: closed by the supervisor, or a message
			       // on it was refused
	EDGE_EXIT_LOST = 6,    // a message was lost for want of a descriptor
	EDGE_EXIT_LOOP = 7,    // epoll failed
};

struct edge {
	struct loop loop;
	struct ipc_channel control;
	struct ipc_channel gates;
	struct acceptors acceptors;
	struct contexts contexts;
	struct sessions sessions;
	struct instant stopped_last; // when it was last logged that accepting had to stop
};

// Makes OpenSSL load all it will ever need, which takes files and calls that are refused later.
// Before sealing. Returns 0 or a negative errno.
int edge_prepare(void);

// Prepares an edge with its channels on their fixed descriptors and reports REACHED (enum
// seal_reached). Returns 0 or a negative errno.
int edge_init(struct edge *edge, uint32_t epoch, unsigned reached);

// Serves until the supervisor is gone. Returns an enum edge_exit.
int edge_run(struct edge *edge);
