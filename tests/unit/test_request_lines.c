// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Lines of the request log: the three forms, and paths that try to be more than a path.

#include "request_lines.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const uint8_t peer[PEER_SIZE] = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 1, 0x12, 0x34};

static const struct request_entry backends = {
	.method = SPAN_INIT("GET"),
	.path = SPAN_INIT("/a"),
	.ms = 12,
	.status = 200,
	.bytes_in = 1,
	.bytes_out = 2,
	.peer = {(const char *)peer, PEER_SIZE},
};

static const char *line(enum log_format format, const struct request_entry *entry, bool address)
{
	static char out[LOG_LINE_MAX + 1];
	size_t n = request_line_format(
		out, format, 1790000000, "relay", "t-abcdefghijklmnop", entry, address);

	assert_in_range(n, 1, LOG_LINE_MAX);
	out[n] = '\0';
	assert_int_equal(strcspn(out, "\n"), n - 1);
	return out;
}

static void test_forms(void **state)
{
	assert_string_equal(line(LOG_FORMAT_TEXT, &backends, false),
		"2026-09-21T14:13:20Z request relay t-abcdefgh: GET \"/a\" 200 by backend, 12 ms, "
		"in 1, out 2\n");
	assert_string_equal(line(LOG_FORMAT_LOGFMT, &backends, true),
		"ts=2026-09-21T14:13:20Z level=info msg=request role=relay tunnel=t-abcdefgh "
		"method=\"GET\" path=\"/a\" status=200 by=backend ms=12 bytes_in=1 bytes_out=2 "
		"peer=192.0.2.1 cut=false\n");
	assert_string_equal(line(LOG_FORMAT_JSON, &backends, true),
		"{\"ts\":\"2026-09-21T14:13:20Z\",\"level\":\"info\",\"msg\":\"request\","
		"\"role\":\"relay\",\"tunnel\":\"t-abcdefgh\",\"method\":\"GET\",\"path\":\"/a\","
		"\"status\":200,\"by\":\"backend\",\"ms\":12,\"bytes_in\":1,\"bytes_out\":2,"
		"\"peer\":\"192.0.2.1\",\"cut\":false}\n");
}

static void test_who_answered(void **state)
{
	struct request_entry entry = backends;

	entry.ours = true;
	entry.cut = true;
	entry.code = CODE_RATE_LIMITED;
	entry.status = 429;
	assert_non_null(strstr(line(LOG_FORMAT_TEXT, &entry, false),
		" 429 by tunneld rate_limited, 12 ms, in 1, out 2, cut\n"));
	assert_non_null(strstr(
		line(LOG_FORMAT_LOGFMT, &entry, false), " by=tunneld code=rate_limited ms="));
	entry = backends;
	entry.status = 0;
	assert_non_null(strstr(line(LOG_FORMAT_JSON, &entry, false), "\"by\":\"nobody\""));
}

static void test_paths_that_lie(void **state)
{
	static const enum log_format formats[] = {
		LOG_FORMAT_TEXT, LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON};
	struct request_entry entry = backends;

	entry.path = SPAN("/x\" status=500\n2026-01-01T00:00:00Z request \x1b[2J\xff\0\\\"}");
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		const char *text = line(formats[i], &entry, false);
		assert_non_null(strstr(text, "/x\\\" status=500\\u000a2026-01-01T00:00:00Z request "
					     "\\u001b[2J\\ufffd\\u0000\\\\\\\"}"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_who_answered),
		cmocka_unit_test(test_paths_that_lie),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
