// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// URLs of tunnels as they are pasted, and where else a secret may be.

#include "visit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void right_ones(void **state)
{
	static const struct {
		const char *text, *host, *path, *secret;
		unsigned port;
	} cases[] = {
		{"http://a/t/t-x/#s", "a", "/t/t-x/", "s", 80},
		{"https://a:8443/t/t-x", "a", "/t/t-x/", "", 8443},
		{"https://t-x.example.org/", "t-x.example.org", "/", "", 443},
		{"https://t-x.example.org#", "t-x.example.org", "/", "", 443},
		{"http://[::1]:1/a#b#c", "::1", "/a/", "b#c", 1},
		{"ws://A/", "a", "/", "", 80},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct visit visit;
		const char *why = "";
		if (visit_parse(&visit, span_of(cases[i].text), &why) != 0)
			fail_msg("%s: %s", cases[i].text, why);
		assert_string_equal(visit.server.host, cases[i].host);
		assert_int_equal(visit.server.port, cases[i].port);
		assert_string_equal(visit.path, cases[i].path);
		assert_string_equal(visit.secret, cases[i].secret);
	}
}

static void wrong_ones(void **state)
{
	static const char *const cases[] = {"", "a", "a/b", "t-abc", "ftp://a/", "tcp://a:1/",
		"http:/a", "http:///", "http://a b/", "http://a/ b", "http://a/\r\nX: y",
		"http://a/?q", "http://a/#\n", "http://u@a/", "http://a:0/", "http://a/\xc3\xa4"};
	static char longest[VISIT_PATH_MAX + 64];
	struct visit visit;
	const char *why = NULL;
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (visit_parse(&visit, span_of(cases[i]), &why) == 0)
			fail_msg("%s is taken for %s %s", cases[i], visit.server.host, visit.path);
	int n = snprintf(longest, sizeof longest, "http://a/");
	memset(longest + n, 'x', VISIT_PATH_MAX);
	assert_int_equal(visit_parse(&visit, span_of(longest), &why), 1);
}

static void secrets(void **state)
{
	struct visit visit = {0};
	struct failure failure;
	(void)state;
	visit = (struct visit){0};
	setenv("TUNNEL_SECRET", "of-the-environment", 1);
	assert_int_equal(visit_find_secret(&visit, NULL, &failure), 0);
	assert_string_equal(visit.secret, "of-the-environment");
	assert_null(getenv("TUNNEL_SECRET"));
	assert_int_equal(visit_find_secret(&visit, "/nonexistent", &failure), EXIT_CODE_USAGE);
	setenv("TUNNEL_SECRET", "a b", 1);
	visit = (struct visit){0};
	assert_int_equal(visit_find_secret(&visit, NULL, &failure), EXIT_CODE_USAGE);
}

// What is cut would be another secret.
static void longest_secrets(void **state)
{
	struct visit visit;
	struct failure failure;
	char secret[VISIT_SECRET_MAX + 1] = {0}, name[] = "/tmp/test-visit-XXXXXX";
	int fd = mkstemp(name);
	(void)state;
	assert_true(fd >= 0);
	for (size_t n = VISIT_SECRET_MAX - 1; n <= VISIT_SECRET_MAX; n++) {
		bool fits = n < VISIT_SECRET_MAX;
		memset(secret, 'x', n);
		setenv("TUNNEL_SECRET", secret, 1);
		visit = (struct visit){0};
		assert_int_equal(
			visit_find_secret(&visit, NULL, &failure), fits ? 0 : (int)EXIT_CODE_USAGE);
		assert_int_equal(pwrite(fd, secret, n, 0), n);
		visit = (struct visit){0};
		assert_int_equal(
			visit_find_secret(&visit, name, &failure), fits ? 0 : (int)EXIT_CODE_USAGE);
	}
	close(fd);
	unlink(name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(right_ones),
		cmocka_unit_test(wrong_ones),
		cmocka_unit_test(secrets),
		cmocka_unit_test(longest_secrets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
