// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What browsers post, and what nobody should.

#include "form.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void fields(void **state)
{
	static const struct {
		const char *body, *value; // value NULL: the outcome
		int r;
	} cases[] = {
		{"secret=abc", "abc", 0}, {"a=b&secret=abc&c=d", "abc", 0},
		{"&&secret=abc&", "abc", 0}, {"secret=", "", 0}, {"secret", "", 0},
		{"secret=a=b", "a=b", 0}, {"secret=a+b%20c", "a b c", 0},
		{"secret=%41%62%c3%A4", "Ab\xc3\xa4", 0}, {"secret=%26%3D%25%2B", "&=%+", 0},
		{"secret=1234567", "1234567", 0},
		{"secret=%3132456%37",
			"132456"
			"7",
			0},
		{"", NULL, FORM_ABSENT}, {"&", NULL, FORM_ABSENT}, {"=secret", NULL, FORM_ABSENT},
		{"xsecret=1", NULL, FORM_ABSENT}, {"secretx=1", NULL, FORM_ABSENT},
		{"Secret=1", NULL, FORM_ABSENT}, {"%73ecret=1", NULL, FORM_ABSENT},
		{"a=secret=1", NULL, FORM_ABSENT}, {"secret=1&secret=1", NULL, FORM_TWICE},
		{"secret&a=b&secret", NULL, FORM_TWICE}, {"secret=%", NULL, FORM_BAD},
		{"secret=%4", NULL, FORM_BAD}, {"secret=a%4&b=1", NULL, FORM_BAD},
		{"secret=%4g", NULL, FORM_BAD}, {"secret=%%41", NULL, FORM_BAD},
		{"secret=%00", NULL, FORM_BAD},
		{"secret=12345678", NULL, FORM_BAD}, // one more than fits
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char out[8] = "before";
		size_t n = strlen(cases[i].body);
		char *exact = malloc(n > 0 ? n : 1); // a reader that goes beyond it is seen
		memcpy(exact, cases[i].body, n);
		int r = form_get((struct span){exact, n}, SPAN("secret"), out, sizeof out);
		free(exact);
		if (r != cases[i].r ||
			strcmp(out, cases[i].value != NULL ? cases[i].value : "") != 0)
			fail_msg("\"%s\": %d \"%s\"", cases[i].body, r, out);
	}
}

static void types(void **state)
{
	static const char *const good[] = {"application/x-www-form-urlencoded",
		"Application/X-WWW-Form-URLencoded",
		"application/x-www-form-urlencoded;charset=utf-8",
		"application/x-www-form-urlencoded ; charset=utf-8"};
	static const char *const bad[] = {"", "application/x-www-form-urlencode",
		"application/x-www-form-urlencodedx", "application/x-www-form-urlencoded x",
		"multipart/form-data; boundary=x", "text/plain", "application/json",
		" application/x-www-form-urlencoded",
		"text/plain;application/x-www-form-urlencoded"};
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		if (!form_type_ok(span_of(good[i])))
			fail_msg("\"%s\" was refused", good[i]);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (form_type_ok(span_of(bad[i])))
			fail_msg("\"%s\" was taken", bad[i]);
	assert_false(form_type_ok((struct span){NULL, 0}));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields),
		cmocka_unit_test(types),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
