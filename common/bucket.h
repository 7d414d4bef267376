// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// A token bucket: so many events a minute, and after a pause as many at once.

#pragma once

#include "clock.h"

struct bucket {
	uint64_t per_minute; // also its size; 0: no limit
	int64_t filled_us;   // how much of a minute's worth is in it
	struct instant last;
};

void bucket_init(struct bucket *bucket, uint64_t per_minute, struct instant now);

// Takes one. Returns 0, or the seconds (at least 1) until there is one.
unsigned bucket_take(struct bucket *bucket, struct instant now);
