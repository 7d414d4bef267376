// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Points in time as a type of their own, so that they are not mixed up with lengths or wall clocks.
//
// One clock drives every deadline: CLOCK_BOOTTIME, which nobody can set and which goes on during
// suspend. Wall time is for people and for what is stored.

#pragma once

#include "util.h"

#include <time.h>

struct instant {
	int64_t us; // microseconds of CLOCK_BOOTTIME
};

#define INSTANT_NEVER ((struct instant){INT64_MAX})

struct instant instant_now(void);

static inline struct instant instant_add_ms(struct instant t, int64_t ms)
{
	int64_t us;
	if (__builtin_mul_overflow(ms, 1000, &us) || __builtin_add_overflow(t.us, us, &us))
		return INSTANT_NEVER;
	return (struct instant){us};
}

// Negative when A is before B.
static inline int64_t instant_diff_us(struct instant a, struct instant b)
{
	return a.us - b.us;
}

static inline bool instant_reached(struct instant now, struct instant due)
{
	return now.us >= due.us;
}

// Seconds since the epoch, UTC.
int64_t wall_now(void);
// The same in milliseconds.
int64_t wall_now_ms(void);

// Writes RFC 3339 with Z ("2026-01-31T12:00:00Z") for SECONDS since the epoch; years 0 to 9999.
enum { RFC3339_SIZE = sizeof "2026-01-31T12:00:00Z" };
void rfc3339_format(int64_t seconds, char out[RFC3339_SIZE]);
