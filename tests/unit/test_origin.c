// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Where tunnels are found, and whose a request is by its Host and path.

#include "origin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define ID "t-abcdefghijklmnopqrstuvwxyz"

static const struct origins all = {.url = {
					   [ORIGIN_PATH] = "https://tunnels.example",
					   [ORIGIN_PORT] = "https://app-{port}.gw.example",
					   [ORIGIN_WILDCARD] = "https://{id}.t.example:8443",
				   }};
static const struct origins few = {.url = {[ORIGIN_PATH] = "http://127.0.0.1:8080"}};

static const char *url(const struct origins *origins, enum tunnel_origin origin, uint16_t port)
{
	static char out[ORIGIN_URL_MAX];
	out[0] = '\0';
	size_t n = origin_url(origins, origin, ID, port, out);
	assert_int_equal(n, strlen(out));
	return out;
}

static void urls(void **state)
{
	assert_string_equal(url(&all, ORIGIN_PATH, 0), "https://tunnels.example/t/" ID "/");
	assert_string_equal(url(&all, ORIGIN_PORT, 9000), "https://app-9000.gw.example/");
	assert_string_equal(url(&all, ORIGIN_PORT, 0), "");
	assert_string_equal(url(&all, ORIGIN_WILDCARD, 0), "https://" ID ".t.example:8443/");
	assert_string_equal(url(&few, ORIGIN_PATH, 9000), "http://127.0.0.1:8080/t/" ID "/");
	assert_string_equal(url(&few, ORIGIN_PORT, 9000), "");
	assert_string_equal(url(&few, ORIGIN_WILDCARD, 0), "");
}

static void the_best(void **state)
{
	assert_int_equal(origin_best(&all, 0, 9000), ORIGIN_WILDCARD);
	assert_int_equal(origin_best(&all, ORIGIN_PORT, 9000), ORIGIN_PORT);
	assert_int_equal(origin_best(&all, ORIGIN_PORT, 0), ORIGIN_WILDCARD);
	assert_int_equal(origin_best(&all, ORIGIN_PATH, 9000), ORIGIN_PATH);
	assert_int_equal(origin_best(&few, 0, 0), ORIGIN_PATH);
	assert_int_equal(origin_best(&few, ORIGIN_WILDCARD, 0), ORIGIN_PATH);
	struct origins ports = few;
	snprintf(ports.url[ORIGIN_PORT], sizeof ports.url[0], "http://a:{port}");
	assert_int_equal(origin_best(&ports, 0, 9000), ORIGIN_PORT);
	assert_int_equal(origin_best(&ports, 0, 0), ORIGIN_PATH);
}

static void names(void **state)
{
	for (enum tunnel_origin i = ORIGIN_PATH; i < ORIGINS; i++)
		assert_int_equal(tunnel_origin_parse(span_of(tunnel_origin_name(i))), i);
	assert_int_equal(tunnel_origin_parse(SPAN("")), 0);
	assert_int_equal(tunnel_origin_parse(SPAN("Path")), 0);
	assert_string_equal(tunnel_origin_name(0), "");
}

static void hosts(void **state)
{
	static const char *const of_a_tunnel[] = {ID ".t.example", ID ".t.example:8443",
		ID ".t.example:1", ID ".T.Example", ID ".t.example.", ID ".t.example.:80"};
	static const char *const others[] = {"", "t.example", ".t.example", "www.t.example",
		"a." ID ".t.example", ID ".x.example", ID "t.example", ID, ID ":80",
		ID ".t.example.org", "T-abcdefghijklmnopqrstuvwxyz.t.example", "t-short.t.example",
		"[::1]:80"};
	for (size_t i = 0; i < ARRAY_SIZE(of_a_tunnel); i++) {
		struct span id =
			origin_wildcard_id(all.url[ORIGIN_WILDCARD], span_of(of_a_tunnel[i]));
		if (!span_eq(id, SPAN(ID)))
			fail_msg("%s: found %.*s", of_a_tunnel[i], (int)id.n, id.p);
		assert_int_equal(origin_wildcard_id("", span_of(of_a_tunnel[i])).n, 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (origin_wildcard_id(all.url[ORIGIN_WILDCARD], span_of(others[i])).n != 0)
			fail_msg("%s", others[i]);
}

static void paths_of_ours(void **state)
{
	static const char *const ours[] = {
		"/_api", "/_api/", "/_api?x", "/_api/tunnels", "/_t", "/_t/x/login", "/_t?"};
	static const char *const others[] = {
		"", "/", "/_apis", "/_tx", "/t/_t", "/a/_api/", "//_api", "/%5fapi/", "_api"};
	for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
		if (!origin_path_is_ours(span_of(ours[i])))
			fail_msg("%s", ours[i]);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (origin_path_is_ours(span_of(others[i])))
			fail_msg("%s", others[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(urls),
		cmocka_unit_test(the_best),
		cmocka_unit_test(names),
		cmocka_unit_test(hosts),
		cmocka_unit_test(paths_of_ours),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
