// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Which server and which token: the order of their sources, and that no token goes to a server it
// was not given for.

#include "settings.h"

#include "config_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define TOKEN_OF_FILE "token-of-the-file-0123"
#define TOKEN_OF_ENV  "token-of-the-environment"
#define TOKEN_OF_OPT  "token-of-the-option-0123"

static char folder[] = "/tmp/tunnel-settings-XXXXXX", token_file[64];
static struct failure failure;
static struct settings settings;

static int make_folder(void **state)
{
	char server[] = "http://file.test", token[] = TOKEN_OF_FILE, ca[] = "/nonexistent";
	struct config config = {.server = server, .token = token, .ca = ca};

	if (mkdtemp(folder) == NULL)
		return -1;
	setenv("XDG_CONFIG_HOME", folder, 1);
	snprintf(token_file, sizeof token_file, "%s/token", folder);
	int fd = open(token_file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (write(fd, TOKEN_OF_OPT "\r\n", sizeof TOKEN_OF_OPT + 1) < 0)
		return -1;
	close(fd);
	return config_write(&config, &failure);
}

static int remove_folder(void **state)
{
	char path[CONFIG_PATH_MAX];

	if (config_path(path, &failure) != 0)
		return -1;
	unlink(path);
	*strrchr(path, '/') = '\0';
	rmdir(path);
	unlink(token_file);
	return rmdir(folder);
}

static int load(const char *server, const char *token_from)
{
	struct invocation invocation = {
		.values = {[OPTION_SERVER] = server, [OPTION_TOKEN_FILE] = token_from}};

	settings_deinit(&settings);
	failure.text[0] = '\0';
	return settings_load(&settings, &invocation, &failure);
}

static void expect(const char *host, const char *token)
{
	assert_string_equal(settings.server.host, host);
	if (token == NULL)
		assert_null(settings.token);
	else
		assert_string_equal(settings.token, token);
}

static void test_order(void **state)
{
	assert_int_equal(load(NULL, NULL), 0);
	expect("file.test", TOKEN_OF_FILE);
	setenv("TUNNEL_TOKEN", TOKEN_OF_ENV, 1);
	assert_int_equal(load(NULL, NULL), 0);
	expect("file.test", TOKEN_OF_ENV);
	assert_null(getenv("TUNNEL_TOKEN")); // wiped
	setenv("TUNNEL_TOKEN", TOKEN_OF_ENV, 1);
	assert_int_equal(load(NULL, token_file), 0);
	expect("file.test", TOKEN_OF_OPT);
	setenv("TUNNEL_SERVER", "https://env.test", 1);
	assert_int_equal(load("wss://option.test", token_file), 0);
	expect("option.test", TOKEN_OF_OPT);
	unsetenv("TUNNEL_SERVER");
}

static void test_the_token_of_the_file_is_for_its_server(void **state)
{
	assert_int_equal(load(NULL, NULL), 0);
	assert_string_equal(settings.ca_file, "/nonexistent");
	assert_int_equal(load("http://other.test", NULL), 0);
	expect("other.test", NULL);
	assert_null(settings.ca_file);
	assert_int_equal(settings_need_token(&settings, &failure), EXIT_CODE_USAGE);
	assert_int_equal(load("http://file.test:81", NULL), 0);
	expect("file.test", NULL);
	assert_int_equal(load("https://file.test:80", NULL), 0); // another scheme is another server
	expect("file.test", NULL);
	setenv("TUNNEL_SERVER", "http://other.test", 1);
	assert_int_equal(load(NULL, NULL), 0);
	expect("other.test", NULL);
	unsetenv("TUNNEL_SERVER");
	assert_int_equal(load("ws://FILE.test:80/", NULL), 0); // the same, spelled differently
	expect("file.test", TOKEN_OF_FILE);
}

static void expect_usage(int r, const char *words)
{
	assert_int_equal(r, EXIT_CODE_USAGE);
	if (strstr(failure.text, words) == NULL)
		fail_msg("'%s', wanted '%s'", failure.text, words);
}

static void test_mistakes(void **state)
{
	expect_usage(load("tcp://a:1", NULL), "--server: the URL of a server begins with");
	expect_usage(load("", NULL), "--server: "); // not another server in its place
	setenv("TUNNEL_SERVER", "nonsense", 1);
	expect_usage(load(NULL, NULL), "TUNNEL_SERVER: ");
	unsetenv("TUNNEL_SERVER");
	setenv("TUNNEL_TOKEN", "two words are no token", 1);
	expect_usage(load(NULL, NULL), "TUNNEL_TOKEN: ");
	assert_null(strstr(failure.text, "words are no"));
	unsetenv("TUNNEL_TOKEN");
	expect_usage(load(NULL, "/nonexistent"), "/nonexistent cannot be read");
	expect_usage(load(NULL, "/dev/null"), "too short");
	expect_usage(load(NULL, "/dev/zero"), "letters");
	expect_usage(load(NULL, "/"), "cannot be read");
}

static void test_certificates(void **state)
{
	struct invocation invocation = {
		.values = {[OPTION_SERVER] = "https://a.test", [OPTION_CA] = "/nonexistent"}};

	settings_deinit(&settings);
	assert_int_equal(settings_load(&settings, &invocation, &failure), EXIT_CODE_USAGE);
	assert_non_null(strstr(failure.text, "/nonexistent"));
	invocation.values[OPTION_CA] = NULL;
	assert_int_equal(settings_load(&settings, &invocation, &failure), 0);
	assert_non_null(settings.trust);
	settings_deinit(&settings);
	settings_deinit(&settings); // twice is once
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_the_token_of_the_file_is_for_its_server),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_certificates),
	};
	unsetenv("TUNNEL_SERVER");
	unsetenv("TUNNEL_TOKEN");
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
