// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// A visitor who has come to an edge.
//
//   HANDSHAKE -> (first bytes) -> OFFERED -> PUMPING
//
// The decrypted stream goes to a gate together with its first bytes, so that whoever connects and
// says nothing costs a gate nothing, and a gate nearly always has the whole request head in the
// message. Until then one deadline runs, `handshake_timeout`.

#pragma once

#include "facts.h"
#include "ipc.h"
#include "pump.h"

#include <sys/queue.h>

enum session_state {
	SESSION_HANDSHAKE = 0, // or its first bytes have not come
	SESSION_OFFERED,       // the gates are too busy to take it
	SESSION_PUMPING,
};

struct sessions;

struct session {
	struct pump pump;
	struct loop_timer deadline;
	struct sessions *all;
	TAILQ_ENTRY(session) link; // in the list of its state, but when PUMPING
	enum session_state state;
	struct facts facts;
};

TAILQ_HEAD(session_list, session);

// What has become of handshakes since the supervisor was told last.
struct session_counts {
	uint32_t completed, failed;
};

enum { SESSIONS_REPORT_MS = 1000 };

struct sessions {
	struct loop *loop;
	struct session_counts counts;
	struct loop_timer report; // set when there is something to tell
	struct ipc_channel *gates;
	int64_t handshake_timeout_ms;
	size_t max_handshakes;
	struct session_list handshakes, offered; // the longest waiting first
	size_t n_handshakes, n_offered, n_open;
};

void sessions_init(struct sessions *all, struct loop *loop, struct ipc_channel *gates);

// Counts have changed: REPORT expires within SESSIONS_REPORT_MS.
void sessions_counted(struct sessions *all);

// Half of those in a handshake are cut. Returns whether there were any.
bool sessions_shed(struct sessions *all);

// The gates may have room again.
void sessions_offer_again(struct sessions *all);

// A new connection (FD and SSL are consumed; without SSL it is closed).
void session_begin(struct sessions *all, int fd, SSL *ssl, const struct facts *facts);
