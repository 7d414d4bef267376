// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The range of user ids that only tunneld uses: the first sixteen belong to fixed roles, one of the
// others to each live relay, so that relays cannot signal or look into each other. The group id of
// a process is the same number.

#pragma once

#include "util.h"

#include <stdio.h>
#include <sys/types.h>

// Offsets from relay_uid_base.
enum {
	UID_GATE = 0,
	UID_API = 1,
	UID_RESOLVE = 2,
	UID_EDGE = 3,
	UID_KEYGEN = 5,
	UID_ATTEST = 6,
	UID_RELAYS = 16,
};

// Relays that are dead but not reaped have theirs still, so there are more than live at once.
enum { UIDS_SPARE = 64 };

struct uids {
	uid_t base;
	uint32_t n;    // of relays
	uint32_t next; // where to look first
	uint64_t *used;
};

// For at most N relays at once. Returns 0 or -ENOMEM.
int uids_init(struct uids *uids, uid_t base, uint32_t n) WARN_UNUSED;
void uids_deinit(struct uids *uids);

// Takes a number no relay has now; one that was given back is used again as late as possible.
// Returns 0, or UIDS_NONE.
enum { UIDS_NONE = 1 };
int uids_take(struct uids *uids, uid_t *uid) WARN_UNUSED;
// Only once its process has been reaped.
void uids_give(struct uids *uids, uid_t uid);

// Whether MAP, an open /proc/self/uid_map or gid_map, maps all of the N ids from FIRST on.
bool uids_mapped(FILE *map, uint32_t first, uint32_t n);

// Whether the range of fixed roles and N relays from BASE on can be used here: mapped into this
// user namespace and given to nobody in the user and group databases. Returns 0; or
// UIDS_UNMAPPED or UIDS_TAKEN, with the name of one who has an id of it in WHO.
enum { UIDS_UNMAPPED = 1, UIDS_TAKEN = 2, UIDS_WHO_MAX = 64 };
int uids_check(uid_t base, uint32_t n, char who[UIDS_WHO_MAX]) WARN_UNUSED;
