// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The agent of a tunnel: keeps a connection to the server for as long as the tunnel lives, and
// serves the streams that come over it from the target.
//
// There are three nouns. A link is one connection to the server (agent_link.h); there is one that
// gets new streams, perhaps one that is coming, and older ones on which streams end in peace. A
// stream is one connection to the target (agent_stream.h). The agent decides which links there are.
//
// Memory: what the relay may have sent on all links and the target has not taken is at most
// AGENT_HELD_MAX, and MUX_OUT_MAX on each link the other way. For the lines about requests a stream
// keeps at most two SNIFF_HEAD_MAX. An idle stream is its structs: with a WebSocket on it 0.3 KiB.

#pragma once

#include "backend.h"
#include "backoff.h"
#include "journal.h"
#include "mux.h"
#include "server.h"
#include "settings.h"

enum {
	AGENT_HELD_MAX = 128 * 1024 * 1024,
	AGENT_LINKS_MAX = 8, // beyond it the oldest is closed, whatever is on it
	AGENT_READ_SIZE = 256 * 1024,
	AGENT_RENEW_MS = 4 * 3600 * 1000,
	AGENT_PING_MS = 8 * 1000, // a network that is gone is noticed within 24 s
};

struct agent_options {
	const struct settings *settings; // the server
	const char *id;                  // of the tunnel
	const char *token;               // the agent token, or the API token that owns the tunnel
	const struct target *target;
	uint32_t renew_ms; // age at which a link is replaced
	int64_t ends_at;   // seconds since the epoch, as far as is known
};

enum agent_outcome {
	AGENT_OVER = 1, // the server says that the tunnel is over
	AGENT_REFUSED,  // it will not have this agent: see `failure` and `code`
	AGENT_LOST,     // the time of the tunnel is over, and the server cannot be asked
};

struct agent {
	struct loop *loop;
	struct journal *journal;
	struct agent_options options;
	// Told once that there is nothing more to do. The agent stays as it is until
	// agent_deinit().
	void (*ended)(struct agent *agent, enum agent_outcome outcome);
	// A link failed in its TLS handshake: the server may have another key now, which has to be
	// verified. Returns 0 when it was, or is not wanted; else it ends.
	int (*distrust)(struct agent *agent);
	// Told once that the first link is up.
	void (*serving)(struct agent *agent);

	struct backend_context backends;
	struct mux_store store;
	char instance[33];               // its name in HELLO
	char host[SERVER_AUTHORITY_MAX]; // of the target, for Host
	uint32_t streams_max;            // as many as there are descriptors for
	struct agent_link *links;
	struct agent_link *current; // gets new streams; NULL: none
	struct agent_link *coming;  // not up yet; NULL: none
	unsigned n_links;
	uint32_t n_streams;
	struct backoff backoff;
	struct loop_timer next; // the next try, or the renewal
	bool was_up, lost;      // lost: and that has been told
	bool silent;            // that the target is down has been told
	struct failure failure; // of the last link that failed
	enum exit_code code;
	char *scratch; // AGENT_READ_SIZE bytes for whoever reads
	char *piece;   // MUX_DATA_MAX bytes of a stream on their way to a link
};

// Everything is borrowed. Returns 0, an exit code with its sentence, or a negative errno.
int agent_init(struct agent *agent, struct loop *loop, struct journal *journal,
	const struct agent_options *options, struct failure *failure) WARN_UNUSED;
void agent_deinit(struct agent *agent);

// Begins to connect. Returns 0 or a negative errno.
int agent_start(struct agent *agent) WARN_UNUSED;

// ---- for links and streams

// LINK is up: it gets the streams from now on.
void agent_link_up(struct agent *agent, struct agent_link *link);
// LINK, which came or was the one, is to be used no more; it lives on for its streams.
void agent_link_retired(struct agent *agent, struct agent_link *link);
// LINK is gone, and is freed by its caller. FINAL: there is no use in trying again; STATUS is the
// server's HTTP status then.
void agent_link_down(struct agent *agent, struct agent_link *link, bool final, unsigned status);
// LINK, which came, failed in its TLS handshake. Returns 0 when it may be tried again; else the
// agent has ended.
int agent_link_distrusted(struct agent *agent, struct agent_link *link);
// A stream could not reach the target, or (FAILURE 0) did.
void agent_target(struct agent *agent, enum backend_failure failure);
