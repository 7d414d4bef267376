// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "http_date.h"

#include <stdio.h>
#include <time.h>

void http_date_format(int64_t seconds, char out[HTTP_DATE_SIZE])
{
	// Not strftime: names of days and months depend on the locale there.
	static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char months[12][4] = {
		"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	static const int64_t last = 253402300799; // 9999-12-31T23:59:59Z
	time_t t = (time_t)MAX(0, MIN(seconds, last));
	struct tm tm;
	gmtime_r(&t, &tm);
	snprintf(out, HTTP_DATE_SIZE, "%s, %02u %s %04u %02u:%02u:%02u GMT", days[tm.tm_wday % 7],
		(unsigned)tm.tm_mday % 100, months[tm.tm_mon % 12],
		(unsigned)(tm.tm_year + 1900) % 10000, (unsigned)tm.tm_hour % 100,
		(unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
}
