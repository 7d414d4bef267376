// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "extension.h"

#include "answer.h"
#include "worker.h"

#include <inttypes.h>
#include <stdio.h>

static void ask(struct extension *extension);

static void extension_free(struct extension *extension)
{
	struct worker *worker = extension->worker;
	pending_stop(&extension->extend);
	loop_timer_clear(&worker->loop, &extension->again);
	if (extension->connection != NULL)
		connection_forget(extension->connection);
	TAILQ_REMOVE(&worker->extensions, extension, link);
	free(extension);
}

void extensions_deinit(struct worker *worker)
{
	struct extension *extension;
	while ((extension = TAILQ_FIRST(&worker->extensions)) != NULL)
		extension_free(extension);
}

// The client's own loss: the end is moved all the same.
static void on_over(struct connection_waiter *waiter, bool lost)
{
	struct extension *extension = container_of(waiter, struct extension, waiter);
	extension->connection = NULL;
	(void)lost;
}

// The last of it. Returns the connection to be answered, NULL when nobody waits.
static struct connection *finish(struct extension *extension)
{
	struct connection *connection = extension->connection;
	extension_free(extension);
	return connection;
}

static void refuse(struct extension *extension, struct problem problem)
{
	struct connection *connection = finish(extension);
	if (connection != NULL)
		answer_problem_full(connection, &problem);
}

// ---- the new end

// Returns 0 with *TUNNEL as it is now, STORE_UNCHANGED when it is over, or a negative errno.
static int store_end(struct extension *extension, uint64_t deadline_us, struct tunnel *tunnel)
{
	struct worker *worker = extension->worker;
	char reason[64];
	int r = store_tunnel_get(worker->store, span_of(extension->id), tunnel);
	if (r != 0)
		return r == STORE_NONE ? STORE_UNCHANGED : r;
	if (strcmp(tunnel->boot_id, worker->settings.boot_id) == 0) {
		int64_t life_ms = (int64_t)tunnel->life_ms +
				  ((int64_t)deadline_us - tunnel->deadline_us) / 1000;
		tunnel->life_ms = (uint64_t)MAX(0, life_ms);
	}
	tunnel->timeout_s = extension->timeout_s;
	tunnel->expires_at = 0; // to be told anew, to the second
	worker_note_deadline(worker, tunnel, deadline_us);
	snprintf(reason, sizeof reason, "ends %" PRIu64 " s from now", tunnel->timeout_s);
	return store_tunnel_extend(
		worker->store, tunnel, (struct store_cause){extension->actor, reason});
}

static void on_extended(struct extension *extension, uint64_t deadline_us)
{
	struct worker *worker = extension->worker;
	struct tunnel tunnel;
	int r = store_end(extension, deadline_us, &tunnel);
	if (r < 0) {
		worker_log_store(worker, "storing a new end", r);
		sync_soon(worker);
		refuse(extension,
			(struct problem){.code = CODE_INTERNAL,
				.detail = SPAN("The tunnel has its new end, but that could "
					       "not be stored yet.")});
		return;
	}
	if (r > 0) {
		refuse(extension, (struct problem){.code = CODE_TUNNEL_OVER});
		return;
	}
	events_publish(&worker->events, EVENT_UPDATED, &tunnel);
	struct connection *connection = finish(extension);
	if (connection != NULL)
		answer_with_tunnel(connection, &tunnel,
			&(struct tunnel_view){.origins = &worker->settings.origins});
}

// ---- no new end

// The supervisor has no such living tunnel: it is being restored, or over, or will be at once.
static void on_not_living(struct extension *extension)
{
	struct worker *worker = extension->worker;
	struct instant now = instant_now();
	if (!restore_is_for(worker, extension->id)) {
		refuse(extension, (struct problem){.code = CODE_TUNNEL_OVER});
		return;
	}
	struct instant next = instant_add_ms(now, EXTENSION_AGAIN_MS);
	if (instant_reached(now, extension->give_up) ||
		loop_timer_set(&worker->loop, &extension->again, next) < 0)
		refuse(extension,
			(struct problem){.code = CODE_DRAINING,
				.detail = SPAN("The tunnel is being restored. Try again."),
				.retry_after = 1});
}

static void on_again(struct loop_timer *timer)
{
	ask(container_of(timer, struct extension, again));
}

static void on_refused(struct extension *extension, uint64_t number, struct span detail)
{
	enum code code = number == CODE_NONE ? CODE_INTERNAL : (enum code)number;
	struct connection *connection;
	char sentence[FINDINGS_SENTENCE_SIZE];
	if (detail.n == 0)
		detail = span_of(code_info(code)->detail);
	detail = finding_sentence(sentence, detail);
	switch ((int)code) {
	case CODE_TUNNEL_UNKNOWN:
	case CODE_CONFLICT: on_not_living(extension); break;
	case CODE_TUNNEL_OVER: refuse(extension, (struct problem){.code = code}); break;
	case CODE_INVALID:
		connection = finish(extension);
		if (connection != NULL)
			answer_wrong_member(connection, code, "timeout", detail);
		break;
	default: refuse(extension, (struct problem){.code = code, .detail = detail}); break;
	}
}

// ---- asking

static void on_answer(struct pending *pending, const struct ipc_message *message)
{
	struct extension *extension = container_of(pending, struct extension, extend);
	if (message != NULL && message->type->type == MSG_EXTENDED) {
		on_extended(extension, message->fields[1].number);
	} else if (message != NULL) {
		on_refused(extension, message->fields[1].number, message->fields[2].bytes);
	} else {
		worker_log(extension->worker, LOG_ERROR,
			"the supervisor did not move the end of tunnel %s in time", extension->id);
		sync_soon(extension->worker); // it may do so yet
		refuse(extension,
			(struct problem){.code = CODE_DRAINING,
				.detail = SPAN("There was no answer in time: the tunnel's "
					       "end may have been moved.")});
	}
}

static void ask(struct extension *extension)
{
	struct worker *worker = extension->worker;
	uint64_t request = pending_start(
		&worker->pendings, &extension->extend, MSG_EXTEND, WORKER_PATIENCE_MS, on_answer);
	if (request == 0 || ipc_post(&worker->control, MSG_EXTEND, -1, wire_uint(request),
				    wire_str(span_of(extension->id)),
				    wire_uint(extension->timeout_s * 1000)) != IPC_SENT)
		refuse(extension,
			(struct problem){.code = CODE_DRAINING,
				.detail = SPAN("The supervisor cannot be asked now. Try again.")});
}

void extension_start(struct worker *worker, struct connection *connection,
	const struct token *caller, const struct tunnel *tunnel, uint64_t timeout_s)
{
	struct extension *extension = calloc(1, sizeof *extension);
	if (extension == NULL) {
		answer_problem(connection, CODE_INTERNAL, "Out of memory.");
		return;
	}
	extension->worker = worker;
	extension->connection = connection;
	extension->waiter.over = on_over;
	extension->again.expired = on_again;
	extension->give_up = instant_add_ms(instant_now(), EXTENSION_RESTORE_MS);
	extension->timeout_s = timeout_s;
	memcpy(extension->id, tunnel->id, sizeof extension->id);
	memcpy(extension->actor, caller->id, sizeof extension->actor);
	TAILQ_INSERT_TAIL(&worker->extensions, extension, link);
	connection_wait(connection, &extension->waiter);
	ask(extension);
}
