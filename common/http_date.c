// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "http_date.h"

#include "clock.h"

#include <stdio.h>

enum { DAY = 86400 };

static bool is_leap(unsigned year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

// Neither strftime, whose names depend on the locale, nor gmtime_r: its first call opens
// /etc/localtime, which ends a sealed process.
void http_date_format(int64_t seconds, char out[HTTP_DATE_SIZE])
{
	static const char days[7][4] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};
	static const struct {
		char name[4];
		uint8_t days;
	} months[12] = {{"Jan", 31}, {"Feb", 28}, {"Mar", 31}, {"Apr", 30}, {"May", 31},
		{"Jun", 30}, {"Jul", 31}, {"Aug", 31}, {"Sep", 30}, {"Oct", 31}, {"Nov", 30},
		{"Dec", 31}};
	static const int64_t last = 253402300799; // 9999-12-31T23:59:59Z
	seconds = MAX(0, MIN(seconds, last));
	unsigned left = (unsigned)(seconds / DAY); // days, of the year and then of the month
	unsigned rest = (unsigned)(seconds % DAY);
	const char *name = days[left % 7];
	unsigned year = 1970, month = 0, length;
	while (left >= (length = is_leap(year) ? 366 : 365)) {
		left -= length;
		year++;
	}
	while (left >= (length = months[month].days + (month == 1 && is_leap(year)))) {
		left -= length;
		month++;
	}
	snprintf(out, HTTP_DATE_SIZE, "%s, %02u %s %04u %02u:%02u:%02u GMT", name, (left + 1) % 100,
		months[month].name, year % 10000, rest / 3600 % 24, rest / 60 % 60, rest % 60);
}

const char *http_date_now(void)
{
	static char text[HTTP_DATE_SIZE];
	static int64_t second = -1; // the one in TEXT
	int64_t now = wall_now();
	if (now != second) {
		http_date_format(now, text);
		second = now;
	}
	return text;
}
