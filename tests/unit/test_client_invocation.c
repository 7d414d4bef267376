// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Command lines taken apart, by the table as it is.

#include "commands.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct invocation invocation;
static struct failure failure;

#define PARSE(...) parse((const char *[]){"tunnel", __VA_ARGS__, NULL})

static int parse(const char **argv)
{
	int argc = 0;

	while (argv[argc] != NULL)
		argc++;
	failure.text[0] = '\0';
	return invocation_parse(&invocation, argc, (char **)(uintptr_t)argv, &failure);
}

static void expect_usage(int r, const char *words)
{
	assert_int_equal(r, EXIT_CODE_USAGE);
	if (strstr(failure.text, words) == NULL)
		fail_msg("'%s', wanted '%s'", failure.text, words);
}

static void test_options_and_operands_in_any_order(void **state)
{
	assert_int_equal(PARSE("create", "-t", "15m", "3000", "--auth=none", "--json"), 0);
	assert_string_equal(invocation.command->name, "create");
	assert_string_equal(invocation.values[OPTION_TIMEOUT], "15m");
	assert_string_equal(invocation.values[OPTION_AUTH], "none");
	assert_true(option_given(&invocation, OPTION_JSON));
	assert_int_equal(invocation.n_operands, 1);
	assert_string_equal(invocation.operands[0], "3000");
	invocation_deinit(&invocation);

	assert_int_equal(
		PARSE("create", "-t15m", "--name", "", "--name-of-nothing"), EXIT_CODE_USAGE);
	assert_int_equal(PARSE("create", "-t15m", "--name=", "--", "--json"), 0);
	assert_string_equal(invocation.values[OPTION_NAME], "");
	assert_string_equal(invocation.operands[0], "--json");
	invocation_deinit(&invocation);

	assert_int_equal(PARSE("ls", "--token-file", "-"), 0);
	assert_string_equal(invocation.values[OPTION_TOKEN_FILE], "-");
	invocation_deinit(&invocation);
}

static void test_mistakes_are_named(void **state)
{
	expect_usage(PARSE("lst"), "did you mean 'tunnel ls'?");
	expect_usage(PARSE("frobnicate"), "no command 'frobnicate'");
	expect_usage(PARSE("ls", "--frob=secret"), "no option '--frob';");
	expect_usage(PARSE("ls", "--timeout", "5m"), "no option '--timeout'");
	expect_usage(PARSE("create", "--time", "5m"), "no option '--time'");
	expect_usage(PARSE("create", "--timeout"), "write TIME behind it");
	expect_usage(PARSE("create", "-t"), "write TIME behind it");
	expect_usage(PARSE("create", "-t", "5m", "--timeout=6m"), "given twice");
	expect_usage(PARSE("create", "--auth", "digest"), "not one of: bearer basic none");
	expect_usage(PARSE("create", "--auth", "bearer basic"), "not one of");
	expect_usage(PARSE("create", "--auth="), "not one of");
	expect_usage(PARSE("ls", "--json=yes"), "takes no value");
	expect_usage(PARSE("ls", "-"), "'-' is too much");
	expect_usage(PARSE("create", "1", "2"), "'2' is too much");
	expect_usage(PARSE("extend", "x"), "tunnel extend TUNNEL TIME");
	expect_usage(PARSE(""), "no command ''");
	expect_usage(PARSE("--server", "http://a", "ls"), "the command comes first: tunnel ls");
}

static void test_secrets_on_the_command_line_are_refused(void **state)
{
	expect_usage(PARSE("ls", "--token", "tnl_abcdefghijklmnop"), "--token is refused");
	expect_usage(PARSE("ls", "--token=tnl_abcdefghijklmnop"), "--token is refused");
	assert_null(strstr(failure.text, "tnl_"));
	expect_usage(PARSE("create", "--secret=geheim"), "--secret is refused");
	assert_null(strstr(failure.text, "geheim"));
}

static void test_help(void **state)
{
	assert_int_equal(PARSE("--help"), 0);
	assert_null(invocation.command);
	invocation_deinit(&invocation);
	assert_int_equal(PARSE("extend", "--help"), 0); // whatever else is missing
	assert_true(option_given(&invocation, OPTION_HELP));
	invocation_deinit(&invocation);
	assert_int_equal(PARSE("--version"), 0);
	assert_string_equal(invocation.command->name, "version");
	invocation_deinit(&invocation);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options_and_operands_in_any_order),
		cmocka_unit_test(test_mistakes_are_named),
		cmocka_unit_test(test_secrets_on_the_command_line_are_refused),
		cmocka_unit_test(test_help),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
