// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// One connection of an agent of a pull tunnel.
//
//   GREETING -> READY -> REPLACED       no further streams; closed when its last one has ended
//   any      -> CLOSING                 our close frame is out, what still comes is thrown away

#pragma once

#include "mux.h"
#include "stream.h"

struct relay;

enum agent_state { AGENT_GREETING, AGENT_READY, AGENT_REPLACED, AGENT_CLOSING };

struct agent {
	struct relay *relay;
	struct agent *next, **prev; // among the agents of the tunnel
	struct stream stream;
	struct mux mux;
	enum agent_state state;
	struct loop_timer timer; // HELLO, the next ping, or the end of CLOSING
	struct loop_task task;   // something is to be written, or read on
	size_t drained;          // bytes thrown away while CLOSING
	char instance[MUX_INSTANCE_MAX + 1];
	char program[MUX_AGENT_MAX + 1];
	char host[MUX_HOST_MAX + 1]; // of the service behind it
};

// Takes a connection (consumed, also on failure) and what has been read of it. Without memory it is
// closed.
void agent_new(struct relay *relay, int fd, enum stream_socket kind, struct span bytes);

// A newer connection of its instance is there.
void agent_replace(struct agent *agent);

// Ends it with a close frame. Not to be called from a handler of its own mux.
void agent_close(struct agent *agent, uint16_t code, const char *why);

// The server stops: says so and ends it.
void agent_drain(struct agent *agent);

// Says how long the tunnel lives.
void agent_expiring(struct agent *agent, uint64_t seconds);

// One of its streams is over: others may have waited for that.
void agent_stream_over(struct agent *agent);
