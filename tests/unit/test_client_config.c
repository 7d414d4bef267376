// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The configuration file: what is accepted, who may own it, and that it is written whole.

#include "config_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define TOKEN "tnl_abcdefghijklmnop"

static struct failure failure;

static void expect_error(const char *text, unsigned wanted_line, const char *wanted_why)
{
	struct config config;
	const char *why = "";
	unsigned line = 0;

	if (config_parse(&config, span_of(text), &line, &why) != 1)
		fail_msg("accepted: %s", text);
	assert_null(config.server);
	assert_null(config.token);
	if (line != wanted_line || strstr(why, wanted_why) == NULL)
		fail_msg("line %u '%s', wanted line %u '%s'", line, why, wanted_line, wanted_why);
}

static void test_what_is_accepted(void **state)
{
	struct config config;
	const char *why = NULL;
	unsigned line;

	assert_int_equal(config_parse(&config,
				 SPAN("# comment\n\n  server=https://a \n\ttoken =\t" TOKEN
				      "\n  # ca = no\nca = /a b/c=d.pem"),
				 &line, &why),
		0);
	assert_string_equal(config.server, "https://a");
	assert_string_equal(config.token, TOKEN);
	assert_string_equal(config.ca, "/a b/c=d.pem");
	config_deinit(&config);
	assert_int_equal(config_parse(&config, SPAN(""), &line, &why), 0);
	assert_null(config.server);
}

static void test_what_is_refused(void **state)
{
	expect_error("server", 1, "key = value");
	expect_error("\n\nserver = a\nSERVER = b", 4, "no such key");
	expect_error("server = a\nserver = b", 2, "before");
	expect_error("server =", 1, "empty");
	expect_error("= a", 1, "no such key");
	expect_error("server = a\x1b[31m", 1, "do not belong");
	expect_error("server = a\r\ntoken = " TOKEN "\r\n", 1, "do not belong");
	expect_error("ca = \xff", 1, "do not belong");
	expect_error("token = short", 1, "too short");
	expect_error("token = tnl_abcdefghijk lmnop", 1, "letters");
	struct config config;
	const char *why = "";
	unsigned line;
	assert_int_equal(config_parse(&config, (struct span){"server = a\0b", 12}, &line, &why), 1);
}

// ---- the file

static char folder[] = "/tmp/tunnel-config-XXXXXX";
static char path[CONFIG_PATH_MAX];

static int make_folder(void **state)
{
	if (mkdtemp(folder) == NULL)
		return -1;
	setenv("XDG_CONFIG_HOME", folder, 1);
	return config_path(path, &failure);
}

static int remove_folder(void **state)
{
	char inner[64];

	snprintf(inner, sizeof inner, "%s/tunnel", folder);
	unlink(path);
	rmdir(inner);
	return rmdir(folder);
}

static void test_written_and_read(void **state)
{
	char server[] = "https://a", token[] = TOKEN;
	struct config config = {.server = server, .token = token};
	struct stat st;

	umask(0);
	for (int i = 0; i < 2; i++) { // the second time there is one
		assert_int_equal(config_write(&config, &failure), 0);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
	}
	struct config back;
	assert_int_equal(config_read(&back, &failure), 0);
	assert_string_equal(back.server, "https://a");
	assert_string_equal(back.token, TOKEN);
	assert_null(back.ca);
	config_deinit(&back);
}

static void test_open_to_others(void **state)
{
	static const mode_t modes[] = {0640, 0604, 0620, 0602, 0610, 0644, 0666};
	struct config config;

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		assert_int_equal(chmod(path, modes[i]), 0);
		assert_int_equal(config_read(&config, &failure), EXIT_CODE_USAGE);
		assert_non_null(strstr(failure.text, "chmod 600"));
		assert_non_null(strstr(failure.text, path));
	}
	assert_int_equal(chmod(path, 0400), 0);
	assert_int_equal(config_read(&config, &failure), 0);
	config_deinit(&config);
	assert_int_equal(chmod(path, 0600), 0);
}

static void test_no_regular_file(void **state)
{
	struct config config;

	assert_int_equal(unlink(path), 0);
	assert_int_equal(config_read(&config, &failure), 0); // none is an empty one
	assert_null(config.server);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(config_read(&config, &failure), EXIT_CODE_USAGE);
	assert_non_null(strstr(failure.text, "not a regular file"));
	assert_int_equal(unlink(path), 0);
}

static void test_too_large(void **state)
{
	static char text[CONFIG_FILE_MAX + 1];
	struct config config;

	memset(text, '#', sizeof text);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
	assert_int_equal(config_read(&config, &failure), 0);
	assert_int_equal(write(fd, text, 1), 1);
	assert_int_equal(config_read(&config, &failure), EXIT_CODE_USAGE);
	assert_non_null(strstr(failure.text, "16 KiB"));
	close(fd);
}

static void test_where_it_is(void **state)
{
	char there[CONFIG_PATH_MAX];

	setenv("HOME", "/home/x", 1);
	setenv("XDG_CONFIG_HOME", "relative", 1); // to be ignored
	assert_int_equal(config_path(there, &failure), 0);
	assert_string_equal(there, "/home/x/.config/tunnel/config");
	unsetenv("XDG_CONFIG_HOME");
	unsetenv("HOME");
	assert_int_equal(config_path(there, &failure), EXIT_CODE_USAGE);
	setenv("XDG_CONFIG_HOME", folder, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_accepted),
		cmocka_unit_test(test_what_is_refused),
		cmocka_unit_test(test_written_and_read),
		cmocka_unit_test(test_open_to_others),
		cmocka_unit_test(test_no_regular_file),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_where_it_is),
	};
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
