// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The Landlock step of seal.c: everything the running kernel's Landlock can refuse is refused,
// except what the rules name. See landlock(7); kernels before 5.13 have none, 6.12 and later have
// the full set used here (ABI 6).

#pragma once

#include "util.h"

struct seal_landlock_rules {
	int work_fd; // folder whose files may be read, written, made and removed; -1: none
	const char *const *readable; // paths that may be read, ends with NULL; those that cannot be
				     // opened are left out; NULL: none
	bool connects; // outgoing TCP connections stay allowed
};

enum seal_landlock_outcome {
	SEAL_LANDLOCK_ENTERED = 1,
	SEAL_LANDLOCK_ABSENT = 2, // not in this kernel, switched off, or hidden by a container
};

// Needs no_new_privs. Borrows everything. Returns an outcome or a negative errno.
int seal_landlock_enter(const struct seal_landlock_rules *rules) WARN_UNUSED;

// The version of Landlock's interface that this kernel offers; 0: none.
int seal_landlock_abi(void);
