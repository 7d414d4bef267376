// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What the relays of all pull tunnels together may keep for visitors that do not read
// (`agent_memory`): each gets the same share. Shares are halved and doubled, so that a thousand
// tunnels that come and go change them a few times and not a thousand.

#pragma once

#include "tunnel.h"

struct agent_memory {
	unsigned relays;   // of pull tunnels that are running
	unsigned halvings; // of the whole, to a share
};

// A relay of a pull tunnel has been started, or has been reaped. Others may get another share.
void agent_memory_taken(struct supervisor *supervisor);
void agent_memory_given(struct supervisor *supervisor);

// Tells the relay its share: when it has been set up. Returns as ipc_send().
int agent_memory_tell(struct tunnel *tunnel) WARN_UNUSED;
