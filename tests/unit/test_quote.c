// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Quotes cut off at every length and with every length field wrong.

#include "quote.h"

#include "printed.h"

enum {
	AUTH = 48 + 584 + 4, // where the authentication data of a version 4 quote begins
	QUOTE_ROOM = 16 << 10,
};

// One of the corpus of the fuzz target; made by tests/support/tdx_corpus.py.
static size_t read_quote(uint8_t *out)
{
	const char *root = getenv("TUNNELD_SOURCE");
	char path[PATH_MAX];
	snprintf(path, sizeof path, "%s/tests/fuzz/corpus/quote/v4", root != NULL ? root : ".");
	FILE *file = fopen(path, "re");
	assert_non_null(file);
	size_t n = fread(out, 1, QUOTE_ROOM, file);
	fclose(file);
	assert_in_range(n, 3000, QUOTE_ROOM - 1);
	return n;
}

// Parses a heap copy of exact size, so that a sanitizer sees one byte too many.
static bool parses(const uint8_t *bytes, size_t n)
{
	struct quote quote;
	struct why why = {""};
	char *copy = malloc(n > 0 ? n : 1);
	assert_non_null(copy);
	memcpy(copy, bytes, n);
	bool good = quote_parse(&quote, (struct span){copy, n}, &why);
	free(copy);
	assert_true(good == (why.text[0] == '\0'));
	return good;
}

static void test_every_length(void **state)
{
	static uint8_t bytes[QUOTE_ROOM];
	size_t n = read_quote(bytes);
	for (size_t i = 0; i < n; i++)
		if (parses(bytes, i))
			fail_msg("cut off at %zu of %zu it is still a quote", i, n);
	assert_true(parses(bytes, n));
	assert_true(parses(bytes, n + 1)); // what is behind does not matter
}

static void test_length_fields(void **state)
{
	static const struct {
		size_t offset, size;
	} fields[] = {{AUTH - 4, 4}, {AUTH + 130, 4}, {AUTH + 582, 2}, {AUTH + 584 + 32 + 2, 4}};
	static uint8_t bytes[QUOTE_ROOM];
	size_t n = read_quote(bytes);
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		for (size_t byte = 0; byte < fields[i].size; byte++)
			for (unsigned bit = 0; bit < 8; bit++) {
				bytes[fields[i].offset + byte] ^= (uint8_t)(1 << bit);
				if (parses(bytes, n))
					fail_msg("field at %zu, byte %zu, bit %u", fields[i].offset,
						byte, bit);
				bytes[fields[i].offset + byte] ^= (uint8_t)(1 << bit);
			}
	assert_true(parses(bytes, n));
}

static void test_too_large(void **state)
{
	static uint8_t bytes[QUOTE_MAX + 1];
	assert_in_range(read_quote(bytes), 3000, QUOTE_MAX);
	assert_true(parses(bytes, QUOTE_MAX));
	assert_false(parses(bytes, QUOTE_MAX + 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_length),
		cmocka_unit_test(test_length_fields),
		cmocka_unit_test(test_too_large),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
