// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Scoped tokens: what is asked for, their ids and times, and who creates how fast.

#include "clock.h"
#include "rates.h"
#include "token_request.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <stdio.h>

static struct token_request request;

static int parse(const char *body)
{
	CLEANUP(buf_reset) struct buf said;
	buf_init(&said, FINDINGS_SAID_MAX);
	return token_request_parse(&request, span_of(body), 50, &said);
}

static void what_is_asked_for(void **state)
{
	assert_int_equal(parse("{}"), FINDINGS_NONE);
	assert_string_equal(request.name, "");
	assert_int_equal(request.quota, TOKEN_QUOTA_DEFAULT);
	assert_int_equal(request.life_s, TOKEN_LIFE_DEFAULT_S);
	assert_int_equal(parse("{\"name\":\"ci\",\"quota\":50,\"life\":31536000}"), FINDINGS_NONE);
	assert_string_equal(request.name, "ci");
	assert_int_equal(request.quota, 50);
	assert_int_equal(request.life_s, TOKEN_LIFE_MAX_S);
	assert_int_equal(parse("{\"quota\":1,\"life\":1}"), FINDINGS_NONE);
}

static void what_is_refused(void **state)
{
	static const char *const bad[] = {"{\"quota\":51}", "{\"quota\":0}", "{\"quota\":-1}",
		"{\"quota\":1.5}", "{\"quota\":null}", "{\"quota\":\"1\"}", "{\"life\":0}",
		"{\"life\":31536001}", "{\"life\":1e300}", "{\"life\":18446744073709551617}",
		"{\"name\":\"a\\u0000b\"}", "{\"name\":\"a\\nb\"}", "{\"name\":7}",
		"{\"id\":\"k-a\"}", "{\"token\":\"mine\"}", "[]", "1"};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (parse(bad[i]) != FINDINGS_INVALID)
			fail_msg("taken: %s", bad[i]);
	assert_int_equal(parse("{\"quota\":0,\"life\":0,\"x\":1}"), FINDINGS_INVALID);
	assert_non_null(strstr(request.summary, "(and 2 more)"));
	assert_int_equal(parse(""), FINDINGS_NOT_JSON);
	assert_int_equal(parse("{\"quota\":1,\"quota\":1}"), FINDINGS_NOT_JSON);
}

static void ids(void **state)
{
	assert_true(token_id_ok(SPAN("k-abcdefghijklmnopqrstuvwxyz")));
	assert_true(token_id_ok(SPAN("k-22222222222222222222222227")));
	static const char *const bad[] = {"", "owner", "k-", "t-abcdefghijklmnopqrstuvwxyz",
		"k-abcdefghijklmnopqrstuvwxy", "k-abcdefghijklmnopqrstuvwxyza",
		"k-abcdefghijklmnopqrstuvwxy1", "k-abcdefghijklmnopqrstuvwxyZ",
		"k-abcdefghijklmnopqrstuvwx%2"};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (token_id_ok(span_of(bad[i])))
			fail_msg("taken: %s", bad[i]);
	assert_false(token_id_ok((struct span){"k-abcdefghijklmnopqrstuvwxy\0", 28}));
}

static void times(void **state)
{
	struct token token = {.id = TOKEN_OWNER};
	assert_int_equal(token_left_ms(&token), INT64_MAX);
	assert_int_equal(token_left_s(&token), 0);
	token = (struct token){.id = "k-a", .expires_at = wall_now()};
	assert_int_equal(token_left_ms(&token), 0);
	assert_int_equal(token_left_s(&token), 1); // 0 would be no end
	token.expires_at += 100;
	assert_in_range(token_left_ms(&token), 98000, 100000);
	assert_in_range(token_left_s(&token), 98, 100);
}

static struct instant at(int64_t ms)
{
	return (struct instant){ms * 1000};
}

static void every_token_has_a_rate_of_its_own(void **state)
{
	struct rates rates;
	rates_init(&rates, 2);
	assert_int_equal(rates_take(&rates, "k-a", at(0)), 0);
	assert_int_equal(rates_take(&rates, "k-a", at(0)), 0);
	assert_int_equal(rates_take(&rates, "k-a", at(0)), 30);
	assert_int_equal(rates_take(&rates, "k-b", at(0)), 0);
	assert_int_equal(rates_take(&rates, "k-a", at(29000)), 1);
	assert_int_equal(rates_take(&rates, "k-a", at(30000)), 0);
	assert_int_equal(rates_take(&rates, "k-a", at(30000)), 30);
	rates_deinit(&rates);
	rates_init(&rates, 0);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(rates_take(&rates, "k-a", at(0)), 0);
	assert_int_equal(rates.n, 0);
	rates_deinit(&rates);
}

static void quiet_tokens_are_forgotten(void **state)
{
	struct rates rates;
	char id[16];
	rates_init(&rates, 1);
	for (int i = 0; i < RATES_MAX + 100; i++) {
		snprintf(id, sizeof id, "k-%d", i);
		assert_int_equal(rates_take(&rates, id, at(i)), 0);
	}
	assert_int_equal(rates.n, RATES_MAX);
	assert_int_equal(rates_take(&rates, id, at(5000)), 60);
	assert_int_equal(rates_take(&rates, "k-x", at(64999)), 0); // the last one asked at 5000
	assert_int_equal(rates.n, 2);
	assert_int_equal(rates_take(&rates, "k-y", at(200000)), 0);
	assert_int_equal(rates.n, 1);
	rates_deinit(&rates);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_asked_for),
		cmocka_unit_test(what_is_refused),
		cmocka_unit_test(ids),
		cmocka_unit_test(times),
		cmocka_unit_test(every_token_has_a_rate_of_its_own),
		cmocka_unit_test(quiet_tokens_are_forgotten),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
