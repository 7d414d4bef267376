// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The API worker: its channels, its settings, and the parts that share them. It keeps the tunnel
// records and answers the API; tunnels themselves live and die at the supervisor, without it.

#pragma once

#include "connection.h"
#include "control_host.h"
#include "creation.h"
#include "deletion.h"
#include "ends.h"
#include "events.h"
#include "evidence.h"
#include "extension.h"
#include "failures.h"
#include "idempotency.h"
#include "origin.h"
#include "pending.h"
#include "rates.h"
#include "restore.h"
#include "revocation.h"
#include "store.h"
#include "sync.h"

enum {
	WORKER_VISITORS_FD = 4,         // receiving end of the gates' channel
	WORKER_QUEUE_MAX = 1 << 20,     // bytes of messages waiting for the supervisor
	WORKER_PATIENCE_MS = 15000,     // for an answer of the supervisor to SPAWN, END or EXTEND
	WORKER_SYNC_PATIENCE_MS = 2000, // visitors wait so long for the first LIVE_DONE
	WORKER_PURGE_S = 600,           // between looks for what can be forgotten
	WORKER_PURGE_FIRST_MS = 1000,   // after the start
	WORKER_FAREWELL_MS = 30,        // without a database, to tell those who wait
	WORKER_EXHAUSTED_MS = 100, // no connection is taken after one was lost for a descriptor
};

enum worker_exit {
	WORKER_EXIT_STOPPED = 0,  // told to
	WORKER_EXIT_USAGE = 2,    // started with other arguments than a supervisor gives
	WORKER_EXIT_SEAL = 3,     // the sandbox could not be entered
	WORKER_EXIT_START = 4,    // no memory or descriptors to begin with
	WORKER_EXIT_CONTROL = 5,  // the control channel ended
	WORKER_EXIT_LOST = 6,     // a message was lost for want of a descriptor, or a channel
	WORKER_EXIT_LOOP = 7,     // epoll failed
	WORKER_EXIT_DATABASE = 8, // the database cannot be used; the log says why
};

// The file in the state folder.
#define WORKER_DATABASE "tunneld.db"

// Of API_SETUP.
struct settings {
	struct secret_hash owner_token;
	char version[65];
	char boot_id[BOOT_ID_SIZE];
	uint64_t max_tunnels, max_timeout_s, default_timeout_s;
	uint64_t max_connections, request_rate; // of a tunnel
	uint64_t create_rate, agent_rate;       // a minute
	uint64_t retention_s;
	uint32_t failure_rate; // a minute and address
	uint64_t max_event_streams;
	uint64_t max_tokens;
	uint64_t idempotency_answers;
	struct span trusted_proxies; // networks.h; owned, absent: none
	struct origins origins;
	bool control;                            // the API has listeners of its own
	char control_host[CONTROL_HOST_MAX + 1]; // what they are called; empty: no name
	char abuse[301];                         // abuse_contact; empty: none
	enum worker_attestation {
		WORKER_ATTESTATION_AUTO = 1,
		WORKER_ATTESTATION_REQUIRE,
		WORKER_ATTESTATION_OFF
	} attestation;
};

struct worker {
	struct loop loop;
	struct ipc_channel control, gates;
	struct settings settings;
	struct store *store; // NULL before API_SETUP, and when it cannot be opened
	struct connections connections;
	struct pendings pendings;
	struct rates create_rates; // by token
	struct rates agent_rates;  // by tunnel
	struct idempotency idempotency;
	struct failures failures; // wrong tokens and logins
	struct creation_list creations;
	struct deletion_list deletions;
	struct extension_list extensions;
	struct events events;
	struct evidence evidence;
	struct ends ends;
	struct restores restores;
	struct revocations revocations;
	struct sync sync;
	struct loop_timer purge, exhausted, farewell;
	uint64_t database_errors; // for metrics
	struct request_batch batch;
};

// Prepares the worker with its channels on their fixed descriptors and reports REACHED (enum
// seal_reached). To be called sealed. Returns 0 or a negative errno.
int worker_init(struct worker *worker, uint32_t epoch, unsigned reached) WARN_UNUSED;
// Serves until told to stop or the supervisor is gone. Returns an enum worker_exit.
int worker_run(struct worker *worker) WARN_UNUSED;

enum worker_log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };
// A line for the log; what is not printable ASCII becomes '?'. Never a secret.
void worker_log(struct worker *worker, enum worker_log_level level, const char *format, ...)
	PRINTF(3, 4);

// Logs a failed call of the store: R is what it returned, WHAT it was to do.
void worker_log_store(struct worker *worker, const char *what, int r);

// Sends END (REQUEST: of a pending, else 0: no answer is waited for). Returns false when it could
// not be sent.
bool worker_send_end(
	struct worker *worker, uint64_t request, const char *id, enum end_reason reason);

// Sends SPAWN for TUNNEL. DEADLINE_US: see messages.c. Returns false when it could not be sent.
bool worker_send_spawn(
	struct worker *worker, uint64_t request, const struct tunnel *tunnel, uint64_t deadline_us);

// What a deadline of the supervisor means for the row of a tunnel that is active from now on.
void worker_note_deadline(struct worker *worker, struct tunnel *tunnel, uint64_t deadline_us);
// The same of all that a SPAWNED with these FIELDS says.
void worker_note_spawned(
	struct worker *worker, struct tunnel *tunnel, const struct wire_value *fields);

// Whether it is known what lives, so that tunnels may be made and ended; else that is answered.
bool worker_is_ready(struct worker *worker, struct connection *connection);

// Connections that arrive are served from now on.
void worker_serve(struct worker *worker);
