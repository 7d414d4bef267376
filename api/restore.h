// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Tunnels that should live and do not: after a start of the supervisor they are asked for again,
// soonest end first and a few at a time. One whose backend cannot be found yet is tried again until
// its end.

#pragma once

#include "pending.h"
#include "tunnel.h"

struct worker;

enum {
	RESTORE_ASKED_MAX = 16,
	RESTORE_PATIENCE_MS = 30000, // for the supervisor's answer
	RESTORE_PAUSE_MS = 1000,     // after the first failure; doubles
	RESTORE_PAUSE_MAX_MS = 60000,
};

enum restore_state {
	RESTORE_WAITING, // for its turn
	RESTORE_ASKED,   // SPAWN is under way
	RESTORE_PAUSED,  // it failed in a way that may pass
};

struct restore {
	TAILQ_ENTRY(restore) link;
	struct worker *worker;
	enum restore_state state;
	struct pending spawn;
	struct loop_timer timer; // the end of its pause, or of the tunnel
	struct instant end;      // of the tunnel
	unsigned failures;
	struct tunnel tunnel;
};

TAILQ_HEAD(restore_list, restore);

struct restores {
	struct restore_list waiting, begun; // begun: asked or paused
	unsigned n_asked;
	struct loop_task task;
};

void restores_init(struct restores *restores);
void restores_deinit(struct worker *worker);

// TUNNEL is active but does not live: asks for it again when it is its turn, or ends it when its
// time was over meanwhile.
void restore_add(struct worker *worker, const struct tunnel *tunnel);

// It is not to be restored, or lives already. Returns whether that was all there was to do: false
// when nobody restores it, or when it may be starting right now.
bool restore_cancel(struct worker *worker, const char *id);

// Whether this tunnel waits for being restored, or is just now.
bool restore_is_for(struct worker *worker, const char *id);

// Whether each has been tried: what is left will be tried again, but nobody has to wait for it.
bool restores_tried(const struct restores *restores);

// The tunnel's end is stored.
void restore_ended(struct worker *worker, const char *id);
