// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Backend addresses as people write them, and as people try to get past a policy with them.

#include "url.h"

#include <arpa/inet.h>
#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define LABEL63 "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz0"
#define NAME253                             \
	LABEL63 "." LABEL63 "." LABEL63 "." \
		"abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxy"

static_assert(sizeof(NAME253) - 1 == URL_HOST_MAX, "the longest name there is");

// Parses a heap copy of exact size, so that a sanitizer sees one byte too many.
static int parse(struct url *url, const char *text, size_t n, const char **why)
{
	char *copy = malloc(n > 0 ? n : 1);
	assert_non_null(copy);
	memcpy(copy, text, n);
	memset(url, 0xa5, sizeof(*url));
	*why = NULL;
	int r = url_parse(url, (struct span){copy, n}, why);
	free(copy);
	return r;
}

static void good(void **state)
{
	static const struct {
		const char *text;
		const char *canonical;
		enum url_scheme scheme;
		enum url_host kind;
		const char *host;
		uint16_t port;
		const char *address; // as IPv6 text
	} cases[] = {
		{"http://localhost", "http://localhost:80", URL_HTTP, URL_NAME, "localhost", 80,
			"::"},
		{"http://localhost/", "http://localhost:80", URL_HTTP, URL_NAME, "localhost", 80,
			"::"},
		{"HTTP://LocalHost:3000", "http://localhost:3000", URL_HTTP, URL_NAME, "localhost",
			3000, "::"},
		{"https://a-b.c_d.example.", "https://a-b.c_d.example:443", URL_HTTPS, URL_NAME,
			"a-b.c_d.example", 443, "::"},
		{"ws://a", "http://a:80", URL_HTTP, URL_NAME, "a", 80, "::"},
		{"wss://a:1/", "https://a:1", URL_HTTPS, URL_NAME, "a", 1, "::"},
		{"tcp://db:5432", "tcp://db:5432", URL_TCP, URL_NAME, "db", 5432, "::"},
		{"http://a:65535", "http://a:65535", URL_HTTP, URL_NAME, "a", 65535, "::"},
		{"http://1.example", "http://1.example:80", URL_HTTP, URL_NAME, "1.example", 80,
			"::"},
		{"http://0xg", "http://0xg:80", URL_HTTP, URL_NAME, "0xg", 80, "::"},
		{"http://xn--bcher-kva.example", "http://xn--bcher-kva.example:80", URL_HTTP,
			URL_NAME, "xn--bcher-kva.example", 80, "::"},
		{"http://127.0.0.1:8080", "http://127.0.0.1:8080", URL_HTTP, URL_IPV4, "127.0.0.1",
			8080, "::ffff:127.0.0.1"},
		{"tcp://255.255.255.255:1", "tcp://255.255.255.255:1", URL_TCP, URL_IPV4,
			"255.255.255.255", 1, "::ffff:255.255.255.255"},
		{"http://0.0.0.0", "http://0.0.0.0:80", URL_HTTP, URL_IPV4, "0.0.0.0", 80,
			"::ffff:0.0.0.0"},
		{"http://[::1]:3000/", "http://[::1]:3000", URL_HTTP, URL_IPV6, "::1", 3000, "::1"},
		{"http://[2001:DB8:0:0::0:1]", "http://[2001:db8::1]:80", URL_HTTP, URL_IPV6,
			"2001:db8::1", 80, "2001:db8::1"},
		{"http://[::FFFF:127.0.0.1]", "http://[::ffff:127.0.0.1]:80", URL_HTTP, URL_IPV6,
			"::ffff:127.0.0.1", 80, "::ffff:127.0.0.1"},
		{"http://[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]",
			"http://[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:80", URL_HTTP, URL_IPV6,
			"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 80,
			"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		{"http://" LABEL63, "http://" LABEL63 ":80", URL_HTTP, URL_NAME, LABEL63, 80, "::"},
		{"https://" NAME253 ".:65535", "https://" NAME253 ":65535", URL_HTTPS, URL_NAME,
			NAME253, 65535, "::"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct url url;
		const char *why;
		char text[URL_TEXT_MAX];
		struct in6_addr address;
		if (parse(&url, cases[i].text, strlen(cases[i].text), &why) != 0)
			fail_msg("%s: %s", cases[i].text, why);
		assert_int_equal(url.scheme, cases[i].scheme);
		assert_int_equal(url.host_kind, cases[i].kind);
		assert_string_equal(url.host, cases[i].host);
		assert_int_equal(url.port, cases[i].port);
		assert_int_equal(inet_pton(AF_INET6, cases[i].address, &address), 1);
		assert_memory_equal(&url.address, &address, sizeof(address));
		size_t n = url_format(&url, text, sizeof(text));
		assert_string_equal(text, cases[i].canonical);
		assert_int_equal(n, strlen(cases[i].canonical));
	}
}

static void bad(void **state)
{
	static const struct {
		const char *text;
		const char *why; // a part of the reason
	} cases[] = {
		{"", "there is no address"},
		{"localhost:3000", "write the scheme"},
		{"localhost", "write the scheme"},
		{"3000", "write the scheme"},
		{"//localhost", "write the scheme"},
		{"://localhost", "scheme must be"},
		{"http:localhost", "write the scheme"},
		{"http:/localhost", "write the scheme"},
		{"ftp://a", "scheme must be"},
		{"http ://a", "white space"},
		{"httpx://a", "scheme must be"},
		{"unix:/run/a.sock", "unix sockets"},
		{"UNIX:///run/a.sock", "unix sockets"},
		{"http://", "no host"},
		{"http:///", "no host"},
		{"http://:80", "no host"},
		{"http://a b", "white space"},
		{" http://a", "white space"},
		{"http://a\n", "white space"},
		{"http://a\t", "white space"},
		{"http://b\xc3\xbc"
		 "cher.example",
			"xn--"},
		{"http://u@a", "user name"},
		{"http://u:p@a", "user name"},
		{"http://a@127.0.0.1", "user name"},
		{"http://a/b", "a path"},
		{"http://a//", "a path"},
		{"http://a/?b", "a query"},
		{"http://a?b", "a query"},
		{"http://a#b", "a fragment"},
		{"http://a/#", "a fragment"},
		{"tcp://a", "needs a port"},
		{"tcp://a/", "needs a port"},
		{"http://a:", "a port is"},
		{"http://a:0", "a port is"},
		{"http://a:00080", "a port is"},
		{"http://a:080", "a port is"},
		{"http://a:65536", "a port is"},
		{"http://a:99999", "a port is"},
		{"http://a:4294967376", "a port is"},
		{"http://a:+80", "a port is"},
		{"http://a:80a", "a port is"},
		{"http://a:http", "a port is"},
		{"http://::1", "in brackets"},
		{"http://::1:80", "in brackets"},
		{"http://a:80:80", "in brackets"},
		{"http://[::1", "in brackets"},
		{"http://[::1]80", "in brackets"},
		{"http://[::1]:", "a port is"},
		{"http://[]", "no host"},
		{"http://[a]", "not an IPv6"},
		{"http://[127.0.0.1]", "not an IPv6"},
		{"http://[::1::]", "not an IPv6"},
		{"http://[::ffff:1.2.3.04]", "not an IPv6"},
		{"http://[1:2:3:4:5:6:7:8:9]", "not an IPv6"},
		{"http://[0000000000000000000000000000000000000000000000000000::1]", "not an IPv6"},
		{"http://[v1.a]", "not an IPv6"},
		{"http://[fe80::1%eth0]", "zone"},
		{"http://[fe80::1%25eth0]", "zone"},
		// Other spellings of 127.0.0.1 and 0.0.0.0.
		{"http://2130706433", "ends in a number"},
		{"http://127.1", "ends in a number"},
		{"http://127.0.1", "ends in a number"},
		{"http://0177.0.0.1", "ends in a number"},
		{"http://127.0.0.01", "ends in a number"},
		{"http://0x7f.0.0.1", "ends in a number"},
		{"http://0x7f000001", "ends in a number"},
		{"http://0X7F000001", "ends in a number"},
		{"http://127.0.0.0x1", "ends in a number"},
		{"http://a.0x", "ends in a number"},
		{"http://127.0.0.1.", "ends in a number"},
		{"http://0", "ends in a number"},
		{"http://a.1", "ends in a number"},
		{"http://256.0.0.1", "ends in a number"},
		{"http://1.2.3.4.5", "ends in a number"},
		{"http://1.2.3.4294967296", "ends in a number"},
		{"http://a..b", "a host name may"},
		{"http://.", "a host name may"},
		{"http://.a", "a host name may"},
		{"http://a..", "a host name may"},
		{"http://-a", "a host name may"},
		{"http://a-", "a host name may"},
		{"http://a.b-.c", "a host name may"},
		{"http://a%2eb", "a host name may"},
		{"http://a*b", "a host name may"},
		{"http://a\\b", "a host name may"},
		{"http://a,b", "a host name may"},
		{"http://x" LABEL63, "a host name may"},
		{"http://" NAME253 "z", "more than 253"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct url url;
		struct url untouched;
		const char *why;
		memset(&untouched, 0xa5, sizeof(untouched));
		int r = parse(&url, cases[i].text, strlen(cases[i].text), &why);
		if (r != 1 || why == NULL || strstr(why, cases[i].why) == NULL)
			fail_msg("%s: %d '%s', wanted '%s'", cases[i].text, r,
				why != NULL ? why : "", cases[i].why);
		assert_memory_equal(&url, &untouched, sizeof(url));
	}
}

static void bytes_that_do_not_belong(void **state)
{
	char text[] = "http://a@b:80";
	struct url url;
	const char *why;

	for (int c = 0; c < 256; c++) {
		text[8] = (char)c;
		bool name = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
			    (c >= 'A' && c <= 'Z') || c == '-' || c == '_' || c == '.';
		if ((parse(&url, text, sizeof(text) - 1, &why) == 0) != name)
			fail_msg("byte 0x%02x: %s", c, why != NULL ? why : "accepted");
	}
	assert_int_equal(parse(&url, "http://a\0", 9, &why), 1);
	assert_int_equal(url_parse(&url, (struct span){NULL, 0}, &why), 1);
}

static void short_buffers(void **state)
{
	struct url url;
	const char *why;
	char out[16];

	assert_int_equal(parse(&url, "http://[::1]", 12, &why), 0);
	assert_int_equal(url_format(&url, out, sizeof(out)), 15);
	assert_string_equal(out, "http://[::1]:80");
	assert_int_equal(url_format(&url, out, 15), 15);
	assert_string_equal(out, "http://[::1]:8");
	assert_int_equal(url_format(&url, NULL, 0), 15);
	// The longest there is.
	static const char longest[] = "https://" NAME253 ":65535";
	char whole[URL_TEXT_MAX];
	assert_int_equal(parse(&url, longest, sizeof(longest) - 1, &why), 0);
	assert_true(url_format(&url, whole, sizeof(whole)) < sizeof(whole));
	assert_string_equal(whole, longest);
}

// Of backends only, and only where there is a certificate not to check.
static void unchecked(void **state)
{
	static const char *const wrong[] = {"http+insecure://a", "tcp+insecure://a:1",
		"https+insecure:a", "https+unsafe://a", "+insecure://a"};
	struct url url;
	const char *why;
	char text[URL_TEXT_MAX];

	for (int i = 0; i < 2; i++) {
		struct span given = i == 0 ? SPAN("HTTPS+insecure://a.test")
					   : SPAN("wss+insecure://a.test:443/");
		assert_int_equal(url_parse_backend(&url, given, &why), 0);
		assert_true(url.unchecked);
		assert_int_equal(url.scheme, URL_HTTPS);
		url_format(&url, text, sizeof text);
		assert_string_equal(text, "https+insecure://a.test:443");
		assert_int_equal(url_parse(&url, given, &why), 1);
		assert_string_equal(why, "the scheme must be http, https, ws, wss or tcp");
	}
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(url_parse_backend(&url, span_of(wrong[i]), &why), 1);
	static const char longest[] = "https+insecure://" NAME253 ":65535";
	assert_int_equal(url_parse_backend(&url, SPAN(longest), &why), 0);
	assert_true(url_format(&url, text, sizeof text) < sizeof text);
	assert_string_equal(text, longest);
}

static void scheme_names(void **state)
{
	assert_string_equal(url_scheme_name(URL_HTTP), "http");
	assert_string_equal(url_scheme_name(URL_HTTPS), "https");
	assert_string_equal(url_scheme_name(URL_TCP), "tcp");
}

static void authorities(void **state)
{
	static const struct {
		const char *text;
		bool ok;
	} cases[] = {
		{"a", true},
		{"a:1", true},
		{"A.b-c.d_e:65535", true},
		{"a.", true},
		{"a.:80", true},
		{"127.0.0.1", true},
		{"127.0.0.1:80", true},
		{"1", true},
		{"[::1]", true},
		{"[::1]:80", true},
		{NAME253, true},
		{NAME253 ".:80", true},
		{"", false},
		{":80", false},
		{".", false},
		{"a..b", false},
		{".a", false},
		{"-a", false},
		{"a-", false},
		{"a b", false},
		{" a", false},
		{"a/", false},
		{"a@b", false},
		{"a,b", false},
		{"a%20b", false},
		{"a:", false},
		{"a:0", false},
		{"a:65536", false},
		{"a:080", false},
		{"a:8 0", false},
		{"a:1:2", false},
		{"::1", false},
		{"[::1", false},
		{"[]", false},
		{"[", false},
		{"]", false},
		{"[::1]x", false},
		{"[::1]:", false},
		{"[a]", false},
		{"[1.2.3.4]", false},
		{"[fe80::1%1]", false},
		{NAME253 "z", false},
		{"\xc3\xa9", false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (url_authority_ok(span_of(cases[i].text)) != cases[i].ok)
			fail_msg("'%s' should be %s", cases[i].text, cases[i].ok ? "good" : "bad");
	assert_false(url_authority_ok((struct span){NULL, 0}));
	assert_false(url_authority_ok((struct span){"a\0b", 3}));
	assert_false(url_authority_ok((struct span){"[::1\0]", 6}));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(good),
		cmocka_unit_test(bad),
		cmocka_unit_test(bytes_that_do_not_belong),
		cmocka_unit_test(short_buffers),
		cmocka_unit_test(unchecked),
		cmocka_unit_test(scheme_names),
		cmocka_unit_test(authorities),
	};

	return cmocka_run_group_tests_name("url", tests, NULL, NULL);
}
