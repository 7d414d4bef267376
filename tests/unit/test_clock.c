// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Points in time: arithmetic at its ends, the two clocks, RFC 3339.

#include "clock.h"

#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_adding_stops_at_never(void **state)
{
	struct instant t = {1000};
	assert_int_equal(instant_add_ms(t, 0).us, 1000);
	assert_int_equal(instant_add_ms(t, 5).us, 6000);
	assert_int_equal(instant_add_ms(t, -1).us, 0);
	assert_int_equal(instant_add_ms(t, INT64_MAX).us, INSTANT_NEVER.us);
	assert_int_equal(instant_add_ms(t, INT64_MAX / 1000).us, INSTANT_NEVER.us);
	assert_int_equal(instant_add_ms(INSTANT_NEVER, 1).us, INSTANT_NEVER.us);
}

static void test_comparing(void **state)
{
	struct instant a = {1}, b = {2};
	assert_int_equal(instant_diff_us(a, b), -1);
	assert_int_equal(instant_diff_us(b, a), 1);
	assert_true(instant_reached(b, a));
	assert_true(instant_reached(a, a));
	assert_false(instant_reached(a, b));
	assert_false(instant_reached(instant_now(), INSTANT_NEVER));
}

static void test_now_is_boottime(void **state)
{
	struct timespec before, after;
	clock_gettime(CLOCK_BOOTTIME, &before);
	struct instant now = instant_now();
	clock_gettime(CLOCK_BOOTTIME, &after);
	assert_in_range(now.us, before.tv_sec * 1000000 + before.tv_nsec / 1000,
		after.tv_sec * 1000000 + after.tv_nsec / 1000);
	int64_t wall = wall_now();
	assert_in_range(wall, time(NULL) - 1, time(NULL));
}

static void test_rfc3339(void **state)
{
	static const struct {
		int64_t seconds;
		const char *text;
	} cases[] = {
		{0, "1970-01-01T00:00:00Z"},
		{951782400, "2000-02-29T00:00:00Z"},
		{1769904000, "2026-02-01T00:00:00Z"},
		{4294967296, "2106-02-07T06:28:16Z"},
		{253402300799, "9999-12-31T23:59:59Z"},
		{253402300800, "9999-12-31T23:59:59Z"}, // what does not fit is held at the ends
		{INT64_MAX, "9999-12-31T23:59:59Z"},
		{-1, "1970-01-01T00:00:00Z"},
		{INT64_MIN, "1970-01-01T00:00:00Z"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char out[RFC3339_SIZE];
		rfc3339_format(cases[i].seconds, out);
		assert_string_equal(out, cases[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_adding_stops_at_never),
		cmocka_unit_test(test_comparing),
		cmocka_unit_test(test_now_is_boottime),
		cmocka_unit_test(test_rfc3339),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
