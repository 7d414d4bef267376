// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// One tunnel as the supervisor knows it: its settings, its relay, its end.
//
// A tunnel is made by a SPAWN of the API worker. It lives from the moment its relay is sealed,
// inspected and known to the gates until its relay is dead for good, and is remembered after that
// until the API worker has stored the end. A relay that crashes is replaced; settings, deadline and
// counters stay.

#pragma once

#include "certificate.h"
#include "code.h"
#include "counters.h"
#include "dial.h"
#include "expiry.h"
#include "process.h"
#include "resolve.h"
#include "secret.h"
#include "tunnel_config.h"

enum tunnel_state {
	TUNNEL_RESOLVING, // its backend's name is being looked up
	TUNNEL_QUEUED,    // waits for its turn to get a relay
	TUNNEL_STARTING,  // has a relay that is not READY
	TUNNEL_LIVE,
	TUNNEL_CRASHED, // waits a little before it gets the next relay
	TUNNEL_ENDING,  // relay killed, not reaped
	TUNNEL_SIGNING, // relay reaped; waits for its receipt
	TUNNEL_ENDED,   // waits for the API worker's acknowledgement
	TUNNEL_STATES
};

enum {
	TUNNEL_READY_MS = 5000,
	TUNNEL_PAUSE_MS = 10,         // before a crashed relay is replaced; doubles
	TUNNEL_CRASHES_MAX = 5,       // so many ...
	TUNNEL_CRASHES_WITHIN_S = 10, // ... within this time end the tunnel as failed
	TUNNEL_AGAIN_MS = 250, // before a start that the machine had no room for is tried again
	TUNNEL_DIALS_MAX = 64, // waiting for a name, as many as a relay may have open
	TUNNEL_LOOKUP_PAUSE_MS = 1000, // least time between two look-ups of a live tunnel's name
};

// Places among the counters in messages of those that count what is there now.
enum { COUNTER_OPEN = 1, COUNTER_AGENTS = 6 };

// Which list of struct tunnels a tunnel is in.
enum tunnel_list { LIST_NONE, LIST_LIVING, LIST_SIGNING, LIST_ENDED, LISTS };

// What was signed when it ended.
struct tunnel_receipt {
	uint8_t signature[64];
	uint8_t instance[INSTANCE_HASH_SIZE]; // whose key that is
	struct certificate *certificate;      // of that; NULL: not kept
	size_t n;
	char statement[];
};

struct tunnel {
	struct supervisor *supervisor;
	char id[TUNNEL_ID_MAX + 1];
	struct tunnel *next_by_id; // of tunnels.c
	enum tunnel_list list;     // of tunnels.c
	TAILQ_ENTRY(tunnel) link;
	bool queued; // of tunnels.c
	TAILQ_ENTRY(tunnel) queue_link;

	enum tunnel_state state;
	bool lived; // has been live: the API worker was told SPAWNED

	// Settings. CONFIG is NULL once the tunnel has ended and its receipt is signed.
	uint8_t *config;
	size_t config_size;
	bool config_due;           // the relay has an older one
	enum tunnel_origin origin; // the one that comes first
	uint16_t listener, port;   // its own: number of the listener and of the port; 0: none
	struct secret_hash secret_hash;
	uint64_t life_ms;     // from its beginning, in whatever boot that was, to its end
	uint64_t deadline_us; // asked for by SPAWN, 0: none
	struct instant born;  // once it has lived: its end less its life

	// Backend.
	bool pull;  // none: its agents connect to us
	char *host; // name to look up, NULL: the address is fixed
	struct dial_target target;
	struct resolve resolve;
	struct instant resolved_at;
	uint64_t *dials;       // request numbers of DIALs that wait for the look-up; NULL: none
	bool https;            // its backend: edges speak TLS to it
	bool unchecked;        // and take any certificate
	unsigned n_edge_dials; // that wait for one
	unsigned n_dials;

	// Whom to answer.
	uint64_t request;
	uint32_t request_epoch;
	struct instant asked_at;

	// Relay.
	struct process relay;
	struct inspect_report relay_report; // what was seen of the last one that was sealed
	bool relay_landlock;                // its word
	bool starting;                      // counted among those on their way to READY
	bool draining;                      // was told to exit by itself
	int visitors_fd;       // sending end of the channel from the gates, a spare; -1: none
	struct counters *page; // shared by the relay, read-only here; NULL: none
	uint64_t counters[COUNTERS_N]; // as last seen, and what the next relay starts from
	TAILQ_HEAD(, agent) agents;    // connections that wait for it, oldest first
	struct loop_timer timer;       // the wait for READY, or the pause after a crash
	struct instant crashes[TUNNEL_CRASHES_MAX]; // the latest, in a ring
	unsigned n_crashes;

	// End.
	struct expiry_item expiry;
	enum end_reason reason;
	struct tunnel_receipt *receipt; // NULL: none
	uint32_t told;                  // the snapshot it has been part of
};

// What SPAWN asks for, validated and capped.
struct tunnel_spawn {
	struct tunnel_config config;
	struct secret_hash secret_hash;
	bool owner;
	uint16_t listener; // its own, 0: none; tunnel_create() finds it
	uint64_t deadline_us;
	uint64_t counters[COUNTERS_N];
	uint64_t request;
	uint32_t epoch; // of the API worker
};

// Makes a tunnel and starts it on its way; the answer to the API worker, SPAWNED or SPAWN_FAILED,
// follows now or later.
void tunnel_create(struct supervisor *supervisor, struct tunnel_spawn *spawn);

// Ends it: kills the relay at once. What else there is to do follows when that has been reaped. The
// first reason counts.
void tunnel_end(struct tunnel *tunnel, enum end_reason reason);

// Moves the end of a tunnel to LEFT_MS from now: in its CONFIG, the deadline, and the CONFIG of its
// relay, all or nothing. It has to have lived, and not to be over. Returns 0;
// TUNNEL_OUT_OF_RANGE when LEFT_MS is 0 or it would live longer than max_timeout in all: *MOST_S is
// the greatest number of seconds possible now; TUNNEL_TOO_LATE when its time has just come: it has
// been ended; or -ENOMEM.
enum { TUNNEL_OUT_OF_RANGE = 1, TUNNEL_TOO_LATE = 2 };
int tunnel_extend(struct tunnel *tunnel, uint64_t left_ms, uint64_t *most_s) WARN_UNUSED;

// Drops a tunnel that has not lived yet: answers SPAWN_FAILED.
void tunnel_fail(struct tunnel *tunnel, enum code code, const char *format, ...) PRINTF(3, 4);

// Frees a tunnel that has ended and has no process.
void tunnel_free(struct tunnel *tunnel);

// From the attestor: the receipt of a tunnel that is TUNNEL_SIGNING, and what certifies its key,
// which is kept with it if KEEP. All spans are copied.
void tunnel_signed(struct tunnel *tunnel, struct span statement, struct span signature,
	struct certificate *certificate, bool keep);

// The supervisor stops: a tunnel that is TUNNEL_SIGNING ends without a receipt, so that its end is
// stored. Harmless for others.
void tunnel_sign_no_more(struct tunnel *tunnel);

// The counters as they are now.
void tunnel_counters(const struct tunnel *tunnel, uint64_t counters[COUNTERS_N]);

static inline bool tunnel_over(const struct tunnel *tunnel)
{
	return tunnel->state == TUNNEL_ENDING || tunnel->state == TUNNEL_SIGNING ||
	       tunnel->state == TUNNEL_ENDED;
}

// A line about this tunnel.
void tunnel_log(const struct tunnel *tunnel, enum log_level level, const char *format, ...)
	PRINTF(3, 4);

// ---- its relay: tunnel_relay.c

// Starts one; tunnels.c calls this when it is the tunnel's turn.
void tunnel_start_relay(struct tunnel *tunnel);

// Handler of READY.
int tunnel_on_ready(struct ipc_channel *channel, struct ipc_message *message) WARN_UNUSED;

// From tunnel_relay.c to tunnel.c: the relay of a tunnel that is TUNNEL_ENDING has been reaped.
void tunnel_ended(struct tunnel *tunnel);

static inline struct tunnel *tunnel_of_channel(struct ipc_channel *channel)
{
	struct process *process = container_of(channel, struct process, control);
	return container_of(process, struct tunnel, relay);
}
