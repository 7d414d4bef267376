// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// A word of advice for who shares a service below a path: whether it has to be told that path. The
// target is asked for its page once, as a visitor's browser would, and for where it redirects to;
// what cannot be asked or is not known gets no advice.

#pragma once

#include "backend.h"
#include "framework.h"

enum { HINT_PATH_MAX = 512, HINT_TEXT_MAX = 256 };

struct hint {
	// To be set before hint_ask().
	struct backend_context *context;
	const char *host;   // for Host
	const char *prefix; // "/t/<id>"
	bool keep;          // requests have it in their paths
	// Told the advice, a sentence without a full stop. Not called when there is none.
	void (*told)(struct hint *hint, const char *text);

	// Private.
	bool asking, sent;
	unsigned redirects;
	char path[HINT_PATH_MAX];
	struct backend backend;
	struct answer answer;
	struct buf body;
	struct loop_timer deadline;
};

// Begins to ask. Returns 0 or a negative errno.
int hint_ask(struct hint *hint) WARN_UNUSED;

// Gives up. One that has ended, or was never asked for but is zero, is left alone.
void hint_cancel(struct hint *hint);
