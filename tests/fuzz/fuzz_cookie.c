// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Cookie fields of any form, through the relay's own rewriting, against a model that shares no code
// with it: what is left are the pieces that are no names of ours, as they were, in order. And
// whatever stands around a right cookie, it is found if and only if it is a piece of its own.

#include "check.h"
#include "cookie.h"
#include "rewrite.h"
#include "stray.h"
#include "tunnel_config.h"

#define ID "t-abcdefghijklmnopqrstuvwxyz"

static bool starts_ours(const char *p, const char *end)
{
	static const char *const names[] = {"tunneld_", "__Host-tunneld_"};
	while (p < end && strchr(" \t=", *p) != NULL)
		p++;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if ((size_t)(end - p) >= strlen(names[i]) &&
			memcmp(p, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

// Writes what is to be left of VALUE. Only where something of ours is in it may it differ from it.
static size_t model(const char *value, size_t n, char *left)
{
	size_t used = 0, start = 0;
	for (size_t i = 0; i <= n; i++) {
		if (i < n && value[i] != ';')
			continue;
		bool blank = strspn(value + start, " \t") >= i - start;
		bool drop = starts_ours(value + start, value + i);
		if (!drop && !blank) {
			if (used > 0)
				left[used++] = ';';
			memcpy(left + used, value + start, i - start);
			used += i - start;
		}
		start = i + 1;
	}
	return used;
}

static void check_left(const char *value, size_t n)
{
	static struct http_head head;
	static char request[8192], out[16384], left[8192];
	static const uint8_t peer[PEER_SIZE];
	static const struct mapping mapping = {0};
	int size = snprintf(request, sizeof request,
		"GET / HTTP/1.1\r\nHost: a\r\nCookie: %.*s\r\n\r\n", (int)n, value);
	CHECK(size > 0 && (size_t)size < sizeof request);
	if (http_request_parse(&head, request, (size_t)size, NULL) != HTTP_OK)
		return;
	struct span seen = http_head_field(&head, HTTP_COOKIE)->value;
	struct stray_route route = stray_by_cookie(&head);
	CHECK(route.id.n == 0 || (tunnel_id_ok(route.id) && route.id.p >= seen.p));
	CHECK(route.pass.n == 0 || (route.pass.p == route.id.p + route.id.n + 1 &&
					   route.pass.p + route.pass.n <= seen.p + seen.n));
	size_t written = rewrite_request(&(struct rewrite_request){.head = &head,
						 .path = SPAN("/"),
						 .authority = SPAN("a"),
						 .mapping = &mapping,
						 .peer = peer},
		out, sizeof out);
	CHECK(written > 0 && written < sizeof out);
	out[written] = '\0';
	const char *field = strstr(out, "\r\nCookie: ");
	size_t n_left = model(seen.p, seen.n, left);
	if (memmem(seen.p, seen.n, "tunneld_", 8) == NULL) {
		memcpy(left, seen.p, n_left = seen.n);
		CHECK(field != NULL);
	}
	CHECK((field == NULL) == (n_left == 0 && seen.n > 0));
	if (field == NULL)
		return;
	field += strlen("\r\nCookie: ");
	CHECK(memcmp(field, left, n_left) == 0);
	CHECK(memcmp(field + n_left, "\r\n", 2) == 0);
}

static void check_verdict(const char *value, size_t n)
{
	static char text[8192];
	struct secret_hash hash;
	struct cookie_known known = {0};
	char right[COOKIE_TEXT_SIZE];
	secret_hash_make(&hash, SPAN("another"));
	CHECK(cookie_check((struct span){value, n}, ID, &hash, 1, &known) != COOKIE_RIGHT);
	cookie_make(right, ID, &hash, 1800000000, n % 2 == 0);
	int size = snprintf(text, sizeof text, "%.*s;%s;%.*s", (int)n, value, right, (int)n, value);
	CHECK(size > 0 && (size_t)size < sizeof text);
	CHECK(cookie_check((struct span){text, (size_t)size}, ID, &hash, 1, &known) ==
		COOKIE_RIGHT);
	CHECK(cookie_check((struct span){text, (size_t)size}, ID, &hash, 1800000000, &known) !=
		COOKIE_RIGHT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static char value[2048];
	if (n >= sizeof value || memchr(data, '\0', n) != NULL || memchr(data, '\n', n) != NULL)
		return 0; // one field of a head
	memcpy(value, data, n);
	value[n] = '\0';
	check_left(value, n);
	check_verdict(value, n);
	return 0;
}
