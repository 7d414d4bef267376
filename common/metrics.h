// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What the supervisor can count, as it goes to the API worker for GET /metrics (MSG_METRICS): the
// bytes of struct metrics, since all processes are of one build and machine. What each number means
// to an operator stands in api/metrics_text.c, beside its name.

#pragma once

#include "code.h"
#include "messages.h"

enum metrics_state {
	METRICS_STARTING,  // SPAWN has come, its relay is not READY
	METRICS_ACTIVE,    // has a relay
	METRICS_REPLACING, // its relay has crashed, the next one is not READY
	METRICS_ENDING,    // relay killed, or its end not stored yet
	METRICS_STATES
};

enum metrics_wait { METRICS_READING, METRICS_PARKED, METRICS_CLOSING, METRICS_WAITS };

enum metrics_handshake { METRICS_COMPLETED, METRICS_FAILED, METRICS_HANDSHAKES };
enum metrics_by_tls { METRICS_IN_HANDSHAKE, METRICS_OFFERED, METRICS_OPEN, METRICS_BY_TLS };

enum { METRICS_BUCKETS = 11 };

struct metrics {
	uint64_t started_at; // seconds since the epoch

	uint64_t tunnels[METRICS_STATES];
	uint64_t ends[END_REASONS];
	uint64_t spawned[METRICS_BUCKETS + 1]; // by the time from SPAWN to READY; not cumulative
	uint64_t spawned_us;                   // all these times together
	uint64_t spawn_failures[CODES];

	uint64_t connections, open, requests, bytes_in, bytes_out; // as relays report them
	uint64_t agents;
	uint64_t relay_refusals[CODES];

	uint64_t accepted, cut; // as gates report them
	uint64_t gate_refusals[CODES];
	uint64_t gate_waiting[METRICS_WAITS];

	uint64_t handshakes[METRICS_HANDSHAKES]; // as edges report them
	uint64_t by_tls[METRICS_BY_TLS];

	uint64_t dials, dial_failures[DIAL_FAILURES];
	uint64_t lookups, lookup_failures, lookups_waiting;

	uint64_t processes[ROLES], process_starts[ROLES], process_restarts[ROLES];
	uint64_t violations[ROLES];
	uint64_t log_lines, log_limited, log_unread;
	uint64_t descriptors[ROLES], descriptors_max[ROLES]; // of the fixed roles
};

// Upper bounds of the buckets of `spawned`, in microseconds; the last bucket has none.
extern const uint64_t metrics_buckets_us[METRICS_BUCKETS];
