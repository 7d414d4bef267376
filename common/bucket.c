// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "bucket.h"

enum { MINUTE_US = 60 * 1000 * 1000 };

void bucket_init(struct bucket *bucket, uint64_t per_minute, struct instant now)
{
	*bucket = (struct bucket){per_minute, MINUTE_US, now};
}

unsigned bucket_take(struct bucket *bucket, struct instant now)
{
	if (bucket->per_minute == 0)
		return 0;
	// Time is what the bucket holds: each event costs its share of a minute.
	int64_t cost = MAX(1, MINUTE_US / (int64_t)bucket->per_minute);
	int64_t passed = MAX(0, instant_diff_us(now, bucket->last));
	bucket->filled_us = MIN(MINUTE_US, bucket->filled_us + MIN(passed, (int64_t)MINUTE_US));
	bucket->last = now;
	if (bucket->filled_us < cost)
		return (unsigned)((cost - bucket->filled_us + 999999) / 1000000);
	bucket->filled_us -= cost;
	return 0;
}
