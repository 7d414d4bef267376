// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "restore.h"

#include "worker.h"

#include <stdio.h>

static void on_task(struct loop_task *task);
static void on_timer(struct loop_timer *timer);

void restores_init(struct restores *restores)
{
	*restores = (struct restores){.task.run = on_task};
	TAILQ_INIT(&restores->waiting);
	TAILQ_INIT(&restores->begun);
}

// ---- states

// Out of its present state: afterwards it is in no list.
static void leave_state(struct restore *restore)
{
	struct worker *worker = restore->worker;
	struct restores *restores = &worker->restores;
	if (restore->state == RESTORE_WAITING) {
		TAILQ_REMOVE(&restores->waiting, restore, link);
		return;
	}
	TAILQ_REMOVE(&restores->begun, restore, link);
	loop_timer_clear(&worker->loop, &restore->timer);
	if (restore->state == RESTORE_ASKED) {
		restores->n_asked--;
		pending_stop(&restore->spawn);
		loop_task_set(&worker->loop, &restores->task);
	}
}

static void restore_free(struct restore *restore)
{
	leave_state(restore);
	free(restore);
}

void restores_deinit(struct worker *worker)
{
	struct restores *restores = &worker->restores;
	while (!TAILQ_EMPTY(&restores->waiting))
		restore_free(TAILQ_FIRST(&restores->waiting));
	while (!TAILQ_EMPTY(&restores->begun))
		restore_free(TAILQ_FIRST(&restores->begun));
	loop_task_clear(&restores->task);
}

static struct restore *find(struct restores *restores, const char *id)
{
	struct restore *restore;
	TAILQ_FOREACH(restore, &restores->begun, link)
	if (strcmp(restore->tunnel.id, id) == 0)
		return restore;
	TAILQ_FOREACH(restore, &restores->waiting, link)
	if (strcmp(restore->tunnel.id, id) == 0)
		return restore;
	return NULL;
}

bool restore_cancel(struct worker *worker, const char *id)
{
	struct restore *restore = find(&worker->restores, id);
	if (restore == NULL || restore->state == RESTORE_ASKED)
		return false;
	restore_free(restore);
	return true;
}

bool restore_is_for(struct worker *worker, const char *id)
{
	return find(&worker->restores, id) != NULL;
}

static bool all_have_failed(const struct restore_list *list)
{
	const struct restore *restore;
	TAILQ_FOREACH(restore, list, link)
	if (restore->failures == 0)
		return false;
	return true;
}

bool restores_tried(const struct restores *restores)
{
	return all_have_failed(&restores->waiting) && all_have_failed(&restores->begun);
}

void restore_ended(struct worker *worker, const char *id)
{
	struct restore *restore = find(&worker->restores, id);
	if (restore == NULL)
		return;
	if (restore->state == RESTORE_ASKED) // what comes of it must not live
		worker_send_end(worker, 0, id, END_FAILED);
	restore_free(restore);
}

// ---- ends

// Ends it without the supervisor: there is no relay.
static void end_here(struct restore *restore, enum tunnel_state state, struct store_cause cause)
{
	struct worker *worker = restore->worker;
	char id[TUNNEL_ID_MAX + 1];
	memcpy(id, restore->tunnel.id, sizeof id);
	restore_free(restore);
	ends_store(worker, id, state, cause);
}

static bool end_if_over(struct restore *restore)
{
	if (!instant_reached(instant_now(), restore->end))
		return false;
	end_here(restore, TUNNEL_EXPIRED,
		(struct store_cause){"worker", "its time was over before it was restored"});
	return true;
}

// ---- asking

// Until the end of a pause that grows, or of the tunnel.
static void pause_for_a_while(struct restore *restore)
{
	struct worker *worker = restore->worker;
	unsigned doublings = MIN(restore->failures, 6u);
	int64_t ms = MIN((int64_t)RESTORE_PAUSE_MS << doublings, (int64_t)RESTORE_PAUSE_MAX_MS);
	struct instant due = instant_add_ms(instant_now(), ms);
	if (instant_diff_us(due, restore->end) > 0)
		due = restore->end;
	restore->failures++;
	leave_state(restore);
	restore->state = RESTORE_PAUSED;
	TAILQ_INSERT_TAIL(&worker->restores.begun, restore, link);
	if (loop_timer_set(&worker->loop, &restore->timer, due) < 0)
		worker_log(worker, LOG_ERROR, "tunnel %s is not restored: out of memory",
			restore->tunnel.id);
}

static void on_timer(struct loop_timer *timer)
{
	struct restore *restore = container_of(timer, struct restore, timer);
	struct worker *worker = restore->worker;
	if (end_if_over(restore))
		return;
	leave_state(restore);
	restore->state = RESTORE_WAITING;
	TAILQ_INSERT_TAIL(&worker->restores.waiting, restore, link);
	loop_task_set(&worker->loop, &worker->restores.task);
}

static void on_spawned(struct restore *restore, const struct wire_value *fields)
{
	struct worker *worker = restore->worker;
	struct tunnel *tunnel = &restore->tunnel;
	int64_t expired_at = tunnel->expires_at;
	worker_note_spawned(worker, tunnel, fields);
	int r = store_tunnel_activate(
		worker->store, tunnel, NULL, (struct store_cause){"worker", "restored"});
	if (r < 0)
		worker_log_store(worker, "storing a restored tunnel", r);
	if (r == STORE_UNCHANGED)
		worker_send_end(worker, 0, tunnel->id, END_FAILED);
	else
		worker_log(worker, LOG_INFO, "tunnel %s restored, %lld s left", tunnel->id,
			(long long)(tunnel->remaining_ms / 1000));
	if (r == 0 && tunnel->expires_at != expired_at)
		events_publish(&worker->events, EVENT_UPDATED, tunnel);
	restore_free(restore);
}

// What will not get better by trying again.
static bool is_permanent(uint64_t code)
{
	return code == CODE_BACKEND_FORBIDDEN || code == CODE_INVALID;
}

static void on_failed(struct restore *restore, uint64_t code, struct span detail)
{
	struct worker *worker = restore->worker;
	char reason[513];
	snprintf(reason, sizeof reason, "%.*s", (int)detail.n, detail.p);
	const char *actor = deletion_actor(worker, restore->tunnel.id);
	if (actor != NULL) {
		end_here(restore, TUNNEL_REVOKED, (struct store_cause){actor, "deleted"});
		return;
	}
	if (is_permanent(code)) {
		end_here(restore, TUNNEL_FAILED, (struct store_cause){"supervisor", reason});
		return;
	}
	worker_log(worker, LOG_WARNING, "tunnel %s could not be restored yet: %s",
		restore->tunnel.id, reason);
	pause_for_a_while(restore);
}

static void on_answer(struct pending *pending, const struct ipc_message *message)
{
	struct restore *restore = container_of(pending, struct restore, spawn);
	if (message == NULL)
		on_failed(restore, CODE_DRAINING, SPAN("no answer from the supervisor"));
	else if (message->type->type == MSG_SPAWNED)
		on_spawned(restore, message->fields);
	else
		on_failed(restore, message->fields[1].number, message->fields[2].bytes);
}

static void ask(struct restore *restore)
{
	struct worker *worker = restore->worker;
	struct restores *restores = &worker->restores;
	leave_state(restore);
	restore->state = RESTORE_ASKED;
	restores->n_asked++;
	TAILQ_INSERT_TAIL(&restores->begun, restore, link);
	uint64_t request = pending_start(
		&worker->pendings, &restore->spawn, MSG_SPAWN, RESTORE_PATIENCE_MS, on_answer);
	if (request == 0 ||
		!worker_send_spawn(worker, request, &restore->tunnel, (uint64_t)restore->end.us))
		pause_for_a_while(restore);
}

static void on_task(struct loop_task *task)
{
	struct restores *restores = container_of(task, struct restores, task);
	while (restores->n_asked < RESTORE_ASKED_MAX && !TAILQ_EMPTY(&restores->waiting)) {
		struct restore *restore = TAILQ_FIRST(&restores->waiting);
		if (!end_if_over(restore))
			ask(restore);
	}
}

// Within the same boot the old deadline, else the time that is left.
static struct instant end_of(const struct worker *worker, const struct tunnel *tunnel)
{
	if (strcmp(tunnel->boot_id, worker->settings.boot_id) == 0)
		return (struct instant){tunnel->deadline_us};
	// Clocks may be set, and machines may be off: the smaller of what both say.
	int64_t wall_left_s = tunnel->expires_at - wall_now();
	int64_t left_ms =
		MIN(tunnel->remaining_ms, MAX(0, MIN(wall_left_s, (int64_t)INT32_MAX)) * 1000);
	return instant_add_ms(instant_now(), left_ms);
}

void restore_add(struct worker *worker, const struct tunnel *tunnel)
{
	struct restore *restore = calloc(1, sizeof *restore);
	if (restore == NULL) {
		worker_log(
			worker, LOG_ERROR, "tunnel %s is not restored: out of memory", tunnel->id);
		return;
	}
	restore->worker = worker;
	restore->state = RESTORE_WAITING;
	restore->timer.expired = on_timer;
	restore->tunnel = *tunnel;
	restore->end = end_of(worker, tunnel);
	TAILQ_INSERT_TAIL(&worker->restores.waiting, restore, link);
	loop_task_set(&worker->loop, &worker->restores.task);
}
