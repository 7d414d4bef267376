// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Agreement with the supervisor about what lives: at the start of the worker, and once a minute,
// when remaining times and counters are written down as well.
//
// The supervisor names all that live, then says that it is done. Whoever lives without a row that
// says so is ended; rows without a relay are restored (once, at the start: later they end by
// ENDED); rows of POSTs that nobody waits for any more are failed, and those whose token is no more
// are revoked.

#pragma once

#include "ipc.h"

struct worker;

enum { SYNC_EVERY_MS = 60000, SYNC_SOON_MS = 3000 };

struct sync {
	bool done; // the first time
	bool under_way;
	struct loop_timer timer; // when to ask again; before `done`, how long visitors wait
};

void sync_init(struct worker *worker);

// LIVE and LIVE_DONE.
int sync_on_live(struct ipc_channel *channel, struct ipc_message *message) WARN_UNUSED;
int sync_on_live_done(struct ipc_channel *channel, struct ipc_message *message) WARN_UNUSED;

// Something the supervisor knows could not be stored: it is asked again soon.
void sync_soon(struct worker *worker);

// Stores ends that wait, what the supervisor has said, and remaining times.
void sync_write_down(struct worker *worker);
