// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What is made from the table of commands: tunnel(1) is what it says, help fits a terminal, and the
// table itself has no row that hides another.

#include "help.h"
#include "printed.h"

enum { TERMINAL = 80 };

static char *caught(void (*print)(FILE *out, const struct command *), const struct command *command)
{
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);

	assert_non_null(out);
	print(out, command);
	fclose(out);
	return text;
}

static void manual(FILE *out, const struct command *none)
{
	help_manual(out);
}

static void overview(FILE *out, const struct command *none)
{
	help_overview(out);
}

static void test_manual_is_what_the_table_says(void **state)
{
	char *made = caught(manual, NULL), *page = read_page("man/tunnel.1");

	// else: build/tunnel-manual | sed -i -e '/BEGIN TABLE/,/END TABLE/{//!d}'
	//           -e '/BEGIN TABLE/r /dev/stdin' man/tunnel.1
	assert_string_equal(page_section(page, "TABLE"), made);
	free(made);
	free(page);
}

static void expect_narrow(char *text)
{
	for (char *line = strtok_r(text, "\n", &text); line; line = strtok_r(NULL, "\n", &text))
		if (strlen(line) >= TERMINAL)
			fail_msg("%zu columns: %s", strlen(line), line);
}

static void test_help_fits_a_terminal(void **state)
{
	char *text = caught(overview, NULL);

	expect_narrow(text);
	free(text);
	for (size_t i = 0; i < command_count; i++) {
		text = caught(help_command, &command_table[i]);
		assert_non_null(strstr(text, "--help"));
		expect_narrow(text);
		free(text);
	}
}

static void test_rows_are_whole_and_different(void **state)
{
	for (size_t i = 0; i < command_count; i++) {
		const struct command *c = &command_table[i];
		assert_ptr_equal(command_find(span_of(c->name)), c);
		assert_true(c->min_operands <= c->max_operands && c->run != NULL);
		assert_true((c->max_operands == 0) == (c->operands[0] == '\0'));
		assert_true(c->summary[strlen(c->summary) - 1] != '.');
	}
	for (unsigned a = 0; a < OPTION_COUNT; a++) {
		assert_non_null(option_table[a].name);
		assert_non_null(option_table[a].help);
		for (unsigned b = 0; b < a; b++) {
			assert_string_not_equal(option_table[a].name, option_table[b].name);
			assert_true(option_table[a].letter == '\0' ||
				    option_table[a].letter != option_table[b].letter);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_manual_is_what_the_table_says),
		cmocka_unit_test(test_help_fits_a_terminal),
		cmocka_unit_test(test_rows_are_whole_and_different),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
