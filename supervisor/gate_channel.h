// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Gates: started with the sending end of the channel to the API worker, set up with the listeners
// and the routes of all living tunnels, and kept informed.

#pragma once

#include "child.h"
#include "metrics.h"
#include "tunnels.h"

enum {
	GATES_MAX = 64,
	GATE_STALL_MS = 5000, // one that does not read its channel for so long is replaced
};

struct gate {
	struct child child;
	struct tunnels_cursor cursor; // the next living tunnel it has to be told of
	size_t n_listeners;           // that it has been given
	struct loop_timer stall;
	uint64_t waiting[METRICS_WAITS], descriptors; // as it has told last
};

struct gates {
	struct gate *items;
	size_t n;
	int dead_end; // a channel nobody receives from: what a relay that has died leaves behind
};

// How many gates there are to be: `gates`, or one for each core.
size_t gates_count(const struct options *options);

// Prepares N gates. Returns 0 or a negative errno.
int gates_init(struct gates *gates, struct supervisor *supervisor, size_t n) WARN_UNUSED;
void gates_start(struct gates *gates);
bool gates_proven(const struct gates *gates);
void gates_kill(struct gates *gates);

// A tunnel has been put into LIST_LIVING: tells all gates.
void gates_route_add(struct gates *gates);
// A tunnel has no relay any more.
void gates_route_drop(struct gates *gates, const char *id);
