// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What the ways into a tunnel by a page of ours have in common: a post that is taken from our own
// pages only, a cookie, and a way on that leads below the tunnel and nowhere else.

#pragma once

#include "connection.h"
#include "tunnel.h"

struct worker;

enum { ENTRANCE_TARGET_SIZE = 2049 };

// Whether a page of another site sent this post.
bool entrance_is_foreign(struct worker *worker, const struct request *request);

// Writes where REQUEST, about tunnel ID, leads: what the form says in `to`, else the page it was
// sent from, else where the tunnel begins. False: the last.
bool entrance_find_target(struct worker *worker, const struct connection *connection,
	const struct request *request, const char *id, char out[ENTRANCE_TARGET_SIZE]);

// Whether the origin this was asked on is https: as it came, or as the operator says.
bool entrance_is_https(const struct worker *worker, const struct connection *connection);

// The latest end that the tunnel can be given, for cookies: a longer life does not log anybody out.
int64_t entrance_expiry(const struct worker *worker, const struct tunnel *tunnel);

// 303 to TARGET.
void entrance_lead(struct connection *connection, const char *target);
// The same with a cookie: PAIR is its name and value. Below the shared origin it is set for the
// page about the tunnel, too, to which what is set for /t/ID/ is not sent.
void entrance_open(struct worker *worker, struct connection *connection,
	const struct tunnel *tunnel, const char *pair, const char *target);
