// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Chunked bodies, good and bad, in one piece and in all others.

#include "http_chunk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

// What a body came to.
struct decoded {
	int outcome;
	size_t used; // of the input
	size_t n;
	char data[256 * 1024];
};

static void feed(struct http_chunk *chunk, struct decoded *out, const char *text, size_t n)
{
	// Of exact size, so that a sanitizer sees one byte too many.
	char *piece = malloc(n > 0 ? n : 1);
	assert_non_null(piece);
	memcpy(piece, text, n);
	struct span in = {piece, n};
	struct span data;

	while ((out->outcome = http_chunk_next(chunk, &in, &data)) == HTTP_CHUNK_DATA) {
		assert_true(data.n > 0 && data.p >= piece && data.p + data.n == in.p);
		assert_true(out->n + data.n <= sizeof(out->data));
		memcpy(out->data + out->n, data.p, data.n);
		out->n += data.n;
	}
	if (out->outcome == HTTP_CHUNK_OK)
		assert_int_equal(in.n, 0);
	out->used += n - in.n;
	free(piece);
}

// Decodes TEXT in pieces of FIRST bytes and then of STEP.
static void decode(struct decoded *out, const char *text, size_t n, size_t first, size_t step)
{
	struct http_chunk chunk = {0};
	size_t piece = MIN(first, n);

	*out = (struct decoded){0};
	for (size_t at = 0; at < n && out->outcome == HTTP_CHUNK_OK; piece = MIN(step, n - at)) {
		feed(&chunk, out, text + at, piece);
		at += piece;
	}
}

static void check(const char *text, size_t n, int outcome, const char *data, size_t used)
{
	static struct decoded got;

	for (size_t step = 1; step <= n; step++) {
		for (int two = 0; two < 2; two++) {
			decode(&got, text, n, step, two ? n : step);
			if (got.outcome != outcome)
				fail_msg("outcome %d, wanted %d, in steps of %zu:\n%s", got.outcome,
					outcome, step, text);
			if (data != NULL &&
				(got.n != strlen(data) || memcmp(got.data, data, got.n) != 0))
				fail_msg("data '%.*s', wanted '%s'", (int)got.n, got.data, data);
			if (outcome == HTTP_CHUNK_END)
				assert_int_equal(got.used, used);
		}
	}
}

static void good_bodies(void **state)
{
	static const struct {
		const char *text;
		const char *data;
	} cases[] = {
		{"0\r\n\r\n", ""}, {"000\r\n\r\n", ""}, {"5\r\nhello\r\n0\r\n\r\n", "hello"},
		{"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "hello world"},
		{"0000000000000005\r\nhello\r\n0\r\n\r\n", "hello"},
		{"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789"},
		{"2\r\n\r\n\r\n0\r\n\r\n", "\r\n"}, {"5\r\n0\r\n\r\n\r\n0\r\n\r\n", "0\r\n\r\n"},
		{"5;\r\nhello\r\n0;\r\n\r\n", "hello"}, {"5;a\r\nhello\r\n0\r\n\r\n", "hello"},
		{"5;a=b;c=\"d;e:\\\"\"\r\nhello\r\n0;last\r\n\r\n", "hello"},
		{"5 \t;\ta = b \r\nhello\r\n0\r\n\r\n", "hello"},
		{"5;\xc3\xa9\r\nhello\r\n0\r\n\r\n", "hello"}, {"0\r\nX: y\r\n\r\n", ""},
		{"0\r\nX:\r\nDate:\ta:b;c \xff\r\na-b_c~: d\r\n\r\n", ""},
		{"1\r\nx\r\n0\r\nContent-Length: 5\r\n\r\n", "x"}, // dropped, like all trailers
	};
	char text[256];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t n = strlen(cases[i].text);
		check(cases[i].text, n, HTTP_CHUNK_END, cases[i].data, n);
		// What follows is the next message's.
		size_t more = (size_t)snprintf(text, sizeof(text), "%s5\r\nGET /", cases[i].text);
		check(text, more, HTTP_CHUNK_END, cases[i].data, n);
		for (size_t less = 1; less < n; less++)
			check(cases[i].text, less, HTTP_CHUNK_OK, NULL, 0);
	}
}

static void bad_bodies(void **state)
{
	static const char *const cases[] = {
		"\r\n",
		"\n",
		";a\r\n",
		"g\r\n",
		"-1\r\n",
		"+5\r\nhello",
		" 5\r\nhello",
		"\t5\r\nhello",
		"0x5\r\nhello",
		"5x\r\nhello",
		"5,5\r\nhello",
		"5:\r\nhello",
		"5\"\r\nhello",
		"5\xb2\r\nhello",
		"5\nhello",
		"5\r\rhello",
		"5\rhello",
		"5 \r\nhello", // white space leads to an extension or nowhere
		"5\t\r\nhello",
		"5 5\r\nhello",
		"5;a\nhello",
		"5;a\rb\r\nhello",
		"5;a\r\r\nhello",
		"5;\x01\r\nhello",
		"5;\x7f\r\nhello",
		"5;a=\"\n\"\r\nhello",
		"5\r\nhello0\r\n",
		"5\r\nhello\n0\r\n",
		"5\r\nhello\r0\r\n",
		"5\r\nhello \r\n0\r\n",
		"5\r\nhello\r\n\r\n",
		"5\r\nhello\r\n\n",
		"5\r\nhelloworld\r\n0\r\n",
		"0\r\n\n",
		"0\r\n\r\r\n",
		"0\r\n \r\n",
		"0\r\nX\r\n",
		"0\r\n: y\r\n",
		"0\r\nX : y\r\n",
		"0\r\n X: y\r\n",
		"0\r\nX: y\r\n z\r\n",
		"0\r\nX: y\n\r\n",
		"0\r\nX: y\rz\r\n",
		"0\r\nX: \x02\r\n",
		"0\r\nX: \x7f\r\n",
		"0\r\nX(: y\r\n",
		"0\r\nX\xc3: y\r\n",
		"10000000000000000\r\n", // 17 digits
		"00000000000000005\r\nhello",
		"8000000000000000\r\n", // 2^63
		"ffffffffffffffff\r\n",
		"FFFFFFFFFFFFFFFFF\r\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check(cases[i], strlen(cases[i]), HTTP_CHUNK_BAD, NULL, 0);
	check("5;\0\r\nhello", 11, HTTP_CHUNK_BAD, NULL, 0);
	check("\0", 1, HTTP_CHUNK_BAD, NULL, 0);
}

static void bad_stays_bad_and_over_stays_over(void **state)
{
	struct http_chunk chunk = {0};
	struct span data;
	struct span in = SPAN("x5\r\n");

	assert_int_equal(http_chunk_next(&chunk, &in, &data), HTTP_CHUNK_BAD);
	in = SPAN("5\r\nhello");
	assert_int_equal(http_chunk_next(&chunk, &in, &data), HTTP_CHUNK_BAD);
	assert_int_equal(in.n, 8);

	chunk = (struct http_chunk){0};
	in = SPAN("0\r\n\r\n5\r\nhello");
	assert_int_equal(http_chunk_next(&chunk, &in, &data), HTTP_CHUNK_END);
	assert_int_equal(in.n, 8);
	assert_int_equal(http_chunk_next(&chunk, &in, &data), HTTP_CHUNK_END);
	assert_int_equal(in.n, 8);
	in = (struct span){NULL, 0};
	assert_int_equal(http_chunk_next(&chunk, &in, &data), HTTP_CHUNK_END);
	chunk = (struct http_chunk){0};
	assert_int_equal(http_chunk_next(&chunk, &in, &data), HTTP_CHUNK_OK);
}

// HEAD, N times 'x', TAIL.
static char *padded(const char *before, size_t n, const char *after, size_t *size)
{
	size_t a = strlen(before);
	size_t b = strlen(after);
	char *text = malloc(a + n + b);
	assert_non_null(text);
	memcpy(text, before, a);
	memset(text + a, 'x', n);
	memcpy(text + a + n, after, b);
	*size = a + n + b;
	return text;
}

static void check_padded(const char *before, size_t n, const char *after, int outcome)
{
	static const size_t steps[] = {1, 2, 1000, SIZE_MAX};
	static struct decoded got;
	size_t size;
	char *text = padded(before, n, after, &size);

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		decode(&got, text, size, MIN(size, steps[i]), steps[i]);
		if (got.outcome != outcome)
			fail_msg("outcome %d, wanted %d: %s, %zu bytes, %s", got.outcome, outcome,
				before, n, after);
	}
	free(text);
}

static void limits(void **state)
{
	// The ';' counts, the limit is met before the line ends, and each chunk starts afresh.
	check_padded("1;", 1023, "\r\nx\r\n0\r\n\r\n", HTTP_CHUNK_END);
	check_padded("1;", 1024, "\r\nx\r\n0\r\n\r\n", HTTP_CHUNK_BAD);
	check_padded("1;", 1024, "", HTTP_CHUNK_BAD);
	check_padded("1 ;", 1022, "\r\nx\r\n0\r\n\r\n", HTTP_CHUNK_END);
	check_padded("1 ;", 1023, "\r\nx\r\n0\r\n\r\n", HTTP_CHUNK_BAD);
	check_padded("1;yyyyyy\r\nz\r\n1;", 1023, "\r\nx\r\n0\r\n\r\n", HTTP_CHUNK_END);
	// The last line's extensions too.
	check_padded("0;", 1023, "\r\n\r\n", HTTP_CHUNK_END);
	check_padded("0;", 1024, "\r\n\r\n", HTTP_CHUNK_BAD);
	// "X:" + value + CR LF, and the empty line.
	check_padded("0\r\nX:", 8192 - 6, "\r\n\r\n", HTTP_CHUNK_END);
	check_padded("0\r\nX:", 8192 - 5, "\r\n\r\n", HTTP_CHUNK_BAD);
	check_padded("0\r\nX: 1\r\nX:", 8192 - 12, "\r\n\r\n", HTTP_CHUNK_END);
	check_padded("0\r\nX: 1\r\nX:", 8192 - 11, "\r\n\r\n", HTTP_CHUNK_BAD);
	check_padded("0\r\n", 8193, "", HTTP_CHUNK_BAD);
}

static void largest_chunk(void **state)
{
	struct http_chunk chunk = {0};
	struct span in = SPAN("7FFFFFFFFFFFFFFF;x\r\nabc");
	struct span data;

	assert_int_equal(http_chunk_next(&chunk, &in, &data), HTTP_CHUNK_DATA);
	assert_int_equal(data.n, 3);
	assert_true(chunk.left == INT64_MAX - 3);
	chunk.left = 1; // the others need not be sent
	in = SPAN("d\r\n0\r\n\r\n");
	assert_int_equal(http_chunk_next(&chunk, &in, &data), HTTP_CHUNK_DATA);
	assert_int_equal(data.n, 1);
	assert_int_equal(http_chunk_next(&chunk, &in, &data), HTTP_CHUNK_END);
}

static void many_chunks(void **state)
{
	static char text[600 * 1024];
	static char plain[sizeof(((struct decoded *)0)->data)];
	static struct decoded got;
	static const size_t steps[] = {1, 3, 4096, sizeof(text)};
	size_t n = 0;
	size_t length = 0;

	for (size_t size = 1; length + size <= sizeof(plain); size = size * 5 % 701 + 1) {
		n += (size_t)snprintf(text + n, 32, size % 2 ? "%zx\r\n" : "%zX;x=y\r\n", size);
		for (size_t i = 0; i < size; i++, length++)
			text[n++] = plain[length] = (char)(length * 7 + length / 251);
		text[n++] = '\r';
		text[n++] = '\n';
		assert_true(n + 1024 < sizeof(text));
	}
	memcpy(text + n, "0\r\n\r\n", 5);
	n += 5;
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		decode(&got, text, n, steps[i], steps[i]);
		assert_int_equal(got.outcome, HTTP_CHUNK_END);
		assert_int_equal(got.used, n);
		assert_int_equal(got.n, length);
		assert_memory_equal(got.data, plain, length);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_bodies),
		cmocka_unit_test(bad_bodies),
		cmocka_unit_test(bad_stays_bad_and_over_stays_over),
		cmocka_unit_test(limits),
		cmocka_unit_test(largest_chunk),
		cmocka_unit_test(many_chunks),
	};

	return cmocka_run_group_tests_name("http_chunk", tests, NULL, NULL);
}
