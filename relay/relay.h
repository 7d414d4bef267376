// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// One relay process: one tunnel. It gets visitor connections as descriptors, asks the supervisor
// for connections to the backend, and moves HTTP messages and bytes between them.

#pragma once

#include "agents.h"
#include "budget.h"
#include "cookie.h"
#include "counters.h"
#include "dial.h"
#include "failures.h"
#include "ipc.h"
#include "pass.h"
#include "pipes.h"
#include "request_log.h"
#include "secret.h"
#include "tunnel_config.h"

#include <sys/queue.h>

enum {
	RELAY_SCRATCH = 64 * 1024,  // what one read may bring
	RELAY_HEAD_OUT = 64 * 1024, // a rebuilt head: at most HTTP_HEAD_MAX and what we add
};

struct backend;

struct relay {
	struct loop loop;
	struct ipc_channel control;  // supervisor
	struct ipc_channel visitors; // gates
	struct tunnel_config config;
	struct secret_hash secret;
	struct span authority; // of the backend, for Host; in authority_text
	char authority_text[URL_TEXT_MAX];
	char prefix_text[3 + TUNNEL_ID_MAX + 1]; // "/t/<id>"
	size_t prefix_length;
	struct relay_origin {
		char text[ORIGIN_URL_MAX]; // its URL; empty: it has none there
		struct span host;          // the authority in it
		bool https;
	} origins[ORIGINS];                     // by enum tunnel_origin
	char wildcard_url[ORIGIN_TEXT_MAX + 1]; // of struct origins
	struct span trusted_proxies;            // networks.h; owned, absent: none
	bool notice;                            // people are shown one, once (notice.h)
	uint32_t head_timeout_ms, idle_timeout_ms, connect_timeout_ms, agent_grace_ms;
	struct instant end; // of the tunnel

	struct counters *counters; // shared with the supervisor
	struct budget budget;
	struct failures failures; // wrong credentials
	struct cookie_known cookie;
	struct pass pass;
	struct dials dials;
	struct agents agents; // of a pull tunnel
	struct request_log log;
	struct pipes pipes;
	struct backend *idle; // backend connections nobody uses (backend_reuse = shared)
	unsigned n_idle;
	// With limits.requests: by TLS, and answered. An edge may still be delivering that.
	LIST_HEAD(, visitor) leaving;
	unsigned n_admitted; // visitors that have passed access control once: the limit is theirs
	unsigned n_descriptors; // sockets held, for the headroom below
	unsigned most_descriptors;
	struct loop_timer exhausted; // until visitors are looked at again after descriptors ran out

	char *scratch;  // RELAY_SCRATCH bytes, used within one callback only
	char *head_out; // RELAY_HEAD_OUT bytes, likewise
};

// Sets up the loop and both channels on their fixed descriptors and says READY. Returns 0 or a
// negative errno.
int relay_init(struct relay *relay, uint32_t epoch, unsigned reached) WARN_UNUSED;
// Runs until the supervisor goes away; returns the exit status.
int relay_run(struct relay *relay) WARN_UNUSED;

// How many of SIZE bytes the tunnel's budget still has room for. With 0 nothing more is read: the
// supervisor has been told.
size_t relay_bytes_left(const struct relay *relay, size_t size);
// Accounts for bytes of bodies and byte relays; ends the tunnel when its budget is used up.
void relay_count_bytes(struct relay *relay, _Atomic uint64_t *counter, size_t n);

// Tells the supervisor when a budget has been used up.
void relay_check_budget(struct relay *relay);

// A socket was taken or given up: new visitors wait in their channel while there are too few left.
void relay_descriptor_taken(struct relay *relay);
void relay_descriptor_closed(struct relay *relay);

// Writes a line to the log. Never secrets, never payload.
void relay_log(struct relay *relay, unsigned level, const char *format, ...) PRINTF(3, 4);
