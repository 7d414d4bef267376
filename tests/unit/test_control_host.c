// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// By which names the API's own listeners answer.

#include "control_host.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void expect(bool right, const char *authority, const char *own)
{
	if (control_host_ok(span_of(authority), span_of(own)) != right)
		fail_msg("'%s' with '%s': expected %d", authority, own, right);
}

static void test_names_of_nobody_else(void **state)
{
	static const char *const right[] = {"127.0.0.1", "127.0.0.1:8081", "10.1.2.3:1", "[::1]",
		"[::1]:8081", "[fd00::1]:80", "localhost", "LOCALHOST:8081", "a.localhost:8081"};
	for (size_t i = 0; i < ARRAY_SIZE(right); i++)
		expect(true, right[i], "");
	assert_true(control_host_ok((struct span){NULL, 0}, SPAN("")));
}

static void test_names_that_others_can_have(void **state)
{
	static const char *const wrong[] = {"evil.example", "evil.example:8081", "",
		"localhost.evil.example", "evillocalhost", "localhost.", "127.0.0.1.evil.example",
		"127.1:8081", "2130706433", "0x7f000001:8081", "127.0.0.01",
		"127.0.0.1.evil.example.with.a.long.name.indeed:80", ":8081"};
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		expect(false, wrong[i], "");
}

static void test_the_name_of_control_url(void **state)
{
	expect(true, "control.example", "control.example");
	expect(true, "Control.Example:443", "control.example");
	expect(true, "127.0.0.1:8081", "control.example");
	expect(false, "evil.example", "control.example");
	expect(false, "a.control.example", "control.example");
	expect(false, "control.example.evil.example", "control.example");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_of_nobody_else),
		cmocka_unit_test(test_names_that_others_can_have),
		cmocka_unit_test(test_the_name_of_control_url),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
