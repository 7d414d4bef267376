// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The ways to write what a tunnel leads to.

#include "target.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void right_ones(void **state)
{
	static const struct {
		const char *text, *shown;
		bool tls, insecure, http;
	} cases[] = {
		{"3000", "http://localhost:3000", false, false, true},
		{"localhost:3000", "http://localhost:3000", false, false, true},
		{"db.internal:80", "http://db.internal:80", false, false, true},
		{"[::1]:3000", "http://[::1]:3000", false, false, true},
		{"127.0.0.1:1", "http://127.0.0.1:1", false, false, true},
		{"http://a", "http://a:80", false, false, true},
		{"ws://a:8/", "http://a:8", false, false, true},
		{"https://a.example", "https://a.example:443", true, false, true},
		{"https+insecure:a:8443", "https+insecure://a:8443", true, true, true},
		{"https+insecure://a", "https+insecure://a:443", true, true, true},
		{"tcp://127.0.0.1:5432", "tcp://127.0.0.1:5432", false, false, false},
		{"unix:/run/app.sock", "unix:/run/app.sock", false, false, true},
		{"unix:///run/app.sock", "unix:/run/app.sock", false, false, true},
		{"unix:app.sock", "unix:app.sock", false, false, true},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct target target;
		const char *why = "";
		if (target_parse(&target, span_of(cases[i].text), &why) != 0)
			fail_msg("%s: %s", cases[i].text, why);
		assert_string_equal(target.text, cases[i].shown);
		assert_int_equal(target.tls, cases[i].tls);
		assert_int_equal(target.insecure, cases[i].insecure);
		assert_int_equal(target.http, cases[i].http);
	}
}

static void wrong_ones(void **state)
{
	static const char *const cases[] = {"", "0", "65536", "03000", "localhost",
		"host:", "host:x", "ftp://a", "http://", "http://a/path", "http://u@a", "tcp://a",
		"https+insecure:", "https+insecure:http://a", "unix:", "a b:3", "a:1\n",
		"http://a:80:80",
		"unix:/"
		"0123456789012345678901234567890123456789012345678901234567890123456789"
		"0123456789012345678901234567890123456789"};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct target target;
		const char *why = NULL;
		if (target_parse(&target, span_of(cases[i]), &why) == 0)
			fail_msg("%s is taken for %s", cases[i], target.text);
		assert_non_null(why);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(right_ones),
		cmocka_unit_test(wrong_ones),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
