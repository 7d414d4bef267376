// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Where visitors leave the gate: the sending end towards one receiver, a relay or the API worker,
// and the visitors parked here because the receiver is slow, or dead and not yet replaced.

#pragma once

#include "visitor.h"

struct outlet {
	struct ipc_channel channel;
	enum ipc_role receiver; // ROLE_RELAY or ROLE_API
	struct loop *loop;
	struct visitor_list parked;
};

// An outlet without a channel: whoever is offered parks.
void outlet_init(struct outlet *outlet, struct loop *loop, enum ipc_role receiver);

// Closes it. Who is parked there goes to HEIR.
void outlet_deinit(struct outlet *outlet, struct outlet *heir);

// Sends into FD (consumed, also on failure) from now on, instead of an older channel if there was
// one, and first those who are parked. Returns 0 or a negative errno; then there is no channel.
int outlet_connect(struct outlet *outlet, int fd);

// Hands VISITOR over, or parks it behind those already waiting. Consumes it.
void outlet_offer(struct outlet *outlet, struct visitor *visitor);
