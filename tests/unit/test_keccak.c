// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Keccak-256 of the empty text and of "abc" as everybody has them, and around the size of a block.

#include "keccak.h"

#include "hex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void expect(struct span bytes, const char *hex)
{
	uint8_t digest[KECCAK256_SIZE];
	char text[2 * KECCAK256_SIZE + 1];
	keccak256(digest, bytes);
	hex_encode(text, digest, sizeof digest);
	assert_string_equal(text, hex);
}

static void test_known(void **state)
{
	expect(SPAN(""), "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470");
	expect(SPAN("abc"), "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45");
}

// Made with tests/support/keccak.py.
static void test_around_a_block(void **state)
{
	static char bytes[272];
	memset(bytes, 'a', sizeof bytes);
	expect((struct span){bytes, 135},
		"34367dc248bbd832f4e3e69dfaac2f92638bd0bbd18f2912ba4ef454919cf446");
	expect((struct span){bytes, 136},
		"a6c4d403279fe3e0af03729caada8374b5ca54d8065329a3ebcaeb4b60aa386e");
	expect((struct span){bytes, 137},
		"d869f639c7046b4929fc92a4d988a8b22c55fbadb802c0c66ebcd484f1915f39");
	expect((struct span){bytes, 272},
		"cf7fcd4f705ee749930d19ca84561a9bf62516bd90a471545fa2f49fdc7e63c8");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_around_a_block),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
