// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What may be asked of the attestation addresses.

#include "evidence_query.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static int outcome(struct evidence_query *query, const char *text, bool needed)
{
	struct buf said;
	buf_init(&said, FINDINGS_SAID_MAX);
	int r = evidence_query_parse(query, span_of(text), needed, &said);
	buf_reset(&said);
	return r;
}

#define HEX16 "000102030405060708090a0b0c0d0e0f"

static void test_good(void **state)
{
	static const struct {
		const char *text;
		bool needed, fresh;
		size_t n;
	} cases[] = {
		{"", false, false, 0},
		{"fresh=0", false, false, 0},
		{"nonce=" HEX16, true, false, 16},
		{"nonce=" HEX16 "&fresh=1", true, true, 16},
		{"fresh=1&nonce=" HEX16, false, true, 16},
		{"&&nonce=" HEX16 HEX16 HEX16 HEX16 "&", true, false, 64},
		{"nonce=" HEX16 "AB", true, false, 17},
	};
	struct evidence_query query;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int r = outcome(&query, cases[i].text, cases[i].needed);
		if (r != FINDINGS_NONE || query.n != cases[i].n || query.fresh != cases[i].fresh)
			fail_msg("'%s': %d, %zu bytes, fresh %d", cases[i].text, r, query.n,
				query.fresh);
		for (size_t b = 0; b < query.n && b < 16; b++)
			assert_int_equal(query.nonce[b], b);
	}
}

static void test_bad(void **state)
{
	static const struct {
		const char *text, *why;
		bool needed;
	} cases[] = {
		{"", "missing", true},
		{"fresh=1", "missing", false},
		{"nonce", "32 to 128", true},
		{"nonce=", "32 to 128", true},
		{"nonce=00", "32 to 128", true},
		{"nonce=" HEX16 "0", "32 to 128", true},
		{"nonce=" HEX16 HEX16 HEX16 HEX16 "00", "32 to 128", true},
		{"nonce=" HEX16 "0x", "32 to 128", true},
		{"nonce=%30" HEX16 "0", "32 to 128", true},
		{"nonce=" HEX16 "&nonce=" HEX16, "once", true},
		{"fresh=yes&nonce=" HEX16, "0 or 1", true},
		{"nonce=" HEX16, "fresh=1", false},
		{"nonce=" HEX16 "&Nonce=1", "no parameter", true},
		{"=", "no parameter", false},
	};
	struct evidence_query query;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int r = outcome(&query, cases[i].text, cases[i].needed);
		if (r != FINDINGS_INVALID || strstr(query.summary, cases[i].why) == NULL)
			fail_msg("'%s': %d, '%s'", cases[i].text, r, query.summary);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_good), cmocka_unit_test(test_bad)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
