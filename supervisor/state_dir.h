// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Where tunneld keeps what outlives it: a folder of ours, in which `api` is the API worker's.

#pragma once

#include "util.h"

#include <sys/types.h>

// What is wrong, with the path and what to do: for the log.
enum { STATE_DIR_WHY_MAX = 1280 };

// Makes the folder PATH, mode 0700, if it is not there (the one it lies in must be), and checks
// that it is ours, that nobody else can write to it, and that no other tunneld uses it: two on one
// database would both serve its tunnels. It is locked as long as the descriptor returned is open.
// Returns that, or a negative errno with WHY.
int state_dir_open(const char *path, char why[STATE_DIR_WHY_MAX]) WARN_UNUSED;

// The same for the worker's folder inside, which belongs to UID ((uid_t)-1: us) and is closed to
// everybody else. PATH is for messages.
int state_dir_open_api(
	int dir_fd, const char *path, uid_t uid, char why[STATE_DIR_WHY_MAX]) WARN_UNUSED;
