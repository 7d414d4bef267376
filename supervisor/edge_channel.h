// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Edges: started with the sending end of the channel to the gates, and given the keys, when there
// are some, and then the TLS listeners.

#pragma once

#include "child.h"
#include "edge_dials.h"
#include "metrics.h"
#include "options.h"

enum {
	EDGES_MAX = 64,
	EDGE_TICKETS_MS = 12 * 3600 * 1000, // that a ticket key is used; for as long again it is
					    // only accepted
};

struct edge {
	struct child child;
	size_t n_listeners;                           // that it has been given
	uint64_t by_tls[METRICS_BY_TLS], descriptors; // as it has told last
};

struct edges {
	struct supervisor *supervisor;
	struct edge *items;
	size_t n;
	int streams_in, streams_out;             // of the channel to the gates, -1: not there
	uint8_t ticket_keys[2][TICKET_KEY_SIZE]; // current, previous
	bool rotated;                            // there is a previous one
	struct loop_timer rotation;
	struct edge_dial_list dials;
	uint64_t last_dial;
	size_t turn; // of the edges, to take the next dial
};

// How many edges there are to be.
size_t edges_count(const struct options *options);

// Prepares N edges. Returns 0 or a negative errno.
int edges_init(struct edges *edges, struct supervisor *supervisor, size_t n);
void edges_start(struct edges *edges);
bool edges_proven(const struct edges *edges);
void edges_kill(struct edges *edges);

// There are new keys (tls_keys.h): tells all edges.
void edges_keys_changed(struct edges *edges);

// Makes a new channel to the gates when somebody who holds the old one has shut it for good: all
// its other holders are replaced.
void edges_mend_streams(struct edges *edges);
