// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Idempotency-Key: a client that does not know what became of its request sends it again, and gets
// the answer of the first one, secret included, instead of a second tunnel.
//
// The one idea: an answer is kept in memory for a while, by a hash of the token's id and the key,
// with a hash of the body it was for. What was not answered well is not kept, so that trying again
// can succeed. That a key was used is in the tunnel's row as well, for when the answer is gone.

#pragma once

#include "http_head.h"
#include "loop.h"
#include "secret.h"
#include "token.h"

#include <sys/queue.h>

enum {
	IDEMPOTENCY_KEY_MAX = 255,            // characters
	IDEMPOTENCY_KEPT_MS = 10 * 60 * 1000, // how long an answer is kept
	IDEMPOTENCY_ANSWER_MAX = 8192,        // bytes; larger ones are not kept
	IDEMPOTENCY_BUCKETS = 256,
};

// ---- keys

struct idempotency_key {
	struct secret_hash id;   // of token and key
	struct secret_hash body; // of the request's body
};

enum idempotency_outcome {
	IDEMPOTENCY_NO_KEY = 1,  // there is no such field
	IDEMPOTENCY_BAD_KEY = 2, // it is malformed, or there are several
};

// Reads the Idempotency-Key of a request with HEAD and BODY: 1 to 255 visible ASCII characters as
// they are, or the same in quotes (a string of RFC 8941 section 3.3.3, which may have spaces too).
// Returns 0 or an outcome.
int idempotency_key_read(struct idempotency_key *key, const struct http_head *head,
	struct span body, const char *token) WARN_UNUSED;

// ---- answers

struct kept_answer {
	LIST_ENTRY(kept_answer) same;
	TAILQ_ENTRY(kept_answer) age; // in `done`, when there is an answer
	struct idempotency *set;
	struct idempotency_key key;
	bool scoped; // of a token that is not the owner's
	struct instant until;
	size_t n;
	char *bytes; // the whole answer, wiped when freed; NULL: it is under way
};

struct idempotency {
	struct loop *loop;
	LIST_HEAD(, kept_answer) buckets[IDEMPOTENCY_BUCKETS];
	TAILQ_HEAD(kept_list, kept_answer) done; // oldest first
	size_t n, n_scoped, max;                 // of `done`
	struct loop_timer timer;
};

// MAX: answers kept at once.
void idempotency_init(struct idempotency *set, struct loop *loop, size_t max);
void idempotency_deinit(struct idempotency *set);

// What is known of KEY, whatever its body, or NULL. Valid until the loop runs again.
struct kept_answer *idempotency_find(struct idempotency *set, const struct idempotency_key *key);

// A request with KEY, which is not known, is under way. Returns NULL without memory.
struct kept_answer *idempotency_begin(
	struct idempotency *set, const struct idempotency_key *key, bool scoped);

// It came to nothing.
void idempotency_forget(struct kept_answer *kept);

// It is answered: keeps a copy, for which older ones may have to go. Those of scoped tokens take
// half of all places at most and never the place of one of the owner's. What finds no place or
// memory is forgotten. KEPT is the set's from now on.
void idempotency_finish(struct kept_answer *kept, struct span answer);
