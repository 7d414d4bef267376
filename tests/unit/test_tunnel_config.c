// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// CONFIG: one string of bytes for each set of settings, and nothing else is accepted as one.

#include "tunnel_config.h"

#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define ID "t-abcdefghijklmnopqrstuvwxyz"

static struct tunnel_config example(void)
{
	struct tunnel_config config = {
		.id = ID,
		.name = "a n\xc3\xa4me",
		.auth = AUTH_BASIC,
		.prefix = PREFIX_KEEP,
		.reuse = REUSE_VISITOR,
		.life_ms = 3600000,
		.max_connections = 100,
		.max_requests = 0,
		.max_bytes = UINT64_MAX,
		.request_rate = 7,
		.origin = ORIGIN_PORT,
		.port = 9000,
	};
	const char *why;
	assert_int_equal(url_parse(&config.backend, SPAN("http://[::1]:3000"), &why), 0);
	return config;
}

static void assert_same(const struct tunnel_config *a, const struct tunnel_config *b)
{
	char url_a[URL_TEXT_MAX], url_b[URL_TEXT_MAX];
	assert_string_equal(a->id, b->id);
	assert_string_equal(a->name, b->name);
	assert_int_equal(url_format(&a->backend, url_a, sizeof url_a),
		url_format(&b->backend, url_b, sizeof url_b));
	assert_string_equal(url_a, url_b);
	assert_int_equal(a->auth, b->auth);
	assert_int_equal(a->prefix, b->prefix);
	assert_int_equal(a->reuse, b->reuse);
	assert_int_equal(a->life_ms, b->life_ms);
	assert_int_equal(a->max_connections, b->max_connections);
	assert_int_equal(a->max_requests, b->max_requests);
	assert_int_equal(a->max_bytes, b->max_bytes);
	assert_int_equal(a->request_rate, b->request_rate);
	assert_int_equal(a->origin, b->origin);
	assert_int_equal(a->port, b->port);
}

static void test_both_ways(void **state)
{
	struct tunnel_config config = example(), back;
	uint8_t bytes[TUNNEL_CONFIG_MAX], again[TUNNEL_CONFIG_MAX];
	size_t n = tunnel_config_encode(&config, bytes);
	assert_true(n > 0);
	assert_int_equal(tunnel_config_decode(&back, bytes, n), 0);
	assert_same(&config, &back);
	assert_int_equal(tunnel_config_encode(&back, again), n);
	assert_memory_equal(bytes, again, n);
}

static void test_the_longest_fits(void **state)
{
	struct tunnel_config config = example(), back;
	uint8_t bytes[TUNNEL_CONFIG_MAX];
	char url[URL_TEXT_MAX];
	const char *why;
	memset(config.name, 'n', TUNNEL_NAME_MAX);
	memset(config.id + 2, 'a', TUNNEL_ID_MAX - 2);
	config.life_ms = config.max_connections = config.max_requests = UINT64_MAX;
	config.max_bytes = config.request_rate = UINT64_MAX;
	// Labels of 61 letters, 253 bytes in all.
	size_t used = (size_t)snprintf(url, sizeof url, "https://");
	for (size_t i = 0; i < URL_HOST_MAX; i++)
		url[used++] = i % 62 == 61 ? '.' : 'h';
	memcpy(url + used, ":65535", 7);
	assert_int_equal(url_parse(&config.backend, span_of(url), &why), 0);
	size_t n = tunnel_config_encode(&config, bytes);
	assert_true(n > 0);
	assert_int_equal(tunnel_config_decode(&back, bytes, n), 0);
	assert_same(&config, &back);
}

// Settings as values, to be spoilt one at a time.
enum { VALUES = 14 };

static void example_values(struct wire_value values[VALUES])
{
	const struct wire_value good[VALUES] = {
		wire_uint(1),
		wire_str(SPAN(ID)),
		wire_str(SPAN("name")),
		wire_str(SPAN("http://127.0.0.1:80")),
		wire_str(SPAN("bearer")),
		wire_str(SPAN("strip")),
		wire_str(SPAN("visitor")),
		wire_uint(1),
		wire_uint(2),
		wire_uint(3),
		wire_uint(4),
		wire_uint(5),
		wire_str(SPAN("path")),
		wire_uint(0),
	};
	memcpy(values, good, sizeof good);
}

static int decode_values(const struct wire_value *values, size_t n)
{
	uint8_t bytes[TUNNEL_CONFIG_MAX];
	struct tunnel_config config;
	size_t size = wire_encode(bytes, sizeof bytes, values, n);
	assert_true(size > 0);
	return tunnel_config_decode(&config, bytes, size);
}

static void test_refuses_other_values(void **state)
{
	static const struct {
		size_t at;
		struct wire_value value;
	} cases[] = {
		{0, {.kind = WIRE_UINT, .number = 0}},
		{0, {.kind = WIRE_UINT, .number = 2}},
		{0, {.kind = WIRE_STR, .bytes = SPAN_INIT("1")}},
		{1, {.kind = WIRE_STR, .bytes = SPAN_INIT("")}},
		{1, {.kind = WIRE_STR, .bytes = SPAN_INIT("t-SHOUTEDSHOUTEDSHOUTED")}},
		{1, {.kind = WIRE_STR, .bytes = SPAN_INIT(ID "abcdefgh")}},
		{1, {.kind = WIRE_BIN, .bytes = SPAN_INIT(ID)}},
		{2, {.kind = WIRE_UINT, .number = 5}},
		{3, {.kind = WIRE_STR, .bytes = SPAN_INIT("unix:/run/x")}},
		{4, {.kind = WIRE_STR, .bytes = SPAN_INIT("Bearer")}},
		{4, {.kind = WIRE_STR, .bytes = SPAN_INIT("")}},
		{5, {.kind = WIRE_STR, .bytes = SPAN_INIT("bearer")}},
		{6, {.kind = WIRE_STR, .bytes = SPAN_INIT("none")}},
		{6, {.kind = WIRE_UINT, .number = 1}},
		{7, {.kind = WIRE_BOOL, .number = 1}},
		{11, {.kind = WIRE_STR, .bytes = SPAN_INIT("5")}},
		{12, {.kind = WIRE_STR, .bytes = SPAN_INIT("")}},
		{12, {.kind = WIRE_STR, .bytes = SPAN_INIT("Port")}},
		{12, {.kind = WIRE_UINT, .number = 1}},
		{13, {.kind = WIRE_UINT, .number = 65536}},
		{13, {.kind = WIRE_STR, .bytes = SPAN_INIT("80")}},
	};
	struct wire_value values[VALUES + 1];
	example_values(values);
	assert_int_equal(decode_values(values, VALUES), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		example_values(values);
		values[cases[i].at] = cases[i].value;
		if (decode_values(values, VALUES) != -EBADMSG)
			fail_msg("case %zu: value %zu was taken", i, cases[i].at);
	}
}

static void test_pull(void **state)
{
	struct tunnel_config config = example(), back;
	uint8_t bytes[TUNNEL_CONFIG_MAX];
	config.backend = (struct url){0};
	size_t n = tunnel_config_encode(&config, bytes);
	assert_int_equal(tunnel_config_decode(&back, bytes, n), 0);
	assert_true(tunnel_config_pull(&back));
	config = example();
	assert_false(tunnel_config_pull(&config));
}

static void test_refuses_other_lengths(void **state)
{
	struct wire_value values[VALUES + 1];
	example_values(values);
	values[VALUES] = wire_uint(0);
	assert_int_equal(decode_values(values, VALUES + 1), -EBADMSG);
	assert_int_equal(decode_values(values, VALUES - 1), -EBADMSG);

	uint8_t bytes[TUNNEL_CONFIG_MAX + 1];
	struct tunnel_config config;
	size_t n = wire_encode(bytes, sizeof bytes, values, VALUES);
	bytes[n] = 0;
	assert_int_equal(tunnel_config_decode(&config, bytes, n + 1), -EBADMSG);
	for (size_t cut = 0; cut < n; cut++)
		assert_int_equal(tunnel_config_decode(&config, bytes, cut), -EBADMSG);
}

static void test_name_at_its_limit(void **state)
{
	char longest[TUNNEL_NAME_MAX + 1];
	struct wire_value values[VALUES];
	memset(longest, 'n', sizeof longest);
	example_values(values);
	values[2] = wire_str((struct span){longest, TUNNEL_NAME_MAX});
	assert_int_equal(decode_values(values, VALUES), 0);
	values[2] = wire_str((struct span){longest, TUNNEL_NAME_MAX + 1});
	assert_int_equal(decode_values(values, VALUES), -EBADMSG);
}

// Two strings of bytes for the same settings would be two signatures: what decode accepts is what
// encode makes of it.
static void test_canonical(void **state)
{
	static const char *const backends[] = {"http://127.0.0.1:80/", "http://127.0.0.1",
		"HTTP://127.0.0.1:80", "ws://127.0.0.1:80", "http://Example.org:80"};
	struct wire_value values[VALUES];
	for (size_t i = 0; i < ARRAY_SIZE(backends); i++) {
		example_values(values);
		values[3] = wire_str(span_of(backends[i]));
		if (decode_values(values, VALUES) != -EBADMSG)
			fail_msg("%s is another spelling and was taken", backends[i]);
	}
	// The port as 0xcd 0x00 0x05: not the shortest form.
	uint8_t bytes[TUNNEL_CONFIG_MAX];
	struct tunnel_config config;
	example_values(values);
	values[VALUES - 1] = wire_uint(5);
	size_t n = wire_encode(bytes, sizeof bytes, values, VALUES);
	assert_int_equal(bytes[n - 1], 5);
	memcpy(bytes + n - 1, "\xcd\0\5", 3);
	assert_int_equal(tunnel_config_decode(&config, bytes, n + 2), -EBADMSG);
}

static void test_ids(void **state)
{
	static const struct {
		const char *id;
		bool ok;
	} cases[] = {
		{ID, true},
		{"t-aaaaaaaaaaaaaaaaaaaa", true}, // 96 bits
		{"t-aaaaaaaaaaaaaaaaaaa", false},
		{"t-234567aaaaaaaaaaaaaaaaaaaaaaaa", true}, // 32 characters
		{"t-234567aaaaaaaaaaaaaaaaaaaaaaaaa", false},
		{"t-aaaaaaaaaaaaaaaaaaaa1", false},
		{"t-aaaaaaaaaaaaaaaaaaaa8", false},
		{"t-aaaaaaaaaaaaaaaaaaaA", false},
		{"t-aaaaaaaaaaaaaaaaaaaa/", false},
		{"T-aaaaaaaaaaaaaaaaaaaa", false},
		{"t_aaaaaaaaaaaaaaaaaaaa", false},
		{"aaaaaaaaaaaaaaaaaaaaaaaa", false},
		{"t-", false},
		{"", false},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (tunnel_id_ok(span_of(cases[i].id)) != cases[i].ok)
			fail_msg("%s: expected %d", cases[i].id, cases[i].ok);
	assert_false(tunnel_id_ok((struct span){0}));
}

static void test_names(void **state)
{
	assert_int_equal(tunnel_auth_parse(SPAN("bearer")), AUTH_BEARER);
	assert_int_equal(tunnel_auth_parse(SPAN("basic")), AUTH_BASIC);
	assert_int_equal(tunnel_auth_parse(SPAN("none")), AUTH_NONE);
	assert_int_equal(tunnel_auth_parse(SPAN("None")), 0);
	assert_int_equal(tunnel_auth_parse(SPAN("")), 0);
	assert_int_equal(tunnel_prefix_parse(SPAN("strip")), PREFIX_STRIP);
	assert_int_equal(tunnel_prefix_parse(SPAN("keep")), PREFIX_KEEP);
	assert_int_equal(tunnel_prefix_parse(SPAN("kee")), 0);
	assert_string_equal(tunnel_auth_name(AUTH_NONE), "none");
	assert_string_equal(tunnel_prefix_name(PREFIX_KEEP), "keep");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_ways),
		cmocka_unit_test(test_the_longest_fits),
		cmocka_unit_test(test_refuses_other_values),
		cmocka_unit_test(test_pull),
		cmocka_unit_test(test_refuses_other_lengths),
		cmocka_unit_test(test_name_at_its_limit),
		cmocka_unit_test(test_canonical),
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
