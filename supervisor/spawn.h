// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Starts a child from a sealed memfd with exactly its descriptors, an empty environment and default
// signals; what it has to know is in its argv, see common/seal.h.
//
// It must stay fast with thousands of descriptors open here. A plain fork copies the descriptor
// table and the page tables; this shares both until the exec and never copies the table: the
// child's descriptors are put into low numbers that this module keeps reserved, and the child
// leaves the shared table with a copy of those few alone.

#pragma once

#include "program.h"

#include <sys/types.h>

enum {
	SPAWN_TARGET_FIRST = 3,
	SPAWN_TARGET_ROOT = 6, // where a child finds root_fd
	SPAWN_TARGET_LAST = 9,
	SPAWN_RESERVED_LAST =
		11, // 10 and 11: the program and /dev/null on their way into the child
};

struct spawn_request {
	const struct program *program;
	const char *mode; // one more argument, or NULL
	uint32_t epoch;
	uid_t uid; // (uid_t)-1 with gid (gid_t)-1: keep ours
	gid_t gid;
	int root_fd; // the folder it locks itself into, -1: none
	const struct spawn_fd {
		int source; // borrowed
		int target; // SPAWN_TARGET_FIRST to _LAST, each once, not _ROOT with a root_fd
	} * fds;
	size_t n_fds;
};

struct spawn_child {
	pid_t pid;
	int pidfd; // close-on-exec, the caller's
};

// Reserves descriptors 3 to SPAWN_RESERVED_LAST; whatever was inherited there is closed, so this
// comes first in main(). 0 to 2 are opened on /dev/null if they are closed. Returns 0 or a negative
// errno.
int spawn_init(void) WARN_UNUSED;
void spawn_deinit(void);

// Starts a child: 0 and 1 are /dev/null, 2 is ours, the rest as requested; a process group of its
// own, so that a Ctrl-C at our terminal reaches us alone. Not a session of its own: where the
// kernel groups what it schedules by sessions (CONFIG_SCHED_AUTOGROUP), each relay would cost it a
// group, and every change from one of our processes to another more than it need. Returns once it
// has been exec'd: 0, or a negative errno (-EINVAL for a bad request, otherwise clone's or
// execveat's), and then there is no child. Not for use by several threads.
int spawn_child(const struct spawn_request *request, struct spawn_child *child) WARN_UNUSED;
