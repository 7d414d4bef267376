// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Connections to https backends: begun here as any other (dial.h), finished by an edge, which
// speaks TLS on them and gives back the decrypted end for the relay that asked.

#pragma once

#include "dial.h"

#include <sys/queue.h>

struct edge;
struct edges;
struct tunnel;
struct ipc_channel;
struct ipc_message;

TAILQ_HEAD(edge_dial_list, edge_dial);

// Asks an edge for TLS on a connection for REQUEST of TUNNEL's relay, to address ATTEMPT, or to the
// next one that lets itself be connected to. Returns 0, DIALED or DIAL_FAILED follows, or an enum
// dial_failure.
int edge_dials_start(
	struct edges *edges, struct tunnel *tunnel, uint64_t request, unsigned attempt);

// The relay of TUNNEL, or EDGE, is gone.
void edge_dials_forget(struct edges *edges, const struct tunnel *tunnel);
void edge_dials_fail(struct edges *edges, const struct edge *edge);

// Handlers of EDGE_DIALED and EDGE_DIAL_FAILED.
int edge_dials_on_dialed(struct ipc_channel *channel, struct ipc_message *message);
int edge_dials_on_failed(struct ipc_channel *channel, struct ipc_message *message);
