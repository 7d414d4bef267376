// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The agents of a pull tunnel, and the requests that wait for one. Several instances share the
// requests; of one instance the newest connection counts.

#pragma once

#include "agent.h"

struct channel;
struct ipc_channel;
struct ipc_message;
struct visitor;

enum {
	AGENTS_MAX = 64,         // connections of one tunnel
	AGENT_READ = 256 * 1024, // what one read may bring
};

struct agents {
	struct agent *first; // newest first
	unsigned n;
	struct mux_store store;     // what visitors have not taken yet
	struct channel *delivering; // gets bytes just now; NULL when it is freed meanwhile
	struct loop_timer notices;  // of the tunnel's end
	bool draining;              // the relay exits when the last one is gone
	char *in;                   // AGENT_READ bytes, used within one callback only
};

void agents_init(struct agents *agents);

// Handler of AGENT.
int agents_on_message(struct ipc_channel *channel, struct ipc_message *message);

// Handler of AGENT_MEMORY. Until then it is as much as there can be.
int agents_on_memory(struct ipc_channel *channel, struct ipc_message *message);
// Handler of DRAIN.
int agents_on_drain(struct ipc_channel *channel, struct ipc_message *message);
// From agent.c: an agent is gone.
void agents_left(struct relay *relay);

// Opens a channel for VISITOR to the agent that has fewest, as its backend. Returns 0, AGENTS_NONE
// when none is there or has room, or a negative errno.
enum { AGENTS_NONE = 1 };
int agents_connect(struct visitor *visitor);
// Gives those that wait a channel, as far as there is room.
void agents_serve(struct relay *relay);

// The tunnel's end is known, or another one than before.
void agents_end_known(struct relay *relay);

// From agent.c: an agent has said HELLO.
void agents_joined(struct agent *agent);
