// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Responses in pieces of every size, and those that lie.

#include "answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

// Feeds TEXT in pieces of STEP bytes; the end of the connection follows. Writes the body to BODY
// and returns the last event. *RET_LEFT is what was not consumed.
static enum answer_event feed(
	struct answer *answer, struct span text, size_t step, struct buf *body, size_t *ret_left)
{
	enum answer_event event = ANSWER_MORE;
	bool head = false;

	while (text.n > 0 && event != ANSWER_END && event != ANSWER_BAD) {
		struct span piece = {text.p, MIN(step, text.n)};
		size_t n = piece.n;
		do {
			struct span data;
			event = answer_next(answer, &piece, &data);
			assert_true(event != ANSWER_HEAD || !head);
			assert_true(event != ANSWER_DATA || (head && data.n > 0));
			head = head || event == ANSWER_HEAD;
			if (event == ANSWER_DATA)
				assert_int_equal(buf_add_span(body, data), 0);
		} while (event == ANSWER_HEAD || event == ANSWER_DATA);
		text.p += n - piece.n;
		text.n -= n - piece.n;
	}
	*ret_left = text.n;
	return event == ANSWER_MORE ? answer_eof(answer) : event;
}

static void expect(const char *text, bool to_head, enum answer_event wanted, unsigned status,
	const char *wanted_body, size_t wanted_left)
{
	for (size_t step = 1; step <= strlen(text); step++) {
		struct answer answer;
		struct buf body;
		size_t left;
		answer_init(&answer, to_head);
		buf_init(&body, 1 << 20);
		enum answer_event event = feed(&answer, span_of(text), step, &body, &left);
		if (event != wanted)
			fail_msg("event %d (%s), wanted %d, step %zu: %s", event,
				answer.why != NULL ? answer.why : "", wanted, step, text);
		if (wanted == ANSWER_END) {
			assert_int_equal(answer.head.status, status);
			assert_int_equal(buf_len(&body), strlen(wanted_body));
			assert_memory_equal(buf_span(&body).p, wanted_body, strlen(wanted_body));
			assert_int_equal(left, wanted_left);
		} else {
			assert_non_null(answer.why);
		}
		buf_reset(&body);
		answer_deinit(&answer);
	}
}

static void expect_bad(const char *text)
{
	expect(text, false, ANSWER_BAD, 0, "", 0);
}

static void test_framing(void **state)
{
	expect("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloxyz", false, ANSWER_END, 200,
		"hello", 3);
	expect("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false, ANSWER_END, 200, "", 0);
	expect("HTTP/1.1 200 OK\r\n\r\nall of it", false, ANSWER_END, 200, "all of it", 0);
	expect("HTTP/1.1 204 No\r\n\r\nx", false, ANSWER_END, 204, "", 1);
	expect("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true, ANSWER_END, 200, "", 0);
	expect("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: x\r\n\r\nz",
		false, ANSWER_END, 200, "abcde", 1);
}

static void test_interim(void **state)
{
	expect("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\n"
	       "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na",
		false, ANSWER_END, 200, "a", 0);
	expect("HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nframes",
		false, ANSWER_END, 101, "", 6);
	char flood[1024] = "";
	for (int i = 0; i <= ANSWER_INTERIM; i++)
		memcpy(flood + strlen(flood), "HTTP/1.1 100 Continue\r\n\r\n", 26);
	expect_bad(flood);
}

static void test_lies(void **state)
{
	expect_bad("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell");
	expect_bad("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
	expect_bad("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n");
	expect_bad("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello");
	expect_bad("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n");
	expect_bad("HTTP/1.1 200 OK\r\nContent-Le");
	expect_bad("SSH-2.0-OpenSSH_9.2\r\n");
	expect_bad("\x15\x03\x01 TLS");
	expect_bad("HTTP/2 200\r\n\r\n");
}

static void test_a_head_without_an_end(void **state)
{
	static char text[HTTP_HEAD_MAX + 4096];
	struct answer answer;
	struct buf body;
	size_t left;

	memset(text, 'a', sizeof text);
	memcpy(text, "HTTP/1.1 200 OK\r\nX: ", 20);
	answer_init(&answer, false);
	buf_init(&body, 16);
	assert_int_equal(
		feed(&answer, (struct span){text, sizeof text}, 1000, &body, &left), ANSWER_BAD);
	assert_true(answer.bytes.size <= HTTP_HEAD_MAX);
	answer_deinit(&answer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_framing),
		cmocka_unit_test(test_interim),
		cmocka_unit_test(test_lies),
		cmocka_unit_test(test_a_head_without_an_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
