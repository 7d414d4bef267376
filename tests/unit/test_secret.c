// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Secrets: their hash, its comparison, and where requests carry them.

#include "secret.h"

#include "hex.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void assert_span(struct span got, const char *expected, const char *of)
{
	bool absent = got.p == NULL;
	if (absent != (expected == NULL) || (!absent && !span_eq(got, span_of(expected))))
		fail_msg("of \"%s\": got \"%.*s\", expected \"%s\"", of, (int)got.n,
			absent ? "" : got.p, expected != NULL ? expected : "(absent)");
}

static void test_hash_is_sha256(void **state)
{
	// FIPS 180-2 appendix B.1, and of nothing.
	struct secret_hash hash;
	char text[2 * SECRET_HASH_SIZE + 1];
	secret_hash_make(&hash, SPAN("abc"));
	hex_encode(text, hash.bytes, sizeof hash.bytes);
	assert_string_equal(
		text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	secret_hash_make(&hash, (struct span){"", 0});
	hex_encode(text, hash.bytes, sizeof hash.bytes);
	assert_string_equal(
		text, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void test_any_bit_makes_it_differ(void **state)
{
	struct secret_hash a, b;
	secret_hash_make(&a, SPAN("secret"));
	b = a;
	assert_true(secret_hash_equal(&a, &b));
	for (size_t bit = 0; bit < 8 * SECRET_HASH_SIZE; bit++) {
		b = a;
		b.bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		assert_false(secret_hash_equal(&a, &b));
	}
}

static void test_bearer(void **state)
{
	static const struct {
		const char *value, *secret;
	} cases[] = {
		{"Bearer abc", "abc"},
		{"bearer abc", "abc"},
		{"BEARER  abc", "abc"},
		{"Bearer a b", "a b"},
		{"Bearer ", ""},
		{"Bearer", NULL},
		{"Bearerabc", NULL},
		{"Bearer\tabc", NULL},
		{"Basic abc", NULL},
		{"Beare abc", NULL},
		{" Bearer abc", NULL},
		{"", NULL},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_span(
			secret_of_bearer(span_of(cases[i].value)), cases[i].secret, cases[i].value);
	assert_null(secret_of_bearer((struct span){0}).p);
}

static void test_basic(void **state)
{
	static const struct {
		const char *value, *secret;
	} cases[] = {
		{"Basic dXNlcjpzZWNyZXQ=", "secret"}, // user:secret
		{"basic   dXNlcjpzZWNyZXQ=", "secret"},
		{"Basic OnNlY3JldA==", "secret"}, // :secret
		{"Basic dTphOmI=", "a:b"},        // u:a:b, the first colon counts
		{"Basic dTo=", ""},               // u:
		{"Basic dXNlcg==", NULL},         // user
		{"Basic ", NULL},
		{"Basic", NULL},
		{"Basic ====", NULL},
		{"Basic dTphOmI", NULL},
		{"Bearer dTphOmI=", NULL},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char out[64];
		assert_span(secret_of_basic(span_of(cases[i].value), out, sizeof out),
			cases[i].secret, cases[i].value);
	}
	char small[4];
	assert_span(secret_of_basic(SPAN("Basic dTph"), small, 3), "a", "an exact fit");
	assert_null(secret_of_basic(SPAN("Basic dTphOg=="), small, 3).p); // u:a: is one byte more
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hash_is_sha256),
		cmocka_unit_test(test_any_bit_makes_it_differ),
		cmocka_unit_test(test_bearer),
		cmocka_unit_test(test_basic),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
