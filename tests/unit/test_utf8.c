// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// UTF-8 against a second way to tell: decode, and encode again.

#include "utf8.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

// Encodes any number below 2^21, also those that are no characters. Returns the length.
static size_t encode(uint32_t c, uint8_t out[4])
{
	if (c < 0x80) {
		out[0] = (uint8_t)c;
		return 1;
	}
	size_t more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
	static const uint8_t lead[] = {0, 0xc0, 0xe0, 0xf0};
	out[0] = (uint8_t)(lead[more] | c >> (6 * more));
	for (size_t i = 1; i <= more; i++)
		out[i] = (uint8_t)(0x80 | (c >> (6 * (more - i)) & 0x3f));
	return more + 1;
}

static bool valid(const void *bytes, size_t n)
{
	return utf8_valid((struct span){bytes, n});
}

static void test_every_number(void **state)
{
	for (uint32_t c = 0; c < 0x200000; c++) {
		uint8_t bytes[4];
		size_t n = encode(c, bytes);
		bool expected = c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
		if (valid(bytes, n) != expected)
			fail_msg("U+%06X: expected %d", c, expected);
		bool control = c < 0x20 || (c >= 0x7f && c < 0xa0);
		if (utf8_plain((struct span){(char *)bytes, n}) != (expected && !control))
			fail_msg("U+%06X: a control or none", c);
	}
}

// Whether the first bytes of the four are one shortest form, by decoding them as loosely as can be.
static size_t reference(const uint8_t p[4])
{
	for (size_t n = 1; n <= 4; n++) {
		static const uint8_t mask[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
		uint32_t c = p[0] & mask[n];
		for (size_t i = 1; i < n; i++)
			c = c << 6 | (p[i] & 0x3f);
		uint8_t again[4];
		if (c <= 0x10ffff && (c < 0xd800 || c > 0xdfff) && encode(c, again) == n &&
			memcmp(again, p, n) == 0)
			return n;
	}
	return 0;
}

static void test_every_start_of_four_bytes(void **state)
{
	static const uint8_t last[] = {0x00, 0x7f, 0x80, 0xbf, 0xc0, 0xff};
	for (uint32_t start = 0; start < 0x1000000; start++)
		for (size_t i = 0; i < (start % 16 == 0 ? ARRAY_SIZE(last) : 1); i++) {
			uint8_t p[4] = {(uint8_t)(start >> 16), (uint8_t)(start >> 8),
				(uint8_t)start, last[i]};
			size_t n = reference(p);
			for (size_t k = 1; k <= 4; k++)
				if (k <= n || n == 0)
					if (valid(p, k) != (k == n))
						fail_msg("%02x %02x %02x %02x, first %zu", p[0],
							p[1], p[2], p[3], k);
		}
}

static void test_text(void **state)
{
	static const char good[] = "a\0\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80z";
	assert_true(valid("", 0));
	assert_true(utf8_valid((struct span){0}));
	assert_true(valid(good, sizeof good - 1));
	// Cut anywhere inside a character it is none.
	for (size_t n = 0; n < sizeof good; n++) {
		bool inside = n == 3 || n == 5 || n == 6 || n == 8 || n == 9 || n == 10;
		assert_int_equal(valid(good, n), !inside);
	}
	assert_false(valid("ok\xff", 3));
	assert_false(valid("\x80", 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_number),
		cmocka_unit_test(test_every_start_of_four_bytes),
		cmocka_unit_test(test_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
