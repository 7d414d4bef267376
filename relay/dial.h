// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Asking the supervisor for connections to the backend: who waits for which answer. At most
// DIALS_MAX questions are open; further askers queue, first come, first served.

#pragma once

#include "messages.h"

struct relay;
struct visitor;
struct ipc_channel;
struct ipc_message;

enum { DIALS_MAX = 64 }; // the supervisor accepts no more

// Embedded in the visitor that asks.
struct dial {
	struct dial *next, **prev; // in the queue
	uint32_t slot;             // open question plus one, 0: none
	bool waiting;              // in the queue
	uint8_t attempt;           // which of the backend's addresses, 0: the one that worked last
	uint8_t addresses;         // how many there are, once known
};

struct dials {
	struct {
		struct dial *dial; // NULL: nobody waits for it any more, the answer is thrown away
		uint32_t serial;   // of the question, 0: slot is free
	} slots[DIALS_MAX];
	uint32_t serial;
	struct dial *head, **tail;
};

void dials_init(struct dials *dials);

// Asks for address ATTEMPT. Returns 0 (asked or queued) or a negative errno.
int dial_start(struct relay *relay, struct dial *dial, uint8_t attempt) WARN_UNUSED;
// Waits in the queue, not for an answer of the supervisor's but to be taken from its head: the way
// of pull tunnels, which have no dials.
void dial_wait(struct relay *relay, struct dial *dial);
// Nobody waits any more. Harmless when nobody did.
void dial_cancel(struct relay *relay, struct dial *dial);

// A DIALED came without its socket, for want of descriptors here.
void dial_lost(struct relay *relay, const struct ipc_message *lost);

// Handlers of DIALED and DIAL_FAILED.
int dial_on_dialed(struct ipc_channel *channel, struct ipc_message *message) WARN_UNUSED;
int dial_on_failed(struct ipc_channel *channel, struct ipc_message *message) WARN_UNUSED;
