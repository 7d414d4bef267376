// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// A DELETE that waits for the end of its tunnel.

#pragma once

#include "connection.h"
#include "pending.h"
#include "token.h"

struct worker;

struct deletion {
	TAILQ_ENTRY(deletion) link;
	struct worker *worker;
	struct connection *connection;
	struct connection_waiter waiter;
	struct pending end;
	char id[TUNNEL_ID_MAX + 1];
	char actor[TOKEN_ID_MAX + 1]; // id of the token it was asked for with
};

TAILQ_HEAD(deletion_list, deletion);

// Ends TUNNEL, which is starting or active, for CALLER, and answers on CONNECTION once its relay is
// dead and that is stored.
void deletion_start(struct worker *worker, struct connection *connection,
	const struct token *caller, const struct tunnel *tunnel);

// The end of this tunnel is stored, or (FAILED) could not be.
void deletions_done(struct worker *worker, const char *id, bool failed);

// Who asked for its end, or NULL: the id of a token.
const char *deletion_actor(const struct worker *worker, const char *id);

void deletions_deinit(struct worker *worker);
