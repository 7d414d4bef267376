// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "revocation.h"

#include "answer.h"
#include "id_list.h"
#include "worker.h"

static void on_task(struct loop_task *task);
static void on_expiry(struct loop_timer *timer);

void revocations_init(struct worker *worker)
{
	worker->revocations =
		(struct revocations){.task.run = on_task, .expiry.expired = on_expiry};
	TAILQ_INIT(&worker->revocations.waiting);
}

static void revocation_free(struct revocation *revocation)
{
	struct worker *worker = revocation->worker;
	if (revocation->connection != NULL)
		connection_forget(revocation->connection);
	loop_timer_clear(&worker->loop, &revocation->patience);
	TAILQ_REMOVE(&worker->revocations.waiting, revocation, link);
	free(revocation);
}

void revocations_deinit(struct worker *worker)
{
	struct revocations *revocations = &worker->revocations;
	loop_task_clear(&revocations->task);
	loop_timer_clear(&worker->loop, &revocations->expiry);
	while (!TAILQ_EMPTY(&revocations->waiting))
		revocation_free(TAILQ_FIRST(&revocations->waiting));
}

// ---- tunnels without a token

static void end_tunnel(struct worker *worker, const char *id)
{
	if (restore_cancel(worker, id)) {
		ends_store(worker, id, TUNNEL_REVOKED,
			(struct store_cause){"worker", "its token is no longer valid"});
		return;
	}
	struct creation *creation = creation_find(worker, id);
	if (creation != NULL)
		creation_cancel(creation);
	worker_send_end(worker, 0, id, END_REVOKED);
}

void revocations_end_disowned(struct worker *worker)
{
	struct id_list list = {0};
	int r = store_tunnels_disowned(worker->store, id_list_collect, &list);
	if (r < 0)
		worker_log_store(worker, "looking for tunnels without a token", r);
	for (size_t i = 0; i < list.n; i++)
		end_tunnel(worker, list.ids[i]);
	if (r < 0 || list.incomplete)
		sync_soon(worker); // which looks for them again
	id_list_deinit(&list);
}

// ---- by time

static bool is_over(const struct token *token)
{
	return token_left_ms(token) == 0;
}

// Removes tokens whose time is over. Returns 0 with *NEXT, the one that ends next, STORE_NONE when
// there is none, or a negative errno. *ENDED: whether there were any.
static int remove_expired(struct worker *worker, struct token *next, bool *ended)
{
	int r;
	while ((r = store_token_next_end(worker->store, next)) == 0 && is_over(next)) {
		events_token_ended(&worker->events, next->id);
		r = store_token_remove(worker->store, next->id, "expired",
			(struct store_cause){"worker", "its time was over"});
		if (r < 0)
			return r;
		*ended = true;
		worker_log(worker, LOG_INFO, "token %s expired", next->id);
	}
	return r;
}

void revocations_watch(struct worker *worker)
{
	struct token next;
	bool ended = false;
	int64_t ms = REVOCATION_CLOCK_MS;
	int r = remove_expired(worker, &next, &ended);
	if (r < 0)
		worker_log_store(worker, "ending tokens", r);
	if (ended)
		revocations_end_disowned(worker);
	if (r == STORE_NONE)
		return;
	// One millisecond more: the token has to be over by then.
	if (r == 0)
		ms = MIN(ms, token_left_ms(&next) + 1);
	struct instant due = instant_add_ms(instant_now(), ms);
	if (loop_timer_set(&worker->loop, &worker->revocations.expiry, due) < 0)
		worker_log(worker, LOG_ERROR, "tokens are not ended in time: out of memory");
}

static void on_expiry(struct loop_timer *timer)
{
	revocations_watch(container_of(timer, struct worker, revocations.expiry));
}

// ---- by DELETE

// The client's own loss: the token is gone all the same.
static void on_over(struct connection_waiter *waiter, bool lost)
{
	struct revocation *revocation = container_of(waiter, struct revocation, waiter);
	revocation->connection = NULL;
	revocation_free(revocation);
}

// Takes the connection from REVOCATION, which is gone afterwards.
static struct connection *finish(struct revocation *revocation)
{
	struct connection *connection = revocation->connection;
	revocation_free(revocation);
	return connection;
}

static void on_late(struct loop_timer *timer)
{
	struct revocation *revocation = container_of(timer, struct revocation, patience);
	worker_log(revocation->worker, LOG_ERROR,
		"tunnels of token %s were not ended in time; it will be tried again",
		revocation->token);
	answer_problem(finish(revocation), CODE_DRAINING,
		"The token is no longer valid, but not all of its tunnels have ended yet.");
}

// Whether no tunnel of TOKEN lives any more. One that cannot be known is waited for.
static bool has_ended(struct worker *worker, const char *token)
{
	uint64_t n = 0;
	int r = store_tunnels_count(worker->store, token, &n);
	if (r < 0)
		worker_log_store(worker, "counting tunnels", r);
	return r == 0 && n == 0;
}

static void answer_if_ended(struct revocation *revocation)
{
	if (has_ended(revocation->worker, revocation->token))
		answer_json(
			finish(revocation), 200, SPAN("{\"ok\":true}\n"), (struct span){NULL, 0});
}

static void on_task(struct loop_task *task)
{
	struct revocations *revocations = container_of(task, struct revocations, task);
	struct revocation *revocation = TAILQ_FIRST(&revocations->waiting);
	while (revocation != NULL) {
		struct revocation *next = TAILQ_NEXT(revocation, link);
		answer_if_ended(revocation);
		revocation = next;
	}
}

void revocations_note(struct worker *worker)
{
	if (!TAILQ_EMPTY(&worker->revocations.waiting))
		loop_task_set(&worker->loop, &worker->revocations.task);
}

static struct revocation *revocation_new(
	struct worker *worker, struct connection *connection, const struct token *token)
{
	struct revocation *revocation = calloc(1, sizeof *revocation);
	if (revocation == NULL)
		return NULL;
	revocation->worker = worker;
	revocation->connection = connection;
	revocation->waiter.over = on_over;
	revocation->patience.expired = on_late;
	memcpy(revocation->token, token->id, sizeof revocation->token);
	struct instant due = instant_add_ms(instant_now(), WORKER_PATIENCE_MS);
	if (loop_timer_set(&worker->loop, &revocation->patience, due) < 0) {
		free(revocation);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&worker->revocations.waiting, revocation, link);
	connection_wait(connection, &revocation->waiter);
	return revocation;
}

void revocation_start(
	struct worker *worker, struct connection *connection, const struct token *token)
{
	int r = store_token_remove(
		worker->store, token->id, "revoked", (struct store_cause){TOKEN_OWNER, "deleted"});
	if (r < 0) {
		worker_log_store(worker, "deleting a token", r);
		answer_problem(connection, CODE_INTERNAL, "The token could not be deleted.");
		return;
	}
	worker_log(worker, LOG_INFO, "token %s revoked", token->id);
	events_token_ended(&worker->events, token->id);
	struct revocation *revocation = revocation_new(worker, connection, token);
	revocations_end_disowned(worker);
	revocations_watch(worker);
	if (revocation == NULL)
		answer_problem(connection, CODE_INTERNAL,
			"The token is no longer valid; its tunnels are being ended.");
	else
		answer_if_ended(revocation);
}
