// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "utc_time.h"

#include "clock.h"

#include <stdio.h>

bool utc_time_parse(int64_t *seconds, struct span text)
{
	char copy[RFC3339_SIZE], again[RFC3339_SIZE];
	struct tm tm = {0};
	int used = 0;
	if (text.n != RFC3339_SIZE - 1)
		return false;
	memcpy(copy, text.p, text.n);
	copy[text.n] = '\0';
	if (sscanf(copy, "%4d-%2d-%2dT%2d:%2d:%2dZ%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
		    &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &used) != 6 ||
		used != RFC3339_SIZE - 1 || tm.tm_year < 1970)
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	int64_t at = timegm(&tm);
	// Signs, spaces and the 30th of February do not come back as they were.
	rfc3339_format(at, again);
	if (memcmp(copy, again, sizeof copy) != 0)
		return false;
	*seconds = at;
	return true;
}
