// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Events from bytes, however they are cut.

#include "sse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

// Feeds TEXT in pieces of STEP bytes and writes what comes of it: "[event|data|id]" each.
static enum sse_event feed(const char *text, size_t step, struct buf *seen, struct sse *sse)
{
	enum sse_event event = SSE_MORE;

	for (struct span all = span_of(text); all.n > 0 && event != SSE_BAD;) {
		struct span piece = {all.p, MIN(step, all.n)};
		all.p += piece.n;
		all.n -= piece.n;
		while ((event = sse_next(sse, &piece)) == SSE_EVENT) {
			struct span data = buf_span(&sse->data);
			assert_int_equal(buf_printf(seen, "[%s|%.*s|%s]", sse->event, (int)data.n,
						 data.p, sse->id),
				0);
		}
		assert_true(event == SSE_BAD || piece.n == 0);
	}
	return event;
}

static void expect(const char *text, const char *wanted)
{
	for (size_t step = 1; step <= strlen(text); step++) {
		struct sse sse;
		struct buf seen;
		sse_init(&sse);
		buf_init(&seen, 1 << 16);
		assert_int_equal(feed(text, step, &seen, &sse), SSE_MORE);
		assert_int_equal(buf_add(&seen, "", 1), 0);
		assert_string_equal(buf_span(&seen).p, wanted);
		buf_reset(&seen);
		sse_deinit(&sse);
	}
}

static void test_what_the_standard_says(void **state)
{
	expect("data: a\n\n", "[message|a|]");
	expect("event: e\ndata: a\ndata:b\nid: 7\n\ndata: c\n\n", "[e|a\nb|7][message|c|7]");
	expect("data: a\r\n\r\ndata: b\r\rdata: c\n\n", "[message|a|][message|b|][message|c|]");
	expect("\xef\xbb\xbf"
	       "data: a\n\n",
		"[message|a|]");
	expect(": comment\n\nevent: lost\n\ndata: a\n\n", "[message|a|]");
	expect("data\n\n", "[message||]");
	expect("data:  two\nother: x\n\n", "[message| two|]");
	expect("data: never ended\n", "");
	expect("id: 1\n\ndata: a\n\nid\n\ndata: b\n\n", "[message|a|1][message|b|]");
}

static void test_ids_that_cannot_stand_in_a_field(void **state)
{
	expect("id: good\ndata: a\n\nid: b\x01"
	       "ad\ndata: b\n\nid: b\xc3\xa9\ndata: c\n\n",
		"[message|a|good][message|b|good][message|c|good]");
}

static void test_retry(void **state)
{
	struct sse sse;
	struct buf seen;

	buf_init(&seen, 64);
	sse_init(&sse);
	assert_int_equal(sse.retry_ms, -1);
	feed("retry: 3000\nretry: x\nretry:\nretry: 99999999999999999999\n", 3, &seen, &sse);
	assert_int_equal(sse.retry_ms, 3000);
	sse_deinit(&sse);
}

static void test_caps(void **state)
{
	static char line[SSE_LINE_MAX + 8];
	struct sse sse;
	struct buf seen;

	buf_init(&seen, 64);
	memset(line, 'a', sizeof line - 1);
	sse_init(&sse);
	assert_int_equal(feed(line, 1000, &seen, &sse), SSE_BAD); // a line
	sse_deinit(&sse);
	sse_init(&sse);
	memcpy(line, "data:", 5);
	line[SSE_LINE_MAX - 2] = '\n';
	line[SSE_LINE_MAX - 1] = '\0';
	assert_int_equal(feed(line, 1000, &seen, &sse), SSE_MORE);
	assert_int_equal(feed(line, 1000, &seen, &sse), SSE_MORE);
	assert_int_equal(feed(line, 1000, &seen, &sse), SSE_BAD); // the data of one event
	sse_deinit(&sse);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_the_standard_says),
		cmocka_unit_test(test_ids_that_cannot_stand_in_a_field),
		cmocka_unit_test(test_retry),
		cmocka_unit_test(test_caps),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
