// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// A backend connection that leads through an agent: the second kind of stream (stream.h). Bytes
// that arrive for it are taken where the agent's connection was read, while its visitor can take
// them at once; what it cannot take is kept, as much as the stream's window allows.

#pragma once

#include "backend.h"
#include "mux.h"

struct agent;

struct channel {
	struct backend backend;
	struct agent *agent; // NULL: it is over for the agent
	struct mux_stream mux;
	struct span piece;   // bytes being delivered right now, not taken yet
	struct buf received; // bytes of earlier deliveries, not taken yet
	size_t lent;         // of them, given out by the last take
	size_t passing;      // given out by the last take, and not known to have left us
	uint64_t start; // of what its request was sent behind, in bytes of the agent's connection
	bool unsent;    // the connection ended before the request was written to it
	bool fin;       // the agent's end sends no more
	int code;       // of a RESET, enum mux_reset; -1: none
};

// Opens a stream on AGENT for VISITOR. Returns 0 with *RET set, MUX_FULL when the agent takes no
// more, or a negative errno.
int channel_new(struct channel **ret, struct visitor *visitor, struct agent *agent,
	struct span proto) WARN_UNUSED;

// Whether it is one, not a socket.
bool channel_is(const struct backend *backend);

// Authority of the service behind its agent; empty for a socket, or when its agent is gone.
struct span channel_host(const struct backend *backend);

// Why the agent gave up this backend connection, enum mux_reset; -1: it has not, or it is a socket.
int channel_code(const struct backend *backend);

// A request begins here. Nothing is done to a socket.
void channel_begin(struct backend *backend);
// Whether the connection ended before anything of the request that began last was written to it.
bool channel_unsent(const struct backend *backend);

// The agent's connection is to be given up: the channel carries its request to the end, and no
// other.
void channel_retire(struct mux_stream *stream);

// Handlers of an agent's mux.
void channel_on_data(struct mux_stream *stream, char *bytes, size_t n);
void channel_on_fin(struct mux_stream *stream);
void channel_on_reset(struct mux_stream *stream, enum mux_reset code);
void channel_on_writable(struct mux_stream *stream);
