// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What relays say: they ask for connections to their backend, pass on visitors that need a page,
// and report a budget that is used up.

#pragma once

#include "tunnel.h"

extern const struct ipc_handlers relay_handlers;

// `done` of a tunnel's look-up: of the first one, which decides whether there is a tunnel, and of
// later ones, for which DIALs of its relay wait.
void relay_backend_resolved(
	struct resolve *resolve, const struct in6_addr *addresses, size_t n, const char *why);

// Sends the tunnel's CONFIG to a relay that has had one: it has changed. Others get it when they
// are set up.
void relay_send_config(struct tunnel *tunnel);
// `writable` of its channel.
void relay_on_writable(struct ipc_channel *channel);

// Tells the relay of a pull tunnel that lives to end its agents' connections and exit. Returns
// whether it was told.
bool relay_drain(struct tunnel *tunnel);

// Answers a DIAL of the tunnel's relay: with a connection (borrowed), or with why there is none.
void relay_dialed(struct tunnel *tunnel, uint64_t request, int fd);
void relay_dial_failed(struct tunnel *tunnel, uint64_t request, enum dial_failure failure);

// Nobody waits for the look-up, or for an edge, any more.
void relay_dials_forget(struct tunnel *tunnel);
