// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Requests to the supervisor that have not been answered, each with a number and a deadline.

#pragma once

#include "ipc.h"

#include <sys/queue.h>

struct pending {
	TAILQ_ENTRY(pending) link; // private
	struct pendings *set;
	uint64_t request; // 0: not under way
	enum message asked;
	struct loop_timer deadline;
	// Called once, no longer under way: with the answer, or with NULL when none came in time.
	void (*answered)(struct pending *pending, const struct ipc_message *answer);
};

struct pendings {
	struct loop *loop;
	TAILQ_HEAD(, pending) all;
	uint64_t last;
};

void pendings_init(struct pendings *set, struct loop *loop);

// Begins to wait for the answer to an ASKED message and returns the request number to send, or 0
// without memory.
uint64_t pending_start(struct pendings *set, struct pending *pending, enum message asked,
	int64_t patience_ms, void (*answered)(struct pending *, const struct ipc_message *));
// Waits no more; an answer that still comes is dropped. Harmless when not under way.
void pending_stop(struct pending *pending);

// Gives an answer, whose first field is the request number, to whoever waits for it. Nobody does:
// it came too late, which is nobody's fault.
void pendings_answer(struct pendings *set, const struct ipc_message *answer);
