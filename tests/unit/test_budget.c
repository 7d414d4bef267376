// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What a tunnel may use: at the limit, one beyond it, and when the end is reported.

#include "budget.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct fixture {
	struct tunnel_config config;
	struct counters counters;
	struct budget budget;
	struct instant now;
};

static void start(struct fixture *f)
{
	budget_init(&f->budget, &f->config, &f->counters);
	f->now = f->budget.filled;
}

static enum budget_verdict ask(struct fixture *f)
{
	enum budget_verdict verdict = budget_request(&f->budget, f->now);
	if (verdict == BUDGET_OK)
		counter_add(&f->counters.requests, 1);
	return verdict;
}

static void no_limits(void **state)
{
	struct fixture f = {0};
	start(&f);
	for (int i = 0; i < 100000; i++)
		assert_int_equal(ask(&f), BUDGET_OK);
	counter_add(&f.counters.bytes_in, UINT64_MAX / 4);
	assert_null(budget_used_up(&f.budget));
}

static void requests_are_answered_before_the_end(void **state)
{
	struct fixture f = {.config = {.max_requests = 3}};
	start(&f);
	for (int i = 0; i < 3; i++)
		assert_int_equal(ask(&f), BUDGET_OK);
	assert_int_equal(ask(&f), BUDGET_USED_UP);
	budget_finished(&f.budget);
	budget_finished(&f.budget);
	assert_null(budget_used_up(&f.budget));
	budget_finished(&f.budget);
	assert_string_equal(budget_used_up(&f.budget), "requests");
	assert_null(budget_used_up(&f.budget)); // said once
}

static void requests_of_an_earlier_life_count(void **state)
{
	struct fixture f = {.config = {.max_requests = 3}};
	counter_add(&f.counters.requests, 2);
	start(&f);
	assert_int_equal(ask(&f), BUDGET_OK);
	assert_int_equal(ask(&f), BUDGET_USED_UP);
}

static void bytes_of_both_directions_count_together(void **state)
{
	struct fixture f = {.config = {.max_bytes = 100}};
	start(&f);
	counter_add(&f.counters.bytes_in, 60);
	counter_add(&f.counters.bytes_out, 39);
	assert_null(budget_used_up(&f.budget));
	counter_add(&f.counters.bytes_out, 1);
	assert_string_equal(budget_used_up(&f.budget), "bytes");
}

static void rate_holds_over_time(void **state)
{
	struct fixture f = {.config = {.request_rate = 10}};
	start(&f);
	int passed = 0;
	for (int ms = 0; ms < 5000; ms += 5) {
		f.now = instant_add_ms(f.budget.filled, 5);
		passed += ask(&f) == BUDGET_OK;
	}
	// One second's worth at once, then ten a second for five seconds.
	if (passed < 58 || passed > 60)
		fail_msg("%d requests passed, expected about 60", passed);
}

static void rate_does_not_save_up(void **state)
{
	struct fixture f = {.config = {.request_rate = 5}};
	start(&f);
	f.now = instant_add_ms(f.now, 3600 * 1000);
	int passed = 0;
	while (ask(&f) == BUDGET_OK)
		passed++;
	assert_int_equal(passed, 5);
	assert_int_equal(ask(&f), BUDGET_TOO_FAST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_limits),
		cmocka_unit_test(requests_are_answered_before_the_end),
		cmocka_unit_test(requests_of_an_earlier_life_count),
		cmocka_unit_test(bytes_of_both_directions_count_together),
		cmocka_unit_test(rate_holds_over_time),
		cmocka_unit_test(rate_does_not_save_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
