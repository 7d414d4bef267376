// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The command line of a child: five numbers, written in one way only.

#include "seal.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static int parse(struct seal_args *args, const char *const words[7])
{
	char *argv[8] = {0};
	int argc = 0;

	for (; argc < 7 && words[argc] != NULL; argc++)
		argv[argc] = (char *)(uintptr_t)words[argc];
	return seal_args_parse(args, argc, argv);
}

static void test_args(void **state)
{
	static const struct {
		const char *argv[7];
		bool good;
	} rows[] = {
		{{"r", "1", "2", "-1", "-1", "-1"}, true},
		{{"r", "4294967295", "2147483647", "4294967294", "4294967294", "2147483647"}, true},
		{{"r", "0", "1", "1", "1", "3"}, true},
		{{"r", "1", "2", "-1", "-1"}, false},
		{{"r", "1", "2", "-1", "-1", "-1", "6"}, false},
		{{"r", "4294967296", "2", "-1", "-1", "-1"}, false},
		{{"r", "99999999999999999999999999", "2", "-1", "-1", "-1"}, false},
		{{"r", "-1", "2", "-1", "-1", "-1"}, false},
		{{"r", "", "2", "-1", "-1", "-1"}, false},
		{{"r", "01", "2", "-1", "-1", "-1"}, false},
		{{"r", "+1", "2", "-1", "-1", "-1"}, false},
		{{"r", " 1", "2", "-1", "-1", "-1"}, false},
		{{"r", "1 ", "2", "-1", "-1", "-1"}, false},
		{{"r", "0x1", "2", "-1", "-1", "-1"}, false},
		{{"r", "1", "0", "-1", "-1", "-1"}, false},
		{{"r", "1", "2147483648", "-1", "-1", "-1"}, false},
		{{"r", "1", "2", "0", "5", "-1"}, false},
		{{"r", "1", "2", "5", "0", "-1"}, false},
		{{"r", "1", "2", "5", "-1", "-1"}, false},
		{{"r", "1", "2", "-1", "5", "-1"}, false},
		{{"r", "1", "2", "-2", "-2", "-1"}, false},
		{{"r", "1", "2", "4294967295", "4294967295", "-1"}, false},
		{{"r", "1", "2", "-1", "-1", "2"}, false},
		{{"r", "1", "2", "-1", "-1", "2147483648"}, false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct seal_args args;

		if (parse(&args, rows[i].argv) != (rows[i].good ? 0 : -EINVAL))
			fail_msg("row %zu: wrong answer", i);
	}
}

static void test_args_values(void **state)
{
	struct seal_args args;

	assert_int_equal(
		parse(&args, (const char *[7]){"r", "7", "300", "65616", "65617", "6"}), 0);
	assert_int_equal(args.epoch, 7);
	assert_int_equal(args.parent, 300);
	assert_int_equal(args.uid, 65616);
	assert_int_equal(args.gid, 65617);
	assert_int_equal(args.root_fd, 6);
	assert_int_equal(parse(&args, (const char *[7]){"r", "7", "300", "-1", "-1", "-1"}), 0);
	assert_int_equal(args.uid, (uid_t)-1);
	assert_int_equal(args.gid, (gid_t)-1);
	assert_int_equal(args.root_fd, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_args),
		cmocka_unit_test(test_args_values),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
