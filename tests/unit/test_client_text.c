// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Text of strangers on a terminal, and tunnels by what people call them.

#include "clean.h"
#include "tunnel_ref.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define ID "t-abcdefghijklmnopqrstuvwxyz"

static void expect_clean(struct span text, const char *wanted)
{
	struct buf out;

	buf_init(&out, 1024);
	assert_int_equal(clean_add(&out, text), 0);
	assert_int_equal(clean_width(text), clean_width(span_of(wanted)));
	assert_int_equal(buf_add(&out, "", 1), 0);
	assert_string_equal(buf_span(&out).p, wanted);
	buf_reset(&out);
}

static void test_what_acts_is_shown(void **state)
{
	expect_clean(SPAN("plain text ~"), "plain text ~");
	expect_clean(SPAN("Gr\xc3\xbc\xc3\x9f"
			  "e \xe6\x97\xa5 \xf0\x9f\x98\x80"),
		"Grüße 日 😀");
	expect_clean(SPAN("\x1b[31mred\x1b]0;t\x07"), "\\x1b[31mred\\x1b]0;t\\x07");
	expect_clean(SPAN("a\nb\r\tc\x7f"), "a\\x0ab\\x0d\\x09c\\x7f");
	expect_clean((struct span){"a\0b", 3}, "a\\x00b");
	expect_clean(SPAN("\xc2\x9b"
			  "31m"),
		"\\u{9b}31m"); // CSI of C1
	expect_clean(SPAN("\x9b"
			  "31m"),
		"\\x9b31m"); // the same, not UTF-8
	expect_clean(SPAN("\xe2\x80\xae"
			  "gpj"),
		"\\u{202e}gpj"); // right to left
	expect_clean(SPAN("\xe2\x81\xa6x\xef\xbb\xbf"), "\\u{2066}x\\u{feff}");
	expect_clean(SPAN("\xc3"), "\\xc3");
	expect_clean(SPAN("\xed\xa0\x80"), "\\xed\\xa0\\x80"); // a surrogate
	expect_clean(SPAN("\xc0\xaf"), "\\xc0\\xaf");          // overlong
	expect_clean(SPAN("\xf8\x88\x80\x80\x80"), "\\xf8\\x88\\x80\\x80\\x80");
}

static void expect_cell(struct span text, size_t width, const char *wanted)
{
	char *cell = NULL;
	size_t n;
	FILE *out = open_memstream(&cell, &n);

	clean_print_cell(out, text, width);
	fclose(out);
	assert_string_equal(cell, wanted);
	free(cell);
}

static void test_cells(void **state)
{
	expect_cell(SPAN("abc"), 5, "abc  ");
	expect_cell(SPAN("abcde"), 5, "abcde");
	expect_cell(SPAN("abcdef"), 5, "ab...");
	expect_cell(SPAN("\xc3\xa9\xc3\xa9"), 3, "éé ");
	expect_cell(SPAN("ab\x1b"), 5, "ab...");
	expect_cell(SPAN("\x1b"), 5, "\\x1b ");
	expect_cell(SPAN("abc"), 2, "..");
	expect_cell(SPAN("abc"), 0, "");
}

static void expect_id(const char *text, const char *wanted)
{
	struct span id = tunnel_ref_id(span_of(text));

	if (!span_eq(id, span_of(wanted)))
		fail_msg("%s: '%.*s', wanted '%s'", text, (int)id.n, id.p, wanted);
}

static void test_ids(void **state)
{
	expect_id(ID, ID);
	expect_id("http://127.0.0.1:8080/t/" ID "/", ID);
	expect_id("http://127.0.0.1:8080/t/" ID, ID);
	expect_id("http://127.0.0.1:8080/" ID "/x", ID);
	expect_id("https://a.test/t/" ID "/#secret", ID);
	expect_id("https://a.test/t/" ID "?x", ID);
	expect_id("https://" ID ".tunnels.test/app#secret", ID);
	expect_id("https://" ID ":8443/", ID);
	expect_id("", "");
	expect_id("t-", "");
	expect_id("t-abc", "");
	expect_id(ID "A", "");
	expect_id("/t/" ID, "");
	expect_id("https://a.test/", "");
	expect_id("https://a.test/x/t/" ID "/", "");
	expect_id("https://a.test/t/../" ID "/", "");
	expect_id("https://a.test/#/t/" ID "/", "");
	expect_id("://" ID, "");
	assert_true(tunnel_ref_is_url(SPAN("https://a.test:20001/")));
	assert_false(tunnel_ref_is_url(SPAN("a.test")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_acts_is_shown),
		cmocka_unit_test(test_cells),
		cmocka_unit_test(test_ids),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
