// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Hex, base32 and base64, with the vectors of RFC 4648 section 10.

#include "hex.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_hex_both_ways(void **state)
{
	uint8_t bytes[256], back[256];
	char text[2 * sizeof bytes + 1];
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)i;
	hex_encode(text, bytes, sizeof bytes);
	assert_int_equal(strlen(text), 2 * sizeof bytes);
	assert_memory_equal(text, "000102030405060708090a0b0c0d0e0f10", 34);
	assert_int_equal(hex_decode(back, sizeof back, span_of(text)), 0);
	assert_memory_equal(back, bytes, sizeof bytes);
	for (char *c = text; *c != '\0'; c++)
		if (*c >= 'a' && *c <= 'f')
			*c = (char)(*c - 'a' + 'A');
	memset(back, 0, sizeof back);
	assert_int_equal(hex_decode(back, sizeof back, span_of(text)), 0);
	assert_memory_equal(back, bytes, sizeof bytes);
	hex_encode(text, bytes, 0);
	assert_string_equal(text, "");
}

static void test_hex_refuses(void **state)
{
	uint8_t out[2];
	static const char *const bad[] = {"", "0", "00", "000", "00000", "000g", "00 0", "-000",
		"0x00", "/000", ":000", "@000", "`000"};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (hex_decode(out, sizeof out, span_of(bad[i])) != -EINVAL)
			fail_msg("\"%s\" was taken", bad[i]);
	assert_int_equal(hex_decode(out, 0, SPAN("")), 0);
}

static void test_base32_vectors(void **state)
{
	static const struct {
		const char *bytes, *text;
	} vectors[] = {
		{"", ""},
		{"f", "my"},
		{"fo", "mzxq"},
		{"foo", "mzxw6"},
		{"foob", "mzxw6yq"},
		{"fooba", "mzxw6ytb"},
		{"foobar", "mzxw6ytboi"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		char out[16];
		size_t n = strlen(vectors[i].bytes);
		base32_encode(out, vectors[i].bytes, n);
		assert_string_equal(out, vectors[i].text);
		assert_int_equal(strlen(out) + 1, BASE32_SIZE(n));
	}
}

static void test_base32_has_every_letter(void **state)
{
	// 0, 1 .. 31 in five bits each.
	uint8_t bytes[20];
	uint64_t bits = 0;
	unsigned have = 0;
	size_t n = 0;
	for (unsigned i = 0; i < 32; i++) {
		bits = bits << 5 | i;
		have += 5;
		for (; have >= 8; have -= 8)
			bytes[n++] = (uint8_t)(bits >> (have - 8));
	}
	char out[BASE32_SIZE(sizeof bytes)];
	base32_encode(out, bytes, sizeof bytes);
	assert_string_equal(out, "abcdefghijklmnopqrstuvwxyz234567");
}

static void test_base64_vectors(void **state)
{
	static const struct {
		const char *text, *bytes;
	} vectors[] = {
		{"", ""},
		{"Zg==", "f"},
		{"Zm8=", "fo"},
		{"Zm9v", "foo"},
		{"Zm9vYg==", "foob"},
		{"Zm9vYmE=", "fooba"},
		{"Zm9vYmFy", "foobar"},
		{"+/+/", "\xfb\xff\xbf"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		char out[16];
		size_t n = strlen(vectors[i].bytes);
		char text[BASE64_SIZE(6)];
		base64_encode(text, vectors[i].bytes, n);
		assert_string_equal(text, vectors[i].text);
		assert_int_equal(strlen(text), BASE64_SIZE(n) - 1);
		assert_int_equal(base64_decode(out, n, span_of(vectors[i].text)), n);
		assert_memory_equal(out, vectors[i].bytes, n);
		if (n > 0)
			assert_int_equal(
				base64_decode(out, n - 1, span_of(vectors[i].text)), -EINVAL);
	}
}

static void test_base64_refuses(void **state)
{
	static const char *const bad[] = {"Z", "Zg", "Zg=", "Zg===", "Zm9", "=Zg=", "Zg=a",
		"Z===", "====", "Zm9v=", "Zm 9", "Zm9-", "Zm9_", "Zm\n9", "Zm9v\n", "Zm9vZg",
		"Zh==", "Zm9=", // bits behind the last byte: a second spelling of Zg== and Zm8=
		"Zg==Zg=="};
	char out[16];
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		int n = base64_decode(out, sizeof out, span_of(bad[i]));
		if (n != -EINVAL)
			fail_msg("\"%s\" was taken as %d bytes", bad[i], n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hex_both_ways),
		cmocka_unit_test(test_hex_refuses),
		cmocka_unit_test(test_base32_vectors),
		cmocka_unit_test(test_base32_has_every_letter),
		cmocka_unit_test(test_base64_vectors),
		cmocka_unit_test(test_base64_refuses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
