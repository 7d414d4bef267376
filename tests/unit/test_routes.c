// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The gate's two tables of who gets a visitor: what a path means, and which tunnels live.

#include "routes.h"
#include "target.h"

#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define ID "t-abcdefghijklmnopqrstuvwxyz"

static void test_targets(void **state)
{
	static const struct {
		const char *path;
		enum target_kind kind;
	} cases[] = {
		{"/t/" ID, TARGET_TUNNEL},
		{"/t/" ID "/", TARGET_TUNNEL},
		{"/t/" ID "/a?b", TARGET_TUNNEL},
		{"/t/" ID "?a/b", TARGET_TUNNEL},
		{"/t/" ID "//", TARGET_TUNNEL},
		{"/" ID, TARGET_BARE},
		{"/" ID "/a?b", TARGET_BARE},
		{"/" ID "?", TARGET_BARE},
		{"/t/" ID "-", TARGET_OTHER},
		{"/t/" ID "%2f", TARGET_OTHER},
		{"/t/" ID "#a", TARGET_OTHER},
		{"/t//" ID, TARGET_OTHER},
		{"//" ID, TARGET_OTHER},
		{"/T/" ID, TARGET_OTHER},
		{"t/" ID, TARGET_OTHER},
		{ID, TARGET_OTHER},
		{"/t/t-short/", TARGET_OTHER},
		{"/t/t-ABCDEFGHIJKLMNOPQRSTUVWXYZ", TARGET_OTHER},
		{"/t/" ID "abcdefgh", TARGET_OTHER},
		{"/t/", TARGET_OTHER},
		{"/t", TARGET_OTHER},
		{"/", TARGET_OTHER},
		{"*", TARGET_OTHER},
		{"", TARGET_OTHER},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct target target = target_of(span_of(cases[i].path));
		if (target.kind != cases[i].kind)
			fail_msg("%s: %d, expected %d", cases[i].path, target.kind, cases[i].kind);
		if (target.kind != TARGET_OTHER)
			assert_true(span_eq(target.id, SPAN(ID)));
	}
	assert_int_equal(target_of((struct span){0}).kind, TARGET_OTHER); // CONNECT has no path
}

// However a path ends, nothing behind it is read: the copy has no byte to spare.
static void test_targets_of_every_beginning(void **state)
{
	static const char path[] = "/t/" ID "/x";
	for (size_t n = 0; n < sizeof path; n++) {
		char *copy = malloc(MAX(n, (size_t)1));
		assert_non_null(copy);
		memcpy(copy, path, n);
		struct target target = target_of((struct span){copy, n});
		// An id of 20 letters is long enough to be one.
		assert_int_equal(target.kind, n >= 3 + 2 + 20 ? TARGET_TUNNEL : TARGET_OTHER);
		free(copy);
	}
}

enum { MANY = 5000 };

static struct span name(unsigned i, char out[TUNNEL_ID_MAX + 1])
{
	return (struct span){out, (size_t)snprintf(out, TUNNEL_ID_MAX + 1, "t-%x", i)};
}

static void test_empty_table(void **state)
{
	struct routes routes;
	routes_init(&routes);
	assert_null(routes_find(&routes, SPAN(ID)));
	assert_null(routes_find(&routes, SPAN("")));
	routes_deinit(&routes);
}

// Ids are compared in full: a beginning of one is another one.
static void test_near_misses(void **state)
{
	struct routes routes;
	struct route route;
	routes_init(&routes);
	assert_int_equal(routes_add(&routes, &route, SPAN(ID)), 0);
	assert_ptr_equal(routes_find(&routes, SPAN(ID)), &route);
	assert_null(routes_find(&routes, (struct span){ID, sizeof ID - 2}));
	assert_null(routes_find(&routes, SPAN(ID "a")));
	assert_null(routes_find(&routes, SPAN("t-bbcdefghijklmnopqrstuvwxyz")));
	routes_drop(&routes, &route);
	assert_null(routes_find(&routes, SPAN(ID)));
	routes_deinit(&routes);
}

// Two ids whose hashes are the same 32 bits.
static void test_equal_hashes(void **state)
{
	struct routes routes;
	struct route a, b;
	routes_init(&routes);
	assert_int_equal(routes_add(&routes, &a, SPAN("t-oefclagmm42pt6522ybp")), 0);
	assert_null(routes_find(&routes, SPAN("t-oxbqoum4zli74n2n4mts")));
	assert_int_equal(routes_add(&routes, &b, SPAN("t-oxbqoum4zli74n2n4mts")), 0);
	assert_int_equal(a.hash, b.hash);
	assert_ptr_equal(routes_find(&routes, SPAN("t-oefclagmm42pt6522ybp")), &a);
	assert_ptr_equal(routes_find(&routes, SPAN("t-oxbqoum4zli74n2n4mts")), &b);
	routes_drop(&routes, &a);
	assert_ptr_equal(routes_find(&routes, SPAN("t-oxbqoum4zli74n2n4mts")), &b);
	routes_drop(&routes, &b);
	routes_deinit(&routes);
}

// Adds and drops at random; the table always knows exactly those that are in.
static void test_many(void **state)
{
	static struct route all[MANY];
	static bool in[MANY];
	struct routes routes;
	unsigned seed = 7;
	size_t n = 0;
	routes_init(&routes);
	for (int round = 0; round < 60000; round++) {
		unsigned i = (unsigned)rand_r(&seed) % MANY;
		char text[TUNNEL_ID_MAX + 1];
		struct span id = name(i, text);
		assert_ptr_equal(routes_find(&routes, id), in[i] ? &all[i] : NULL);
		if (in[i])
			routes_drop(&routes, &all[i]);
		else
			assert_int_equal(routes_add(&routes, &all[i], id), 0);
		n += in[i] ? -1ul : 1ul;
		in[i] = !in[i];
		assert_int_equal(routes.n, n);
	}
	for (unsigned i = 0; i < MANY; i++) {
		char text[TUNNEL_ID_MAX + 1];
		assert_ptr_equal(routes_find(&routes, name(i, text)), in[i] ? &all[i] : NULL);
	}
	routes_deinit(&routes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_targets),
		cmocka_unit_test(test_targets_of_every_beginning),
		cmocka_unit_test(test_empty_table),
		cmocka_unit_test(test_near_misses),
		cmocka_unit_test(test_equal_hashes),
		cmocka_unit_test(test_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
