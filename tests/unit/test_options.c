// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The settings as a whole: the places they come from, the wording of mistakes, tokens, files.

#include "options_run.h"

#include <fcntl.h>
#include <sys/stat.h>

#define TOKEN "0123456789abcdefghij"

static void test_defaults(void **state)
{
	struct run run;

	run_file(&run, "");
	expect_good(&run, "nothing set");
	char *text = effective(&run.options);
	assert_string_equal(text, defaults);
	free(text);
	assert_null(run.options.api_token);
	assert_int_equal(run.options.max_tunnels, 1000);
	assert_int_equal(run.options.listen.n, 1);
	assert_int_equal(run.options.backend_reuse, REUSE_VISITOR);
	assert_int_equal(run.options.sandbox, SANDBOX_REQUIRE);
	assert_int_equal(run.options.log_format, LOG_FORMAT_TEXT);
	run_free(&run);
}

static void test_file_syntax(void **state)
{
	struct run run;

	run_file(&run, "# comment\n"
		       "   # comment = 1\n"
		       "\n"
		       " \t\r\n"
		       "gates=3\r\n"
		       "\t max_tunnels \t=\t 7 \t # seven\n"
		       "state_dir = /tmp/a b#c #d\n"
		       "retention=2h#not a comment, so no number\n");
	expect_bad(&run, "syntax",
		"t.conf:8: retention: '2h#not a comment, so no number' is not a time: write a number with s, m, "
		"h or d behind it, 0s to 30d\n");
	assert_int_equal(run.options.gates, 3);
	assert_int_equal(run.options.max_tunnels, 7);
	assert_string_equal(run.options.state_dir, "/tmp/a b#c");
	run_free(&run);
	run_file(&run, "\xef\xbb\xbfgates = 4"); // byte order mark, no line end
	expect_effective(&run, "gates=4");
	run_free(&run);

	bad_file("gates 4\n", "t.conf:1: this line is no setting: write key = value\n");
	bad_file("[section]\n", "t.conf:1: this line is no setting: write key = value\n");
	bad_file("= 4\n", "t.conf:1: there is no key ''\n");
	bad_file("gates = \n",
		"t.conf:1: gates: a value is missing: remove the setting to have the default\n");
	bad_file("gates = # 4\n",
		"t.conf:1: gates: a value is missing: remove the setting to have the default\n");
	bad_file("gates == 4\n",
		"t.conf:1: gates: '= 4' is not a whole number: write 0 to 64 processes\n");
	bad_file("gates = \"4\"\n",
		"t.conf:1: gates: '\"4\"' is not a whole number: write 0 to 64 processes\n");
	bad_file("Gates = 4\n", "t.conf:1: there is no key 'Gates': did you mean 'gates'?\n");
	bad_file("gates = 1\n\n# again\ngates = 1\n",
		"t.conf:4: gates: is already set in line 1: remove one of the two\n");
	bad_file("max_tunels = 1\n",
		"t.conf:1: there is no key 'max_tunels': did you mean 'max_tunnels'?\n");
	bad_file("MAX_TUNNELS = 1\n",
		"t.conf:1: there is no key 'MAX_TUNNELS': did you mean 'max_tunnels'?\n");
	bad_file("xyz = 1\n", "t.conf:1: there is no key 'xyz'\n");
	bad_file("ga\x01tes = 1\n", "t.conf:1: there is no such key: did you mean 'gates'?\n");
	bad_file("include = other\n", "t.conf:1: there is no key 'include'\n");
	struct options_input input = {.file_name = "t.conf", .file_text = SPAN("gates = 1\0\n")};
	run_input(&run, &input);
	expect_bad(&run, "NUL",
		"t.conf:1: gates: the value has a control character or is not UTF-8\n");
	run_free(&run);
}

static void test_long_values_are_shortened(void **state)
{
	struct run run;
	char setting[4096] = "gates=";

	memset(setting + 6, 'y', 4000);
	run_settings(&run, (const char *const[]){setting, NULL});
	assert_int_equal(run.result, OPTIONS_INVALID);
	assert_true(strlen(errors_of(&run)) < 200);
	run_free(&run);
	for (size_t i = 0; i + 1 < 2000; i += 2)
		memcpy(setting + 6 + i, "ä", 2);
	run_settings(&run, (const char *const[]){setting, NULL});
	expect_bad(&run, "umlauts",
		"option -o: gates: 'ääääääääääääääääääääääääääääää...' is not a whole number: write 0 to 64 "
		"processes\n");
	run_free(&run);
	memset(setting, 'k', 4000);
	memcpy(setting + 4000, "=1", 3);
	run_settings(&run, (const char *const[]){setting, NULL});
	assert_int_equal(run.result, OPTIONS_INVALID);
	assert_true(strlen(errors_of(&run)) < 200);
	run_free(&run);
}

static void test_all_mistakes_are_reported(void **state)
{
	static const char file[] = "gates = 65\nnonsense\nmax_tunnels = 0\n";
	char variable[] = "TUNNELD_RETENTION=soon";
	char *environment[] = {variable, NULL};
	static const char *const settings[] = {"listen=here", "x"};
	struct options_input input = {.file_name = "/etc/t.conf",
		.file_text = SPAN(file),
		.environment = environment,
		.settings = settings,
		.n_settings = 2};
	struct run run;

	input.file_text.n = sizeof file - 1;
	run_input(&run, &input);
	expect_bad(&run, "everything",
		"/etc/t.conf:1: gates: '65' is too large: write 0 to 64 processes\n"
		"/etc/t.conf:2: this line is no setting: write key = value\n"
		"/etc/t.conf:3: max_tunnels: '0' is too small: write 1 to 20000 tunnels\n"
		"environment TUNNELD_RETENTION: 'soon' is not a time: write a number with s, m, h or d behind "
		"it, 0s to 30d\n"
		"option -o: listen: 'here': write an address with a port, as 127.0.0.1:8080 or [::1]:8080\n"
		"option -o: write -o key=value\n");
	run_free(&run);
}

static void test_number_of_mistakes(void **state)
{
	static const struct {
		unsigned mistakes, lines;
		const char *last;
	} cases[] = {{OPTIONS_ERRORS_MAX, OPTIONS_ERRORS_MAX, NULL},
		{OPTIONS_ERRORS_MAX + 1, OPTIONS_ERRORS_MAX + 1, "and 1 more mistakes\n"},
		{20000, OPTIONS_ERRORS_MAX + 1, "and 19950 more mistakes\n"}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *text = calloc(cases[i].mistakes * 3 + 1, 1);
		assert_non_null(text);
		for (unsigned j = 0; j < cases[i].mistakes; j++)
			memcpy(text + j * 3, "?!\n", 3);
		struct run run;
		run_file(&run, text);
		const char *errors = errors_of(&run);
		unsigned lines = 0;
		for (const char *p = errors; *p != '\0'; p++)
			lines += *p == '\n';
		assert_int_equal(lines, cases[i].lines);
		if (cases[i].last != NULL)
			assert_string_equal(
				errors + strlen(errors) - strlen(cases[i].last), cases[i].last);
		run_free(&run);
		free(text);
	}
}

static void test_order_of_places(void **state)
{
	char gates[] = "TUNNELD_GATES=2",
	     allow[] = "TUNNELD_BACKEND_ALLOW= 10.2.0.0/16 ,10.3.0.0/16", other[] = "TUNNEL=1",
	     odd[] = "no equals sign";
	char *environment[] = {other, gates, odd, allow, NULL};
	static const char *const settings[] = {
		"gates=3", "gates=4", "listen=127.0.0.1:3", "listen=127.0.0.1:4"};
	static const char file[] =
		"gates = 1\nmax_tunnels = 1\nbackend_allow = 10.1.0.0/16\n"
		"listen = 127.0.0.1:1, 127.0.0.1:2\nbackend_deny = 10.4.0.0/16\n";
	struct options_input input = {.file_name = "t.conf", .file_text = span_of(file)};
	struct run run;

	run_input(&run, &input);
	expect_effective(&run, "gates=1");
	expect_effective(&run, "listen=127.0.0.1:1,127.0.0.1:2");
	run_free(&run);

	input.environment = environment;
	run_input(&run, &input);
	expect_effective(&run, "gates=2");
	expect_effective(&run, "max_tunnels=1");
	expect_effective(&run, "backend_allow=10.2.0.0/16,10.3.0.0/16");
	run_free(&run);

	input.settings = settings;
	input.n_settings = ARRAY_SIZE(settings);
	run_input(&run, &input);
	expect_effective(&run, "gates=4");
	expect_effective(&run, "max_tunnels=1");
	expect_effective(&run, "listen=127.0.0.1:3,127.0.0.1:4");
	expect_effective(&run, "backend_deny=10.4.0.0/16");
	run_free(&run);

	// An empty list of a later place empties that of an earlier one.
	static const char *const none[] = {"backend_allow=", "backend_deny ="};
	input.settings = none;
	input.n_settings = ARRAY_SIZE(none);
	run_input(&run, &input);
	expect_effective(&run, "backend_allow=");
	expect_effective(&run, "backend_deny=");
	run_free(&run);
}

static void test_environment(void **state)
{
	bad_variable("TUNNELD_MAX_TUNELS=1",
		"environment TUNNELD_MAX_TUNELS: there is no such setting: did you mean "
		"TUNNELD_MAX_TUNNELS?\n");
	bad_variable("TUNNELD_=1", "environment TUNNELD_: there is no such setting\n");
	bad_variable("TUNNELD_gates=1", "environment TUNNELD_gates: there is no such setting\n");
	bad_variable("TUNNELD_GA\x1bTES=1",
		"environment TUNNELD_...: there is no such setting: did you mean "
		"TUNNELD_GATES?\n");
	bad_variable("TUNNELD_GATES=",
		"environment TUNNELD_GATES: a value is missing: remove the setting to "
		"have the default\n");
	bad_variable("TUNNELD_GATES=65",
		"environment TUNNELD_GATES: '65' is too large: write 0 to 64 processes\n");
	bad_variable("TUNNELD_A_NAME_THAT_IS_MUCH_LONGER_THAN_THAT_OF_ANY_KEY_COULD_EVER_BE=1",
		"environment TUNNELD_A_NAME_THAT_IS_MUCH_LONGER_THAN_THAT_OF_ANY_KEY_COULD_EVER_BE: there is "
		"no such setting\n");
	static const char *const fine[] = {"TUNNEL=1", "tunneld_gates=99", "XTUNNELD_GATES=99",
		"TUNNELD=1", "TUNNELD_GATES", "TUNNELD_GATES= 5 ",
		"TUNNELD_PUBLIC_URL=", "TUNNELD_BACKEND_ALLOW="};
	for (size_t i = 0; i < ARRAY_SIZE(fine); i++) {
		struct run run;
		run_variable(&run, fine[i]);
		expect_good(&run, fine[i]);
		run_free(&run);
	}
}

static void assert_no_token_in(struct run *run)
{
	if (strstr(errors_of(run), "0123456789") != NULL)
		fail_msg("the token is in a message: %s", errors_of(run));
}

static void test_token_on_the_command_line(void **state)
{
	bad_setting("api_token=" TOKEN,
		"option -o: api_token: a token on the command line can be read by every user of the machine: "
		"put it into api_token_file or the environment variable TUNNELD_API_TOKEN\n");
	bad_setting("api_token=",
		"option -o: api_token: a token on the command line can be read by every user of the machine: "
		"put it into api_token_file or the environment variable TUNNELD_API_TOKEN\n");
	static const char *const slips[] = {"api_token " TOKEN, "api_tokn=" TOKEN,
		"api_token:" TOKEN, "api_token: " TOKEN "=="};
	for (size_t i = 0; i < ARRAY_SIZE(slips); i++) {
		struct run run;
		run_settings(&run, (const char *const[]){slips[i], NULL});
		assert_int_equal(run.result, OPTIONS_INVALID);
		assert_no_token_in(&run);
		run_free(&run);
	}
}

static void test_token_in_the_environment(void **state)
{
	char variable[] = "TUNNELD_API_TOKEN=" TOKEN;
	char bad[] = "TUNNELD_API_TOKEN=0123456789abcde";
	char *environment[] = {variable, NULL};
	struct options_input input = {.environment = environment};
	struct run run;

	run_input(&run, &input);
	expect_good(&run, "token");
	assert_string_equal(run.options.api_token, TOKEN);
	assert_string_equal(variable, "TUNNELD_API_TOKEN="); // wiped
	assert_int_equal(variable[sizeof variable - 2], '\0');
	char *text = effective(&run.options);
	assert_string_equal(text, defaults);
	free(text);
	options_forget_token(&run.options);
	assert_null(run.options.api_token);
	run_free(&run);

	environment[0] = bad;
	run_input(&run, &input);
	expect_bad(&run, "short token",
		"environment TUNNELD_API_TOKEN: the token is too short: at least 16 characters, better 43 or "
		"more random ones\n");
	assert_string_equal(bad, "TUNNELD_API_TOKEN=");
	run_free(&run);
	bad_variable("TUNNELD_API_TOKEN=0123456789abcde f",
		"environment TUNNELD_API_TOKEN: a token is made of letters, digits and -._~+/= only\n");
	bad_variable("TUNNELD_API_TOKEN=0123456789\xff",
		"environment TUNNELD_API_TOKEN: the value has a control character or is not UTF-8\n");
	bad_variable("TUNNELD_API_TOKEN=",
		"environment TUNNELD_API_TOKEN: a value is missing: remove the "
		"setting to have the default\n");
}

static void test_token_in_the_file(void **state)
{
	struct options_input input = {
		.file_name = "t.conf", .file_text = SPAN("api_token = " TOKEN "\n")};
	struct run run;

	run_input(&run, &input);
	expect_bad(&run, "open file",
		"t.conf:1: api_token: this file holds a token and is open to others: chmod 600 it, or put the "
		"token into api_token_file\n");
	run_free(&run);
	input.file_private = true;
	run_input(&run, &input);
	expect_good(&run, "private file");
	assert_string_equal(run.options.api_token, TOKEN);
	run_free(&run);
}

static void test_effective_text_is_a_file_and_canonical(void **state)
{
	static const char *const files[] = {"",
		("listen = [::1]:1, 1.2.3.4:5\nretention = 2d\nbackend_allow=::/0,10.0.0.0/8:1\n"
		 "public_url = HTTP://X.example:80\nstate_dir=a//\nlog_format=json\nsandbox=best-effort\n"),
		"max_timeout = 1m\n"};
	struct run first, second;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		run_file(&first, files[i]);
		expect_good(&first, files[i]);
		char *text = effective(&first.options);
		run_file(&second, text);
		expect_good(&second, text);
		char *again = effective(&second.options);
		assert_string_equal(text, again);
		free(text);
		free(again);
		run_free(&first);
		run_free(&second);
	}
	// Written in other ways, the same bytes.
	run_file(&first, "retention = 2d\nlisten = 127.0.0.1:1\nlisten=[::1]:2\n");
	run_file(&second, "listen=127.0.0.1:0001 , [0::0:1]:2\n\nretention =172800 # two days");
	char *a = effective(&first.options), *b = effective(&second.options);
	assert_string_equal(a, b);
	free(a);
	free(b);
	run_free(&first);
	run_free(&second);
}

// Command line

static int command(struct options_command *c, struct buf *errors, char *const *argv)
{
	int argc = 0;

	while (argv[argc] != NULL)
		argc++;
	return options_command_parse(c, argc, argv, errors);
}

#define ARGV(...) ((char *[]){(char[]){"tunneld"}, __VA_ARGS__, NULL})
#define A(text)   ((char[]){text})

static void test_command_line(void **state)
{
	struct options_command c;
	struct buf errors;

	buf_init(&errors, OPTIONS_TEXT_MAX);
	assert_int_equal(command(&c, &errors, (char *[]){A("tunneld"), NULL}), 0);
	assert_true(c.file == NULL && c.n_settings == 0 && !c.check && !c.help && !c.version);
	assert_int_equal(
		command(&c, &errors,
			ARGV(A("-c"), A("f"), A("-o"), A("a=b"), A("-oc=d"), A("--check"))),
		0);
	assert_string_equal(c.file, "f");
	assert_int_equal(c.n_settings, 2);
	assert_string_equal(c.settings[0], "a=b");
	assert_string_equal(c.settings[1], "c=d");
	assert_true(c.check && !c.help && !c.version);
	assert_int_equal(command(&c, &errors, ARGV(A("--version"))), 0);
	assert_true(c.version && !c.check);
	assert_int_equal(command(&c, &errors, ARGV(A("--help"))), 0);
	assert_true(c.help && !c.version);
	assert_int_equal(buf_len(&errors), 0);
	buf_reset(&errors);
}

static void bad_command(char *const *argv, const char *expected)
{
	struct options_command c;
	struct run run = {0};

	buf_init(&run.errors, OPTIONS_TEXT_MAX);
	run.result = command(&c, &run.errors, argv);
	expect_bad(&run, argv[1], expected);
	buf_reset(&run.errors);
}

static void test_bad_command_lines(void **state)
{
	bad_command(ARGV(A("--nonsense")), "there is no option '--nonsense'\n");
	bad_command(ARGV(A("--token=" TOKEN)), "there is no option '--token'\n");
	bad_command(ARGV(A("--check=yes")), "there is no option '--check'\n");
	bad_command(ARGV(A("-x")), "there is no option '-x'\n");
	bad_command(ARGV(A("-c")), "option -c: write the name of a file behind it\n");
	bad_command(ARGV(A("-o")), "option -o: write key=value behind it\n");
	bad_command(
		ARGV(A("-c"), A("a"), A("-c"), A("b")), "option -c: there can be only one file\n");
	bad_command(
		ARGV(A("gates=1")), "'gates=1' is no option: settings are given as -o key=value\n");
	bad_command(ARGV(A("--check"), A("--"), A("x")),
		"'x' is no option: settings are given as -o key=value\n");
}

static void test_number_of_settings(void **state)
{
	enum { FAR = 5000 };
	static char setting[] = "-ogates=1";
	char **argv = calloc(FAR + 2, sizeof *argv);
	struct options_command c;
	struct buf errors;

	assert_non_null(argv);
	argv[0] = A("tunneld");
	buf_init(&errors, OPTIONS_TEXT_MAX);
	for (int i = 1; i <= FAR; i++)
		argv[i] = setting;
	assert_int_equal(options_command_parse(&c, 1 + OPTIONS_SETTINGS_MAX, argv, &errors), 0);
	assert_int_equal(c.n_settings, OPTIONS_SETTINGS_MAX);
	assert_int_equal(options_command_parse(&c, 2 + OPTIONS_SETTINGS_MAX, argv, &errors),
		OPTIONS_INVALID);
	assert_int_equal(options_command_parse(&c, 1 + FAR, argv, &errors), OPTIONS_INVALID);
	buf_reset(&errors);
	free(argv);
}

// Files

static char folder[64];

static int setup(void **state)
{
	snprintf(folder, sizeof folder, "/tmp/tunneld-options-XXXXXX");
	return mkdtemp(folder) == NULL;
}

static int teardown(void **state)
{
	char path[128];

	snprintf(path, sizeof path, "%s/t.conf", folder);
	unlink(path);
	return rmdir(folder);
}

static void load(struct run *run, const char *content, size_t n, mode_t mode)
{
	static char path[128];
	struct options_command c = {.file = path};

	snprintf(path, sizeof path, "%s/t.conf", folder);
	unlink(path);
	if (content != NULL) {
		int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
		assert_true(fd >= 0);
		assert_int_equal(write(fd, content, n), n);
		assert_int_equal(fchmod(fd, mode), 0);
		close(fd);
	}
	options_init(&run->options);
	buf_init(&run->errors, OPTIONS_TEXT_MAX);
	run->result = options_load(&run->options, &c, NULL, &run->errors);
}

static void test_load(void **state)
{
	static char text[OPTIONS_FILE_MAX * 4];
	char expected[256];
	struct run run;

	load(&run, "gates = 7\n", 10, 0644);
	expect_effective(&run, "gates=7");
	run_free(&run);
	load(&run, "", 0, 0644);
	expect_effective(&run, "gates=0");
	run_free(&run);

	load(&run, "gates = x\n", 10, 0644);
	snprintf(expected, sizeof expected,
		"%s/t.conf:1: gates: 'x' is not a whole number: write 0 to 64 processes\n", folder);
	expect_bad(&run, "bad value", expected);
	run_free(&run);
	load(&run, NULL, 0, 0);
	snprintf(expected, sizeof expected,
		"option -c: %s/t.conf cannot be read: No such file or directory\n", folder);
	expect_bad(&run, "no file", expected);
	run_free(&run);

	memset(text, '\n', sizeof text);
	load(&run, text, OPTIONS_FILE_MAX, 0644);
	expect_good(&run, "largest file");
	run_free(&run);
	snprintf(expected, sizeof expected,
		"option -c: %s/t.conf cannot be read: it has more than 64 KiB\n", folder);
	load(&run, text, OPTIONS_FILE_MAX + 1, 0644);
	expect_bad(&run, "too large", expected);
	run_free(&run);
	load(&run, text, sizeof text, 0644);
	expect_bad(&run, "far too large", expected);
	run_free(&run);
}

static void test_load_token(void **state)
{
	static const char text[] = "api_token = " TOKEN "\n";
	static const struct {
		mode_t mode;
		bool good;
	} modes[] = {{0600, true}, {0400, true}, {0640, false}, {0604, false}, {0644, false}};
	struct run run;

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		load(&run, text, sizeof text - 1, modes[i].mode);
		if ((run.result == 0) != modes[i].good)
			fail_msg("mode %o: %d %s", modes[i].mode, run.result, errors_of(&run));
		assert_no_token_in(&run);
		run_free(&run);
	}
}

static void test_load_reports_the_rest_too(void **state)
{
	struct options_command c = {.file = folder, .settings = {"gates=65"}, .n_settings = 1};
	char expected[256];
	struct run run;

	options_init(&run.options);
	buf_init(&run.errors, OPTIONS_TEXT_MAX);
	run.result = options_load(&run.options, &c, NULL, &run.errors);
	snprintf(expected, sizeof expected,
		"option -c: %s cannot be read: Is a directory\n"
		"option -o: gates: '65' is too large: write 0 to 64 processes\n",
		folder);
	expect_bad(&run, "folder", expected);
	run_free(&run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_file_syntax),
		cmocka_unit_test(test_long_values_are_shortened),
		cmocka_unit_test(test_all_mistakes_are_reported),
		cmocka_unit_test(test_number_of_mistakes),
		cmocka_unit_test(test_order_of_places),
		cmocka_unit_test(test_environment),
		cmocka_unit_test(test_token_on_the_command_line),
		cmocka_unit_test(test_token_in_the_environment),
		cmocka_unit_test(test_token_in_the_file),
		cmocka_unit_test(test_effective_text_is_a_file_and_canonical),
		cmocka_unit_test(test_command_line),
		cmocka_unit_test(test_bad_command_lines),
		cmocka_unit_test(test_number_of_settings),
		cmocka_unit_test_setup_teardown(test_load, setup, teardown),
		cmocka_unit_test_setup_teardown(test_load_token, setup, teardown),
		cmocka_unit_test_setup_teardown(test_load_reports_the_rest_too, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
