// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Quotes of the guest service, one at a time: the one that certifies the instance key, kept and
// made anew now and then; one about a TLS key, for its certificate; and those with a visitor's
// nonce (fresh=1), in a short queue and at a limited rate. Whatever the service does, it costs
// QUOTER_CALL_MS at most, and its name stands in `state`.
//
// report_data is always SHA-512 of a tag of ours, a colon between, and what it is about, so that no
// quote can serve for anything else:
//
//     the instance    "tunneld-instance:" || instance statement
//     a TLS key       "ratls-cert:" || SubjectPublicKeyInfo, as dstack's certificates have it
//     a nonce         "tunneld-fresh:" || SHA-256(instance statement) || nonce

#pragma once

#include "bucket.h"
#include "guest_answer.h"
#include "messages.h"

#include <sys/queue.h>

enum {
	QUOTER_CALL_MS = 15 * 1000, // a call of the service, the wait for a connection included
	QUOTER_REFRESH_MS = 60 * 60 * 1000,
	QUOTER_RETRY_FIRST_MS = 1000, // after a failure; doubles
	QUOTER_RETRY_MOST_MS = 60 * 1000,
	QUOTER_WAITING_MAX = 4, // for a fresh quote
};

enum quoter_job { JOB_NONE, JOB_VERSION, JOB_INFO, JOB_INSTANCE, JOB_TLS_KEY, JOB_FRESH, JOBS };

struct fresh_request {
	TAILQ_ENTRY(fresh_request) link;
	uint64_t request, asker; // of whom to answer
	size_t n;
	uint8_t nonce[NONCE_MAX];
};

struct quoter {
	struct loop *loop;
	struct guest_call call;
	struct loop_timer deadline; // of the call under way
	struct loop_timer again;    // the next refresh, or try
	int64_t pause_ms;           // before the next try
	enum quoter_job job;        // under way
	bool wanted[JOBS];
	enum guest_outcome last[JOBS];       // how each did last
	TAILQ_HEAD(, fresh_request) waiting; // the first is under way with JOB_FRESH
	unsigned n_waiting;
	struct bucket rate;
	bool fresh_allowed;

	// About the instance statement there is now.
	uint8_t statement_sha256[32];
	uint8_t report_data[REPORT_DATA_SIZE];
	bool pending;             // no attempt has come to its end yet
	enum guest_outcome state; // how the last one did
	struct quote quote;
	char *app_compose;             // NULL: not known
	char version[VERSION_MAX + 1]; // of the service; empty: it has not said

	// About a TLS key.
	bool tls_key_wanted;
	uint8_t tls_key_data[REPORT_DATA_SIZE];

	// Asks for a connection to the service: quoter_connected() or quoter_unavailable() follows.
	void (*connect)(struct quoter *quoter);
	// What is known about the instance has changed.
	void (*changed)(struct quoter *quoter);
	// A call has failed, unlike the last one of its kind or in another way; WHY may be empty.
	void (*failed)(struct quoter *quoter, const char *method, enum guest_outcome outcome,
		const char *why);
	// The quote about the TLS key has been made. Returns 0, or a negative errno: another is
	// asked for, later.
	int (*tls_key)(struct quoter *quoter, const struct quote *quote);
	// A fresh quote has been made, or (QUOTE is NULL) has not been.
	void (*fresh)(struct quoter *quoter, const struct fresh_request *request,
		enum guest_outcome outcome, const struct quote *quote);
};

// The caller sets the callbacks. It lasts as long as the process. FRESH_RATE: fresh quotes a
// minute, 0: none.
void quoter_init(struct quoter *quoter, struct loop *loop, uint64_t fresh_rate);

// Begins, or begins anew, with this instance statement: an earlier quote is about nothing any more.
void quoter_set_statement(struct quoter *quoter, struct span statement);

// Asks for a quote about the key with this SubjectPublicKeyInfo (empty: about none) once the
// instance has its own, until there is one.
void quoter_set_tls_key(struct quoter *quoter, struct span spki);

// The connection it has asked for: FD (consumed), OLD: of a service before 0.4, with another API.
void quoter_connected(struct quoter *quoter, int fd, bool old);
// There is none.
void quoter_unavailable(struct quoter *quoter);

// Queues REQUEST (copied). Returns 0, or what stands against it, with *RETRY_AFTER in seconds.
enum { QUOTER_LIMITED = 1, QUOTER_FULL = 2, QUOTER_NEVER = 3 };
int quoter_ask(struct quoter *quoter, const struct fresh_request *request,
	unsigned *retry_after) WARN_UNUSED;

// "pending", or the name of the last outcome.
const char *quoter_state(const struct quoter *quoter);
