// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// How long to wait before trying again: twice as long each time, up to a limit, with a random part
// so that many who lost the same server do not come back at once.

#pragma once

#include "util.h"

enum { BACKOFF_FIRST_MS = 250, BACKOFF_MOST_MS = 15000 };

struct backoff {
	unsigned failures; // in a row
};

// Counts a failure. Returns the milliseconds to wait: between half of and the whole of
// BACKOFF_FIRST_MS x 2^failures, or of BACKOFF_MOST_MS. The first is 0 when FRESH: what had worked
// until now is tried again at once.
unsigned backoff_next(struct backoff *backoff, bool fresh);
