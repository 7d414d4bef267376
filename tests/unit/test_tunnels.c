// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The table, lists and cursors of tunnels, and the queue for relays: one start a round, so many on
// their way at once.

#include "tunnels.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { N = 300 };

static struct loop loop;
static struct tunnels tunnels;
static struct tunnel all[N];
static struct tunnel *started[N];
static unsigned n_started;

static void on_start(struct tunnel *tunnel)
{
	started[n_started++] = tunnel;
	tunnels_start_begun(&tunnels);
}

static int setup(void **state)
{
	memset(all, 0, sizeof all);
	n_started = 0;
	if (loop_init(&loop) < 0 || tunnels_init(&tunnels, &loop, 64, on_start) < 0)
		return -1;
	for (unsigned i = 0; i < N; i++) {
		snprintf(all[i].id, sizeof all[i].id, "t-%026u", i);
		tunnels_add(&tunnels, &all[i]);
	}
	return 0;
}

static int teardown(void **state)
{
	tunnels_deinit(&tunnels);
	loop_deinit(&loop);
	return 0;
}

static void test_find(void **state)
{
	for (unsigned i = 0; i < N; i++)
		assert_ptr_equal(tunnels_find(&tunnels, span_of(all[i].id)), &all[i]);
	assert_null(tunnels_find(&tunnels, SPAN("t-nothing")));
	assert_null(tunnels_find(&tunnels, (struct span){all[0].id, 27}));
	for (unsigned i = 0; i < N; i += 2)
		tunnels_remove(&tunnels, &all[i]);
	for (unsigned i = 0; i < N; i++) {
		struct tunnel *found = tunnels_find(&tunnels, span_of(all[i].id));
		assert_ptr_equal(found, i % 2 == 0 ? NULL : &all[i]);
	}
	assert_int_equal(tunnels.n, N / 2);
}

static void remove_it(struct tunnel *tunnel)
{
	n_started++;
	tunnels_remove(&tunnels, tunnel);
}

static void test_each(void **state)
{
	tunnels_each(&tunnels, remove_it);
	assert_int_equal(n_started, N);
	assert_int_equal(tunnels.n, 0);
}

static void test_cursor(void **state)
{
	struct tunnels_cursor cursor, other;

	tunnels_move(&tunnels, &all[0], LIST_LIVING);
	tunnels_cursor_init(&tunnels, &cursor, LIST_LIVING);
	tunnels_cursor_init(&tunnels, &other, LIST_ENDED);
	assert_ptr_equal(cursor.next, &all[0]);
	assert_null(other.next);
	tunnels_move(&tunnels, &all[1], LIST_LIVING);
	tunnels_move(&tunnels, &all[2], LIST_LIVING);
	assert_ptr_equal(cursor.next, &all[0]);

	// What it points at leaves: the next one is next.
	tunnels_move(&tunnels, &all[0], LIST_ENDED);
	assert_ptr_equal(cursor.next, &all[1]);
	assert_ptr_equal(other.next, &all[0]);
	// Another leaves: nothing changes.
	tunnels_remove(&tunnels, &all[2]);
	assert_ptr_equal(cursor.next, &all[1]);

	// At the end, what is appended is next.
	cursor.next = NULL;
	tunnels_move(&tunnels, &all[3], LIST_LIVING);
	assert_ptr_equal(cursor.next, &all[3]);
	// The one and only is moved to the end: it is next again.
	tunnels_remove(&tunnels, &all[1]);
	cursor.next = NULL;
	tunnels_move(&tunnels, &all[3], LIST_LIVING);
	assert_ptr_equal(cursor.next, &all[3]);

	tunnels_cursor_start(&tunnels, &other, LIST_ENDED);
	assert_ptr_equal(other.next, &all[0]);
	tunnels_remove(&tunnels, &all[0]);
	assert_null(other.next);
}

static struct loop_task counting;
static unsigned rounds, rounds_wanted;

static void count_rounds(struct loop_task *task)
{
	if (++rounds == rounds_wanted)
		loop_stop(&loop, 0);
	else
		loop_task_set(&loop, task);
}

static void run_rounds(unsigned n)
{
	rounds = 0;
	rounds_wanted = n;
	counting.run = count_rounds;
	loop_task_set(&loop, &counting);
	assert_int_equal(loop_run(&loop), 0);
	loop.stopped = false;
}

static void test_queue(void **state)
{
	for (unsigned i = 0; i < 40; i++)
		tunnels_enqueue(&tunnels, &all[i]);
	tunnels_dequeue(&tunnels, &all[1]);
	tunnels_dequeue(&tunnels, &all[1]); // harmless
	tunnels_remove(&tunnels, &all[3]);  // leaves the queue as well

	run_rounds(3);
	assert_in_range(n_started, 2, 3); // never more than one a round
	run_rounds(100);
	assert_int_equal(n_started, TUNNELS_STARTING_MAX);
	assert_ptr_equal(started[0], &all[0]);
	assert_ptr_equal(started[1], &all[2]);
	assert_ptr_equal(started[2], &all[4]);

	tunnels_start_over(&tunnels);
	tunnels_start_over(&tunnels);
	run_rounds(100);
	assert_int_equal(n_started, TUNNELS_STARTING_MAX + 2);
	for (unsigned i = 0; i < TUNNELS_STARTING_MAX; i++)
		tunnels_start_over(&tunnels);
	run_rounds(100);
	assert_int_equal(n_started, 2 * TUNNELS_STARTING_MAX + 2);
	assert_ptr_equal(started[n_started - 1], &all[n_started + 1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_find, setup, teardown),
		cmocka_unit_test_setup_teardown(test_each, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cursor, setup, teardown),
		cmocka_unit_test_setup_teardown(test_queue, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
