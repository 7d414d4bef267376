// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "lines.h"

#include <poll.h>
#include <stdio.h>

// The descriptor may be shared with a shell, so it stays a blocking one: poll() tells whether a
// small piece can be written without waiting.
static bool can_write(int fd)
{
	struct pollfd ask = {.fd = fd, .events = POLLOUT};
	return poll(&ask, 1, 0) == 1 && (ask.revents & (POLLOUT | POLLERR)) != 0;
}

static void write_waiting(struct lines *lines)
{
	while (buf_len(&lines->waiting) > 0 && can_write(lines->fd)) {
		struct span s = buf_span(&lines->waiting);
		ssize_t n = write(lines->fd, s.p, MIN(s.n, (size_t)LINES_PIECE));
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			return;
		if (n <= 0) {
			lines->broken = true;
			buf_reset(&lines->waiting);
			return;
		}
		buf_consume(&lines->waiting, (size_t)n);
	}
}

static void flush(struct lines *lines)
{
	write_waiting(lines);
	// Without memory for the timer the next line tries again.
	if (buf_len(&lines->waiting) > 0 &&
		loop_timer_set(lines->loop, &lines->retry,
			instant_add_ms(lines->loop->now, LINES_RETRY_MS)) < 0)
		return;
}

static void flush_task(struct loop_task *task)
{
	flush(container_of(task, struct lines, flush));
}

static void retry(struct loop_timer *timer)
{
	flush(container_of(timer, struct lines, retry));
}

void lines_init(struct lines *lines, struct loop *loop, int fd)
{
	*lines = (struct lines){
		.loop = loop,
		.fd = fd,
		.flush.run = flush_task,
		.retry.expired = retry,
	};
	buf_init(&lines->waiting, LINES_MAX);
}

void lines_deinit(struct lines *lines)
{
	loop_task_clear(&lines->flush);
	loop_timer_clear(lines->loop, &lines->retry);
	write_waiting(lines);
	buf_reset(&lines->waiting);
}

// Tells how many lines are missing here, if LINE will fit behind that.
static int tell_left_out(struct lines *lines, struct span line)
{
	char text[64];
	int n = snprintf(
		text, sizeof text, "(%llu lines left out)\n", (unsigned long long)lines->left_out);
	if (buf_room(&lines->waiting, (size_t)n + line.n) == NULL)
		return -errno;
	lines->left_out = 0;
	return buf_add(&lines->waiting, text, (size_t)n);
}

void lines_add(struct lines *lines, struct span line)
{
	if (lines->broken)
		return;
	int r = lines->left_out > 0 ? tell_left_out(lines, line) : 0;
	if (r == 0)
		r = buf_add_span(&lines->waiting, line);
	if (r < 0)
		lines->left_out++;
	else if (lines->retry.place == 0)
		loop_task_set(lines->loop, &lines->flush);
}
