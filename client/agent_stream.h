// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// A stream: bytes between the relay and a connection to the target. Nothing more is read from the
// target than the relay gives credit for, and the relay gets credit for what the target has taken,
// so each waits for the other and nobody else does.

#pragma once

#include "agent_link.h"
#include "sniff.h"

struct agent_stream {
	struct mux_stream mux;
	struct backend backend;
	struct agent *agent;
	struct buf pending;  // from the relay, not taken by the target yet
	struct sniff *sniff; // NULL: nothing is read along (any more)
	bool fin;            // the relay sends no more
};

// What agent_link.c gives to mux.h.
struct mux_stream *agent_stream_open(
	struct mux *mux, const struct mux_message *open, enum mux_reset *code);
void agent_stream_data(struct mux_stream *stream, char *bytes, size_t n);
void agent_stream_fin(struct mux_stream *stream);
void agent_stream_reset(struct mux_stream *stream, enum mux_reset code);
void agent_stream_writable(struct mux_stream *stream);
