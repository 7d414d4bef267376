// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The values of settings: every key at and beyond its limits, every form and its misspellings.

#include "options_run.h"

static const struct bounds {
	const char *key;
	size_t offset;
	uint32_t min, max;
	const char *range;
	bool time;
} bounds[] = {
	{"connect_timeout", offsetof(struct options, connect_timeout), 1, 60, "1s to 1m", true},
	{"create_rate", offsetof(struct options, create_rate), 0, 1000000,
		"0 to 1000000 tunnels a minute", false},
	{"default_timeout", offsetof(struct options, default_timeout), 1, 86400, "1s to 1d", true},
	{"failure_rate", offsetof(struct options, failure_rate), 0, 1000000,
		"0 to 1000000 failures a minute", false},
	{"gates", offsetof(struct options, gates), 0, 64, "0 to 64 processes", false},
	{"head_timeout", offsetof(struct options, head_timeout), 1, 300, "1s to 5m", true},
	{"idempotency_answers", offsetof(struct options, idempotency_answers), 0, 65536,
		"0 to 65536 answers", false},
	{"idle_timeout", offsetof(struct options, idle_timeout), 1, 3600, "1s to 1h", true},
	{"max_connections_per_tunnel", offsetof(struct options, max_connections_per_tunnel), 1,
		10000, "1 to 10000 connections", false},
	{"max_event_streams", offsetof(struct options, max_event_streams), 0, 1000,
		"0 to 1000 streams", false},
	{"max_timeout", offsetof(struct options, max_timeout), 1, 86400, "1s to 1d", true},
	{"max_tokens", offsetof(struct options, max_tokens), 1, 1000, "1 to 1000 tokens", false},
	{"max_tunnels", offsetof(struct options, max_tunnels), 1, 20000, "1 to 20000 tunnels",
		false},
	{"relay_uid_base", offsetof(struct options, relay_uid_base), 1000, 2000000000,
		"1000 to 2000000000 as user id", false},
	{"request_rate", offsetof(struct options, request_rate), 0, 1000000,
		"0 to 1000000 requests a second", false},
	{"retention", offsetof(struct options, retention), 0, 2592000, "0s to 30d", true},
};

static void number_accepted(const struct bounds *b, const char *text, uint32_t expected)
{
	char setting[128];
	struct run run;
	uint32_t got;

	snprintf(setting, sizeof setting, "%s=%s", b->key, text);
	run_settings(&run, (const char *const[]){setting, NULL});
	expect_good(&run, setting);
	memcpy(&got, (const char *)&run.options + b->offset, sizeof got);
	if (got != expected)
		fail_msg("%s: %u, expected %u", setting, got, expected);
	run_free(&run);
}

static void number_refused(const struct bounds *b, const char *text, const char *how)
{
	char setting[256], errors[512];

	snprintf(setting, sizeof setting, "%s=%s", b->key, text);
	snprintf(errors, sizeof errors, "option -o: %s: '%s' is too %s: write %s\n", b->key, text,
		how, b->range);
	bad_setting(setting, errors);
}

static void test_numbers_at_their_limits(void **state)
{
	static const char *const far[] = {"2147483648", "4294967295", "4294967296", "4294967297",
		"9223372036854775807", "9223372036854775808", "18446744073709551615",
		"18446744073709551616", "18446744073709551617",
		"99999999999999999999999999999999999999"};
	char text[64];

	for (size_t i = 0; i < ARRAY_SIZE(bounds); i++) {
		const struct bounds *b = &bounds[i];
		snprintf(text, sizeof text, "%u", b->min);
		number_accepted(b, text, b->min);
		snprintf(text, sizeof text, "%u", b->max);
		number_accepted(b, text, b->max);
		snprintf(text, sizeof text, "000000000000000000000000%u", b->max);
		number_accepted(b, text, b->max);
		snprintf(text, sizeof text, "%u", b->max + 1);
		number_refused(b, text, "large");
		for (size_t j = 0; j < ARRAY_SIZE(far); j++)
			number_refused(b, far[j], "large");
		if (b->min > 0) {
			number_refused(b, "0", "small");
			snprintf(text, sizeof text, "%u", b->min - 1);
			number_refused(b, text, "small");
		}
	}
}

static void test_what_is_no_number(void **state)
{
	static const char *const bad[] = {"-1", "+1", "1.5", "1e3", "0x10", "ten", "1 0", "1,0",
		"1_000", "١", "1k", "∞", "true"};
	char setting[256], errors[512];

	for (size_t i = 0; i < ARRAY_SIZE(bounds); i++) {
		const struct bounds *b = &bounds[i];
		for (size_t j = 0; j < ARRAY_SIZE(bad); j++) {
			snprintf(setting, sizeof setting, "%s=%s", b->key, bad[j]);
			snprintf(errors, sizeof errors,
				b->time ? "option -o: %s: '%s' is not a time: write a number with s, m, h or d "
					  "behind it, %s\n"
					: "option -o: %s: '%s' is not a whole number: write %s\n",
				b->key, bad[j], b->range);
			bad_setting(setting, errors);
		}
		snprintf(setting, sizeof setting, "%s=", b->key);
		snprintf(errors, sizeof errors,
			"option -o: %s: a value is missing: remove the setting to have the default\n",
			b->key);
		bad_setting(setting, errors);
	}
}

static void test_times(void **state)
{
	const struct bounds *retention = &bounds[ARRAY_SIZE(bounds) - 1];

	assert_string_equal(retention->key, "retention");
	number_accepted(retention, "90", 90);
	number_accepted(retention, "90s", 90);
	number_accepted(retention, "15m", 900);
	number_accepted(retention, "2h", 7200);
	number_accepted(retention, "1d", 86400);
	number_accepted(retention, "30d", 2592000);
	number_accepted(retention, "720h", 2592000);
	number_accepted(retention, "0d", 0);
	number_refused(retention, "31d", "large");
	number_refused(retention, "721h", "large");
	number_refused(retention, "18446744073709551615d", "large");
	number_refused(retention, "213503982334602d", "large"); // times 86400 is 2^64 and a little
	number_refused(&bounds[0], "0m", "small");
	static const char *const bad[] = {
		"1w", "1h30m", "1 h", "h", "s", "1ss", "1H", "1ms", "-1s", "1.5h"};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char setting[64], errors[256];
		snprintf(setting, sizeof setting, "retention=%s", bad[i]);
		snprintf(errors, sizeof errors,
			"option -o: retention: '%s' is not a time: write a number with s, m, h or d behind "
			"it, 0s to 30d\n",
			bad[i]);
		bad_setting(setting, errors);
	}
}

static void test_default_timeout_fits_max_timeout(void **state)
{
	struct run run;

	run_file(&run, "max_timeout = 10m\n");
	expect_effective(&run, "default_timeout=600");
	run_free(&run);
	run_file(&run, "max_timeout = 10m\ndefault_timeout = 10m\n");
	expect_effective(&run, "default_timeout=600");
	run_free(&run);
	bad_file("max_timeout = 10m\ndefault_timeout = 601\n",
		"t.conf:2: default_timeout: 601 seconds are more than max_timeout, 600 seconds\n");
	bad_variable("TUNNELD_DEFAULT_TIMEOUT=86401",
		"environment TUNNELD_DEFAULT_TIMEOUT: '86401' is too large: write 1s to 1d\n");
	// One mistake is not reported as two.
	bad_file("max_timeout = 10m\ndefault_timeout = x\n",
		"t.conf:2: default_timeout: 'x' is not a time: write a number with s, m, h or d behind it, 1s "
		"to 1d\n");
}

static void test_words(void **state)
{
	struct run run;

	run_settings(&run, (const char *const[]){"backend_reuse=shared", "sandbox=best-effort",
				   "log_format=json", NULL});
	expect_good(&run, "words");
	assert_int_equal(run.options.backend_reuse, REUSE_SHARED);
	assert_int_equal(run.options.sandbox, SANDBOX_BEST_EFFORT);
	assert_int_equal(run.options.log_format, LOG_FORMAT_JSON);
	run_free(&run);
	run_settings(&run, (const char *const[]){"log_format=logfmt", NULL});
	assert_int_equal(run.options.log_format, LOG_FORMAT_LOGFMT);
	run_free(&run);
	bad_setting("sandbox=no",
		"option -o: sandbox: 'no' is not one of its words: write require or best-effort\n");
	bad_setting("log_format=Text",
		"option -o: log_format: 'Text' is not one of its words: write text, logfmt or json\n");
	bad_setting("backend_reuse=visitors",
		"option -o: backend_reuse: 'visitors' is not one of its words: "
		"write visitor or shared\n");
}

static void test_paths(void **state)
{
	struct run run;
	char setting[OPTIONS_PATH_MAX + 32];

	run_settings(&run, (const char *const[]){"state_dir=./var//", NULL});
	expect_effective(&run, "state_dir=./var");
	expect_effective(&run, "api_token_file=./var/owner-token");
	run_free(&run);
	run_settings(&run, (const char *const[]){"state_dir=/a /", NULL});
	expect_effective(&run, "state_dir=/a /");
	run_free(&run);
	run_settings(&run, (const char *const[]){"state_dir=/", NULL});
	expect_effective(&run, "state_dir=/");
	expect_effective(&run, "api_token_file=/owner-token");
	run_free(&run);
	run_settings(&run, (const char *const[]){"api_token_file=/run/secrets/töken", NULL});
	expect_effective(&run, "api_token_file=/run/secrets/töken");
	run_free(&run);

	memset(setting, 'x', sizeof setting);
	memcpy(setting, "state_dir=", 10);
	setting[10 + OPTIONS_PATH_MAX] = '\0';
	good_setting(setting);
	setting[10 + OPTIONS_PATH_MAX] = 'x';
	setting[11 + OPTIONS_PATH_MAX] = '\0';
	bad_setting(setting, "option -o: state_dir: the path is longer than 1024 bytes\n");
	bad_setting("state_dir=a\tb",
		"option -o: state_dir: the value has a control character or is not "
		"UTF-8\n");
	bad_setting("state_dir=a\nb",
		"option -o: state_dir: the value has a control character or is not "
		"UTF-8\n");
	bad_setting("state_dir=a\xff",
		"option -o: state_dir: the value has a control character or is not "
		"UTF-8\n");
	bad_setting("state_dir=\xc0\xaf",
		"option -o: state_dir: the value has a control character or is not "
		"UTF-8\n");
	bad_setting("state_dir=",
		"option -o: state_dir: a value is missing: remove the setting to have the "
		"default\n");
}

static void test_public_url(void **state)
{
	static const struct {
		const char *setting, *effective;
	} good[] = {
		{"public_url=https://tunnels.example.org",
			"public_url=https://tunnels.example.org"},
		{"public_url=HTTPS://Tunnels.Example.ORG:443",
			"public_url=https://tunnels.example.org"},
		{"public_url=http://a.example:80", "public_url=http://a.example"},
		{"public_url=http://a.example:443", "public_url=http://a.example:443"},
		{"public_url=https://a.example:80", "public_url=https://a.example:80"},
		{"public_url=http://10.0.0.1:8080", "public_url=http://10.0.0.1:8080"},
		{"public_url=http://[2001:DB8::1]:8080", "public_url=http://[2001:db8::1]:8080"},
		{"public_url=http://a.example:65535", "public_url=http://a.example:65535"},
		{"public_url=", "public_url=http://127.0.0.1:8080"},
		{"listen=0.0.0.0:80", "public_url=http://127.0.0.1"},
		{"listen=[::]:8080", "public_url=http://[::1]:8080"},
		{"listen=[2001:db8::7]:80,127.0.0.1:9", "public_url=http://[2001:db8::7]"},
	};
	static const char *const bad[] = {"tunnels.example.org", "ftp://a.example",
		"ws://a.example", "tcp://a.example:80", "http://", "https://", "http:/a",
		"http://a.example/", "http://a.example/x", "http://a.example?x",
		"http://a.example#x", "http://u@a.example", "http://a.example:0",
		"http://a.example:65536", "http://a.example:", "http://a b", "http:///",
		"http://[::1", "http://ä.example", "javascript:alert(1)"};
	struct run run;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		run_settings(&run, (const char *const[]){good[i].setting, NULL});
		expect_effective(&run, good[i].effective);
		run_free(&run);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char setting[128], start[128];
		snprintf(setting, sizeof setting, "public_url=%s", bad[i]);
		snprintf(start, sizeof start, "option -o: public_url: '%s': ", bad[i]);
		run_settings(&run, (const char *const[]){setting, NULL});
		if (run.result == 0 || strncmp(errors_of(&run), start, strlen(start)) != 0)
			fail_msg("%s: %s", setting, run.result == 0 ? "accepted" : errors_of(&run));
		run_free(&run);
	}
	bad_setting("public_url=https://a.example/",
		"option -o: public_url: 'https://a.example/': leave out the slash at the end\n");
}

static void check_all(const char *key, const char *const *good, const char *const *bad)
{
	char setting[256], start[256];
	struct run run;

	for (size_t i = 0; good[i] != NULL; i += 2) {
		snprintf(setting, sizeof setting, "%s=%s", key, good[i]);
		run_settings(&run, (const char *const[]){setting, NULL});
		snprintf(setting, sizeof setting, "%s=%s", key, good[i + 1]);
		expect_effective(&run, setting);
		run_free(&run);
	}
	for (size_t i = 0; bad[i] != NULL; i++) {
		snprintf(setting, sizeof setting, "%s=%s", key, bad[i]);
		snprintf(start, sizeof start, "option -o: %s: '%s': ", key, bad[i]);
		run_settings(&run, (const char *const[]){setting, NULL});
		if (run.result == 0 || strncmp(errors_of(&run), start, strlen(start)) != 0)
			fail_msg("%s: %s", setting, run.result == 0 ? "accepted" : errors_of(&run));
		run_free(&run);
	}
}

static void test_origins_and_proxies(void **state)
{
	check_all("proxy_protocol",
		(const char *const[]){"127.0.0.1:80", "127.0.0.1:80", "127.0.0.1:80-80",
			"127.0.0.1:80", "0.0.0.0:1-65535, [0::1]:8-9", "0.0.0.0:1-65535,[::1]:8-9",
			"", "", NULL},
		(const char *const[]){"80", "80-90", "127.0.0.1", "127.0.0.1:80-", "127.0.0.1:-80",
			"127.0.0.1:80-79", "127.0.0.1:80-65536", "127.0.0.1:80-99999999999",
			"127.0.0.1:80-8x", "127.0.0.1:80-90-99", "localhost:80", NULL});
	check_all("port_pool",
		(const char *const[]){"9000-9001", "127.0.0.1:9000-9001", "[::1]:9000-9009",
			"[::1]:9000-9009", "10.0.0.1:9000", "10.0.0.1:9000", "", "", NULL},
		(const char *const[]){"9000-8999", "9000-13096", "x-y", "-1", "0-9", "a:1-2",
			"127.0.0.1:1-2,127.0.0.1:4-5", NULL});
	check_all("port_pool_url",
		(const char *const[]){"https://app-{port}.gw.example",
			"https://app-{port}.gw.example", "http://127.0.0.1:{port}",
			"http://127.0.0.1:{port}", "", "", NULL},
		(const char *const[]){"https://app.gw.example", NULL});
	check_all("wildcard_domain",
		(const char *const[]){"t.example.org", "t.example.org", "T.Example.ORG.",
			"t.example.org", "localhost", "localhost", "", "", NULL},
		(const char *const[]){".example.org", "*.example.org", "example.org:80",
			"http://example.org", "127.0.0.1", "a b", "example.org/", NULL});
	check_all("abuse_contact",
		(const char *const[]){"mailto:a@b", "mailto:a@b",
			"mailto:abuse@example.org?subject=a%20tunnel",
			"mailto:abuse@example.org?subject=a%20tunnel",
			"https://example.org/abuse?a=1&b=2#c",
			"https://example.org/abuse?a=1&b=2#c", "", "", NULL},
		(const char *const[]){"abuse@example.org", "mailto:", "mailto:abuse", "mailto:@b",
			"mailto:a@", "mailto:a b@c", "http://example.org/", "https://",
			"javascript:alert(1)", "https://example.org/\"x", "https://example.org/<x>",
			"https://ex\303\244mple.org/", "HTTPS://example.org", NULL});
	check_all("trusted_proxies",
		(const char *const[]){"10.0.0.1", "10.0.0.1/32", "10.0.0.0/8, fd00::/8",
			"10.0.0.0/8,fd00::/8", "", "", NULL},
		(const char *const[]){"10.0.0.1/8", "10.0.0.0/8:80", "[fd00::]/8:443", "all",
			"10.0.0.0/33", NULL});
}

static void test_listen(void **state)
{
	static const char *const bad[] = {"127.0.0.1", "8080", ":8080", "localhost:8080", "*:8080",
		"::1:8080", "[::1]", "[::1]:", "[127.0.0.1]:80", "127.0.0.1:", "127.0.0.1:x",
		"127.0.0.1:-1", "127.0.0.1:80 80", "256.0.0.1:80", "[fe80::1%lo]:80", "[]:80",
		"http://127.0.0.1:80", "unix:/run/x",
		"[1:2:3:4:5:6:7:8:9:1:2:3:4:5:6:7:8:9:1:2:3]:80"};
	struct run run;

	run_settings(&run,
		(const char *const[]){"listen=127.0.0.1:1, [0:0::1]:65535 ,0.0.0.0:80", NULL});
	expect_effective(&run, "listen=127.0.0.1:1,[::1]:65535,0.0.0.0:80");
	run_free(&run);
	run_settings(&run, (const char *const[]){"listen=127.0.0.1:1", "listen=127.0.0.1:2", NULL});
	expect_effective(&run, "listen=127.0.0.1:1,127.0.0.1:2");
	run_free(&run);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char setting[128];
		snprintf(setting, sizeof setting, "listen=%s", bad[i]);
		run_settings(&run, (const char *const[]){setting, NULL});
		if (run.result == 0 ||
			strstr(errors_of(&run), "127.0.0.1:8080 or [::1]:8080") == NULL)
			fail_msg("%s: %s", setting, run.result == 0 ? "accepted" : errors_of(&run));
		run_free(&run);
	}
	bad_setting(
		"listen=127.0.0.1:0", "option -o: listen: '127.0.0.1:0': the port is 1 to 65535\n");
	bad_setting("listen=127.0.0.1:65536",
		"option -o: listen: '127.0.0.1:65536': the port is 1 to 65535\n");
	bad_setting("listen=[::1]:99999999999999999999",
		"option -o: listen: '[::1]:99999999999999999999': the port is 1 to 65535\n");
	bad_setting("listen=[::ffff:127.0.0.1]:80",
		"option -o: listen: '[::ffff:127.0.0.1]:80': write the IPv4 address without ::ffff:\n");
	bad_setting("listen=127.0.0.1:1,127.0.0.1:01",
		"option -o: listen: '127.0.0.1:01': is there twice\n");
	bad_setting("listen=127.0.0.1:1,,127.0.0.1:2",
		"option -o: listen: an entry is missing beside a comma\n");
	bad_setting(
		"listen=127.0.0.1:1,", "option -o: listen: an entry is missing beside a comma\n");
	bad_setting("listen=,", "option -o: listen: an entry is missing beside a comma\n");
	bad_setting("listen=",
		"option -o: listen: a value is missing: remove the setting to have the "
		"default\n");
}

// A list of N entries, each PREFIX and two more bytes of an address and SUFFIX.
static void make_list(
	char *out, size_t size, const char *key, const char *prefix, const char *suffix, int n)
{
	int length = snprintf(out, size, "%s=", key);

	for (int i = 0; i < n; i++)
		length += snprintf(out + length, size - (size_t)length, "%s%s%d.%d%s",
			i > 0 ? "," : "", prefix, i / 200, i % 200, suffix);
}

static void test_lists_at_their_limits(void **state)
{
	static char setting[65536];

	make_list(setting, sizeof setting, "listen", "127.0.", ":80", OPTIONS_LISTEN_MAX);
	good_setting(setting);
	make_list(setting, sizeof setting, "listen", "127.0.", ":80", OPTIONS_LISTEN_MAX + 1);
	bad_setting(setting, "option -o: listen: more than 16 addresses\n");
	make_list(setting, sizeof setting, "listen", "127.0.", ":80", 1000);
	bad_setting(setting, "option -o: listen: more than 16 addresses\n");
	make_list(setting, sizeof setting, "backend_deny", "10.0.", "/32", OPTIONS_RULES_MAX);
	good_setting(setting);
	make_list(setting, sizeof setting, "backend_deny", "10.0.", "/32", OPTIONS_RULES_MAX + 1);
	bad_setting(setting, "option -o: backend_deny: more than 256 entries\n");
	make_list(setting, sizeof setting, "backend_allow", "10.0.", "/32", 2000);
	bad_setting(setting, "option -o: backend_allow: more than 256 entries\n");
}

static void test_rules(void **state)
{
	struct run run;

	run_file(&run, "backend_allow = 10.0.0.0/8, [fd00::]/8:443\n"
		       "backend_deny = 10.0.0.1\n"
		       "backend_allow = 192.0.2.0/24:80\n"
		       "backend_deny =\n");
	expect_effective(&run, "backend_allow=10.0.0.0/8,[fd00::]/8:443,192.0.2.0/24:80");
	expect_effective(&run, "backend_deny=10.0.0.1/32");
	assert_int_equal(run.options.backend_allow.n, 3);
	assert_int_equal(run.options.backend_allow.items[2].port, 80);
	run_free(&run);
	bad_file("\n\nbackend_allow = 10.0.0.0/8, 10.0.0.1/8\n",
		"t.conf:3: backend_allow: '10.0.0.1/8': the address has bits set behind the length: write the "
		"network (10.0.0.0/8, not 10.1.2.3/8)\n");
	bad_file("backend_deny = example.org\n",
		"t.conf:1: backend_deny: 'example.org': write an address or network such as 10.0.0.0/8, "
		"10.1.2.3:443 or [fd00::]/8:443\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers_at_their_limits),
		cmocka_unit_test(test_what_is_no_number),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_default_timeout_fits_max_timeout),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_public_url),
		cmocka_unit_test(test_origins_and_proxies),
		cmocka_unit_test(test_listen),
		cmocka_unit_test(test_lists_at_their_limits),
		cmocka_unit_test(test_rules),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
