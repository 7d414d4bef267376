// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Lines on their way to a terminal, a file or a pipe, many with one write. Nobody waits for a
// reader: when it stands still (a paused terminal, a full pipe) lines are kept up to LINES_MAX
// bytes, and then left out and counted.

#pragma once

#include "buf.h"
#include "loop.h"

enum {
	LINES_MAX = 64 * 1024,
	LINES_PIECE = 4096, // at most so much at once: what a pipe that can be written to takes
	LINES_RETRY_MS = 50,
};

struct lines {
	struct loop *loop;
	int fd;
	struct buf waiting;
	uint64_t left_out; // since the last line that was kept
	struct loop_task flush;
	struct loop_timer retry;
	bool broken; // nobody reads it any more
};

// FD is borrowed.
void lines_init(struct lines *lines, struct loop *loop, int fd);
// Writes what is waiting as far as it can be written at once.
void lines_deinit(struct lines *lines);

// One whole line, its "\n" included; goes out at the end of this round.
void lines_add(struct lines *lines, struct span line);
