// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The end of a head, however its bytes arrive.

#include "http_parse_check.h"

static int find(const char *text, size_t n, bool as_request, size_t *size)
{
	size_t scanned = 0;

	take(text, n);
	return http_head_find(bytes, n, as_request, &scanned, size);
}

// The outcome when TEXT comes in two pieces, or with STEP in pieces of so many bytes.
static int find_pieces(const char *text, size_t n, size_t first, size_t step, size_t *size)
{
	size_t scanned = 0;
	int r = HTTP_MORE;

	take(text, n);
	for (size_t have = MIN(first, n); r == HTTP_MORE; have = MIN(have + step, n)) {
		r = http_head_find(bytes, have, true, &scanned, size);
		if (r == HTTP_MORE && have - scanned > 1)
			fail_msg("of %zu bytes only %zu count as looked at", have, scanned);
		if (have == n)
			break;
	}
	return r;
}

static void find_nothing(void **state)
{
	size_t scanned = 0, size = 0;
	assert_int_equal(http_head_find(NULL, 0, true, &scanned, &size), HTTP_MORE);
	assert_int_equal(scanned, 0);
}

static void find_whole_and_in_pieces(void **state)
{
	static const char *const texts[] = {
		GET HOST "Accept: */*\r\n"
			 "\r\n",
		GET "\r\n",
		"\r\n" GET HOST "\r\n",
		"\r\n\r\n\r\n\r\n" GET HOST "\r\n",
		"POST / HTTP/1.1\r\nX-Tab:\ta\tb\t\t\t\t\t\t\t\t\t\r\n" HOST "\r\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		size_t n = strlen(texts[i]);
		char text[256];
		size_t total = (size_t)snprintf(text, sizeof(text), "%s\r\nBODY\n", texts[i]);
		size_t size = 0;
		assert_int_equal(find(text, total, true, &size), HTTP_OK);
		assert_int_equal(size, n);
		for (size_t step = 1; step <= n; step++) {
			size = 0;
			assert_int_equal(find_pieces(text, total, step, step, &size), HTTP_OK);
			assert_int_equal(size, n);
			assert_int_equal(find_pieces(text, total, step, total, &size), HTTP_OK);
			assert_int_equal(size, n);
		}
		for (size_t less = 1; less < n; less++)
			assert_int_equal(find(text, less, true, &size), HTTP_MORE);
	}
}

static void find_empty_lines(void **state)
{
	size_t size = 0;
	static const char five[] = "\r\n\r\n\r\n\r\n\r\n" GET HOST "\r\n";

	assert_int_equal(find(five, sizeof(five) - 1, true, &size), HTTP_BAD);
	assert_int_equal(find(five, 8, true, &size), HTTP_MORE);
	assert_int_equal(find(five, 9, true, &size), HTTP_MORE);
	assert_int_equal(find(five, 10, true, &size), HTTP_BAD);
	assert_int_equal(find_pieces(five, sizeof(five) - 1, 1, 1, &size), HTTP_BAD);
	assert_int_equal(find(five + 2, sizeof(five) - 3, true, &size), HTTP_OK);
	assert_int_equal(request(five + 2), HTTP_OK);
	assert_int_equal(request(five), HTTP_BAD);
	assert_int_equal(
		find("\r\n" ANSWER "\r\n", strlen("\r\n" ANSWER "\r\n"), false, &size), HTTP_BAD);
	assert_int_equal(find(ANSWER "\r\n", strlen(ANSWER "\r\n"), false, &size), HTTP_OK);
}

// Each byte that no head may contain is refused as soon as it is there, wherever it is.
static void find_refuses_at_once(void **state)
{
	static const char text[] = "\r\n" GET HOST "Accept: */*\r\n"
				   "\r\n";
	const size_t n = sizeof(text) - 1;
	char copy[sizeof(text)];
	size_t size = 0;

	for (size_t at = 0; at < n; at++) {
		for (int c = 0; c < 256; c++) {
			if (is_text(c) || text[at] == (char)c)
				continue;
			memcpy(copy, text, sizeof(text));
			copy[at] = (char)c;
			bool pending = c == '\r' && copy[at + 1] != '\0';
			size_t seen = at + 1 + pending;
			// A CR in front of a line's CR LF makes the first of the two the bare one.
			if (find(copy, seen, true, &size) != HTTP_BAD)
				fail_msg("byte 0x%02x at %zu passed", c, at);
			if (find_pieces(copy, n, 1, 1, &size) != HTTP_BAD)
				fail_msg("byte 0x%02x at %zu passed in pieces", c, at);
		}
		// A line end half gone.
		if (text[at] == '\r' || text[at] == '\n') {
			memcpy(copy, text, sizeof(text));
			copy[at] = 'x';
			size_t seen = text[at] == '\r' ? at + 2 : at + 1;
			if (find(copy, seen, true, &size) != HTTP_BAD)
				fail_msg("half a line end at %zu passed", at);
		}
	}
	assert_int_equal(find("\x16\x03\x01", 3, true, &size), HTTP_BAD); // a TLS hello
}

// A head whose start line and whole have these sizes.
static char *sized_head(size_t line, size_t total)
{
	char *text = malloc(total);
	assert_non_null(text);
	memset(text, 'a', total);
	memcpy(text, "GET /", 5);
	memcpy(text + line - 9, " HTTP/1.1\r\nHost: a\r\nX: ", 23);
	memcpy(text + total - 4, "\r\n\r\n", 4);
	return text;
}

static void find_limits(void **state)
{
	static const struct {
		size_t line, total;
		int find, parse;
	} cases[] = {
		{HTTP_LINE_MAX, HTTP_LINE_MAX + 100, HTTP_OK, HTTP_OK},
		{HTTP_LINE_MAX + 1, HTTP_LINE_MAX + 100, HTTP_TOO_LARGE, HTTP_TOO_LARGE},
		{100, HTTP_HEAD_MAX, HTTP_OK, HTTP_OK},
		{100, HTTP_HEAD_MAX + 1, HTTP_TOO_LARGE, HTTP_TOO_LARGE},
		{HTTP_LINE_MAX, HTTP_HEAD_MAX, HTTP_OK, HTTP_OK},
		{HTTP_HEAD_MAX, HTTP_HEAD_MAX + 100, HTTP_TOO_LARGE, HTTP_TOO_LARGE},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *text = sized_head(cases[i].line, cases[i].total);
		size_t size = 0;
		assert_int_equal(find(text, cases[i].total, true, &size), cases[i].find);
		static const size_t steps[] = {1, 2, 7, 1000, HTTP_LINE_MAX - 1, HTTP_LINE_MAX,
			HTTP_LINE_MAX + 1, HTTP_LINE_MAX + 2, HTTP_HEAD_MAX};
		for (size_t s = 0; s < ARRAY_SIZE(steps); s++)
			assert_int_equal(
				find_pieces(text, cases[i].total, steps[s], steps[s], &size),
				cases[i].find);
		if (cases[i].find == HTTP_OK)
			assert_int_equal(size, cases[i].total);
		assert_int_equal(request_n(text, cases[i].total), cases[i].parse);
		free(text);
	}
}

static void find_limits_are_met_early(void **state)
{
	char *text = malloc(HTTP_HEAD_MAX);
	size_t size = 0;
	assert_non_null(text);

	memset(text, 'a', HTTP_HEAD_MAX);
	assert_int_equal(find(text, HTTP_LINE_MAX, true, &size), HTTP_MORE);
	assert_int_equal(find(text, HTTP_LINE_MAX + 1, true, &size), HTTP_TOO_LARGE);
	memcpy(text, "\r\n", 2); // an empty line first moves the limit by itself
	assert_int_equal(find(text, HTTP_LINE_MAX + 2, true, &size), HTTP_MORE);
	assert_int_equal(find(text, HTTP_LINE_MAX + 3, true, &size), HTTP_TOO_LARGE);
	memcpy(text, GET, strlen(GET));
	assert_int_equal(find(text, HTTP_HEAD_MAX - 1, true, &size), HTTP_MORE);
	assert_int_equal(find(text, HTTP_HEAD_MAX, true, &size), HTTP_TOO_LARGE);
	// What comes first decides, in one piece as in many.
	text[HTTP_LINE_MAX + 2] = '\n';
	memset(text, 'a', strlen(GET));
	assert_int_equal(find(text, HTTP_HEAD_MAX, true, &size), HTTP_TOO_LARGE);
	assert_int_equal(find_pieces(text, HTTP_HEAD_MAX, 1, 1, &size), HTTP_TOO_LARGE);
	text[HTTP_LINE_MAX - 2] = '\n';
	assert_int_equal(find(text, HTTP_HEAD_MAX, true, &size), HTTP_BAD);
	assert_int_equal(find_pieces(text, HTTP_HEAD_MAX, 1, 1, &size), HTTP_BAD);
	free(text);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(find_nothing),
		cmocka_unit_test(find_whole_and_in_pieces),
		cmocka_unit_test(find_empty_lines),
		cmocka_unit_test(find_refuses_at_once),
		cmocka_unit_test(find_limits),
		cmocka_unit_test(find_limits_are_met_early),
	};

	return cmocka_run_group_tests_name("http_find", tests, NULL, forget);
}
