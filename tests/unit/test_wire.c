// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Flat MessagePack arrays: the bytes are those of the specification (github.com/msgpack/msgpack,
// spec.md), the shortest form is written, every form is read, and nothing else is.

#include "wire.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define BYTES(literal) (literal), sizeof(literal) - 1

static void check_encoding(
	const struct wire_value *values, size_t n, const char *expected, size_t size)
{
	uint8_t out[512];
	struct wire_value back[16];

	assert_int_equal(wire_encode(out, sizeof out, values, n), size);
	assert_memory_equal(out, expected, size);
	assert_int_equal(wire_decode(out, size, back, 16), n);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(back[i].kind, values[i].kind);
		assert_int_equal(back[i].number, values[i].number);
		assert_true(span_eq(back[i].bytes, values[i].bytes));
	}
	// Not a byte less.
	for (size_t less = 0; less < size; less++)
		assert_int_equal(wire_encode(out, less, values, n), 0);
}

#define CHECK_ONE(value, expected) \
	check_encoding((struct wire_value[]){value}, 1, BYTES("\x91" expected))

static void test_shortest(void **state)
{
	CHECK_ONE(wire_uint(0), "\x00");
	CHECK_ONE(wire_uint(127), "\x7f");
	CHECK_ONE(wire_uint(128), "\xcc\x80");
	CHECK_ONE(wire_uint(255), "\xcc\xff");
	CHECK_ONE(wire_uint(256), "\xcd\x01\x00");
	CHECK_ONE(wire_uint(65536), "\xce\x00\x01\x00\x00");
	CHECK_ONE(wire_uint(UINT32_MAX), "\xce\xff\xff\xff\xff");
	CHECK_ONE(wire_uint(UINT64_C(1) << 32), "\xcf\x00\x00\x00\x01\x00\x00\x00\x00");
	CHECK_ONE(wire_uint(UINT64_MAX), "\xcf\xff\xff\xff\xff\xff\xff\xff\xff");
	CHECK_ONE(wire_bool(false), "\xc2");
	CHECK_ONE(wire_bool(true), "\xc3");
	CHECK_ONE(wire_str(SPAN("")), "\xa0");
	CHECK_ONE(wire_str(SPAN("gr\xc3\xbc\xc3\x9f")), "\xa6gr\xc3\xbc\xc3\x9f");
	CHECK_ONE(wire_str(SPAN("0123456789012345678901234567890")),
		"\xbf"
		"0123456789012345678901234567890");
	CHECK_ONE(wire_str(SPAN("01234567890123456789012345678901")),
		"\xd9\x20"
		"01234567890123456789012345678901");
	CHECK_ONE(wire_bin("\0\xff", 2), "\xc4\x02\x00\xff");
}

static void test_array(void **state)
{
	struct wire_value values[16];

	for (size_t i = 0; i < 16; i++)
		values[i] = wire_uint(i);
	check_encoding(values, 3, BYTES("\x93\x00\x01\x02"));
	check_encoding(values, 16,
		BYTES("\xdc\x00\x10\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"));
}

static void test_large(void **state)
{
	static uint8_t out[70000], content[65000];
	struct wire_value back;

	memset(content, 'x', sizeof content);
	const size_t sizes[] = {255, 256, 65000};
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct wire_value value = wire_bin(content, sizes[i]);
		size_t n = wire_encode(out, sizeof out, &value, 1);
		assert_int_equal(n, sizes[i] + (sizes[i] < 256 ? 3 : 4));
		assert_int_equal(wire_decode(out, n, &back, 1), 1);
		assert_int_equal(back.bytes.n, sizes[i]);
		assert_int_equal(wire_encode(out, n - 1, &value, 1), 0);
	}
}

static void test_any_form(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		uint64_t number;
	} forms[] = {
		{BYTES("\x91\xcf\0\0\0\0\0\0\0\x05"), 5}, {BYTES("\xdc\0\x01\x05"), 5},
		{BYTES("\xdd\0\0\0\x01\xcd\0\x05"), 5}, {BYTES("\x91\xd0\x05"), 5}, // int8
		{BYTES("\x91\xd3\0\0\0\0\0\0\x01\0"), 256},                         // int64
	};
	struct wire_value value;

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		assert_int_equal(wire_decode(forms[i].bytes, forms[i].n, &value, 1), 1);
		assert_int_equal(value.kind, WIRE_UINT);
		assert_int_equal(value.number, forms[i].number);
	}
	assert_int_equal(wire_decode(BYTES("\x91\xdb\0\0\0\x01z"), &value, 1), 1); // str32
	assert_true(span_eq(value.bytes, SPAN("z")));
}

static void test_refused(void **state)
{
	static const struct {
		const char *what, *bytes;
		size_t n;
	} bad[] = {
		{"nothing", BYTES("")},
		{"an empty array", BYTES("\x90")},
		{"a number alone", BYTES("\x05")},
		{"a string alone", BYTES("\xa1x")},
		{"a map", BYTES("\x81\x01\x02")},
		{"a map inside", BYTES("\x91\x80")},
		{"an array inside", BYTES("\x91\x91\x01")},
		{"an empty array inside", BYTES("\x92\x01\x90")},
		{"nil", BYTES("\x91\xc0")},
		{"float", BYTES("\x91\xca\0\0\0\0")},
		{"double", BYTES("\x91\xcb\0\0\0\0\0\0\0\0")},
		{"negative fixint", BYTES("\x91\xff")},
		{"negative int64", BYTES("\x91\xd3\x80\0\0\0\0\0\0\0")},
		{"an extension", BYTES("\x91\xd4\x01\x02")},
		{"a reserved byte", BYTES("\x91\xc1")},
		{"a byte left over", BYTES("\x91\x01\x02")},
		{"an array left over", BYTES("\x91\x01\x91\x01")},
		{"a value missing", BYTES("\x92\x01")},
		{"half a number", BYTES("\x91\xcd\x01")},
		{"half a string", BYTES("\x91\xa5xy")},
		{"a length beyond all bounds", BYTES("\x91\xc6\xff\xff\xff\xffx")},
		{"an array of 2^32 - 1", BYTES("\xdd\xff\xff\xff\xff\x01")},
		{"more values than asked for", BYTES("\x94\x01\x02\x03\x04")},
		{"text that is not UTF-8", BYTES("\x91\xa1\xff")},
		{"overlong UTF-8", BYTES("\x91\xa2\xc0\xaf")},
		{"text with NUL", BYTES("\x91\xa3x\0y")},
	};
	struct wire_value values[3];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		int r = wire_decode(bad[i].bytes, bad[i].n, values, ARRAY_SIZE(values));
		if (r != -EBADMSG)
			fail_msg("%s: got %d", bad[i].what, r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shortest),
		cmocka_unit_test(test_array),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_any_form),
		cmocka_unit_test(test_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
