// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Proxies of the environment, and the server's URL.

#include "proxy.h"

#include "server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct url server(const char *text)
{
	struct url url;
	const char *why = NULL;

	if (server_parse(&url, span_of(text), &why) != 0)
		fail_msg("%s: %s", text, why);
	return url;
}

static void test_servers(void **state)
{
	static const char *const refused[] = {"", "tcp://a:1", "unix:/x", "a:1", "ftp://a",
		"http://a/b", "http://u@a", "https://a?b", "https://a#b", "https://"};
	char authority[SERVER_AUTHORITY_MAX];
	struct url url;
	const char *why;

	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		if (server_parse(&url, span_of(refused[i]), &why) != 1)
			fail_msg("accepted: %s", refused[i]);
	url = server("wss://[::1]:8443/");
	assert_int_equal(url.scheme, URL_HTTPS);
	assert_true(server_is_local(&url));
	server_authority(&url, false, authority);
	assert_string_equal(authority, "[::1]:8443");
	url = server("https://Example.org");
	assert_false(server_is_local(&url));
	server_authority(&url, false, authority);
	assert_string_equal(authority, "example.org");
	server_authority(&url, true, authority);
	assert_string_equal(authority, "example.org:443");
	url = server("ws://127.1.2.3");
	assert_int_equal(url.scheme, URL_HTTP);
	assert_true(server_is_local(&url));
}

static void test_forms(void **state)
{
	static const struct {
		const char *text, *host, *credentials;
		uint16_t port;
	} rows[] = {
		{"http://proxy.test:3128", "proxy.test", NULL, 3128},
		{"HTTP://proxy.test/", "proxy.test", NULL, 80},
		{"proxy.test:3128", "proxy.test", NULL, 3128},
		{"[::1]:3128", "::1", NULL, 3128},
		{"http://me@proxy.test", "proxy.test", "bWU6", 80},
		{"me:pass@proxy.test", "proxy.test", "bWU6cGFzcw==", 80},
		{"me:p%40s%3As@proxy.test", "proxy.test", "bWU6cEBzOnM=", 80},
		{"m@e:x@proxy.test", "proxy.test", "bUBlOng=", 80},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct proxy proxy = {0};
		const char *why = NULL;
		if (proxy_parse(&proxy, span_of(rows[i].text), &why) != 0)
			fail_msg("%s: %s", rows[i].text, why);
		assert_string_equal(proxy.url.host, rows[i].host);
		assert_int_equal(proxy.url.port, rows[i].port);
		if (rows[i].credentials == NULL)
			assert_null(proxy.credentials);
		else
			assert_string_equal(proxy.credentials, rows[i].credentials);
		proxy_deinit(&proxy);
	}
}

static void test_refused_forms(void **state)
{
	static char long_user[PROXY_CREDENTIALS_MAX + 32];
	static const char *const rows[] = {"", "https://proxy.test", "socks5://proxy.test",
		"http://", "@", "a b", "proxy.test:0", "me:%4@proxy.test", "me:%zz@proxy.test",
		"proxy.test/path", "http://http://x", long_user};

	memset(long_user, 'a', PROXY_CREDENTIALS_MAX + 1);
	memcpy(long_user + PROXY_CREDENTIALS_MAX + 1, "@proxy.test", 12);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct proxy proxy = {0};
		const char *why = NULL;
		if (proxy_parse(&proxy, span_of(rows[i]), &why) != 1)
			fail_msg("accepted: %s", rows[i]);
		assert_non_null(why);
		assert_null(proxy.credentials);
	}
}

static void test_exceptions(void **state)
{
	static const struct {
		const char *list, *server;
		bool excepted;
	} rows[] = {
		{"*", "https://a.test", true},
		{"a.test", "https://a.test", true},
		{"A.Test", "https://a.test", true},
		{"test", "https://a.test", true},
		{".test", "https://a.test", true},
		{".a.test", "https://a.test", true},
		{"b.test , a.test", "https://a.test", true},
		{"a.test:443", "https://a.test", true},
		{"a.test:80", "https://a.test", false},
		{"st", "https://a.test", false},
		{"xa.test", "https://a.test", false},
		{"", "https://a.test", false},
		{",, ,", "https://a.test", false},
		{":443", "https://a.test", false},
		{"10.0.0.1", "http://10.0.0.1", true},
		{"0.0.1", "http://10.0.0.1", false},
		{".0.0.1", "http://10.0.0.1", false},
		{"2001:db8::1", "http://[2001:db8::1]", true},
		{"[2001:db8::1]:80", "http://[2001:db8::1]", true},
		{"[2001:db8::1]:81", "http://[2001:db8::1]", false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct url url = server(rows[i].server);
		if (proxy_excepts(span_of(rows[i].list), &url) != rows[i].excepted)
			fail_msg("'%s' for %s", rows[i].list, rows[i].server);
	}
}

static const char *found(const char *text)
{
	static struct proxy proxy;
	struct failure failure;
	struct url url = server(text);
	bool used;

	proxy_deinit(&proxy);
	assert_int_equal(proxy_find(&proxy, &used, &url, &failure), 0);
	return used ? proxy.url.host : "";
}

static void test_variables(void **state)
{
	struct failure failure;
	struct proxy proxy;
	bool used;

	setenv("HTTPS_PROXY", "upper", 1);
	setenv("HTTP_PROXY", "never", 1);
	assert_string_equal(found("https://a.test"), "upper");
	assert_string_equal(found("http://a.test"), "");
	setenv("https_proxy", "lower", 1);
	setenv("http_proxy", "plain", 1);
	assert_string_equal(found("wss://a.test"), "lower");
	assert_string_equal(found("ws://a.test"), "plain");
	assert_string_equal(found("https://localhost"), "");
	assert_string_equal(found("https://127.0.0.1"), "");
	assert_string_equal(found("https://[::1]"), "");
	setenv("NO_PROXY", "a.test", 1);
	assert_string_equal(found("https://a.test"), "");
	assert_string_equal(found("https://b.test"), "lower");
	setenv("https_proxy", "socks5://x", 1);
	struct url url = server("https://b.test");
	assert_int_equal(proxy_find(&proxy, &used, &url, &failure), EXIT_CODE_USAGE);
	assert_non_null(strstr(failure.text, "https_proxy"));
}

static void test_request(void **state)
{
	struct url url = server("https://[2001:db8::1]");
	char credentials[] = "bWU6";
	struct proxy proxy = {.credentials = credentials};
	struct buf out;

	buf_init(&out, 4096);
	assert_int_equal(proxy_request(&proxy, &url, &out), 0);
	assert_int_equal(buf_add(&out, "", 1), 0);
	assert_string_equal(buf_span(&out).p,
		"CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n"
		"Proxy-Authorization: Basic bWU6\r\n\r\n");
	buf_reset(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_servers),
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_refused_forms),
		cmocka_unit_test(test_exceptions),
		cmocka_unit_test(test_variables),
		cmocka_unit_test(test_request),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
