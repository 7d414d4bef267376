// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// For the tests of the head parser. Each head is parsed from a heap copy of its exact size, so that
// a sanitizer or valgrind sees one byte too many, into a struct full of rubbish, so that nothing is
// assumed zero.

#pragma once

#include "http_head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define GET    "GET / HTTP/1.1\r\n"
#define HOST   "Host: a.example\r\n"
#define ANSWER "HTTP/1.1 200 OK\r\n"

// What was parsed last.
static struct http_head head;
static char *bytes;
static const char *why;

static inline void take(const char *text, size_t n)
{
	free(bytes);
	bytes = malloc(n > 0 ? n : 1);
	assert_non_null(bytes);
	memcpy(bytes, text, n);
	memset(&head, 0xa5, sizeof(head));
	why = "(nothing said)";
}

static inline int request_n(const char *text, size_t n)
{
	take(text, n);
	return http_request_parse(&head, bytes, n, &why);
}

static inline int request(const char *text)
{
	return request_n(text, strlen(text));
}

static inline int response(const char *text, bool to_head)
{
	size_t n = strlen(text);
	take(text, n);
	return http_response_parse(&head, bytes, n, to_head, &why);
}

static inline void check_outcome(const char *text, int got, int wanted, const char *wanted_why)
{
	if (got != wanted)
		fail_msg("outcome %d (%s), wanted %d, of:\n%s", got, why, wanted, text);
	if (wanted_why != NULL && strcmp(why, wanted_why) != 0)
		fail_msg("reason '%s', wanted '%s', of:\n%s", why, wanted_why, text);
}

static inline void good_request(const char *text)
{
	check_outcome(text, request(text), HTTP_OK, NULL);
	assert_int_equal(head.size, strlen(text));
}

static inline void good_response(const char *text, bool to_head)
{
	check_outcome(text, response(text, to_head), HTTP_OK, NULL);
	assert_int_equal(head.size, strlen(text));
}

static inline void check_span(const char *of, struct span got, const char *wanted)
{
	if (!span_eq(got, span_of(wanted)))
		fail_msg("'%.*s', wanted '%s', in:\n%s", (int)got.n, got.p, wanted, of);
}

// What a field value or a reason may hold.
static inline bool is_text(int c)
{
	return c == '\t' || (c >= 0x20 && c != 0x7f);
}

static inline int forget(void **state)
{
	free(bytes);
	bytes = NULL;
	return 0;
}
