// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Times in evidence, and what only looks like one.

#include "utc_time.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void test_good(void **state)
{
	int64_t at;
	assert_true(utc_time_parse(&at, SPAN("1970-01-01T00:00:00Z")));
	assert_int_equal(at, 0);
	assert_true(utc_time_parse(&at, SPAN("2024-02-29T23:59:59Z")));
	assert_int_equal(at, 1709251199);
	assert_true(utc_time_parse(&at, SPAN("9999-12-31T23:59:59Z")));
	assert_int_equal(at, 253402300799);
}

static void test_bad(void **state)
{
	static const char *const texts[] = {"", "2026-01-01", "2026-01-01T00:00:00",
		"2026-01-01T00:00:00+", "2026-01-01 00:00:00Z", "2026-02-30T00:00:00Z",
		"2026-13-01T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z",
		"2026-01-01T00:00:60Z", "1969-12-31T23:59:59Z", "2026-1 -01T00:00:00Z",
		"2026--1-01T00:00:00Z", "+026-01-01T00:00:00Z", "2026-01-01T00:00: 0Z",
		"2026-01-01T00:00:00Zx", "2026-01-01t00:00:00z"};
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		int64_t at = -7;
		if (utc_time_parse(&at, span_of(texts[i])) || at != -7)
			fail_msg("%s is no such time", texts[i]);
	}
	assert_false(utc_time_parse(&(int64_t){0}, (struct span){NULL, 0}));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
