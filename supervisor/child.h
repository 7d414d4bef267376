// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// A process that must always be there: a gate, the API worker. Started, given five seconds to seal
// itself and say READY, inspected, set up; and started again when it ends, at once the first time,
// then after longer and longer pauses.

#pragma once

#include "process.h"

struct child;

struct child_kind {
	// Fills in handlers, uid, folder and descriptors.
	void (*describe)(struct child *child, struct process_request *request);
	// Sealed and accepted: to be set up. Returns IPC_SENT or what ipc_send() did.
	int (*ready)(struct child *child);
	void (*gone)(struct child *child); // before it is started again
};

enum child_state {
	CHILD_ABSENT,   // until the pause is over, or for good when the supervisor stops
	CHILD_STARTING, // not READY
	CHILD_READY,
	CHILD_STATES
};

enum {
	CHILD_READY_MS = 5000,
	CHILD_PAUSE_LEAST_MS = 10,
	CHILD_PAUSE_MOST_MS = 800, // back within a second of its end
	CHILD_STABLE_MS = 2000,    // one that lived as long starts with the shortest pause again
	CHILD_PROVE_MS = 200,     // a moment: time to fail at what follows READY, such as opening a
				  // database
	CHILD_FIRST_FAILURES = 3, // a supervisor one of whose children fails so often before it
				  // is proven gives up
};

struct child {
	struct supervisor *supervisor;
	const struct child_kind *kind;
	struct process process;
	enum child_state state;
	bool proven;             // has once been READY for longer than a moment
	unsigned failures;       // before that
	int64_t pause_ms;        // the next one
	struct instant ready_at; // valid in CHILD_READY
	struct loop_timer timer; // end of the pause, of the wait for READY, of the moment after it
};

void child_init(struct child *child, struct supervisor *supervisor, const struct child_kind *kind);
// Starts it, or, if that fails now, tries again after a pause.
void child_start(struct child *child);

static inline bool child_ready(const struct child *child)
{
	return child->state == CHILD_READY;
}

// How many cores there are to run on: children of which there is one for each.
size_t child_cores(void);

// Handler of READY of these roles.
int child_on_ready(struct ipc_channel *channel, struct ipc_message *message) WARN_UNUSED;
