// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// One connection of an agent to the server: opened, upgraded to a WebSocket, greeted, and then
// carrying streams, until it breaks or was replaced and its last stream is over.

#pragma once

#include "agent.h"
#include "answer.h"
#include "websocket_accept.h"

enum { AGENT_LINK_MS = 15000 }; // patience with each: opening, upgrade, HELLO

enum agent_link_state {
	AGENT_LINK_OPENING = 1,
	AGENT_LINK_UPGRADING, // asked for the upgrade
	AGENT_LINK_REFUSED,   // reads why
	AGENT_LINK_GREETING,  // a WebSocket; the relay has not said HELLO
	AGENT_LINK_UP,
	AGENT_LINK_RETIRED, // only streams that are there already
	AGENT_LINK_GONE,    // to be freed once nothing of it runs
};

struct agent_link {
	struct agent *agent;
	struct agent_link *next, **prev;
	enum agent_link_state state;
	struct opening opening;
	struct transport *transport;
	struct loop_watch watch;
	struct loop_timer timer; // a deadline, then the next ping
	struct loop_task task;   // to read on, to flush
	bool readable, writable, peer_done;
	struct buf request;
	struct answer answer;
	struct buf refusal; // the body of an answer that is no 101
	char accept[WEBSOCKET_ACCEPT_SIZE];
	struct mux mux;
};

// Returns a link that is being opened, or NULL without memory or descriptors.
struct agent_link *agent_link_new(struct agent *agent);
// At once; its streams are reset.
void agent_link_free(struct agent_link *link);

// Does soon what has to be done: streams want to send, or the last one is over.
void agent_link_wake(struct agent_link *link);

static inline struct agent_link *agent_link_of(struct mux *mux)
{
	return container_of(mux, struct agent_link, mux);
}
