// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Verdicts: what one failure does, and that docs/verify.md has a row for every check.

#include "verdict.h"

#include "printed.h"

static void test_docs_have_every_check(void **state)
{
	char *page = read_page("docs/verify.md");
	for (unsigned i = 0; i < CHECKS; i++) {
		char row[256];
		snprintf(row, sizeof row, "\n| `%s` | %s |\n", check_name(i), check_meaning(i));
		if (strstr(page, row) == NULL)
			fail_msg("docs/verify.md lacks:%s", row);
		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(check_name(i), check_name(j));
	}
	free(page);
}

static void test_words(void **state)
{
	struct verdict verdict = {0};
	assert_string_equal(verdict_word(&verdict), "authentic-no-tcb");
	verdict.has_tcb = true;
	for (unsigned i = TCB_UP_TO_DATE; i < TCB_STATUSES; i++) {
		verdict.tcb.status = i;
		assert_string_equal(verdict_word(&verdict), tcb_status_word(i));
	}
	for (unsigned i = 0; i < CHECKS; i++) {
		struct verdict failed = {.has_tcb = true, .tcb.status = TCB_UP_TO_DATE};
		verdict_fail(&failed, i, "so");
		assert_string_equal(verdict_word(&failed), "rejected");
		assert_true(verdict_rejected(&failed));
	}
}

static void test_a_failure_stays(void **state)
{
	struct verdict verdict = {0};
	struct why why = {"x"};
	verdict_fail(&verdict, CHECK_TCB, "first");
	assert_true(verdict_set(&verdict, CHECK_TCB, true, &why));
	verdict_leave_out(&verdict, CHECK_TCB, "second");
	assert_int_equal(verdict.checks[CHECK_TCB].state, CHECK_FAILED);
	assert_string_equal(verdict.checks[CHECK_TCB].why.text, "first");
}

// What Intel's rules make of a platform and a part of it.
static void test_folding(void **state)
{
	static const struct {
		enum tcb_status platform, with_out_of_date;
	} cases[] = {
		{TCB_UP_TO_DATE, TCB_OUT_OF_DATE},
		{TCB_SW_HARDENING_NEEDED, TCB_OUT_OF_DATE},
		{TCB_CONFIGURATION_NEEDED, TCB_OUT_OF_DATE_CONFIGURATION_NEEDED},
		{TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED, TCB_OUT_OF_DATE_CONFIGURATION_NEEDED},
		{TCB_OUT_OF_DATE, TCB_OUT_OF_DATE},
		{TCB_OUT_OF_DATE_CONFIGURATION_NEEDED, TCB_OUT_OF_DATE_CONFIGURATION_NEEDED},
		{TCB_REVOKED, TCB_REVOKED},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		enum tcb_status platform = cases[i].platform;
		assert_int_equal(tcb_status_fold(platform, TCB_UP_TO_DATE), platform);
		assert_int_equal(tcb_status_fold(platform, TCB_UNKNOWN), platform);
		assert_int_equal(
			tcb_status_fold(platform, TCB_OUT_OF_DATE), cases[i].with_out_of_date);
		assert_int_equal(tcb_status_fold(platform, TCB_REVOKED), TCB_REVOKED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_docs_have_every_check),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_a_failure_stays),
		cmocka_unit_test(test_folding),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
