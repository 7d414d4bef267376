// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Policies: what is no rule is refused, for it would protect from nothing.

#include "policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define TYPE "{\"type\":\"tunneld-policy/1\""
#define HASH "\"0000000000000000000000000000000000000000000000000000000000000000\""

static bool reads(const char *text)
{
	struct policy policy;
	struct why why = {""};
	bool good = policy_read(&policy, span_of(text), &why);
	assert_true(good == (why.text[0] == '\0'));
	policy_deinit(&policy);
	return good;
}

static void test_rules(void **state)
{
	static const struct {
		const char *text;
		bool good;
	} cases[] = {
		{TYPE "}", true},
		{"{}", false},
		{"[]", false},
		{"", false},
		{"{\"type\":\"tunneld-policy/2\"}", false},
		{TYPE ",\"source\":[" HASH "]}", true},
		{TYPE ",\"source\":[\"00\"]}", false},
		{TYPE ",\"source\":" HASH "}", false},
		{TYPE ",\"sources\":[]}", false},
		{TYPE ",\"app_compose\":[" HASH "," HASH "]}", true},
		{TYPE ",\"components\":{\"tunneld-relay\":[" HASH "]}}", true},
		{TYPE ",\"components\":{\"tunneld-relay\":" HASH "}}", false},
		{TYPE ",\"components\":[]}", false},
		{TYPE ",\"measurements\":[]}", true},
		{TYPE ",\"measurements\":[{}]}", false},
		{TYPE ",\"tcb_status\":[\"UpToDate\",\"OutOfDate\"]}", true},
		{TYPE ",\"tcb_status\":[\"Revoked\"]}", false},
		{TYPE ",\"tcb_status\":[\"uptodate\"]}", false},
		{TYPE ",\"tcb_status\":\"UpToDate\"}", false},
		{TYPE ",\"td_attributes\":{\"allowed\":\"0000001000000000\"}}", true},
		{TYPE ",\"td_attributes\":{\"allowed\":\"00\"}}", false},
		{TYPE ",\"td_attributes\":{\"other\":\"0000001000000000\"}}", false},
		{TYPE ",\"source\":[],\"source\":[" HASH "]}", false},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (reads(cases[i].text) != cases[i].good)
			fail_msg("%s: not %d", cases[i].text, cases[i].good);
}

static void test_defaults(void **state)
{
	struct policy policy;
	policy_init(&policy);
	for (unsigned i = TCB_UNKNOWN; i < TCB_STATUSES; i++)
		assert_int_equal(policy_accepts_status(&policy, i), i == TCB_UP_TO_DATE);
	policy_deinit(&policy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_defaults),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
