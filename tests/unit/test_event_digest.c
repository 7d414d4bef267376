// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Digests of runtime events against ones made by other programs, and what JSON makes of names.

#include "event_digest.h"

#include "hex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void expect(const struct event *event, const char *hex)
{
	uint8_t digest[MEASUREMENT_SIZE];
	char text[2 * MEASUREMENT_SIZE + 1];
	assert_true(event_digest_make(event, digest));
	hex_encode(text, digest, sizeof digest);
	assert_string_equal(text, hex);
}

// Of the bytes 01 00 00 08 and ":system-ready:".
static void test_version_1(void **state)
{
	expect(&(struct event){.version = 1, .name = SPAN("system-ready")},
		"1a76b2a80a0be71eae59f80945d876351a7a3fb8e9fd1ff1cede5734aa84ea11fd72b4edfbb6f04e5a85edd114c751bd");
}

// Of {"name":"a\"\\/\b\t\n\u000b\f\r\u001f<7f><c3><a9>","payload":"ab00","type":134217729}.
static void test_version_2(void **state)
{
	expect(&(struct event){.version = 2,
		       .name = SPAN("a\"\\/\b\t\n\v\f\r\x1f\x7f\xc3\xa9"),
		       .payload = SPAN("\xab\x00")},
		"3d17897792e0a3e3ee1bd4d1b5cb99a51583e566a5e2e99544db9748d0fda25e52a01445cd331b3b07793daad60b1fe7");
}

static void test_preimage(void **state)
{
	uint8_t digest[MEASUREMENT_SIZE];
	struct event event = {.version = 1, .name = SPAN("n"), .payload = SPAN("p")};
	event.preimage = (struct span){"\x01\0\0\x08:n:p", 8};
	assert_true(event_digest_make(&event, digest));
	event.preimage.n--;
	assert_false(event_digest_make(&event, digest));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_version_1),
		cmocka_unit_test(test_version_2),
		cmocka_unit_test(test_preimage),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
