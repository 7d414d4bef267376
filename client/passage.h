// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// A local connection on its way through a tunnel: opens a connection to the server, asks to enter
// the tunnel, and is a pipe from then on, each direction ending for itself.

#pragma once

#include "answer.h"
#include "opening.h"

enum {
	PASSAGE_MS = 30000,             // patience with connection and answer
	PASSAGE_PIECE_MAX = 256 * 1024, // read and not written, each way
};

struct passage;

// What all passages of a command share.
struct passages {
	struct loop *loop;
	const struct route *route;
	struct span request; // the head that asks for entry...
	struct span
		basic; // ...and for a tunnel that answers it with a Basic challenge; may be absent
	// Told why a passage did not come to be: the STATUS of the answer with its body, or 0 with
	// a sentence in BODY.
	void (*refused)(struct passages *passages, unsigned status, struct span body);
	struct passage *first;
	uint32_t n;
};

// Begins with the accepted connection FD (consumed). It frees itself at its end. Returns 0 or a
// negative errno.
int passage_new(struct passages *passages, int fd) WARN_UNUSED;

// Ends all of them at once.
void passages_deinit(struct passages *passages);
