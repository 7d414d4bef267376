// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Intel's word on the platform, to be passed on with the evidence: a JSON object from the operator,
// whose very bytes are signed by Intel. So it is neither looked into nor written anew, and whoever
// is on its way can only spoil it or keep it back, which a verifier notices.
//
// It comes from a file, once, or by HTTP from the operator's URL: over connections the supervisor
// makes, every COLLATERAL_REFRESH_MS, and again sooner when that has failed. What there is stays
// until there is something newer.

#pragma once

#include "guest.h"

enum {
	COLLATERAL_MAX = 512 * 1024,
	COLLATERAL_CALL_MS = 30 * 1000, // the wait for a connection included
	COLLATERAL_REFRESH_MS = 24 * 60 * 60 * 1000,
	COLLATERAL_RETRY_FIRST_MS = 1000, // after a failure; doubles
	COLLATERAL_RETRY_MOST_MS = 60 * 60 * 1000,
};

struct collateral {
	struct loop *loop;
	struct span text; // JSON, owned; absent: there is none
	// Of one that is fetched.
	bool fetched;
	bool pending;             // no attempt has come to its end yet
	enum guest_outcome state; // how the last one did
	struct guest_call call;
	struct loop_timer deadline, again;
	int64_t pause_ms;
	// Asks for a connection: collateral_connected() or collateral_unavailable() follows.
	void (*connect)(struct collateral *collateral);
	// There is something newer, or the state is another.
	void (*changed)(struct collateral *collateral);
};

// Takes TEXT (consumed, from malloc()) if it is a JSON object. Returns whether it is.
bool collateral_set(struct collateral *collateral, char *text, size_t n);

// Begins to fetch it. The caller has set the callbacks.
void collateral_start(struct collateral *collateral, struct loop *loop);

// The connection it has asked for: FD (consumed), to HOST, which is to be asked for PATH.
void collateral_connected(
	struct collateral *collateral, int fd, struct span host, struct span path);
// There is none.
void collateral_unavailable(struct collateral *collateral);

// "pending", "fetched" or the name of the last outcome; NULL for one that is not fetched.
const char *collateral_state(const struct collateral *collateral);
