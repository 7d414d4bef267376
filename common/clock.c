// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "clock.h"

#include <stdio.h>

struct instant instant_now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (struct instant){ts.tv_sec * 1000000 + ts.tv_nsec / 1000};
}

int64_t wall_now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec;
}

int64_t wall_now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void rfc3339_format(int64_t seconds, char out[RFC3339_SIZE])
{
	static const int64_t last = 253402300799; // 9999-12-31T23:59:59Z
	time_t t = (time_t)MAX(0, MIN(seconds, last));
	struct tm tm;
	gmtime_r(&t, &tm);
	strftime(out, RFC3339_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm);
}
