// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The heap of ends: order, moves, removal from anywhere, and that the timerfd wakes the loop for
// the first of them and no earlier.

#include "expiry.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { ITEMS = 500 };

struct end {
	struct expiry_item item;
	struct instant expired_at; // 0: has not
	unsigned order;
};

static struct loop loop;
static struct expiry expiry;
static struct end ends[ITEMS];
static unsigned n_expired, stop_after;

static void on_expired(struct expiry_item *item)
{
	struct end *end = container_of(item, struct end, item);

	end->expired_at = instant_now();
	end->order = ++n_expired;
	if (n_expired == stop_after)
		loop_stop(&loop, 0);
}

static int setup(void **state)
{
	memset(ends, 0, sizeof ends);
	for (size_t i = 0; i < ITEMS; i++)
		ends[i].item.expired = on_expired;
	n_expired = 0;
	if (loop_init(&loop) < 0)
		return -1;
	return expiry_init(&expiry, &loop);
}

static int teardown(void **state)
{
	expiry_deinit(&expiry);
	loop_deinit(&loop);
	return 0;
}

static void set(struct end *end, int64_t ms)
{
	assert_int_equal(expiry_set(&expiry, &end->item, instant_add_ms(instant_now(), ms)), 0);
}

// Runs the loop until N have expired.
static void run_until(unsigned n)
{
	stop_after = n;
	assert_int_equal(loop_run(&loop), 0);
	loop.stopped = false;
	assert_int_equal(n_expired, n);
}

static void test_on_time(void **state)
{
	set(&ends[0], 30);
	struct instant due = ends[0].item.due;

	run_until(1);
	int64_t late_us = instant_diff_us(ends[0].expired_at, due);
	assert_in_range(late_us, 0, 1000000); // never early; late is up to the machine
	assert_int_equal(ends[0].item.place, 0);
}

static void test_past(void **state)
{
	set(&ends[0], -1000);
	assert_int_equal(n_expired, 0); // only from the loop or expiry_run()
	run_until(1);
	assert_int_equal(expiry_set(&expiry, &ends[1].item, (struct instant){0}), 0);
	run_until(2);
}

// Items in scrambled order come out sorted, whatever was moved and cleared meanwhile.
static void test_order(void **state)
{
	struct instant start = instant_now();
	unsigned expected = 0;

	for (size_t i = 0; i < ITEMS; i++) {
		int64_t place = (int64_t)(i * 7919 % ITEMS);
		struct instant due = {start.us - ITEMS + place};
		assert_int_equal(expiry_set(&expiry, &ends[i].item, due), 0);
	}
	for (size_t i = 0; i < ITEMS; i += 3)
		expiry_clear(&expiry, &ends[i].item);
	for (size_t i = 1; i < ITEMS; i += 3) { // to the other end
		struct instant due = {2 * start.us - ITEMS - ends[i].item.due.us};
		assert_int_equal(expiry_set(&expiry, &ends[i].item, due), 0);
	}
	expiry_run(&expiry);
	for (size_t i = 0; i < ITEMS; i++) {
		bool cleared = i % 3 == 0;
		assert_int_equal(ends[i].order == 0, cleared);
		expected += !cleared;
		for (size_t j = 0; j < ITEMS && !cleared; j++)
			if (ends[j].order > ends[i].order)
				assert_true(ends[j].item.due.us >= ends[i].item.due.us);
	}
	assert_int_equal(n_expired, expected);
	assert_int_equal(expiry.n, 0);
}

static void test_clear(void **state)
{
	set(&ends[0], 10);
	set(&ends[1], 40);
	expiry_clear(&expiry, &ends[0].item);
	expiry_clear(&expiry, &ends[0].item); // once more is harmless
	run_until(1);
	assert_int_equal(ends[0].order, 0);
	assert_int_equal(ends[1].order, 1);
}

// Moved to an earlier time the timerfd has to follow, moved to a later one nothing may come early.
static void test_move(void **state)
{
	set(&ends[0], 3600 * 1000);
	set(&ends[0], 20);
	run_until(1);
	set(&ends[1], 10);
	set(&ends[1], 50);
	struct instant due = ends[1].item.due;
	run_until(2);
	assert_true(instant_diff_us(ends[1].expired_at, due) >= 0);
}

static struct expiry_item *victim;

static void clear_other(struct expiry_item *item)
{
	on_expired(item);
	expiry_clear(&expiry, victim);
	assert_int_equal(expiry_set(&expiry, item, instant_add_ms(instant_now(), 5)), 0);
	item->expired = on_expired;
}

// A callback clears another item that is due as well, and sets its own again.
static void test_callback_changes(void **state)
{
	set(&ends[0], -2);
	set(&ends[1], -1);
	ends[0].item.expired = clear_other;
	victim = &ends[1].item;
	run_until(2);
	assert_int_equal(ends[0].order, 2);
	assert_int_equal(ends[1].order, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_on_time, setup, teardown),
		cmocka_unit_test_setup_teardown(test_past, setup, teardown),
		cmocka_unit_test_setup_teardown(test_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_clear, setup, teardown),
		cmocka_unit_test_setup_teardown(test_move, setup, teardown),
		cmocka_unit_test_setup_teardown(test_callback_changes, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
