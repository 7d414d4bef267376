// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The tunnel cookie: its text, who it lets in, and how it is found in what browsers and others
// send.

#include "cookie.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define ID "t-abcdefghijklmnopqrstuvwxyz"

enum { EXPIRY = 1800000000, NOW = EXPIRY - 1 };

// Of the secret "secret", computed by an implementation of its own (Python's hmac and hashlib).
#define MAC   "5ac3d1b8c125c17fa3cb6a34462b37547e0f624730bbfe29a55e5a400646e4c3"
#define RIGHT "tunneld_" ID "=1800000000." MAC

// Nothing known: each is computed.
#define KNOWN (&(struct cookie_known){0})

static struct secret_hash hash;

static int make_hash(void **state)
{
	secret_hash_make(&hash, SPAN("secret"));
	return 0;
}

static enum cookie_verdict check(const char *value)
{
	// In memory of its own size: a reader that goes beyond it is seen.
	size_t n = strlen(value);
	char *exact = malloc(n > 0 ? n : 1);
	memcpy(exact, value, n);
	enum cookie_verdict verdict = cookie_check((struct span){exact, n}, ID, &hash, NOW, KNOWN);
	free(exact);
	return verdict;
}

static void its_text(void **state)
{
	char text[COOKIE_TEXT_SIZE];
	size_t n = cookie_make(text, ID, &hash, EXPIRY, false);
	assert_string_equal(text, RIGHT);
	assert_int_equal(n, strlen(text));
	char longest[TUNNEL_ID_MAX + 1];
	memset(longest, 'a', TUNNEL_ID_MAX);
	longest[TUNNEL_ID_MAX] = '\0';
	assert_int_equal(
		cookie_make(text, longest, &hash, 999999999999, true), COOKIE_TEXT_SIZE - 1);
	assert_int_equal(
		cookie_check((struct span){text, strlen(text)}, longest, &hash, NOW, KNOWN),
		COOKIE_RIGHT);
}

static void it_ends(void **state)
{
	struct span text = SPAN(RIGHT);
	assert_int_equal(cookie_check(text, ID, &hash, EXPIRY - 1, KNOWN), COOKIE_RIGHT);
	assert_int_equal(cookie_check(text, ID, &hash, EXPIRY, KNOWN), COOKIE_WRONG);
	assert_int_equal(cookie_check(text, ID, &hash, INT64_MAX, KNOWN), COOKIE_WRONG);
}

static void any_changed_character_is_noticed(void **state)
{
	char text[] = RIGHT;
	for (size_t i = strlen("tunneld_" ID "="); i < sizeof text - 1; i++) {
		char was = text[i];
		for (int c = 0x20; c < 0x7f; c++) {
			text[i] = (char)c;
			bool same = c == was;
			// A blank at the end is not part of it, and then a digit is missing.
			enum cookie_verdict verdict = check(text);
			if (verdict != (same ? COOKIE_RIGHT : COOKIE_WRONG))
				fail_msg("%s: %d", text, verdict);
		}
		text[i] = was;
	}
}

static void another_tunnel_or_secret(void **state)
{
	struct secret_hash other;
	struct span text = SPAN(RIGHT);
	secret_hash_make(&other, SPAN("another"));
	assert_int_equal(cookie_check(text, ID, &other, NOW, KNOWN), COOKIE_WRONG);
	assert_int_equal(cookie_check(text, "t-zbcdefghijklmnopqrstuvwxyz", &hash, NOW, KNOWN),
		COOKIE_ABSENT);
	// The same MAC under another's name.
	assert_int_equal(
		cookie_check(SPAN("tunneld_t-b=1800000000." MAC), "t-b", &hash, NOW, KNOWN),
		COOKIE_WRONG);
}

// What is known changes no verdict, and only what was right is remembered.
static void what_is_known(void **state)
{
	struct cookie_known known = {0};
	char other[COOKIE_TEXT_SIZE], wrong[] = RIGHT;
	wrong[sizeof wrong - 2] ^= 1;
	cookie_make(other, ID, &hash, EXPIRY + 1, false);
	assert_int_equal(cookie_check(span_of(wrong), ID, &hash, NOW, &known), COOKIE_WRONG);
	assert_int_equal(known.expiry, 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(cookie_check(SPAN(RIGHT), ID, &hash, NOW, &known), COOKIE_RIGHT);
		assert_int_equal(known.expiry, EXPIRY);
		assert_int_equal(
			cookie_check(span_of(wrong), ID, &hash, NOW, &known), COOKIE_WRONG);
		assert_int_equal(
			cookie_check(SPAN(RIGHT), ID, &hash, EXPIRY, &known), COOKIE_WRONG);
		assert_int_equal(known.expiry, EXPIRY);
		assert_int_equal(
			cookie_check(span_of(other), ID, &hash, NOW, &known), COOKIE_RIGHT);
		assert_int_equal(known.expiry, EXPIRY + 1);
	}
}

static void found_among_others(void **state)
{
	static const struct {
		const char *value;
		enum cookie_verdict verdict;
	} cases[] = {
		{"", COOKIE_ABSENT},
		{";", COOKIE_ABSENT},
		{"a=b", COOKIE_ABSENT},
		{"tunneld_", COOKIE_ABSENT},
		{"tunneld_" ID, COOKIE_ABSENT},
		{"tunneld_" ID "x=1", COOKIE_ABSENT},
		{"tunneld_" ID " =", COOKIE_ABSENT},
		{"TUNNELD_" ID "=1", COOKIE_ABSENT},
		{"__Host-", COOKIE_ABSENT},
		{"__Host-tunneld_" ID, COOKIE_ABSENT},
		{"__host-" RIGHT, COOKIE_ABSENT},
		{"__Host-__Host-" RIGHT, COOKIE_ABSENT},
		{"__Secure-" RIGHT, COOKIE_ABSENT},
		{"__Host-tunneld_" ID "=1", COOKIE_WRONG},
		{"__Host-" RIGHT, COOKIE_RIGHT},
		{"tunneld_" ID "=junk; __Host-" RIGHT, COOKIE_RIGHT},
		{"=" RIGHT, COOKIE_ABSENT},
		{"a=\"" RIGHT "\"", COOKIE_ABSENT},
		{"a=b, " RIGHT, COOKIE_ABSENT},
		{"tunneld_" ID "=", COOKIE_WRONG},
		{"tunneld_" ID "=1", COOKIE_WRONG},
		{"tunneld_" ID "=." MAC, COOKIE_WRONG},
		{"tunneld_" ID "=01800000000." MAC, COOKIE_WRONG},
		{"tunneld_" ID "=+1800000000." MAC, COOKIE_WRONG},
		{"tunneld_" ID "=1800000000999." MAC, COOKIE_WRONG},
		{"tunneld_" ID "=99999999999999999999999999." MAC, COOKIE_WRONG},
		{"tunneld_" ID "=\"1800000000." MAC "\"", COOKIE_WRONG},
		{RIGHT, COOKIE_RIGHT},
		{RIGHT ";", COOKIE_RIGHT},
		{" \t" RIGHT " \t", COOKIE_RIGHT},
		{"a=b; " RIGHT, COOKIE_RIGHT},
		{"a=b;" RIGHT ";c=d", COOKIE_RIGHT},
		{"a=\"; " RIGHT "; b=\"", COOKIE_RIGHT},
		// One that is right is enough, wherever it stands.
		{"tunneld_" ID "=junk; " RIGHT, COOKIE_RIGHT},
		{RIGHT "; tunneld_" ID "=junk", COOKIE_RIGHT},
		{"tunneld_" ID "=1; tunneld_" ID "=2", COOKIE_WRONG},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (check(cases[i].value) != cases[i].verdict)
			fail_msg("\"%s\": %d, not %d", cases[i].value, check(cases[i].value),
				cases[i].verdict);
}

static void names_of_ours(void **state)
{
	static const char *const ours[] = {"tunneld_", "tunneld_x", "tunneld_x=1",
		" tunneld_=", "__Host-tunneld_x=1", "\t__Host-tunneld_", "=tunneld_x=1",
		" = =tunneld_x"};
	static const char *const others[] = {"", " ", "=", "a", "tunneld", "tunneld=1",
		"Tunneld_x=1", "xtunneld_=1", "__Secure-tunneld_x=1", "__host-tunneld_x=1",
		"a=tunneld_x", "_tunneld_", "\"tunneld_x\"=1"};
	for (size_t i = 0; i < ARRAY_SIZE(ours); i++) {
		if (!cookie_is_ours(span_of(ours[i])) || !cookie_maybe_ours(span_of(ours[i])))
			fail_msg("\"%s\" is ours", ours[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (cookie_is_ours(span_of(others[i])))
			fail_msg("\"%s\" is not ours", others[i]);
}

static void pieces(void **state)
{
	static const char *const expected[] = {"a=b", " c", "d=\"e"};
	struct span rest = SPAN("a=b;; c;\t;d=\"e; "), piece;
	assert_true(cookie_next(&rest, &piece));
	assert_true(span_eq(piece, span_of(expected[0])));
	assert_true(cookie_next(&rest, &piece));
	assert_true(span_eq(piece, span_of(expected[1])));
	assert_true(cookie_next(&rest, &piece));
	assert_true(span_eq(piece, span_of(expected[2])));
	assert_false(cookie_next(&rest, &piece));
	assert_false(cookie_next(&rest, &piece));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(its_text),
		cmocka_unit_test(it_ends),
		cmocka_unit_test(any_changed_character_is_noticed),
		cmocka_unit_test(another_tunnel_or_secret),
		cmocka_unit_test(what_is_known),
		cmocka_unit_test(found_among_others),
		cmocka_unit_test(names_of_ours),
		cmocka_unit_test(pieces),
	};
	return cmocka_run_group_tests(tests, make_hash, NULL);
}
