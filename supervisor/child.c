// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "child.h"

#include "supervisor.h"

#include <sched.h>

static void on_timer(struct loop_timer *timer);
static void on_gone(struct process *process);

void child_init(struct child *child, struct supervisor *supervisor, const struct child_kind *kind)
{
	*child = (struct child){
		.supervisor = supervisor,
		.kind = kind,
		.process = {.exit = {.fd = -1}, .control = {.watch = {.fd = -1}}},
		.pause_ms = CHILD_PAUSE_LEAST_MS,
		.timer = {.expired = on_timer},
	};
}

static void set_timer(struct child *child, int64_t ms)
{
	struct loop *loop = &child->supervisor->loop;

	// Without memory for a timer there is no way on: a child nobody restarts is no child.
	if (loop_timer_set(loop, &child->timer, instant_add_ms(instant_now(), ms)) < 0)
		supervisor_fail(child->supervisor, "out of memory");
}

static void pause_then_start(struct child *child)
{
	child->state = CHILD_ABSENT;
	child->supervisor->tally.now.process_restarts[child->process.role]++;
	if (!child->proven && ++child->failures >= CHILD_FIRST_FAILURES) {
		supervisor_fail(child->supervisor, "a process that is needed does not start");
		return;
	}
	set_timer(child, child->pause_ms);
	child->pause_ms = MIN(child->pause_ms * 2, (int64_t)CHILD_PAUSE_MOST_MS);
}

void child_start(struct child *child)
{
	struct process_request request = {.root_fd = -1, .uid = (uid_t)-1, .gone = on_gone};

	child->kind->describe(child, &request);
	int r = process_start(&child->process, child->supervisor, &request);
	if (r < 0) {
		log_error("%s cannot be started: %s", ipc_role_name(request.role), strerror(-r));
		pause_then_start(child);
		return;
	}
	child->state = CHILD_STARTING;
	set_timer(child, CHILD_READY_MS);
}

static void on_timer(struct loop_timer *timer)
{
	struct child *child = container_of(timer, struct child, timer);

	switch (child->state) {
	case CHILD_ABSENT: child_start(child); break;
	case CHILD_STARTING:
		process_log(&child->process, LOG_ERROR, "is not ready after %d ms", CHILD_READY_MS);
		process_kill(&child->process);
		break;
	case CHILD_READY:
		child->proven = true;
		supervisor_child_proven(child->supervisor);
		break;
	case CHILD_STATES: break;
	}
}

static void on_gone(struct process *process)
{
	struct child *child = container_of(process, struct child, process);
	bool was_ready = child->state == CHILD_READY;

	loop_timer_clear(&child->supervisor->loop, &child->timer);
	if (was_ready) {
		int64_t lived_us = instant_diff_us(instant_now(), child->ready_at);
		if (lived_us >= (int64_t)CHILD_STABLE_MS * 1000)
			child->pause_ms = CHILD_PAUSE_LEAST_MS;
	}
	child->state = CHILD_ABSENT;
	child->kind->gone(child);
	if (!child->supervisor->stopping)
		pause_then_start(child);
}

size_t child_cores(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof set, &set) < 0 ? 1 : (size_t)CPU_COUNT(&set);
}

int child_on_ready(struct ipc_channel *channel, struct ipc_message *message)
{
	struct process *process = container_of(channel, struct process, control);
	struct child *child = container_of(process, struct child, process);

	if (!process_inspect(process, message->fields[0].number, NULL)) {
		process_kill(process);
		return 0;
	}
	set_timer(child, CHILD_PROVE_MS);
	channel->phase = PHASE_RUN;
	child->state = CHILD_READY;
	child->ready_at = instant_now();
	int r = child->kind->ready(child);
	if (r != IPC_SENT) {
		process_log(process, LOG_ERROR, "cannot be set up: %s",
			r == IPC_FULL ? "its channel is full" : strerror(-r));
		process_kill(process);
	}
	return 0;
}
