// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Addresses in fields: below the prefix, on an origin of the tunnel's own, and what is nobody's.

#include "mapping.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const struct mapping below = {
	.prefix = SPAN_INIT("/t/x"),
	.backend = SPAN_INIT("app:81"),
	.backend_scheme = SPAN_INIT("http"),
	.own = SPAN_INIT("tunnels.example"),
	.id = SPAN_INIT("x"),
};

static const struct mapping kept = {
	.prefix = SPAN_INIT("/t/x"),
	.keep = true,
	.backend = SPAN_INIT("app:81"),
	.backend_scheme = SPAN_INIT("http"),
	.own = SPAN_INIT("tunnels.example"),
};

static const struct mapping root = {
	.backend = SPAN_INIT("app:81"),
	.backend_scheme = SPAN_INIT("http"),
	.own = SPAN_INIT("x.t.example"),
};

static char text[4096];

static const char *finish(struct head_out *out, bool handled, struct span value)
{
	if (!handled)
		put(out, value);
	*out->p = '\0';
	char *colon = strstr(text, ": "), *end = strstr(text, "\r\n");
	if (!handled || out->p == text)
		return text;
	assert_non_null(end);
	*end = '\0';
	return colon + 2;
}

// The value of a field of an answer as visitors see it; empty: the field is gone.
static const char *answer(const struct mapping *m, const char *name, const char *value)
{
	struct head_out out = {.p = text, .end = text + sizeof text - 1};
	// In memory of its own size: a reader that goes beyond it is seen.
	size_t n = strlen(value);
	char *exact = malloc(n > 0 ? n : 1);
	memcpy(exact, value, n);
	const struct http_field field = {.name = span_of(name), .value = {exact, n}};
	const char *found = finish(&out, mapping_response(&out, m, &field), field.value);
	free(exact);
	return found;
}

static const char *request(const struct mapping *m, enum http_name id, const char *value)
{
	struct head_out out = {.p = text, .end = text + sizeof text - 1};
	const struct http_field field = {
		.name = SPAN("Name"), .id = id, .value = {value, strlen(value)}};
	return finish(&out, mapping_request(&out, m, SPAN("tunnels.example"), &field), field.value);
}

struct example {
	const char *name, *value, *below, *root;
};

static void check(const struct example *examples, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct example *e = &examples[i];
		const char *found = answer(&below, e->name, e->value);
		if (strcmp(found, e->below) != 0)
			fail_msg("%s: %s: \"%s\", not \"%s\"", e->name, e->value, found, e->below);
		found = answer(&root, e->name, e->value);
		if (strcmp(found, e->root) != 0)
			fail_msg("%s: %s: \"%s\", not \"%s\" at the root", e->name, e->value, found,
				e->root);
	}
}

static void locations(void **state)
{
	static const struct example all[] = {
		{"Location", "/", "/t/x/", "/"},
		{"location", "/a?b#c", "/t/x/a?b#c", "/a?b#c"},
		{"Location", "a/b", "a/b", "a/b"},
		{"Location", "", "", ""},
		{"Location", "?q", "?q", "?q"},
		{"Location", "/t/x/a", "/t/x/a", "/t/x/a"},
		{"Location", "/t/x", "/t/x", "/t/x"},
		{"Location", "/t/xy/a", "/t/x/t/xy/a", "/t/xy/a"},
		{"Location", "/t/other/", "/t/x/t/other/", "/t/other/"},
		{"Location", "http://app:81/a", "/t/x/a", "/a"},
		{"Location", "http://app:81", "/t/x/", "/"},
		{"Location", "http://app:81?q", "/t/x/?q", "/?q"},
		{"Location", "HTTPS://APP:81/a", "/t/x/a", "/a"},
		{"Location", "//app:81/a", "/t/x/a", "/a"},
		{"Location", "http://app:82/a", "http://app:82/a", "http://app:82/a"},
		{"Location", "http://app:81.evil/a", "http://app:81.evil/a",
			"http://app:81.evil/a"},
		{"Location", "//evil.example/a", "//evil.example/a", "//evil.example/a"},
		{"Location", "/\\evil.example", "/t/x/\\evil.example", "/\\evil.example"},
		{"Location", "https://tunnels.example/t/other/", "/t/x/t/other/",
			"https://tunnels.example/t/other/"},
		{"Location", "https://tunnels.example/t/x/a", "/t/x/a",
			"https://tunnels.example/t/x/a"},
		{"Location", "https://x.t.example/a", "https://x.t.example/a", "/a"},
		// What follows the backend's origin is a path, also when it looks like a host.
		{"Location", "http://app:81//evil.example/", "/t/x//evil.example/",
			"/.//evil.example/"},
		{"Location", "//app:81/\\evil.example", "/t/x/\\evil.example", "/./\\evil.example"},
		{"Location", "http://app:81\\evil.example", "/t/x/\\evil.example",
			"/./\\evil.example"},
		{"Location", "http://app:81/\t/evil.example", "/t/x/\t/evil.example",
			"/./\t/evil.example"},
		{"Location", "https://x.t.example//evil.example/",
			"https://x.t.example//evil.example/", "/.//evil.example/"},
		{"Location", "mailto:a@b", "mailto:a@b", "mailto:a@b"},
		{"Content-Location", "/a", "/t/x/a", "/a"},
	};
	check(all, ARRAY_SIZE(all));
	assert_string_equal(answer(&kept, "Location", "/t/x/a"), "/t/x/a");
	assert_string_equal(answer(&kept, "Location", "/a"), "/a");
	assert_string_equal(answer(&kept, "Location", "http://app:81/t/x/a"), "/t/x/a");
	assert_string_equal(
		answer(&kept, "Location", "http://app:81//evil.example"), "/.//evil.example");
}

static void refreshes(void **state)
{
	static const struct example all[] = {
		{"Refresh", "5", "5", "5"},
		{"Refresh", "5; url=/a", "5; url=/t/x/a", "5; url=/a"},
		{"Refresh", "5;URL = '/a'", "5;URL = '/t/x/a'", "5;URL = '/a'"},
		{"Refresh", "0, \"/a\"", "0, \"/t/x/a\"", "0, \"/a\""},
		{"Refresh", "0;/a", "0;/t/x/a", "0;/a"},
		{"Refresh", "0;url=http://app:81/a", "0;url=/t/x/a", "0;url=/a"},
		{"Refresh", "0;url=b", "0;url=b", "0;url=b"},
		{"Refresh", ";", ";", ";"},
		{"Refresh", "1;url", "1;url", "1;url"},
		{"Refresh", "1;url=", "1;url=", "1;url="},
	};
	check(all, ARRAY_SIZE(all));
}

static void links(void **state)
{
	static const struct example all[] = {
		{"Link", "</a.css>; rel=preload, <b>; rel=next",
			"</t/x/a.css>; rel=preload, <b>; rel=next",
			"</a.css>; rel=preload, <b>; rel=next"},
		{"Link", "<http://app:81/a>; title=\"</b>\", </c>",
			"</t/x/a>; title=\"</b>\", </t/x/c>", "</a>; title=\"</b>\", </c>"},
		{"Link", "</a", "</a", "</a"},
		{"Link", "<>", "<>", "<>"},
		{"Link", "\"\\\"</a>\" </b>", "\"\\\"</a>\" </t/x/b>", "\"\\\"</a>\" </b>"},
	};
	check(all, ARRAY_SIZE(all));
}

static void cookies(void **state)
{
	static const struct example all[] = {
		{"Set-Cookie", "a=b", "a=b", "a=b"},
		{"Set-Cookie", "a=b; Path=/; HttpOnly", "a=b; Path=/t/x/; HttpOnly",
			"a=b; Path=/; HttpOnly"},
		{"Set-Cookie", "a=b;path=/c;Secure", "a=b; Path=/t/x/c;Secure",
			"a=b;path=/c;Secure"},
		{"Set-Cookie", "a=b; Path=/t/x/c", "a=b; Path=/t/x/c", "a=b; Path=/t/x/c"},
		{"Set-Cookie", "a=b; Path=/t/other/", "a=b; Path=/t/x/t/other/",
			"a=b; Path=/t/other/"},
		{"Set-Cookie", "a=b; Path=c", "a=b; Path=c", "a=b; Path=c"},
		{"Set-Cookie", "a=b; Path", "a=b; Path=", "a=b; Path"},
		{"Set-Cookie", "a=b; Path=/c; PATH = /", "a=b; Path=/t/x/c; Path=/t/x/",
			"a=b; Path=/c; PATH = /"},
		{"Set-Cookie", "a=b; Domain=example.org; HttpOnly", "a=b; HttpOnly",
			"a=b; HttpOnly"},
		{"Set-Cookie", "a=b; domain = .example ;Path=/", "a=b; Path=/t/x/", "a=b;Path=/"},
		{"Set-Cookie", "__Host-s=1; Path=/; Secure", "tunnel-host-s=1; Path=/t/x/; Secure",
			"__Host-s=1; Path=/; Secure"},
		{"Set-Cookie", " __host-s=1;Path=/", "tunnel-host-s=1; Path=/t/x/",
			" __host-s=1;Path=/"},
		{"Set-Cookie", "__Secure-s=1", "__Secure-s=1", "__Secure-s=1"},
		{"Set-Cookie", "", "", ""},
		{"Set-Cookie", ";", "", ""},
		{"Set-Cookie", "a=b;; ;", "a=b", "a=b"},
	};
	check(all, ARRAY_SIZE(all));
}

// The folder of such a request, where browsers put cookies without a path, is the root or /t.
static void cookies_of_a_request_from_outside(void **state)
{
	static const struct {
		const char *value, *seen;
	} all[] = {{"a=b", "a=b; Path=/t/x"},
		{"a=b; Path=/c; Secure", "a=b; Path=/t/x; Path=/t/x/c; Secure"},
		{"a=b; Path=/; Path=c", "a=b; Path=/t/x; Path=/t/x/; Path=/t/x"},
		{"a=b; Path", "a=b; Path=/t/x; Path=/t/x"}};
	struct mapping outside = below;
	outside.outside = true;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		assert_string_equal(answer(&outside, "Set-Cookie", all[i].value), all[i].seen);
	outside = root; // it is the tunnel's own there
	outside.outside = true;
	assert_string_equal(answer(&outside, "Set-Cookie", "a=b; Path=c"), "a=b; Path=c");
}

static void cookies_back(void **state)
{
	static const struct {
		const char *piece, *below;
	} all[] = {{"tunnel-host-s=1", "__Host-s=1"}, {" tunnel-host-s=1", " __Host-s=1"},
		{"xtunnel-host-s=1", "xtunnel-host-s=1"}, {"a=tunnel-host-", "a=tunnel-host-"},
		{"a=b", "a=b"}};
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		struct head_out out = {.p = text, .end = text + sizeof text - 1};
		mapping_cookie(&out, &below, span_of(all[i].piece));
		*out.p = '\0';
		assert_string_equal(text, all[i].below);
		out.p = text;
		mapping_cookie(&out, &root, span_of(all[i].piece));
		*out.p = '\0';
		assert_string_equal(text, all[i].piece);
	}
}

static const struct mapping port = {
	.backend = SPAN_INIT("app:81"),
	.backend_scheme = SPAN_INIT("http"),
	.own = SPAN_INIT("tunnels.example:9000"),
	.jar = true,
	.id = SPAN_INIT("x"),
};

// All that is written for a Set-Cookie of this VALUE on a port.
static const char *set_on_port(const char *value)
{
	struct head_out out = {.p = text, .end = text + sizeof text - 1};
	const struct http_field field = {.name = SPAN("Set-Cookie"), .value = span_of(value)};
	assert_true(mapping_response(&out, &port, &field));
	*out.p = '\0';
	return text;
}

static void cookies_of_a_port(void **state)
{
	static const struct {
		const char *value, *seen;
	} all[] = {
		{"a=b; Path=/; HttpOnly", "Set-Cookie: tunneld_x_a=b; Path=/; HttpOnly\r\n"},
		{" a=b;httponly ; domain=c", "Set-Cookie: tunneld_x_a=b;httponly \r\n"},
		{"__Host-a=b; Path=/; Secure; HttpOnly",
			"Set-Cookie: __Host-tunneld_x_a=b; Path=/; Secure; HttpOnly\r\n"},
		{"__host-a=b; HttpOnly=1", "Set-Cookie: tunneld_x___host-a=b; HttpOnly=1\r\n"},
		{"b; HttpOnly", "Set-Cookie: tunneld_x_b; HttpOnly\r\n"},
		// A script may read it: it keeps its name, and takes the place of one none may
		// read.
		{"a=b; Path=/c; Max-Age=9",
			"Set-Cookie: a=b; Path=/c; Max-Age=9\r\n"
			"Set-Cookie: tunneld_x_a=; Path=/c; Max-Age=9; HttpOnly; Max-Age=0\r\n"},
		{"__Host-a=; Path=/; Secure",
			"Set-Cookie: __Host-a=; Path=/; Secure\r\n"
			"Set-Cookie: __Host-tunneld_x_a=; Path=/; Secure; HttpOnly; Max-Age=0\r\n"},
		{"a=HttpOnly", "Set-Cookie: a=HttpOnly\r\n"
			       "Set-Cookie: tunneld_x_a=; HttpOnly; Max-Age=0\r\n"},
		{"b; Path=/", "Set-Cookie: b; Path=/\r\n"},
		{"", "Set-Cookie: \r\n"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		assert_string_equal(set_on_port(all[i].value), all[i].seen);
}

static void cookies_back_to_a_port(void **state)
{
	static const struct {
		const char *piece, *seen;
		bool own;
	} all[] = {
		{"tunneld_x_a=b", "a=b", true},
		{" tunneld_x_a=b", " a=b", true},
		{"__Host-tunneld_x_a=b", "__Host-a=b", true},
		{"tunneld_x___host-a=b", "__host-a=b", true},
		{"tunneld_x_b", "b", true},
		{"tunneld_x_", "", true},
		{"tunneld_x=b", "tunneld_x=b", false}, // the tunnel cookie
		{"tunneld_xy_a=b", "tunneld_xy_a=b", false},
		{"tunneld_route=x", "tunneld_route=x", false},
		{"=tunneld_x_a=b", "=tunneld_x_a=b", false},
		{"__host-tunneld_x_a=b", "__host-tunneld_x_a=b", false},
		{"a=tunneld_x_b", "a=tunneld_x_b", false},
		{"tunnel-host-a=b", "tunnel-host-a=b", false},
		{"", "", false},
	};
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		struct head_out out = {.p = text, .end = text + sizeof text - 1};
		assert_int_equal(mapping_is_own(&port, span_of(all[i].piece)), all[i].own);
		assert_false(mapping_is_own(&below, span_of(all[i].piece)));
		assert_false(mapping_is_own(&root, span_of(all[i].piece)));
		mapping_cookie(&out, &port, span_of(all[i].piece));
		*out.p = '\0';
		assert_string_equal(text, all[i].seen);
	}
}

static const char *end_of(const struct mapping *m)
{
	struct head_out out = {.p = text, .end = text + sizeof text - 1};
	mapping_response_end(&out, m);
	*out.p = '\0';
	return text;
}

static void the_routing_cookie(void **state)
{
	struct mapping page = below;
	assert_string_equal(end_of(&page), "");
	page.routing = true;
	assert_string_equal(
		end_of(&page), "Set-Cookie: tunneld_route=x; Path=/; HttpOnly; SameSite=Lax\r\n");
	page.pass = SPAN("0f");
	assert_string_equal(end_of(&page),
		"Set-Cookie: tunneld_route=x.0f; Path=/; HttpOnly; SameSite=Lax\r\n"
		"Cache-Control: private=\"Set-Cookie\"\r\n");
	page.https = true;
	assert_string_equal(end_of(&page),
		"Set-Cookie: tunneld_route=x.0f; Path=/; HttpOnly; SameSite=Lax; Secure\r\n"
		"Cache-Control: private=\"Set-Cookie\"\r\n");
	page.prefix = (struct span){NULL, 0};
	assert_string_equal(end_of(&page), "");
}

static void workers(void **state)
{
	static const struct example all[] = {
		{"Service-Worker-Allowed", "/", "/t/x/", "/"},
		{"Service-Worker-Allowed", "/a/", "/t/x/a/", "/a/"},
		{"Service-Worker-Allowed", "/t/x/", "/t/x/", "/t/x/"},
		{"Service-Worker-Allowed", "/t/", "/t/x/t/", "/t/"},
		{"Service-Worker-Allowed", "../", "", ""},
		{"Service-Worker-Allowed", "/../", "", ""},
		{"Service-Worker-Allowed", "/a/..", "", ""},
		{"Service-Worker-Allowed", "/%2e%2e/", "", ""},
		{"Service-Worker-Allowed", "\\..\\", "", ""},
		{"Service-Worker-Allowed", "//evil.example/", "", ""},
		{"Service-Worker-Allowed", "http://tunnels.example/", "", ""},
		{"Service-Worker-Allowed", "", "", ""},
	};
	check(all, ARRAY_SIZE(all));
}

static void where_requests_come_from(void **state)
{
	static const struct {
		enum http_name id;
		const char *value, *below, *root;
	} all[] = {
		{HTTP_ORIGIN, "http://tunnels.example", "http://app:81", "http://app:81"},
		{HTTP_ORIGIN, "https://tunnels.example", "http://app:81", "http://app:81"},
		{HTTP_ORIGIN, "https://tunnels.example.evil", "https://tunnels.example.evil",
			"https://tunnels.example.evil"},
		{HTTP_ORIGIN, "https://tunnels.example:444", "https://tunnels.example:444",
			"https://tunnels.example:444"},
		{HTTP_ORIGIN, "null", "null", "null"},
		{HTTP_REFERER, "https://tunnels.example/t/x/a?b", "http://app:81/a?b",
			"http://app:81/t/x/a?b"},
		{HTTP_REFERER, "https://tunnels.example/t/x", "http://app:81/",
			"http://app:81/t/x"},
		{HTTP_REFERER, "https://tunnels.example/t/other/a", "", "http://app:81/t/other/a"},
		{HTTP_REFERER, "https://tunnels.example", "", "http://app:81/"},
		{HTTP_REFERER, "https://elsewhere.example/t/x/a", "https://elsewhere.example/t/x/a",
			"https://elsewhere.example/t/x/a"},
		{HTTP_ACCEPT, "http://tunnels.example", "http://tunnels.example",
			"http://tunnels.example"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		assert_string_equal(request(&below, all[i].id, all[i].value), all[i].below);
		assert_string_equal(request(&root, all[i].id, all[i].value), all[i].root);
	}
	assert_string_equal(request(&kept, HTTP_REFERER, "http://tunnels.example/t/x/a"),
		"http://app:81/t/x/a");
}

static void others_are_not_touched(void **state)
{
	assert_string_equal(answer(&below, "Content-Security-Policy", "/a"), "/a");
	assert_string_equal(answer(&below, "Locations", "/a"), "/a");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(locations),
		cmocka_unit_test(refreshes),
		cmocka_unit_test(links),
		cmocka_unit_test(cookies),
		cmocka_unit_test(cookies_of_a_request_from_outside),
		cmocka_unit_test(cookies_back),
		cmocka_unit_test(cookies_of_a_port),
		cmocka_unit_test(cookies_back_to_a_port),
		cmocka_unit_test(the_routing_cookie),
		cmocka_unit_test(workers),
		cmocka_unit_test(where_requests_come_from),
		cmocka_unit_test(others_are_not_touched),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
