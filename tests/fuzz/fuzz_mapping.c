// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Fields of answers with any value, for a visitor below the prefix. What comes out is one line; no
// cookie has a Domain, or a Path that is absolute and not below the prefix; no scope leads out of
// it; and what was mapped is not mapped again. On a port what no script reads has a name that is
// the tunnel's own, and gets its own back.

#include "check.h"
#include "cookie.h"
#include "mapping.h"

#include <string.h>
#include <strings.h>

static const struct mapping mapping = {
	.prefix = SPAN_INIT("/t/x"),
	.backend = SPAN_INIT("app:81"),
	.backend_scheme = SPAN_INIT("http"),
	.own = SPAN_INIT("own.example"),
};

static const struct mapping on_port = {
	.backend = SPAN_INIT("app:81"),
	.backend_scheme = SPAN_INIT("http"),
	.own = SPAN_INIT("own.example:9000"),
	.jar = true,
	.id = SPAN_INIT("x"),
};

static size_t map(const char *name, const char *value, size_t n, char *text, size_t size)
{
	struct head_out out = {.p = text, .end = text + size};
	const struct http_field field = {.name = span_of(name), .value = {value, n}};
	CHECK(mapping_response(&out, &mapping, &field));
	CHECK(!out.full);
	size_t used = (size_t)(out.p - text);
	if (used == 0)
		return 0;
	size_t lead = strlen(name) + 2;
	CHECK(used >= lead + 2 && memcmp(text + used - 2, "\r\n", 2) == 0);
	memmove(text, text + lead, used - lead - 2);
	return used - lead - 2;
}

static bool below(const char *p, size_t n)
{
	return n >= 4 && memcmp(p, "/t/x", 4) == 0 && (n == 4 || strchr("/?#", p[4]) != NULL);
}

static void check_cookie(const char *text, size_t n)
{
	size_t start = 0;
	for (size_t i = 0; i <= n; i++) {
		if (i < n && text[i] != ';')
			continue;
		const char *p = text + start;
		size_t left = i - start;
		bool attribute = start > 0;
		start = i + 1;
		while (left > 0 && (*p == ' ' || *p == '\t'))
			p++, left--;
		CHECK(!attribute || left < 7 || strncasecmp(p, "Domain=", 7) != 0);
		if (attribute && left > 5 && strncasecmp(p, "Path=", 5) == 0 && p[5] == '/')
			CHECK(below(p + 5, left - 5));
	}
}

// Of COOKIE, name and value.
static struct span pair_of(const char *cookie, size_t n)
{
	const char *end = memchr(cookie, ';', n);
	struct span pair = {cookie, end != NULL ? (size_t)(end - cookie) : n};
	while (pair.n > 0 && (*pair.p == ' ' || *pair.p == '\t'))
		pair.p++, pair.n--;
	while (pair.n > 0 && (pair.p[pair.n - 1] == ' ' || pair.p[pair.n - 1] == '\t'))
		pair.n--;
	return pair;
}

static void check_on_port(const char *value, size_t n)
{
	static char text[65536], back[4096];
	static const char field_lead[] = "Set-Cookie: ", own[] = "tunneld_x_", host[] = "__Host-";
	struct head_out out = {.p = text, .end = text + sizeof text};
	const struct http_field field = {.name = SPAN("Set-Cookie"), .value = {value, n}};
	if (cookie_is_ours(field.value))
		return; // dropped before (rewrite.c)
	CHECK(mapping_response(&out, &on_port, &field) && !out.full);
	size_t lines = 0, lead = sizeof field_lead - 1;
	bool hidden = false;
	for (char *p = text, *end; p < out.p; p = end + 2, lines++) {
		end = memmem(p, (size_t)(out.p - p), "\r\n", 2);
		CHECK(end != NULL && (size_t)(end - p) >= lead && memcmp(p, field_lead, lead) == 0);
		struct span pair = pair_of(p + lead, (size_t)(end - p) - lead);
		struct span name = pair;
		if (span_starts(name, SPAN("__Host-")))
			name = (struct span){name.p + sizeof host - 1, name.n - (sizeof host - 1)};
		if (!span_starts(name, span_of(own)) || !mapping_is_own(&on_port, pair))
			continue;
		struct head_out to = {.p = back, .end = back + sizeof back};
		mapping_cookie(&to, &on_port, pair);
		struct span given = pair_of(value, n);
		size_t size = (size_t)(to.p - back);
		hidden |= lines == 0;
		CHECK(size <= given.n && memcmp(back, given.p, size) == 0);
		CHECK(lines > 0 || size == given.n);
	}
	CHECK(lines == 1 || (lines == 2 && !hidden));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const char *const names[] = {"Location", "Refresh", "Link", "Set-Cookie",
		"Service-Worker-Allowed", "Content-Location"};
	static char once[65536], twice[65536];
	if (n < 1 || n > 2048 || memchr(data, '\0', n) != NULL || memchr(data, '\n', n) != NULL ||
		memchr(data, '\r', n) != NULL)
		return 0; // one field of a head
	const char *name = names[data[0] % ARRAY_SIZE(names)];
	if (strcmp(name, "Set-Cookie") == 0)
		check_on_port((const char *)data + 1, n - 1);
	size_t first = map(name, (const char *)data + 1, n - 1, once, sizeof once);
	if (strcmp(name, "Set-Cookie") == 0)
		check_cookie(once, first);
	if (strcmp(name, "Service-Worker-Allowed") == 0)
		CHECK(first == 0 || (below(once, first) && memmem(once, first, "..", 2) == NULL) ||
			memmem(once, first, "/.", 2) == NULL);
	if (first == 0)
		return 0;
	size_t second = map(name, once, first, twice, sizeof twice);
	CHECK(first == second && memcmp(once, twice, first) == 0);
	return 0;
}
