// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Readers of big answers that read slowly until the next line, then as fast as they can; and the
// visitor that asks again and again, to see whether the others disturb it.

#include "crowd.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>

enum { SLOW_BYTES = 4096, SLOW_MS = 50, BLOCK = 256 * 1024, GETS_MAX = 1 << 20 };

struct reader {
	struct loop_watch watch;
	uint64_t offset;
};

static struct loop loop;
static struct reader *readers;
static size_t n_readers, n_left, n_bad, n_complete;
static uint64_t size_of_each;
static struct loop_timer slow;
static struct loop_watch input = {.fd = -1};

static void take(struct reader *reader, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (bytes[i] != crowd_byte(reader->offset + i)) {
			n_bad++;
			break;
		}
	reader->offset += n;
}

// Returns whether there may be more.
static bool read_some(struct reader *reader, size_t most)
{
	static char block[BLOCK];
	if (reader->watch.fd < 0)
		return false;
	ssize_t n = recv(reader->watch.fd, block, MIN(most, sizeof block), MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return false;
	if (n > 0)
		take(reader, block, (size_t)n);
	if (n > 0 && reader->offset < size_of_each)
		return true;
	n_complete += reader->offset == size_of_each;
	close(reader->watch.fd);
	reader->watch.fd = -1;
	if (--n_left == 0)
		loop_stop(&loop, EXIT_SUCCESS);
	return false;
}

static void on_ready(struct loop_watch *watch, uint32_t events)
{
	read_some(container_of(watch, struct reader, watch), BLOCK);
}

static void on_slow(struct loop_timer *timer)
{
	for (size_t i = 0; i < n_readers; i++)
		read_some(&readers[i], SLOW_BYTES);
	crowd_check(loop_timer_set(&loop, timer, instant_add_ms(loop.now, SLOW_MS)), "timer");
}

static void on_input(struct loop_watch *watch, uint32_t events)
{
	crowd_wait_for_line();
	loop_unwatch(&loop, watch);
	loop_timer_clear(&loop, &slow);
	for (size_t i = 0; i < n_readers; i++)
		if (readers[i].watch.fd >= 0)
			crowd_check(
				loop_watch(&loop, &readers[i].watch, readers[i].watch.fd, EPOLLIN),
				"watch");
}

int crowd_readers(int port, size_t count, uint64_t size, const char *path)
{
	static char rest[4096];
	char target[512];
	readers = calloc(count, sizeof *readers);
	if (readers == NULL)
		crowd_fail("out of memory");
	n_readers = n_left = count;
	size_of_each = size;
	snprintf(target, sizeof target, "%s/big/%llu", path, (unsigned long long)size);
	crowd_check(loop_init(&loop), "loop");
	for (size_t i = 0; i < count; i++) {
		size_t n = sizeof rest;
		int fd = crowd_connect(port, i);
		int status = crowd_get(fd, target, "", rest, &n);
		if (status != 200)
			crowd_fail("reader %zu: %d", i, status);
		readers[i].watch = (struct loop_watch){.fd = fd, .ready = on_ready};
		take(&readers[i], rest, n);
	}
	slow.expired = on_slow;
	input.ready = on_input;
	crowd_check(loop_timer_set(&loop, &slow, instant_now()), "timer");
	crowd_check(loop_watch(&loop, &input, STDIN_FILENO, EPOLLIN), "watch");
	crowd_say("{\"reading\":%zu}", count);
	(void)!loop_run(&loop);
	crowd_say("{\"complete\":%zu,\"bad\":%zu}", n_complete, n_bad);
	return EXIT_SUCCESS;
}

// ---- the other visitor: at each line, GETs one after the other for a while

int crowd_gets(int port, int milliseconds, const char *path)
{
	char target[512], text[128], rest[64];
	uint32_t *times = calloc(GETS_MAX, sizeof *times);
	int fd = crowd_connect(port, 0);
	if (times == NULL)
		crowd_fail("out of memory");
	snprintf(target, sizeof target, "%s/small", path);
	crowd_say("{\"connected\":true}");
	for (;;) {
		crowd_wait_for_line();
		struct instant end = instant_add_ms(instant_now(), milliseconds), begin;
		size_t n_times = 0;
		while (!instant_reached(begin = instant_now(), end) && n_times < GETS_MAX) {
			size_t n = sizeof rest;
			int status = crowd_get(fd, target, "", rest, &n);
			while (n < 2 && status == 200) {
				ssize_t got = recv(fd, rest, 2 - n, 0);
				if (got <= 0)
					crowd_fail("cut in a body");
				n += (size_t)got;
			}
			if (status != 200)
				crowd_fail("%d to a GET", status);
			times[n_times++] = (uint32_t)instant_diff_us(instant_now(), begin);
		}
		crowd_format_times(text, sizeof text, times, n_times);
		crowd_say("{%s}", text);
	}
}
