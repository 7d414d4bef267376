// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// A tunnel on its way: from the row in state `starting` to the answer of its POST.
//
// Only the asker ever learns the secret and the agent token. So when nobody is left to take the
// answer, the tunnel is of no use to anyone and is revoked again; unless there was an
// Idempotency-Key: then the asker can ask again.

#pragma once

#include "connection.h"
#include "hex.h"
#include "idempotency.h"
#include "pending.h"
#include "tunnel.h"
#include "tunnel_request.h"

struct worker;

enum {
	CREATION_ID_RANDOM = 16,
	CREATION_SECRET_RANDOM = 32,
	CREATION_SECRET_SIZE = BASE32_SIZE(CREATION_SECRET_RANDOM),
};

struct creation {
	TAILQ_ENTRY(creation) link;
	struct worker *worker;
	struct connection *connection; // NULL: the asker is gone, or was answered already
	struct connection_waiter waiter;
	struct pending spawn;
	struct tunnel tunnel;
	// Wiped once they are in the answer.
	char secret[CREATION_SECRET_SIZE];
	char agent_token[CREATION_SECRET_SIZE]; // of a pull tunnel
	bool keyed;                             // there was an Idempotency-Key
	struct secret_hash key;                 // of it and the token
	struct kept_answer *kept;               // NULL: without a key, or it is answered
	bool ending;                            // END was sent while it was starting
	int64_t token_end_us;                   // of the caller's token on CLOCK_BOOTTIME; 0: none
};

TAILQ_HEAD(creation_list, creation);

// Answers the POST of CALLER on CONNECTION, at once or later. KEY: one that is not known yet; NULL:
// none.
void creation_start(struct worker *worker, struct connection *connection,
	const struct token *caller, const struct tunnel_request *request,
	const struct idempotency_key *key);

// The creation of this tunnel whose relay has not started, or NULL.
struct creation *creation_find(struct worker *worker, const char *id);

// It is to be ended before it has begun: the POST is answered with a conflict.
void creation_cancel(struct creation *creation);

// The tunnel's end is stored.
void creation_ended(struct worker *worker, const char *id);

// Forgets all: the worker stops. Its successor finds the rows.
void creations_deinit(struct worker *worker);
