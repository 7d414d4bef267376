// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What the supervisor counts, for metrics. Most is counted where it happens, by adding to
// supervisor->tally.now; the rest is read off when somebody asks. What a tunnel has counted stays
// in the sums when it is gone.

#pragma once

#include "metrics.h"
#include "tunnel.h"

// Collecting takes at most one part in so many of the supervisor's time: who asks more often gets
// the same numbers again.
enum { TALLY_SHARE = 10 };

struct tally {
	struct metrics now;  // as counted so far; of tunnels, what is not in their own counters
	struct metrics told; // the last answer
	struct instant told_until; // it is good for
};

void tally_init(struct tally *tally);

// All there is to tell. Valid until the next call.
const struct metrics *tally_collect(struct supervisor *supervisor);

// A tunnel has been made; a tunnel is about to be freed; PAGE of a relay is about to go.
void tally_tunnel_new(struct tally *tally, const struct tunnel *tunnel);
void tally_tunnel_gone(struct tally *tally, const struct tunnel *tunnel);
void tally_page_gone(struct tally *tally, const struct counters *page);

// It took US microseconds from SPAWN to READY.
void tally_spawned(struct tally *tally, int64_t us);
