// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Ends of tunnels on their way into the database: acknowledged to the supervisor only once they are
// on disk. Those that come together are stored together, so that a thousand tunnels that expire in
// one moment do not cost a thousand waits for the disk; and those that cannot be stored are tried
// again.

#pragma once

#include "loop.h"
#include "store.h"

#include <sys/queue.h>

struct certificate;
struct worker;

enum {
	ENDS_BATCH = 128, // stored in one transaction
	ENDS_MAX = 20000, // waiting; what is beyond the supervisor tells again
	ENDS_RETRY_MS = 3000,
};

struct end {
	TAILQ_ENTRY(end) link;
	char id[TUNNEL_ID_MAX + 1];
	enum end_reason reason;
	int64_t at; // seconds since the epoch
	struct tunnel_counters counters;
	struct receipt *receipt;         // owned; NULL: none
	struct certificate *certificate; // of its key, shared; NULL: not known
	bool changed;                    // the database said something else before
};

struct ends {
	struct worker *worker;
	TAILQ_HEAD(, end) queue;
	size_t n;
	// The receipt that was told last, for the end that is told next.
	char signed_id[TUNNEL_ID_MAX + 1];
	struct receipt *signed_last; // owned; NULL: none
	struct certificate *signed_certificate;
	struct loop_task task;
	struct loop_timer retry;
};

void ends_init(struct ends *ends, struct worker *worker);
void ends_deinit(struct ends *ends);

// The receipt of tunnel ID, whose end is told next. FIELDS: statement, signature and instance.
void ends_add_receipt(struct ends *ends, struct span id, const struct wire_value *fields);

void ends_add(struct ends *ends, struct span id, enum end_reason reason,
	const struct tunnel_counters *counters);

// Stores the end of a tunnel that the supervisor will not tell about, as it has no relay, and tells
// those who wait for it.
void ends_store(
	struct worker *worker, const char *id, enum tunnel_state state, struct store_cause cause);

// Stores all that wait, now. Returns false when that failed.
bool ends_flush(struct ends *ends);
