// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// A tunnel as the database knows it: one row as a struct.

#pragma once

#include "counters.h"
#include "secret.h"
#include "tunnel_config.h"

// From `starting` through `active` to one of the four ends. Ends are final.
enum tunnel_state {
	TUNNEL_STARTING = 1,
	TUNNEL_ACTIVE,
	TUNNEL_EXPIRED,
	TUNNEL_REVOKED,
	TUNNEL_EXHAUSTED,
	TUNNEL_FAILED,
	TUNNEL_STATES
};

// In the order in which messages carry them.
struct tunnel_counters {
	uint64_t connections, open, requests, bytes_in, bytes_out, last_activity, agents;
};

enum { TOKEN_ID_MAX = 32, BOOT_ID_SIZE = 37 };
#define TOKEN_OWNER "owner" // in place of an id

// Seconds by which two looks at the clocks may differ about when a tunnel expires.
#define TUNNEL_EXPIRY_JITTER_S 2

struct tunnel {
	int64_t seq; // order of creation, given by the database
	char id[TUNNEL_ID_MAX + 1];
	char token[TOKEN_ID_MAX + 1]; // id of the token that made it
	enum tunnel_state state;
	char name[TUNNEL_NAME_MAX + 1];
	char backend[URL_TEXT_MAX]; // canonical; empty: a pull tunnel
	enum tunnel_auth auth;
	enum tunnel_prefix prefix;
	enum tunnel_origin origin; // the one that comes first; 0: the best there is, not known yet
	uint16_t port;             // its own, 0: none
	struct secret_hash secret_hash;
	struct secret_hash agent_hash; // of the agent token of a pull tunnel
	uint64_t timeout_s;            // as asked for last
	uint64_t life_ms;              // from its beginning to its end
	uint64_t max_connections, max_requests, max_bytes, request_rate; // 0: no limit
	int64_t created_at;                                              // seconds since the epoch
	int64_t expires_at;              // the same, 0 before it is active
	int64_t ended_at;                // the same, 0 while it is not over
	char boot_id[BOOT_ID_SIZE];      // of the boot that deadline_us belongs to
	int64_t deadline_us;             // on CLOCK_BOOTTIME
	int64_t remaining_ms;            // as last checkpointed
	struct tunnel_counters counters; // as last checkpointed
};

// Whether agents serve it, which connect to us: it leads to no backend of its own.
static inline bool tunnel_is_pull(const struct tunnel *tunnel)
{
	return tunnel->backend[0] == '\0';
}

static inline const char *tunnel_mode_name(const struct tunnel *tunnel)
{
	return tunnel_is_pull(tunnel) ? "pull" : "push";
}

static inline bool token_is_owner(const char *id)
{
	return strcmp(id, TOKEN_OWNER) == 0;
}

const char *tunnel_state_name(enum tunnel_state state);
// 0 when TEXT is none.
enum tunnel_state tunnel_state_parse(struct span text);
// The state a tunnel is in after that end; what is no known reason counts as failed.
enum tunnel_state tunnel_state_of_end(enum end_reason reason);

static inline bool tunnel_state_is_over(enum tunnel_state state)
{
	return state >= TUNNEL_EXPIRED;
}

// Reads the COUNTERS_N fields every message with counters ends in.
struct tunnel_counters tunnel_counters_read(const struct wire_value *fields);
