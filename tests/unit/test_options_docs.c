// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// That the committed documentation is what the table of keys says.

#include "options_run.h"
#include "options_table.h"
#include "printed.h"

static char *printed(int (*print)(FILE *))
{
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);

	assert_non_null(out);
	assert_int_equal(print(out), 0);
	fclose(out);
	return text;
}

static void test_manual_is_what_the_table_says(void **state)
{
	char *keys = printed(options_print_manual), *page = read_page("man/tunneld.conf.5");

	assert_string_equal(page_section(page, "KEYS"), keys); // else: tunneld-manual keys
	free(keys);
	free(page);
}

static void test_example_is_what_the_table_says(void **state)
{
	char *example = printed(options_print_example),
	     *page = read_page("deploy/tunneld.conf.example");
	struct run run;

	assert_string_equal(page, example); // else: tunneld-manual example
	run_file(&run, page);
	expect_good(&run, "example");
	run_free(&run);
	// With every default uncommented it says the same.
	unsigned keys = 0;
	for (char *p = page; (p = strstr(p, "\n#")) != NULL; p++) {
		if (p[2] != ' ') {
			p[1] = ' ';
			keys++;
		}
	}
	assert_int_equal(keys, OPTION_KEYS - 1); // all but the token
	run_file(&run, page);
	expect_good(&run, "example with all its settings");
	char *text = effective(&run.options);
	assert_string_equal(text, defaults);
	free(text);
	run_free(&run);
	free(example);
	free(page);
}

static void test_help_names_every_key(void **state)
{
	char *help = printed(options_print_help);

	for (const char *p = defaults; *p != '\0'; p = strchr(p, '\n') + 1) {
		char line[64];
		snprintf(line, sizeof line, "\n  %.*s ", (int)strcspn(p, "="), p);
		if (strstr(help, line) == NULL)
			fail_msg("not in the help text: %s", line);
	}
	for (const char *p = help; *p != '\0'; p = strchr(p, '\n') + 1)
		if (strcspn(p, "\n") > 80)
			fail_msg("line too wide: %.*s", (int)strcspn(p, "\n"), p);
	free(help);
}

static void test_printing_reports_a_full_disk(void **state)
{
	FILE *out = fopen("/dev/full", "we");

	assert_non_null(out);
	setvbuf(out, NULL, _IONBF, 0);
	assert_int_equal(options_print_help(out), -EIO);
	assert_int_equal(options_print_manual(out), -EIO);
	assert_int_equal(options_print_example(out), -EIO);
	fclose(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_manual_is_what_the_table_says),
		cmocka_unit_test(test_example_is_what_the_table_says),
		cmocka_unit_test(test_help_names_every_key),
		cmocka_unit_test(test_printing_reports_a_full_disk),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
