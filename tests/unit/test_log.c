// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Log lines: the three forms, what is escaped, what is cut, and a child's allowance.

#include "log.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct log_about relay = {"relay", 123, "t-abc"};

static const char *line(enum log_format format, enum log_level level, const struct log_about *about,
	struct span text)
{
	static char out[LOG_LINE_MAX + 1];
	size_t n = log_format_line(out, format, 1790000000, level, about, text);

	assert_in_range(n, 1, LOG_LINE_MAX);
	out[n] = '\0';
	return out;
}

static void test_forms(void **state)
{
	assert_string_equal(line(LOG_FORMAT_TEXT, LOG_INFO, NULL, SPAN("ready")),
		"2026-09-21T14:13:20Z info    ready\n");
	assert_string_equal(line(LOG_FORMAT_TEXT, LOG_WARNING, &relay, SPAN("is slow")),
		"2026-09-21T14:13:20Z warning relay[123] t-abc: is slow\n");
	assert_string_equal(line(LOG_FORMAT_TEXT, LOG_ERROR, &(struct log_about){.tunnel = "t-abc"},
				    SPAN("failed")),
		"2026-09-21T14:13:20Z error   t-abc: failed\n");
	assert_string_equal(line(LOG_FORMAT_LOGFMT, LOG_INFO, &relay, SPAN("say \"x\"")),
		"ts=2026-09-21T14:13:20Z level=info role=relay pid=123 tunnel=t-abc "
		"msg=\"say \\\"x\\\"\"\n");
	assert_string_equal(line(LOG_FORMAT_JSON, LOG_DEBUG, &relay, SPAN("a\\b")),
		"{\"ts\":\"2026-09-21T14:13:20Z\",\"level\":\"debug\",\"role\":\"relay\","
		"\"pid\":123,\"tunnel\":\"t-abc\",\"msg\":\"a\\\\b\"}\n");
}

// What a child sends must neither look like a line of its own nor speak to the terminal.
static void test_escapes(void **state)
{
	assert_non_null(strstr(line(LOG_FORMAT_TEXT, LOG_INFO, NULL, SPAN("a\nb\x1b[2J\x7f\0c")),
		"a\\u000ab\\u001b[2J\\u007f\\u0000c\n"));
	// C1 controls are U+0080 to U+009F; U+00A0 is none, nor is the same byte elsewhere.
	assert_non_null(strstr(
		line(LOG_FORMAT_JSON, LOG_INFO, NULL, SPAN("\xc2\x9b|\xc2\xa0|\xe2\x82\xac")),
		"\"\\u009b|\xc2\xa0|\xe2\x82\xac\"}\n"));
	assert_non_null(strstr(line(LOG_FORMAT_JSON, LOG_INFO, NULL,
				       SPAN("\xff"
					    "x\xe2\x82")),
		"\"\\ufffdx\\ufffd\\ufffd\"}\n"));
}

static void test_long(void **state)
{
	static const enum log_format formats[] = {
		LOG_FORMAT_TEXT, LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON};
	static const char *const units[] = {"x", "\x01", "\xe2\x82\xac", "\xff", "\""};
	static char text[3 * LOG_LINE_MAX];

	for (size_t f = 0; f < ARRAY_SIZE(formats); f++) {
		for (size_t u = 0; u < ARRAY_SIZE(units); u++) {
			size_t n = 0;
			for (; n + 4 < sizeof text; n += strlen(units[u]))
				memcpy(text + n, units[u], strlen(units[u]));
			const char *out =
				line(formats[f], LOG_INFO, &relay, (struct span){text, n});
			size_t length = strlen(out);
			assert_true(length > LOG_LINE_MAX - 32);
			assert_int_equal(out[length - 1], '\n');
			if (formats[f] == LOG_FORMAT_JSON)
				assert_string_equal(out + length - 3, "\"}\n");
		}
	}
}

static void test_limit(void **state)
{
	struct log_limit limit = {0};
	struct instant now = {1000000};
	uint64_t dropped = 9;

	for (int i = 0; i < LOG_BURST; i++) {
		assert_true(log_limit_pass(&limit, now, &dropped));
		assert_int_equal(dropped, 0);
	}
	for (int i = 0; i < 50; i++)
		assert_false(log_limit_pass(&limit, now, &dropped));
	now = instant_add_ms(now, 1000 / LOG_RATE);
	assert_true(log_limit_pass(&limit, now, &dropped));
	assert_int_equal(dropped, 50);
	assert_false(log_limit_pass(&limit, now, &dropped));
	// A long silence gives back the whole allowance and no more.
	now = instant_add_ms(now, 3600 * 1000);
	for (int i = 0; i < LOG_BURST; i++)
		assert_true(log_limit_pass(&limit, now, &dropped));
	assert_false(log_limit_pass(&limit, now, &dropped));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
