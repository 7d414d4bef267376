// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Times as people write them.

#include "when.h"

#include <time.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { NOW = 1800000000 }; // 2027-01-15T08:00:00Z

static void expect_away(const char *text, int64_t wanted)
{
	const char *why = NULL;
	int64_t seconds = -1;

	if (when_away(span_of(text), NOW, &seconds, &why) != 0)
		fail_msg("'%s': %s", text, why);
	if (seconds != wanted)
		fail_msg("'%s': %ld seconds, wanted %ld", text, (long)seconds, (long)wanted);
}

static void test_lengths(void **state)
{
	expect_away("90", 90);
	expect_away("90s", 90);
	expect_away("15m", 900);
	expect_away("2h", 7200);
	expect_away("1d", 86400);
	expect_away("1h30m", 5400);
	expect_away("1d12h5m1s", 86400 + 12 * 3600 + 301);
}

static void test_points(void **state)
{
	expect_away("1800000060", 60);
	expect_away("2027-01-15T08:01:00Z", 60);
	expect_away("2027-01-15 08:01Z", 60);
	expect_away("2027-01-15t08:01:00.25z", 60);
	expect_away("2027-01-15T09:01:00+01:00", 60);
	expect_away("2027-01-15T02:31:00-0530", 60);
	expect_away("2028-02-29T08:00Z", 410 * 86400);
}

static void test_local_time(void **state)
{
	setenv("TZ", "XYZ-02", 1); // two hours east
	tzset();
	expect_away("2027-01-15T10:01", 60);
	unsetenv("TZ");
	tzset();
}

static void test_refused(void **state)
{
	static const char *const texts[] = {"", "m", "-5", "+5", "5 m", "5x", "5m5", "5m5h", "5mm",
		"1.5h", "0", "0s", "1799999999", "2027-01-15T07:59Z", "2027-01-15",
		"2027-02-29T08:00Z", "2027-13-01T08:00Z", "2027-04-31T08:00Z", "2027-01-15T24:00Z",
		"2027-01-15T08:60Z", "2027-01-15T08:00ZZ", "2027-01-15T08:00+25:00",
		"2027-01-15T08:00+1", "9999999999", "99999999999999999999", "5000d",
		"9999-12-31T00:00Z", "1969-12-31T00:00Z", "2027-01-15T08:00:00.Z", "tomorrow"};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		const char *why = NULL;
		int64_t seconds = -7;
		if (when_away(span_of(texts[i]), NOW, &seconds, &why) != 1)
			fail_msg("'%s' is taken for %ld seconds", texts[i], (long)seconds);
		assert_non_null(why);
		assert_int_equal(seconds, -7);
	}
}

static void test_words(void **state)
{
	static const struct {
		int64_t seconds;
		const char *words;
	} rows[] = {{-3, "0s"}, {0, "0s"}, {45, "45s"}, {60, "1m"}, {899, "14m 59s"}, {3600, "1h"},
		{7500, "2h 5m"}, {7200 + 59, "2h"}, {86400 * 3 + 4 * 3600 + 59, "3d 4h"},
		{INT64_MAX, "106751991167300d 15h"}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char words[WHEN_WORDS_SIZE];
		when_words(rows[i].seconds, words);
		assert_string_equal(words, rows[i].words);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_points),
		cmocka_unit_test(test_local_time),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_words),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
