// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Readers of an answer that is longer than they read, each at a pace of its own: 50 ms after 50 ms
// it takes what is due by then, if it is there. What it has at the end beside what was due says
// whether somebody else's being slow has slowed it down. At first all buffers on the way fill up,
// which does not count.

#include "crowd.h"

#include <stdio.h>
#include <sys/socket.h>

enum { TICK_MS = 50, WARM_UP_MS = 4000, BLOCK = 64 * 1024 };

struct paced {
	int fd; // -1: was cut off, or refused
	uint64_t rate, got;
};

static void give_up(struct paced *reader)
{
	close(reader->fd);
	reader->fd = -1;
}

static void take_due(struct paced *reader, uint64_t due)
{
	static char block[BLOCK];
	while (reader->fd >= 0 && reader->got < due) {
		ssize_t n = recv(reader->fd, block, (size_t)MIN(due - reader->got, sizeof block),
			MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			give_up(reader);
			return;
		}
		reader->got += (uint64_t)n;
	}
}

// Waits for the beginning of the answer.
static void begin(struct paced *reader)
{
	static const char good[] = "HTTP/1.1 200";
	char first[sizeof good - 1];
	if (recv(reader->fd, first, sizeof first, MSG_WAITALL) != sizeof first ||
		memcmp(first, good, sizeof first) != 0)
		give_up(reader);
}

static void say(const struct paced *readers, size_t count, int64_t us)
{
	double slowest = 1;
	uint64_t bytes = 0;
	size_t behind = 0, cut = 0;
	for (size_t i = 0; i < count; i++) {
		double due = (double)readers[i].rate * (double)us / 1e6;
		double kept = MIN((double)readers[i].got / due, 1.0);
		bytes += readers[i].got;
		cut += readers[i].fd < 0;
		if (readers[i].fd < 0)
			continue;
		slowest = MIN(slowest, kept);
		behind += kept < 0.9;
	}
	crowd_say("{\"bytes\":%llu,\"slowest\":%.3f,\"behind\":%zu,\"cut\":%zu}",
		(unsigned long long)bytes, slowest, behind, cut);
}

// Returns for how many microseconds it has lasted; what was read before does not count.
static int64_t run(struct paced *readers, size_t count, int milliseconds)
{
	struct instant start = instant_now(), now = start, next = start;
	for (size_t i = 0; i < count; i++)
		readers[i].got = 0;
	for (; instant_diff_us(now, start) < milliseconds * 1000LL; now = instant_now()) {
		uint64_t us = (uint64_t)instant_diff_us(now, start);
		for (size_t i = 0; i < count; i++)
			take_due(&readers[i], readers[i].rate * us / 1000000);
		next = instant_add_ms(next, TICK_MS);
		int64_t left = instant_diff_us(next, instant_now());
		if (left > 0)
			usleep((useconds_t)left);
	}
	uint64_t us = (uint64_t)instant_diff_us(now, start);
	for (size_t i = 0; i < count; i++)
		take_due(&readers[i], readers[i].rate * us / 1000000);
	return (int64_t)us;
}

int crowd_paced(int port, size_t count, uint64_t slowest, uint64_t fastest, int milliseconds,
	uint64_t spare, const char *path)
{
	char request[512];
	struct paced *readers = calloc(count, sizeof *readers);
	if (readers == NULL)
		crowd_fail("out of memory");
	for (size_t i = 0; i < count; i++) {
		readers[i] = (struct paced){.fd = crowd_connect(port, i),
			.rate = slowest + (fastest - slowest) * i / count};
		uint64_t most =
			spare + readers[i].rate * (uint64_t)(WARM_UP_MS + milliseconds) / 1000;
		int size = snprintf(request, sizeof request,
			"GET %s/big/%llu HTTP/1.1\r\nHost: crowd\r\n\r\n", path,
			(unsigned long long)most);
		crowd_send(readers[i].fd, request, (size_t)size);
		begin(&readers[i]);
	}
	crowd_say("{\"reading\":%zu}", count);
	run(readers, count, WARM_UP_MS);
	say(readers, count, run(readers, count, milliseconds));
	return EXIT_SUCCESS;
}
