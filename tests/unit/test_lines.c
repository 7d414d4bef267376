// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Lines for a reader that reads, stands still, and goes away.

#include "lines.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct stage {
	struct loop loop;
	struct lines lines;
	struct loop_timer end;
	int pipe[2];
};

static void stop(struct loop_timer *timer)
{
	loop_stop(&container_of(timer, struct stage, end)->loop, 0);
}

static void run(struct stage *stage, int ms)
{
	stage->end.expired = stop;
	stage->loop.stopped = false;
	assert_int_equal(
		loop_timer_set(&stage->loop, &stage->end, instant_add_ms(instant_now(), ms)), 0);
	assert_int_equal(loop_run(&stage->loop), 0);
}

static void begin(struct stage *stage)
{
	assert_int_equal(loop_init(&stage->loop), 0);
	assert_int_equal(pipe2(stage->pipe, O_CLOEXEC), 0);
	assert_int_equal(fcntl(stage->pipe[0], F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(fcntl(stage->pipe[1], F_SETPIPE_SZ, 4096), 4096);
	lines_init(&stage->lines, &stage->loop, stage->pipe[1]);
}

static void end(struct stage *stage)
{
	lines_deinit(&stage->lines);
	loop_deinit(&stage->loop);
	close_p(&stage->pipe[0]);
	close(stage->pipe[1]);
}

static size_t read_some(struct stage *stage, char *out, size_t size)
{
	ssize_t n = read(stage->pipe[0], out, size - 1);
	n = MAX(n, 0);
	out[n] = '\0';
	return (size_t)n;
}

static void lines_of_a_round_go_out_together(void **state)
{
	static struct stage stage;
	char text[64];
	(void)state;
	begin(&stage);
	lines_add(&stage.lines, SPAN("one\n"));
	lines_add(&stage.lines, SPAN("two\n"));
	run(&stage, 5);
	read_some(&stage, text, sizeof text);
	assert_string_equal(text, "one\ntwo\n");
	end(&stage);
}

static void nobody_waits_for_a_reader_that_stands_still(void **state)
{
	static struct stage stage;
	static char all[LINES_MAX * 2];
	char line[101];
	size_t n = 0;
	enum { LINES = 1000 };
	(void)state;
	begin(&stage);
	memset(line, 'x', 99);
	line[99] = '\n';
	for (int i = 0; i < LINES; i++)
		lines_add(&stage.lines, (struct span){line, 100});
	run(&stage, 5);
	assert_true(buf_len(&stage.lines.waiting) <= LINES_MAX);
	while (buf_len(&stage.lines.waiting) > 0) {
		n += read_some(&stage, all + n, sizeof all - n);
		run(&stage, 2 * LINES_RETRY_MS);
	}
	lines_add(&stage.lines, SPAN("last\n"));
	size_t kept = LINES_MAX / 100;
	char told[64];
	snprintf(told, sizeof told, "(%zu lines left out)\nlast\n", LINES - kept);
	for (int i = 0; i < 20; i++) {
		run(&stage, 5);
		n += read_some(&stage, all + n, sizeof all - n);
	}
	assert_int_equal(n, kept * 100 + strlen(told));
	assert_string_equal(all + kept * 100, told);
	end(&stage);
}

static void a_reader_that_is_gone(void **state)
{
	static struct stage stage;
	(void)state;
	begin(&stage);
	close_p(&stage.pipe[0]);
	lines_add(&stage.lines, SPAN("one\n"));
	run(&stage, 5);
	assert_true(stage.lines.broken);
	lines_add(&stage.lines, SPAN("two\n"));
	assert_int_equal(buf_len(&stage.lines.waiting), 0);
	end(&stage);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_of_a_round_go_out_together),
		cmocka_unit_test(nobody_waits_for_a_reader_that_stands_still),
		cmocka_unit_test(a_reader_that_is_gone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
