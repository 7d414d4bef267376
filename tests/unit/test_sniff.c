// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What is told of conversations between relay and backend, whole and byte by byte.

#include "sniff.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct notes {
	struct sniff_sink sink;
	char text[4096];
};

static void note(struct sniff_sink *sink, const struct sniff_report *r)
{
	struct notes *notes = container_of(sink, struct notes, sink);
	size_t n = strlen(notes->text);
	snprintf(notes->text + n, sizeof notes->text - n,
		"%.*s %.*s %u %" PRId64 "ms %" PRIu64 "/%" PRIu64 "%s\n", (int)r->method.n,
		r->method.p, (int)r->path.n, r->path.p, r->status, r->us / 1000, r->bytes_in,
		r->bytes_out, r->cut ? " cut" : "");
}

// A conversation: '>' lines go to the backend, '<' come from it, '.' is its end, 'x' the
// connection's. A millisecond passes with each.
struct step {
	char what;
	const char *bytes;
};

static void play(const struct step *steps, size_t piece, struct notes *notes)
{
	struct sniff sniff;
	struct instant now = {1000000};
	*notes = (struct notes){.sink.report = note};
	sniff_init(&sniff);
	for (; steps->what != '\0'; steps++) {
		struct span all = span_of(steps->bytes);
		now = instant_add_ms(now, 1);
		for (size_t at = 0; at < all.n; at += piece) {
			struct span s = {all.p + at, MIN(piece, all.n - at)};
			if (steps->what == '>')
				sniff_request(&sniff, s, now);
			else
				sniff_response(&sniff, s, now, &notes->sink);
		}
		if (steps->what == '.')
			sniff_response_end(&sniff, now, &notes->sink);
		if (steps->what == 'x')
			sniff_end(&sniff, now, &notes->sink);
	}
	sniff_deinit(&sniff);
}

static void expect(const struct step *steps, const char *told)
{
	static const size_t pieces[] = {100000, 1, 2, 3, 7, 64};
	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
		struct notes notes;
		play(steps, pieces[i], &notes);
		assert_string_equal(notes.text, told);
	}
}

#define GET(path)  "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define OK(fields) "HTTP/1.1 200 OK\r\n" fields "\r\n"
#define CONVERSATION(...)     \
	(const struct step[]) \
	{                     \
		__VA_ARGS__,  \
		{             \
			0     \
		}             \
	}

static void one_after_the_other(void **state)
{
	(void)state;
	expect(CONVERSATION({'>', GET("/a?b=c")}, {'<', OK("Content-Length: 3\r\n") "abc"},
		       {'>', GET("/2")}, {'<', OK("Content-Length: 0\r\n")}),
		"GET /a?b=c 200 1ms 0/3\nGET /2 200 1ms 0/0\n");
}

static void bodies(void **state)
{
	(void)state;
	expect(CONVERSATION(
		       {'>', "POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
			     "3\r\nabc\r\n0\r\n\r\n"},
		       {'<', OK("Transfer-Encoding: chunked\r\n") "a\r\n0123456789\r\n"},
		       {'<', "1\r\nx\r\n0\r\n\r\n"}),
		"POST /p 200 2ms 3/11\n");
	expect(CONVERSATION({'>', "PUT /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345"},
		       {'<', "HTTP/1.1 204 No Content\r\n\r\n"}),
		"PUT /p 204 1ms 5/0\n");
	expect(CONVERSATION({'>', GET("/until-the-end")}, {'<', "HTTP/1.0 200 OK\r\n\r\nabc"},
		       {'<', "def"}, {'.', NULL}),
		"GET /until-the-end 200 3ms 0/6\n");
}

static void answers_without_a_body(void **state)
{
	(void)state;
	expect(CONVERSATION({'>', "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"},
		       {'<', OK("Content-Length: 1000\r\n")}, {'>', GET("/n")},
		       {'<', "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n"}),
		"HEAD / 200 1ms 0/0\nGET /n 304 1ms 0/0\n");
}

static void interim_answers_are_not_the_answer(void **state)
{
	(void)state;
	expect(CONVERSATION({'>', GET("/")}, {'<', "HTTP/1.1 100 Continue\r\n\r\n"},
		       {'<', "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"},
		       {'<', OK("Content-Length: 1\r\n") "x"}),
		"GET / 200 3ms 0/1\n");
}

static void nothing_is_looked_at_after_an_upgrade(void **state)
{
	(void)state;
	expect(CONVERSATION({'>', "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n"
				  "Upgrade: websocket\r\n\r\n"},
		       {'<', "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
			     "Upgrade: websocket\r\n\r\n"},
		       {'>', GET("/not-a-request")}, {'<', OK("Content-Length: 0\r\n")},
		       {'x', NULL}),
		"GET /ws 101 1ms 0/0\n");
}

static void ends_before_the_answer_does(void **state)
{
	(void)state;
	expect(CONVERSATION({'>', GET("/none")}, {'x', NULL}), "GET /none 0 1ms 0/0 cut\n");
	expect(CONVERSATION({'>', GET("/part")}, {'<', OK("Content-Length: 9\r\n") "1234"},
		       {'.', NULL}, {'x', NULL}),
		"GET /part 200 3ms 0/4 cut\n");
	expect(CONVERSATION({'>', GET("/over")}, {'<', OK("Content-Length: 0\r\n")}, {'x', NULL}),
		"GET /over 200 1ms 0/0\n");
}

static void an_early_answer(void **state)
{
	(void)state;
	expect(CONVERSATION(
		       {'>', "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n12345"},
		       {'<', "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno"},
		       {'>', "6789"}, {'x', NULL}),
		"POST /p 413 1ms 5/2\n");
}

static void what_is_no_http_is_left_alone(void **state)
{
	(void)state;
	expect(CONVERSATION({'>', "\x16\x03\x01\x02\n\r\n"}, {'<', OK("Content-Length: 0\r\n")},
		       {'x', NULL}),
		"");
	expect(CONVERSATION({'<', "220 mail.example ESMTP\r\n"}, {'>', GET("/")}, {'x', NULL}), "");
	expect(CONVERSATION(
		       {'>', GET("/1") GET("/2")}, {'<', OK("Content-Length: 0\r\n")}, {'x', NULL}),
		"");
}

static void long_heads_and_paths(void **state)
{
	static char request[40000], told[4096];
	char path[SNIFF_PATH_MAX + 100];
	(void)state;
	memset(path, 'p', sizeof path);
	path[0] = '/';
	path[sizeof path - 1] = '\0';
	snprintf(request, sizeof request, GET("%s"), path);
	snprintf(told, sizeof told, "GET %.*s 200 1ms 0/0\n", SNIFF_PATH_MAX, path);
	expect(CONVERSATION({'>', request}, {'<', OK("Content-Length: 0\r\n")}), told);

	int n = snprintf(request, sizeof request, "GET / HTTP/1.1\r\nHost: a\r\nX: ");
	memset(request + n, 'x', sizeof request - (size_t)n - 1);
	expect(CONVERSATION({'>', request}, {'>', "\r\n\r\n"}, {'x', NULL}), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_after_the_other),
		cmocka_unit_test(bodies),
		cmocka_unit_test(answers_without_a_body),
		cmocka_unit_test(interim_answers_are_not_the_answer),
		cmocka_unit_test(nothing_is_looked_at_after_an_upgrade),
		cmocka_unit_test(ends_before_the_answer_does),
		cmocka_unit_test(an_early_answer),
		cmocka_unit_test(what_is_no_http_is_left_alone),
		cmocka_unit_test(long_heads_and_paths),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
