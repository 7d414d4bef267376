// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The end of scoped tokens, by DELETE or by time. What a token has granted ends with it: its
// tunnels that live or start are revoked.
//
// The one idea: the row of the token goes first, and that is the end of the token. Whatever tunnel
// then has no token is ended, whoever finds it: this module at once, and should that be cut short,
// the agreement with the supervisor (sync.h) within a minute or at the next start.

#pragma once

#include "connection.h"
#include "token.h"

struct worker;

enum { REVOCATION_CLOCK_MS = 60 * 1000 }; // how soon a wall clock that was set is noticed

struct revocation {
	TAILQ_ENTRY(revocation) link;
	struct worker *worker;
	struct connection *connection; // NULL: the asker is gone
	struct connection_waiter waiter;
	struct loop_timer patience;
	char token[TOKEN_ID_MAX + 1];
};

struct revocations {
	TAILQ_HEAD(, revocation) waiting;
	struct loop_task task;
	struct loop_timer expiry; // of the token that ends next
};

void revocations_init(struct worker *worker);
void revocations_deinit(struct worker *worker);

// Ends TOKEN and answers on CONNECTION once its tunnels are dead and that is stored.
void revocation_start(
	struct worker *worker, struct connection *connection, const struct token *token);

// There are other tokens than before: looks for the one that ends next, and ends those whose time
// is over.
void revocations_watch(struct worker *worker);

// Ends tunnels whose token is no more.
void revocations_end_disowned(struct worker *worker);

// The end of some tunnel was stored: somebody may have waited for it.
void revocations_note(struct worker *worker);
