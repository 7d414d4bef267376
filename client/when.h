// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Times as people write them, and time left as they read it.

#pragma once

#include "util.h"

enum { WHEN_MAX = 10 * 366 * 24 * 3600 }; // longest way into the future, in seconds

// How many seconds TEXT is away from NOW (epoch), from 1 to WHEN_MAX: "90", "90s", "15m", "2h",
// "1d", "1h30m"; or a point in time, as when_point() or in seconds since the epoch (1000000000 and
// above). Returns 0, or 1 with *WHY (static text).
int when_away(struct span text, int64_t now, int64_t *ret_seconds, const char **why) WARN_UNUSED;

// Seconds since the epoch of "2026-01-31T12:00[:00[.000]][Z|+01:00]" (ISO 8601, RFC 3339), a blank
// in place of the T allowed; without a zone it is local time. Returns 0 or 1.
int when_point(struct span text, int64_t *ret) WARN_UNUSED;

// Writes a length in at most two units: "45s", "14m 59s", "2h 5m", "3d 4h"; "0s" for what is over.
enum { WHEN_WORDS_SIZE = 32 };
void when_words(int64_t seconds, char out[WHEN_WORDS_SIZE]);
