// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Times of people. Years 1970 to 9999.

#include "when.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

static const struct unit {
	char letter;
	int64_t seconds;
} units[] = {{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};

enum { EPOCH_LEAST = 1000000000 }; // what is less is a length of time, not a point

// Takes at most MOST digits off TEXT. Returns how many.
static size_t take_number(struct span *text, size_t most, int64_t *number)
{
	size_t n = 0;

	*number = 0;
	while (n < MIN(text->n, most) && text->p[n] >= '0' && text->p[n] <= '9')
		*number = *number * 10 + (text->p[n++] - '0');
	text->p += n;
	text->n -= n;
	return n;
}

static bool take_char(struct span *text, const char *choice)
{
	if (text->n == 0 || text->p[0] == '\0' || strchr(choice, text->p[0]) == NULL)
		return false;
	text->p++;
	text->n--;
	return true;
}

// Numbers with units, each smaller than the one before, or one number alone, which is seconds.
static bool parse_length(struct span text, int64_t *seconds)
{
	size_t unit = 0;
	int64_t number;

	*seconds = 0;
	while (text.n > 0) {
		bool first = *seconds == 0 && unit == 0;
		if (take_number(&text, 10, &number) == 0)
			return false;
		if (text.n == 0) {
			*seconds += number;
			return first;
		}
		while (unit < ARRAY_SIZE(units) && units[unit].letter != text.p[0])
			unit++;
		if (unit == ARRAY_SIZE(units))
			return false;
		*seconds += number * units[unit++].seconds;
		text.p++;
		text.n--;
	}
	return unit > 0;
}

// "Z", "+01:00", "-0130" or nothing, which is the zone of this machine.
static bool parse_zone(struct span text, int64_t *offset, bool *local)
{
	bool west = text.n > 0 && text.p[0] == '-';
	int64_t hours, minutes;

	*offset = 0;
	*local = text.n == 0;
	if (text.n == 0 || take_char(&text, "Zz"))
		return text.n == 0;
	if (!take_char(&text, "+-") || take_number(&text, 2, &hours) != 2)
		return false;
	take_char(&text, ":");
	if (take_number(&text, 2, &minutes) != 2 || text.n > 0 || hours > 23 || minutes > 59)
		return false;
	*offset = (hours * 60 + minutes) * (west ? -60 : 60);
	return true;
}

static bool parse_date(struct span *text, struct tm *tm)
{
	int64_t year, month, day;

	if (take_number(text, 4, &year) != 4 || !take_char(text, "-") ||
		take_number(text, 2, &month) != 2 || !take_char(text, "-") ||
		take_number(text, 2, &day) != 2)
		return false;
	tm->tm_year = (int)year - 1900;
	tm->tm_mon = (int)month - 1;
	tm->tm_mday = (int)day;
	return year >= 1970;
}

static bool parse_clock(struct span *text, struct tm *tm)
{
	int64_t hour, minute, second = 0, fraction;

	if (take_number(text, 2, &hour) != 2 || !take_char(text, ":") ||
		take_number(text, 2, &minute) != 2)
		return false;
	if (take_char(text, ":") && take_number(text, 2, &second) != 2)
		return false;
	if (take_char(text, ".") && take_number(text, 9, &fraction) == 0)
		return false;
	tm->tm_hour = (int)hour;
	tm->tm_min = (int)minute;
	tm->tm_sec = (int)second;
	return hour < 24 && minute < 60 && second < 60;
}

int when_point(struct span text, int64_t *ret)
{
	struct tm tm = {.tm_isdst = -1}, made;
	int64_t offset;
	bool local;

	if (!parse_date(&text, &tm) || !take_char(&text, "Tt ") || !parse_clock(&text, &tm) ||
		!parse_zone(text, &offset, &local))
		return 1;
	made = tm;
	time_t point = local ? mktime(&made) : timegm(&made);
	if (made.tm_mday != tm.tm_mday || made.tm_mon != tm.tm_mon) // the 31st of some month
		return 1;
	*ret = (int64_t)point - offset;
	return 0;
}

int when_away(struct span text, int64_t now, int64_t *ret_seconds, const char **why)
{
	int64_t seconds, point;

	if (parse_length(text, &seconds)) {
		if (text.p[text.n - 1] >= '0' && text.p[text.n - 1] <= '9' &&
			seconds >= EPOCH_LEAST)
			seconds -= now;
	} else if (when_point(text, &point) == 0) {
		seconds = point - now;
	} else {
		*why = "write 15m, 2h, 1h30m, or a point in time such as 2026-01-31T12:00Z";
		return 1;
	}
	if (seconds <= 0)
		*why = "that time is over";
	else if (seconds > WHEN_MAX)
		*why = "that is more than ten years from now";
	else
		*ret_seconds = seconds;
	return seconds > 0 && seconds <= WHEN_MAX ? 0 : 1;
}

void when_words(int64_t seconds, char out[WHEN_WORDS_SIZE])
{
	size_t i = 0;

	seconds = MAX(seconds, 0);
	while (i + 1 < ARRAY_SIZE(units) && seconds < units[i].seconds)
		i++;
	int n = snprintf(
		out, WHEN_WORDS_SIZE, "%" PRId64 "%c", seconds / units[i].seconds, units[i].letter);
	if (i + 1 < ARRAY_SIZE(units)) {
		int64_t rest = seconds % units[i].seconds / units[i + 1].seconds;
		if (rest > 0)
			snprintf(out + n, (size_t)(WHEN_WORDS_SIZE - n), " %" PRId64 "%c", rest,
				units[i + 1].letter);
	}
}
