// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// A bucket for each token that has created tunnels lately, or each tunnel whose agents have
// connected. After a minute it is full again, as good as a new one, and is forgotten; so there are
// as many as there are at work.

#pragma once

#include "bucket.h"
#include "tunnel.h"

#include <sys/queue.h>

enum { RATES_MAX = 4096 }; // beyond that the one that was quiet for longest starts anew

struct rate {
	TAILQ_ENTRY(rate) link;
	struct bucket bucket;
	char id[TUNNEL_ID_MAX + 1]; // of a token or a tunnel, which are as long
};

struct rates {
	TAILQ_HEAD(rate_list, rate) all; // used last, first
	size_t n;
	uint64_t per_minute;
};

void rates_init(struct rates *rates, uint64_t per_minute);
void rates_deinit(struct rates *rates);

// Takes one for ID. Returns 0, or the seconds (at least 1) until there is one; 1 also without
// memory.
unsigned rates_take(struct rates *rates, const char *id, struct instant now);
