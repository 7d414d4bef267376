// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// `tunneld --check` on this machine: what it says must agree with what can be found out otherwise.

#include "check.h"

#include "caps.h"
#include "seal_landlock.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static char *text;

static int check(const struct check_wishes *wishes)
{
	size_t n;
	FILE *out = open_memstream(&text, &n);
	int r;

	assert_non_null(out);
	r = check_print(out, wishes);
	fclose(out);
	return r;
}

static int forget_text(void **state)
{
	free(text);
	text = NULL;
	return 0;
}

// Whether some line begins with VERDICT and then WHAT.
static bool says(const char *verdict, const char *what)
{
	for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
		const char *rest = line + strlen(verdict);

		if (strncmp(line, verdict, strlen(verdict)) != 0)
			continue;
		rest += strspn(rest, " ");
		if (strncmp(rest, what, strlen(what)) == 0)
			return true;
	}
	return false;
}

static void test_this_machine(void **state)
{
	const struct check_wishes wishes = {.uid_base = 700000, .n_relays = 1, .descriptors = 1};
	int r = check(&wishes);
	size_t lines = 0;

	for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
		if (strncmp(line, "ok ", 3) != 0 && strncmp(line, "degraded ", 9) != 0 &&
			strncmp(line, "missing ", 8) != 0)
			fail_msg("no verdict: %s", line);
		lines++;
	}
	assert_in_range(lines, 12, 20); // printed once each, by one process
	assert_int_equal(r, strstr(text, "\nmissing") != NULL);
	assert_true(says(seal_landlock_abi() >= 6 ? "ok" : "degraded", "Landlock"));
	assert_true(says(caps_can_separate() ? "ok" : "degraded", "capabilities"));
	assert_true(says("ok", "descriptors"));
}

static void test_what_is_not_there(void **state)
{
	// Ids 1.. are the distribution's own.
	const struct check_wishes wishes = {
		.uid_base = 1, .n_relays = 1, .descriptors = UINT64_MAX - 1};
	int r = check(&wishes);

	assert_true(says("degraded", "descriptors"));
	// Without root nobody gets a user id of its own, so it does not matter whose they are.
	if (caps_can_separate())
		assert_true(says("missing", "uids"));
	assert_int_equal(r, caps_can_separate() ? 1 : 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_this_machine, forget_text),
		cmocka_unit_test_teardown(test_what_is_not_there, forget_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
