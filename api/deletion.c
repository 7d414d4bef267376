// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "deletion.h"

#include "answer.h"
#include "worker.h"

static void deletion_free(struct deletion *deletion)
{
	pending_stop(&deletion->end);
	if (deletion->connection != NULL)
		connection_forget(deletion->connection);
	TAILQ_REMOVE(&deletion->worker->deletions, deletion, link);
	free(deletion);
}

// The client's own loss: the tunnel ends all the same.
static void on_over(struct connection_waiter *waiter, bool lost)
{
	struct deletion *deletion = container_of(waiter, struct deletion, waiter);
	deletion->connection = NULL;
	(void)lost;
}

static void finish(struct deletion *deletion, bool failed)
{
	struct connection *connection = deletion->connection;
	deletion_free(deletion);
	if (connection == NULL)
		return;
	if (failed)
		answer_problem(connection, CODE_INTERNAL,
			"The tunnel's end could not be stored; it will be tried again.");
	else
		answer_json(connection, 200, SPAN("{\"ok\":true}\n"), (struct span){NULL, 0});
}

void deletions_done(struct worker *worker, const char *id, bool failed)
{
	struct deletion *deletion = TAILQ_FIRST(&worker->deletions);
	while (deletion != NULL) {
		struct deletion *next = TAILQ_NEXT(deletion, link);
		if (strcmp(deletion->id, id) == 0)
			finish(deletion, failed);
		deletion = next;
	}
	revocations_note(worker);
}

const char *deletion_actor(const struct worker *worker, const char *id)
{
	const struct deletion *deletion;
	TAILQ_FOREACH(deletion, &worker->deletions, link)
	if (strcmp(deletion->id, id) == 0)
		return deletion->actor;
	return NULL;
}

void deletions_deinit(struct worker *worker)
{
	struct deletion *deletion;
	while ((deletion = TAILQ_FIRST(&worker->deletions)) != NULL)
		deletion_free(deletion);
}

// The answer to END is ENDED, which names the tunnel: this is only about one that does not come.
static void on_late(struct pending *pending, const struct ipc_message *message)
{
	struct deletion *deletion = container_of(pending, struct deletion, end);
	struct worker *worker = deletion->worker;
	worker_log(worker, LOG_ERROR, "the supervisor did not end tunnel %s in time", deletion->id);
	struct connection *connection = deletion->connection;
	deletion_free(deletion);
	if (connection != NULL)
		answer_problem(connection, CODE_DRAINING,
			"The tunnel could not be ended in time. Try again.");
}

static bool send_end(struct deletion *deletion)
{
	uint64_t request = pending_start(
		&deletion->worker->pendings, &deletion->end, MSG_END, WORKER_PATIENCE_MS, on_late);
	return request != 0 &&
	       worker_send_end(deletion->worker, request, deletion->id, END_REVOKED);
}

void deletion_start(struct worker *worker, struct connection *connection,
	const struct token *caller, const struct tunnel *tunnel)
{
	struct deletion *deletion = calloc(1, sizeof *deletion);
	if (deletion == NULL) {
		answer_problem(connection, CODE_INTERNAL, "Out of memory.");
		return;
	}
	deletion->worker = worker;
	deletion->connection = connection;
	deletion->waiter.over = on_over;
	memcpy(deletion->id, tunnel->id, sizeof deletion->id);
	memcpy(deletion->actor, caller->id, sizeof deletion->actor);
	TAILQ_INSERT_TAIL(&worker->deletions, deletion, link);
	connection_wait(connection, &deletion->waiter);

	if (restore_cancel(worker, tunnel->id)) {
		ends_store(worker, tunnel->id, TUNNEL_REVOKED,
			(struct store_cause){caller->id, "deleted"});
		return;
	}
	struct creation *creation = creation_find(worker, tunnel->id);
	if (creation != NULL)
		creation_cancel(creation);
	if (send_end(deletion))
		return;
	deletion_free(deletion);
	answer_problem(connection, CODE_DRAINING, "The supervisor cannot be asked now. Try again.");
}
