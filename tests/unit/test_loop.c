// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The event loop: descriptors, timers and tasks, and what may be removed while they run.

#include "loop.h"

#include <stdio.h>
#include <sys/socket.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { PAIRS = 8, STUCK_MS = 5000, STUCK = 99 };

// A connection of a test: counts what happens to it, and does to another what the test wants.
struct peer {
	struct loop_watch watch;
	int far; // the other end
	unsigned n_events;
	uint32_t events;
	struct fixture *fixture;
	void (*then)(struct peer *peer);
	struct peer *other;
};

struct fixture {
	struct loop loop;
	struct peer peers[PAIRS];
	struct loop_timer stuck; // nothing here may wait for ever
};

static void on_stuck(struct loop_timer *timer)
{
	loop_stop(&container_of(timer, struct fixture, stuck)->loop, STUCK);
}

static void on_ready(struct loop_watch *watch, uint32_t events)
{
	struct peer *peer = container_of(watch, struct peer, watch);
	peer->n_events++;
	peer->events = events;
	if (peer->then != NULL)
		peer->then(peer);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	assert_non_null(f);
	*state = f;
	assert_int_equal(loop_init(&f->loop), 0);
	f->stuck.expired = on_stuck;
	assert_int_equal(
		loop_timer_set(&f->loop, &f->stuck, instant_add_ms(instant_now(), STUCK_MS)), 0);
	for (size_t i = 0; i < PAIRS; i++) {
		int fds[2];
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
		f->peers[i] =
			(struct peer){.watch = {.ready = on_ready}, .far = fds[1], .fixture = f};
		assert_int_equal(loop_watch(&f->loop, &f->peers[i].watch, fds[0], EPOLLIN), 0);
	}
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	for (size_t i = 0; i < PAIRS; i++) {
		int fd = f->peers[i].watch.fd;
		loop_unwatch(&f->loop, &f->peers[i].watch);
		close_p(&fd);
		close_p(&f->peers[i].far);
	}
	loop_deinit(&f->loop);
	free(f);
	return 0;
}

static void stop(struct peer *peer)
{
	loop_stop(&peer->fixture->loop, 0);
}

static void write_to(struct peer *peer)
{
	assert_int_equal(write(peer->far, "x", 1), 1);
}

static void run(struct fixture *f)
{
	f->loop.stopped = false;
	assert_int_equal(loop_run(&f->loop), 0);
}

// ---- descriptors

static void test_an_event_reaches_its_watch(void **state)
{
	struct fixture *f = *state;
	f->peers[3].then = stop;
	write_to(&f->peers[3]);
	run(f);
	for (size_t i = 0; i < PAIRS; i++)
		assert_int_equal(f->peers[i].n_events, i == 3 ? 1 : 0);
	assert_int_equal(f->peers[3].events, EPOLLIN);
}

static void test_rewatch_changes_what_is_waited_for(void **state)
{
	struct fixture *f = *state;
	struct peer *peer = &f->peers[0];
	peer->then = stop;
	write_to(peer);
	assert_int_equal(loop_rewatch(&f->loop, &peer->watch, EPOLLOUT), 0);
	run(f);
	assert_int_equal(peer->events, EPOLLOUT);
}

static void unwatch_other(struct peer *peer)
{
	int fd = peer->other->watch.fd;
	loop_unwatch(&peer->fixture->loop, &peer->other->watch);
	assert_int_equal(peer->other->watch.fd, -1);
	close_p(&fd);
	stop(peer);
}

// Both are ready in the same batch and each removes the other: one of them is heard.
static void test_what_is_removed_in_a_batch_is_not_called(void **state)
{
	struct fixture *f = *state;
	struct peer *a = &f->peers[0], *b = &f->peers[1];
	a->then = b->then = unwatch_other;
	a->other = b;
	b->other = a;
	write_to(a);
	write_to(b);
	run(f);
	assert_int_equal(a->n_events + b->n_events, 1);
}

static void forget_itself(struct peer *peer)
{
	int fd = peer->watch.fd;
	loop_forget(&peer->fixture->loop, &peer->watch);
	assert_int_equal(peer->watch.fd, -1);
	close_p(&fd);
	loop_unwatch(&peer->fixture->loop, &peer->watch); // once more is harmless
	stop(peer);
}

static void test_a_watch_may_go_in_its_own_callback(void **state)
{
	struct fixture *f = *state;
	f->peers[0].then = forget_itself;
	f->peers[1].then = stop;
	write_to(&f->peers[0]);
	run(f);
	write_to(&f->peers[1]);
	run(f);
	assert_int_equal(f->peers[0].n_events, 1);
	assert_int_equal(f->peers[1].n_events, 1);
}

static void test_the_other_end_closing_is_an_event(void **state)
{
	struct fixture *f = *state;
	f->peers[0].then = stop;
	close_p(&f->peers[0].far);
	run(f);
	assert_true(f->peers[0].events & EPOLLHUP);
}

static void test_a_refused_watch_is_not_set(void **state)
{
	struct fixture *f = *state;
	struct loop_watch watch = {.ready = on_ready};
	assert_int_equal(loop_watch(&f->loop, &watch, -1, EPOLLIN), -EBADF);
	assert_int_equal(watch.fd, -1);
	int twice = f->peers[0].watch.fd;
	assert_int_equal(loop_watch(&f->loop, &watch, twice, EPOLLIN), -EEXIST);
	assert_int_equal(watch.fd, -1);
	loop_unwatch(&f->loop, &watch);
}

// ---- timers

enum { TIMERS = 300 };

struct timers {
	struct fixture *fixture;
	struct loop_timer all[TIMERS];
	bool expected[TIMERS]; // set and not cleared since
	bool ordered; // whether they expire one by one; in one round those moved later need not
	struct instant last;
	size_t n_left;
};

static struct timers timers;

static void on_timer(struct loop_timer *timer)
{
	size_t i = (size_t)(timer - timers.all);
	assert_true(timers.expected[i]);
	assert_int_equal(timer->place, 0);
	assert_true(instant_reached(timers.fixture->loop.now, timer->due));
	if (timers.ordered && timer->due.us < timers.last.us)
		fail_msg("due at %lld, after one due at %lld", (long long)timer->due.us,
			(long long)timers.last.us);
	timers.last = timer->due;
	timers.expected[i] = false;
	if (--timers.n_left == 0)
		loop_stop(&timers.fixture->loop, 0);
}

static void timers_init(struct fixture *f)
{
	timers = (struct timers){.fixture = f};
	for (size_t i = 0; i < TIMERS; i++)
		timers.all[i].expired = on_timer;
}

static void set(struct fixture *f, size_t i, struct instant due)
{
	assert_int_equal(loop_timer_set(&f->loop, &timers.all[i], due), 0);
	timers.n_left += !timers.expected[i];
	timers.expected[i] = true;
}

static void clear(struct fixture *f, size_t i)
{
	loop_timer_clear(&f->loop, &timers.all[i]);
	timers.n_left -= timers.expected[i];
	timers.expected[i] = false;
}

static void test_timers_expire_in_order(void **state)
{
	struct fixture *f = *state;
	struct instant start = instant_now();
	unsigned seed = 5;
	timers_init(f);
	timers.ordered = true;
	// Set and cleared, but never moved to a later time.
	for (int k = 0; k < 20000; k++) {
		size_t i = (size_t)rand_r(&seed) % TIMERS;
		if (timers.expected[i] && rand_r(&seed) % 4 > 0)
			clear(f, i);
		else if (timers.expected[i])
			set(f, i, (struct instant){timers.all[i].due.us - rand_r(&seed) % 1000});
		else
			set(f, i, (struct instant){start.us + rand_r(&seed) % 30000});
	}
	assert_true(timers.n_left > TIMERS / 4);
	run(f);
	assert_int_equal(timers.n_left, 0);
}

static void test_timers_expire_once_however_they_were_set(void **state)
{
	struct fixture *f = *state;
	struct instant start = instant_now();
	unsigned seed = 3;
	timers_init(f);
	// Set, moved to earlier and later times, and cleared; all within 30 ms.
	for (int k = 0; k < 20000; k++) {
		size_t i = (size_t)rand_r(&seed) % TIMERS;
		if (rand_r(&seed) % 4 == 0)
			clear(f, i);
		else
			set(f, i, (struct instant){start.us + rand_r(&seed) % 30000});
	}
	assert_true(timers.n_left > TIMERS / 2);
	run(f);
	assert_int_equal(timers.n_left, 0);
	assert_int_equal(f->loop.n_timers, 1); // `stuck`
}

static void test_a_timer_never_comes_early(void **state)
{
	struct fixture *f = *state;
	timers_init(f);
	for (int ms = 0; ms < 5; ms++) {
		struct instant due = instant_add_ms(instant_now(), ms);
		set(f, 0, due);
		run(f);
		assert_true(instant_reached(instant_now(), due));
	}
}

static void test_a_timer_moved_later_comes_then(void **state)
{
	struct fixture *f = *state;
	struct instant start = instant_now();
	timers_init(f);
	set(f, 0, instant_add_ms(start, 5));
	set(f, 0, instant_add_ms(start, 40));
	set(f, 1, instant_add_ms(start, 20));
	run(f);
	assert_true(instant_reached(instant_now(), instant_add_ms(start, 40)));
}

static void clear_others(struct loop_timer *timer)
{
	for (size_t i = 0; i < TIMERS; i++)
		clear(timers.fixture, i);
	loop_stop(&timers.fixture->loop, 0);
}

static void test_an_expiring_timer_may_clear_all_others(void **state)
{
	struct fixture *f = *state;
	timers_init(f);
	for (size_t i = 0; i < TIMERS; i++)
		set(f, i, instant_now());
	timers.all[17].expired = clear_others;
	set(f, 17, (struct instant){0});
	run(f);
	assert_int_equal(f->loop.n_timers, 1);
}

static void set_again(struct loop_timer *timer)
{
	timers.n_left++;
	if (timers.n_left == 4)
		loop_stop(&timers.fixture->loop, 0);
	else
		assert_int_equal(loop_timer_set(&timers.fixture->loop, timer,
					 instant_add_ms(timers.fixture->loop.now, 1)),
			0);
}

static void test_a_timer_may_set_itself_again(void **state)
{
	struct fixture *f = *state;
	timers_init(f);
	timers.all[0].expired = set_again;
	assert_int_equal(loop_timer_set(&f->loop, &timers.all[0], instant_now()), 0);
	run(f);
	assert_int_equal(timers.n_left, 4);
}

// ---- tasks

struct task {
	struct loop_task task;
	struct fixture *fixture;
	struct task *other;
	unsigned runs;
	void (*then)(struct task *task);
};

static void on_task(struct loop_task *loop_task)
{
	struct task *task = container_of(loop_task, struct task, task);
	task->runs++;
	if (task->then != NULL)
		task->then(task);
}

static void task_again(struct task *task)
{
	loop_task_set(&task->fixture->loop, &task->task);
	if (task->runs == 3)
		loop_stop(&task->fixture->loop, 0);
}

// One that sets itself again leaves descriptors their turn in between.
static void test_a_task_runs_once_a_round(void **state)
{
	struct fixture *f = *state;
	struct task task = {.task = {.run = on_task}, .fixture = f, .then = task_again};
	loop_task_set(&f->loop, &task.task);
	loop_task_set(&f->loop, &task.task); // twice is once
	write_to(&f->peers[0]);              // never read, so ready in every round
	run(f);
	assert_int_equal(task.runs, 3);
	assert_int_equal(f->peers[0].n_events, 3);
	loop_task_clear(&task.task);
	loop_task_clear(&task.task);
}

static void task_clears_other(struct task *task)
{
	loop_task_clear(&task->other->task);
	loop_stop(&task->fixture->loop, 0);
}

static void test_a_task_may_clear_another(void **state)
{
	struct fixture *f = *state;
	struct task a = {.task = {.run = on_task}, .fixture = f, .then = task_clears_other};
	struct task b = a;
	a.other = &b;
	b.other = &a;
	loop_task_set(&f->loop, &a.task);
	loop_task_set(&f->loop, &b.task);
	run(f);
	assert_int_equal(a.runs + b.runs, 1);
	loop_task_set(&f->loop, &a.task);
	run(f);
	assert_int_equal(a.runs + b.runs, 2);
}

static void test_the_status_is_returned(void **state)
{
	struct fixture *f = *state;
	loop_stop(&f->loop, 42);
	assert_int_equal(loop_run(&f->loop), 42);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static void stop_here(struct peer *peer)
{
	loop_stop(&peer->fixture->loop, 7);
}

static void never_task(struct loop_task *task)
{
	fail_msg("a task ran after loop_stop()");
}

static void never_timer(struct loop_timer *timer)
{
	fail_msg("a timer expired after loop_stop()");
}

// Whoever stops the loop may have taken apart what other callbacks of the same round would use.
static void test_nothing_is_called_after_stop(void **state)
{
	struct fixture *f = *state;
	struct loop_timer timer = {.expired = never_timer};
	struct loop_task task = {.run = never_task};
	for (size_t i = 0; i < PAIRS; i++) {
		f->peers[i].then = stop_here;
		assert_int_equal(write(f->peers[i].far, "x", 1), 1);
	}
	assert_int_equal(loop_timer_set(&f->loop, &timer, instant_now()), 0);
	loop_task_set(&f->loop, &task);
	assert_int_equal(loop_run(&f->loop), 7);
	unsigned called = 0;
	for (size_t i = 0; i < PAIRS; i++)
		called += f->peers[i].n_events;
	assert_int_equal(called, 1);
	loop_timer_clear(&f->loop, &timer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_an_event_reaches_its_watch),
		TEST(test_rewatch_changes_what_is_waited_for),
		TEST(test_what_is_removed_in_a_batch_is_not_called),
		TEST(test_a_watch_may_go_in_its_own_callback),
		TEST(test_the_other_end_closing_is_an_event),
		TEST(test_a_refused_watch_is_not_set),
		TEST(test_timers_expire_in_order),
		TEST(test_timers_expire_once_however_they_were_set),
		TEST(test_a_timer_never_comes_early),
		TEST(test_a_timer_moved_later_comes_then),
		TEST(test_an_expiring_timer_may_clear_all_others),
		TEST(test_a_timer_may_set_itself_again),
		TEST(test_a_task_runs_once_a_round),
		TEST(test_a_task_may_clear_another),
		TEST(test_the_status_is_returned),
		TEST(test_nothing_is_called_after_stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
