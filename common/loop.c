// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "loop.h"

#include <assert.h>
#include <limits.h>

int loop_init(struct loop *loop)
{
	*loop = (struct loop){.epoll_fd = epoll_create1(EPOLL_CLOEXEC)};
	if (loop->epoll_fd < 0)
		return -errno;
	loop->now = instant_now();
	return 0;
}

void loop_deinit(struct loop *loop)
{
	close_p(&loop->epoll_fd);
	free(loop->heap);
	loop->heap = NULL;
}

void loop_stop(struct loop *loop, int status)
{
	loop->stopped = true;
	loop->status = status;
}

// ---- descriptors

static int control(struct loop *loop, int op, struct loop_watch *watch, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = watch};
	return epoll_ctl(loop->epoll_fd, op, watch->fd, &event) < 0 ? -errno : 0;
}

int loop_watch(struct loop *loop, struct loop_watch *watch, int fd, uint32_t events)
{
	watch->fd = fd;
	watch->batch = 0;
	int r = control(loop, EPOLL_CTL_ADD, watch, events);
	if (r < 0)
		watch->fd = -1;
	return r;
}

int loop_rewatch(struct loop *loop, struct loop_watch *watch, uint32_t events)
{
	return control(loop, EPOLL_CTL_MOD, watch, events);
}

void loop_forget(struct loop *loop, struct loop_watch *watch)
{
	if (watch->batch > 0)
		loop->events[watch->batch - 1].data.ptr = NULL;
	watch->batch = 0;
	watch->fd = -1;
}

void loop_unwatch(struct loop *loop, struct loop_watch *watch)
{
	if (watch->fd < 0)
		return;
	control(loop, EPOLL_CTL_DEL, watch, 0);
	loop_forget(loop, watch);
}

static void deliver(struct loop *loop)
{
	for (int i = 0; i < loop->n_events; i++) {
		struct loop_watch *watch = loop->events[i].data.ptr;
		watch->batch = (uint32_t)i + 1;
	}
	for (int i = 0; i < loop->n_events && !loop->stopped; i++) {
		struct loop_watch *watch = loop->events[i].data.ptr;
		if (watch == NULL)
			continue; // removed by an earlier callback of this batch
		watch->batch = 0;
		watch->ready(watch, loop->events[i].events);
	}
	loop->n_events = 0;
}

// ---- timers: a binary heap over `key`

static void put(struct loop *loop, size_t i, struct loop_timer *timer)
{
	loop->heap[i] = timer;
	timer->place = (uint32_t)i + 1;
}

static void sift_up(struct loop *loop, size_t i, struct loop_timer *timer)
{
	while (i > 0) {
		size_t parent = (i - 1) / 2;
		if (loop->heap[parent]->key.us <= timer->key.us)
			break;
		put(loop, i, loop->heap[parent]);
		i = parent;
	}
	put(loop, i, timer);
}

static void sift_down(struct loop *loop, size_t i, struct loop_timer *timer)
{
	for (;;) {
		size_t child = 2 * i + 1;
		if (child >= loop->n_timers)
			break;
		if (child + 1 < loop->n_timers &&
			loop->heap[child + 1]->key.us < loop->heap[child]->key.us)
			child++;
		if (timer->key.us <= loop->heap[child]->key.us)
			break;
		put(loop, i, loop->heap[child]);
		i = child;
	}
	put(loop, i, timer);
}

static int heap_reserve(struct loop *loop)
{
	if (loop->n_timers < loop->heap_size)
		return 0;
	size_t size = MAX(loop->heap_size * 2, (size_t)16);
	struct loop_timer **heap = reallocarray(loop->heap, size, sizeof *heap);
	if (heap == NULL)
		return -ENOMEM;
	loop->heap = heap;
	loop->heap_size = size;
	return 0;
}

int loop_timer_set(struct loop *loop, struct loop_timer *timer, struct instant due)
{
	timer->due = due;
	if (timer->place == 0) {
		int r = heap_reserve(loop);
		if (r < 0)
			return r;
		timer->key = due;
		sift_up(loop, loop->n_timers++, timer);
	} else if (due.us < timer->key.us) {
		timer->key = due;
		sift_up(loop, timer->place - 1, timer);
	}
	return 0;
}

void loop_timer_clear(struct loop *loop, struct loop_timer *timer)
{
	if (timer->place == 0)
		return;
	size_t i = timer->place - 1;
	timer->place = 0;
	struct loop_timer *last = loop->heap[--loop->n_timers];
	if (last == timer)
		return;
	if (i > 0 && last->key.us < loop->heap[(i - 1) / 2]->key.us)
		sift_up(loop, i, last);
	else
		sift_down(loop, i, last);
}

static void expire(struct loop *loop)
{
	while (!loop->stopped && loop->n_timers > 0 &&
		instant_reached(loop->now, loop->heap[0]->key)) {
		struct loop_timer *timer = loop->heap[0];
		if (!instant_reached(loop->now, timer->due)) {
			timer->key = timer->due; // was moved to a later time meanwhile
			sift_down(loop, 0, timer);
			continue;
		}
		loop_timer_clear(loop, timer);
		timer->expired(timer);
	}
}

// ---- tasks

void loop_task_set(struct loop *loop, struct loop_task *task)
{
	if (task->prev != NULL)
		return;
	task->next = loop->tasks;
	task->prev = &loop->tasks;
	if (task->next != NULL)
		task->next->prev = &task->next;
	loop->tasks = task;
}

void loop_task_clear(struct loop_task *task)
{
	if (task->prev == NULL)
		return;
	*task->prev = task->next;
	if (task->next != NULL)
		task->next->prev = task->prev;
	task->next = NULL;
	task->prev = NULL;
}

// Runs the tasks set before this round; those set meanwhile wait for the next one.
static void run_tasks(struct loop *loop)
{
	struct loop_task *list = loop->tasks;
	loop->tasks = NULL;
	if (list != NULL)
		list->prev = &list;
	while (list != NULL) {
		struct loop_task *task = list;
		loop_task_clear(task);
		if (loop->stopped)
			loop_task_set(loop, task); // stays set, is not run
		else
			task->run(task);
	}
}

// ---- the round

static int wait_ms(const struct loop *loop)
{
	if (loop->tasks != NULL)
		return 0;
	if (loop->n_timers == 0)
		return -1;
	int64_t us = instant_diff_us(loop->heap[0]->key, loop->now);
	if (us <= 0)
		return 0;
	return (int)MIN((us + 999) / 1000, (int64_t)INT_MAX);
}

int loop_run(struct loop *loop)
{
	loop->now = instant_now();
	while (!loop->stopped) {
		int n = epoll_wait(loop->epoll_fd, loop->events, LOOP_BATCH, wait_ms(loop));
		if (n < 0 && errno != EINTR)
			return -errno;
		loop->now = instant_now();
		loop->n_events = MAX(n, 0);
		deliver(loop);
		run_tasks(loop);
		expire(loop);
	}
	return loop->status;
}
