// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Levels of a part that has one security version: a TDX module or the quoting enclave.

#pragma once

#include "tcb_status.h"
#include "why.h"

#include <jansson.h>

enum { TCB_LEVELS_MAX = 64 };

struct isv_level {
	uint16_t svn;
	enum tcb_status status;
	const json_t *object; // its advisories, for tcb_advisories_add()
};

// The newest of OWNER's "tcbLevels" that is not above SVN: the order of the file does not matter.
// NEWEST (may be NULL) is the newest there is. Any malformed level is a refusal.
bool isv_level_find(struct isv_level *level, uint16_t *newest, const json_t *owner, unsigned svn,
	struct why *why);

// Appends the advisories of a level that are not in LIST yet.
bool tcb_advisories_add(json_t *list, const json_t *level, struct why *why);
