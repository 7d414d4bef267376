// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// A PATCH on its way: a new end for a tunnel that lives, later or sooner than the old one.
//
// The supervisor decides, and what it says is the end, whatever becomes of us: it is asked first,
// and the row follows. An answer of 200 says that both have happened. When the row could not follow
// (the disk is full, this worker was killed) the next agreement about what lives (sync.h) brings
// it; only when the supervisor ends before that the stored end counts.

#pragma once

#include "connection.h"
#include "pending.h"
#include "token.h"

struct worker;

enum {
	EXTENSION_AGAIN_MS = 50,     // between two questions while the tunnel is being restored
	EXTENSION_RESTORE_MS = 2000, // so long that is waited for
};

struct extension {
	TAILQ_ENTRY(extension) link;
	struct worker *worker;
	struct connection *connection; // NULL: the asker is gone
	struct connection_waiter waiter;
	struct pending extend;
	struct loop_timer again;
	struct instant give_up; // waiting for the tunnel to be restored
	char id[TUNNEL_ID_MAX + 1];
	char actor[TOKEN_ID_MAX + 1]; // id of the token it was asked for with
	uint64_t timeout_s;
};

TAILQ_HEAD(extension_list, extension);

// Has TUNNEL, which is active, end TIMEOUT_S from now, for CALLER, and answers on CONNECTION.
void extension_start(struct worker *worker, struct connection *connection,
	const struct token *caller, const struct tunnel *tunnel, uint64_t timeout_s);

void extensions_deinit(struct worker *worker);
