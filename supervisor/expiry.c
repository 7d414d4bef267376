// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "expiry.h"

#include <assert.h>
#include <sys/timerfd.h>

static void on_timer(struct loop_watch *watch, uint32_t events)
{
	struct expiry *expiry = container_of(watch, struct expiry, watch);
	uint64_t ticks;

	// Only to make it quiet; whether it has been set anew meanwhile does not matter.
	if (read(watch->fd, &ticks, sizeof ticks) < 0)
		assert(errno == EAGAIN);
	expiry->armed = INSTANT_NEVER;
	expiry_run(expiry);
}

int expiry_init(struct expiry *expiry, struct loop *loop)
{
	*expiry = (struct expiry){
		.loop = loop,
		.watch = {.fd = -1, .ready = on_timer},
		.armed = INSTANT_NEVER,
	};
	int fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	int r = loop_watch(loop, &expiry->watch, fd, EPOLLIN);
	if (r < 0)
		close(fd);
	return r;
}

void expiry_deinit(struct expiry *expiry)
{
	int fd = expiry->watch.fd;

	if (fd < 0)
		return;
	loop_unwatch(expiry->loop, &expiry->watch);
	close(fd);
	free(expiry->heap);
	expiry->heap = NULL;
	expiry->n = expiry->size = 0;
}

// Sets the timerfd to the first item, if it is not.
static void arm(struct expiry *expiry)
{
	struct instant first = expiry->n > 0 ? expiry->heap[0]->due : INSTANT_NEVER;
	// The zero value would disarm it; a past one fires at once.
	int64_t us = first.us == INT64_MAX ? 0 : MAX(first.us, 1);
	const struct itimerspec spec = {
		.it_value = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000},
	};

	if (first.us == expiry->armed.us)
		return;
	int r = timerfd_settime(expiry->watch.fd, TFD_TIMER_ABSTIME, &spec, NULL);
	assert(r == 0);
	(void)r;
	expiry->armed = first;
}

static void put(struct expiry *expiry, size_t i, struct expiry_item *item)
{
	expiry->heap[i] = item;
	item->place = (uint32_t)i + 1;
}

static void sift_up(struct expiry *expiry, size_t i, struct expiry_item *item)
{
	while (i > 0 && expiry->heap[(i - 1) / 2]->due.us > item->due.us) {
		put(expiry, i, expiry->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	put(expiry, i, item);
}

static void sift_down(struct expiry *expiry, size_t i, struct expiry_item *item)
{
	for (;;) {
		size_t child = 2 * i + 1;
		if (child >= expiry->n)
			break;
		if (child + 1 < expiry->n &&
			expiry->heap[child + 1]->due.us < expiry->heap[child]->due.us)
			child++;
		if (item->due.us <= expiry->heap[child]->due.us)
			break;
		put(expiry, i, expiry->heap[child]);
		i = child;
	}
	put(expiry, i, item);
}

static void sift(struct expiry *expiry, size_t i, struct expiry_item *item)
{
	if (i > 0 && expiry->heap[(i - 1) / 2]->due.us > item->due.us)
		sift_up(expiry, i, item);
	else
		sift_down(expiry, i, item);
}

static int reserve(struct expiry *expiry)
{
	if (expiry->n < expiry->size)
		return 0;
	size_t size = MAX(expiry->size * 2, (size_t)16);
	struct expiry_item **heap = reallocarray(expiry->heap, size, sizeof *heap);
	if (heap == NULL)
		return -ENOMEM;
	expiry->heap = heap;
	expiry->size = size;
	return 0;
}

int expiry_set(struct expiry *expiry, struct expiry_item *item, struct instant due)
{
	if (item->place == 0) {
		int r = reserve(expiry);
		if (r < 0)
			return r;
		put(expiry, expiry->n++, item);
	}
	item->due = due;
	sift(expiry, item->place - 1, item);
	arm(expiry);
	return 0;
}

static void take_out(struct expiry *expiry, struct expiry_item *item)
{
	size_t i = item->place - 1;
	struct expiry_item *last = expiry->heap[--expiry->n];

	item->place = 0;
	if (last != item)
		sift(expiry, i, last);
}

void expiry_clear(struct expiry *expiry, struct expiry_item *item)
{
	if (item->place == 0)
		return;
	take_out(expiry, item);
	arm(expiry);
}

void expiry_run(struct expiry *expiry)
{
	struct instant now = instant_now();

	while (expiry->n > 0 && instant_reached(now, expiry->heap[0]->due)) {
		struct expiry_item *item = expiry->heap[0];
		take_out(expiry, item);
		item->expired(item);
	}
	arm(expiry);
}
