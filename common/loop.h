// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The event loop every role runs: descriptors by epoll, timers in a heap, and tasks that want to go
// on in the next round. It knows nothing of our domain and allocates only the timer heap.
//
// Watches, timers and tasks are embedded in the objects they belong to. Any of them may be removed
// (and its object freed) from inside any callback, its own included: events of the current batch
// that are not yet delivered are forgotten with the watch.

#pragma once

#include "clock.h"

#include <sys/epoll.h>

struct loop;

struct loop_watch {
	int fd;         // -1: not watched
	uint32_t batch; // private: place in the current batch, plus one
	void (*ready)(struct loop_watch *watch, uint32_t events); // EPOLL* bits
};

struct loop_timer {
	struct instant due; // when to call; private otherwise
	struct instant key; // private: place in the heap, never later than due
	uint32_t place;     // private: index in the heap plus one, 0: not set
	void (*expired)(struct loop_timer *timer);
};

struct loop_task {
	struct loop_task *next, **prev; // private
	void (*run)(struct loop_task *task);
};

enum { LOOP_BATCH = 256 };

struct loop {
	int epoll_fd;
	bool stopped;
	int status;
	struct instant now; // taken once a round, before its callbacks
	struct loop_timer **heap;
	size_t n_timers, heap_size;
	struct loop_task *tasks;
	struct epoll_event events[LOOP_BATCH];
	int n_events;
};

// Returns 0 or a negative errno.
int loop_init(struct loop *loop) WARN_UNUSED;
void loop_deinit(struct loop *loop);

// Runs until loop_stop(); returns its status, or a negative errno when epoll itself fails.
int loop_run(struct loop *loop) WARN_UNUSED;
// After it nothing is called any more, in the same round neither: what its caller has taken apart
// is not met again.
void loop_stop(struct loop *loop, int status);

// Watches FD (borrowed) for EVENTS (EPOLLIN, EPOLLOUT, EPOLLET, EPOLLEXCLUSIVE ...).
// Returns 0 or a negative errno (-ENOSPC, -ENOMEM, -EPERM ...); WATCH->fd is -1 then.
int loop_watch(struct loop *loop, struct loop_watch *watch, int fd, uint32_t events) WARN_UNUSED;
int loop_rewatch(struct loop *loop, struct loop_watch *watch, uint32_t events) WARN_UNUSED;
// Forgets the watch; a watch that is not set is left alone. The descriptor is not closed. When FD
// was duplicated into another process epoll would go on reporting it, hence the explicit removal.
void loop_unwatch(struct loop *loop, struct loop_watch *watch);
// The same where the caller closes its descriptor at once and no other copy of it exists: saves the
// system call, the kernel forgets it by itself.
void loop_forget(struct loop *loop, struct loop_watch *watch);

// Sets or moves a timer. Moving one to a later time costs no heap operation, so deadlines may be
// pushed back with every byte. Returns 0 or -ENOMEM (only possible when it was not set).
int loop_timer_set(struct loop *loop, struct loop_timer *timer, struct instant due) WARN_UNUSED;
void loop_timer_clear(struct loop *loop, struct loop_timer *timer);

// Runs the task in the next round, after one look at the descriptors. Setting it twice is once.
void loop_task_set(struct loop *loop, struct loop_task *task);
void loop_task_clear(struct loop_task *task);
