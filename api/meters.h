// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The counters of tunnels as they change, for the event streams that ask for them. While there are
// such streams the supervisor is asked for the counters of one tunnel after the other, one question
// at a time, in rounds with a pause between. Nothing is asked, and nothing kept, without them.
//
// As with events, a stream is a place among what is kept and costs no memory of its own: it is told
// what has changed since it was told last, in the newest state, however slowly it is read.

#pragma once

#include "buf.h"
#include "pending.h"
#include "tunnel.h"

struct worker;

enum {
	METERS_PAUSE_MS = 2000, // between two rounds
	METERS_PATIENCE_MS = 2000,
};

struct meter {
	int64_t seq; // of its tunnel
	char id[TUNNEL_ID_MAX + 1];
	char token[TOKEN_ID_MAX + 1]; // whose tunnel it is
	struct tunnel_counters counters;
	uint64_t changed; // the round in which they did last; 0: not known yet
};

struct meters {
	struct worker *worker;
	unsigned watchers;
	struct meter *all; // tunnels that lived when the round began, newest first
	size_t n, next;    // NEXT is being asked for
	uint64_t rounds;   // that are complete
	struct pending pending;
	struct loop_timer timer;
};

// Where a stream is. Zero: it has been told nothing.
struct meters_place {
	uint64_t told;    // all that changed in rounds up to this
	uint64_t telling; // round that is being told, 0: none
	int64_t before;   // of that one the tunnels older than this `seq` are left
};

void meters_init(struct meters *meters, struct worker *worker);
// There is one more stream, or one less: to be told by connection_go_on() after each round.
void meters_watch(struct meters *meters);
void meters_unwatch(struct meters *meters);

// Appends events for a stream of TOKEN (its id; empty: of all) at PLACE, until OUT has MOST bytes.
// Returns 0 or buf_add()'s error: the rest is for the next call.
int meters_tell(const struct meters *meters, struct meters_place *place, const char *token,
	struct buf *out, size_t most) WARN_UNUSED;
