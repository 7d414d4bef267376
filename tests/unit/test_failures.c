// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// How many wrong credentials an address may show, and what others at other addresses can do to it.

#include "failures.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct instant now = {1000000000};

static const uint8_t *ipv4(uint32_t address)
{
	static uint8_t peer[PEER_SIZE];
	memset(peer, 0, sizeof peer);
	peer[10] = peer[11] = 0xff;
	for (int i = 0; i < 4; i++)
		peer[12 + i] = (uint8_t)(address >> (24 - 8 * i));
	peer[17] = (uint8_t)address; // the port does not count
	return peer;
}

static const uint8_t *ipv6(uint8_t network, uint8_t host)
{
	static uint8_t peer[PEER_SIZE];
	memset(peer, 0, sizeof peer);
	peer[0] = 0x20;
	peer[7] = network;
	peer[15] = host;
	return peer;
}

static void so_many_a_minute(void **state)
{
	CLEANUP(failures_deinit) struct failures failures = {.per_minute = 6};
	for (int i = 0; i < 6; i++)
		assert_int_equal(failures_note(&failures, ipv4(1), now), 0);
	for (int i = 0; i < 100; i++)
		assert_int_equal(
			failures_note(&failures, ipv4(1), now), 10); // not longer each time
	now = instant_add_ms(now, 9999);
	assert_int_equal(failures_note(&failures, ipv4(1), now), 1);
	now = instant_add_ms(now, 1);
	assert_int_equal(failures_note(&failures, ipv4(1), now), 0);
	assert_int_equal(failures_note(&failures, ipv4(1), now), 10);
	now = instant_add_ms(now, 3600 * 1000);
	for (int i = 0; i < 6; i++)
		assert_int_equal(failures_note(&failures, ipv4(1), now), 0);
	assert_int_equal(failures_note(&failures, ipv4(1), now), 10);
}

static void addresses_count_apart(void **state)
{
	CLEANUP(failures_deinit) struct failures failures = {.per_minute = 1};
	assert_int_equal(failures_note(&failures, ipv4(1), now), 0);
	assert_int_equal(failures_note(&failures, ipv4(2), now), 0);
	assert_int_equal(failures_note(&failures, ipv4(1), now), 60);
	assert_int_equal(failures_note(&failures, ipv6(1, 1), now), 0);
	assert_int_equal(failures_note(&failures, ipv6(1, 2), now), 60); // the same /64
	assert_int_equal(failures_note(&failures, ipv6(2, 1), now), 0);
	uint8_t unknown[PEER_SIZE] = {0};
	assert_int_equal(failures_note(&failures, unknown, now), 0);
	assert_int_equal(failures_note(&failures, unknown, now), 60);
}

static void without_a_limit(void **state)
{
	struct failures failures = {.per_minute = 0};
	for (int i = 0; i < 1000; i++)
		assert_int_equal(failures_note(&failures, ipv4(1), now), 0);
	assert_null(failures.records);
}

static void the_greatest_limit(void **state)
{
	CLEANUP(failures_deinit) struct failures failures = {.per_minute = 1000000};
	for (int i = 0; i < 1000000; i++)
		assert_int_equal(failures_note(&failures, ipv4(1), now), 0);
	assert_int_equal(failures_note(&failures, ipv4(1), now), 1);
}

// Many addresses push out the least recent records, and nothing else happens.
static void records_are_few(void **state)
{
	CLEANUP(failures_deinit) struct failures failures = {.per_minute = 1};
	assert_int_equal(failures_note(&failures, ipv4(0), now), 0);
	assert_int_equal(failures.size, 16);
	for (uint32_t i = 1; i < FAILURES_MAX; i++)
		assert_int_equal(failures_note(&failures, ipv4(i), now), 0);
	assert_int_equal(failures.n, FAILURES_MAX);
	for (uint32_t i = 0; i < FAILURES_MAX; i++)
		assert_int_equal(failures_note(&failures, ipv4(i), now), 60);
	// 0 is the least recent now, but for 1 after this:
	assert_int_equal(failures_note(&failures, ipv4(0), now), 60);
	assert_int_equal(failures_note(&failures, ipv4(1000), now), 0);
	assert_int_equal(failures_note(&failures, ipv4(0), now), 60);
	assert_int_equal(failures_note(&failures, ipv4(1), now), 0); // forgotten
	for (uint32_t i = 0; i < 100000; i++)
		failures_note(&failures, ipv4(5000 + i), now);
	assert_int_equal(failures.n, FAILURES_MAX);
	assert_int_equal(failures.size, FAILURES_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(so_many_a_minute),
		cmocka_unit_test(addresses_count_apart),
		cmocka_unit_test(without_a_limit),
		cmocka_unit_test(the_greatest_limit),
		cmocka_unit_test(records_are_few),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
