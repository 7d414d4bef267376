// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Pipes through which bulk bytes move from socket to socket without being copied (splice(2)).
// They come from a pool and go back empty, because making one costs more than a small transfer.

#pragma once

#include "util.h"

enum {
	PIPE_SIZE = 256 * 1024, // one that cannot have this size (pipe-user-pages-soft) is not used
	PIPES_MAX = 128,        // in use and spare together
	PIPES_SPARE = 8,        // kept for the next transfer
};

struct pipe {
	struct pipe *next; // in the pool
	int in, out;       // write end, read end
	size_t size;       // capacity
	size_t held;       // bytes in it
};

struct pipes {
	struct pipe *spare;
	unsigned n_spare, n_all;
};

// Returns an empty pipe, or NULL when there is none to be had: copy instead.
struct pipe *pipes_take(struct pipes *pipes);
// Gives a pipe back. One that still holds bytes is closed. NULL is left alone.
void pipes_return(struct pipes *pipes, struct pipe *pipe);
