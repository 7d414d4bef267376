// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Connections of agents on their way from the API worker to the relay of their tunnel. Nearly all
// go on at once. While the relay is behind, or a crashed one is being replaced, a few wait, and not
// for long: an agent that is cut off connects again.

#pragma once

#include "ipc.h"

struct tunnel;

enum {
	AGENTS_WAITING_MAX = 16, // of all tunnels
	AGENTS_OF_TUNNEL_MAX = 4,
	AGENTS_PATIENCE_MS = 5000,
};

// Handler of AGENT_IN.
int agents_on_message(struct ipc_channel *channel, struct ipc_message *message) WARN_UNUSED;

// Those that wait are tried again: the relay of TUNNEL is ready, or has caught up.
void agents_go_on(struct tunnel *tunnel);

// Closes those that wait: TUNNEL has no future.
void agents_forget(struct tunnel *tunnel);
