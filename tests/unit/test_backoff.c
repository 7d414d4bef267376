// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Waits between tries: at once, then ever longer, never all the same.

#include "backoff.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void grows_to_its_limit(void **state)
{
	struct backoff backoff = {0};
	(void)state;
	assert_int_equal(backoff_next(&backoff, true), 0);
	for (unsigned most = BACKOFF_FIRST_MS; most < BACKOFF_MOST_MS; most *= 2) {
		unsigned wait = backoff_next(&backoff, true);
		assert_in_range(wait, most / 2, most);
	}
	for (int i = 0; i < 100; i++)
		assert_in_range(backoff_next(&backoff, true), BACKOFF_MOST_MS / 2, BACKOFF_MOST_MS);
}

static void has_a_random_part(void **state)
{
	unsigned different = 0, first = 0;
	(void)state;
	for (int i = 0; i < 20; i++) {
		struct backoff backoff = {0};
		unsigned wait = backoff_next(&backoff, false);
		assert_in_range(wait, BACKOFF_FIRST_MS / 2, BACKOFF_FIRST_MS);
		first = i == 0 ? wait : first;
		different += wait != first;
	}
	assert_true(different > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grows_to_its_limit),
		cmocka_unit_test(has_a_random_part),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
