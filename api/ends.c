// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "ends.h"

#include "worker.h"

static void on_task(struct loop_task *task);
static void on_retry(struct loop_timer *timer);

void ends_init(struct ends *ends, struct worker *worker)
{
	*ends = (struct ends){.worker = worker, .task.run = on_task, .retry.expired = on_retry};
	TAILQ_INIT(&ends->queue);
}

static void forget_receipt(struct ends *ends)
{
	free(ends->signed_last);
	certificate_unref(ends->signed_certificate);
	ends->signed_last = NULL;
	ends->signed_certificate = NULL;
}

static void end_free(struct ends *ends, struct end *end)
{
	TAILQ_REMOVE(&ends->queue, end, link);
	ends->n--;
	certificate_unref(end->certificate);
	free(end->receipt);
	free(end);
}

void ends_deinit(struct ends *ends)
{
	loop_task_clear(&ends->task);
	loop_timer_clear(&ends->worker->loop, &ends->retry);
	while (!TAILQ_EMPTY(&ends->queue))
		end_free(ends, TAILQ_FIRST(&ends->queue));
	forget_receipt(ends);
}

// The supervisor remembers it, and tells all ends again when it is asked what lives.
static void ask_again(struct ends *ends, struct span id)
{
	char text[TUNNEL_ID_MAX + 1] = "";
	memcpy(text, id.p, MIN(id.n, sizeof text - 1));
	worker_log(ends->worker, LOG_ERROR, "the end of tunnel %s is not stored yet: %s", text,
		ends->n < ENDS_MAX ? "out of memory" : "too many wait for the database");
	deletions_done(ends->worker, text, true);
	sync_soon(ends->worker);
}

void ends_add_receipt(struct ends *ends, struct span id, const struct wire_value *fields)
{
	struct receipt *receipt = calloc(1, sizeof *receipt);
	forget_receipt(ends);
	ends->signed_last = receipt;
	memset(ends->signed_id, 0, sizeof ends->signed_id);
	memcpy(ends->signed_id, id.p, MIN(id.n, sizeof ends->signed_id - 1));
	if (receipt == NULL)
		return;
	receipt->n = fields[0].bytes.n;
	memcpy(receipt->statement, fields[0].bytes.p, receipt->n);
	memcpy(receipt->signature, fields[1].bytes.p, sizeof receipt->signature);
	memcpy(receipt->instance.bytes, fields[2].bytes.p, SECRET_HASH_SIZE);
	// Kept from now on: by the time the end is stored there may be another.
	ends->signed_certificate =
		evidence_certificate_of(&ends->worker->evidence, &receipt->instance);
}

static void take_receipt(struct ends *ends, struct end *end)
{
	if (ends->signed_last == NULL || !span_eq(span_of(ends->signed_id), span_of(end->id)))
		return;
	end->receipt = ends->signed_last;
	end->certificate = ends->signed_certificate;
	ends->signed_last = NULL;
	ends->signed_certificate = NULL;
}

void ends_add(struct ends *ends, struct span id, enum end_reason reason,
	const struct tunnel_counters *counters)
{
	struct end *end = ends->n < ENDS_MAX ? calloc(1, sizeof *end) : NULL;
	if (end == NULL) {
		ask_again(ends, id);
		return;
	}
	memcpy(end->id, id.p, MIN(id.n, sizeof end->id - 1));
	end->reason = reason;
	end->at = wall_now();
	end->counters = *counters;
	take_receipt(ends, end);
	TAILQ_INSERT_TAIL(&ends->queue, end, link);
	ends->n++;
	if (ends->retry.place == 0)
		loop_task_set(&ends->worker->loop, &ends->task);
}

// Who ended it and why, as far as it is known here.
static struct store_cause cause_of(const struct ends *ends, const struct end *end)
{
	const char *actor = deletion_actor(ends->worker, end->id);
	if (end->reason == END_REVOKED && actor != NULL)
		return (struct store_cause){actor, "deleted"};
	if (end->reason == END_REVOKED && store_tunnel_is_disowned(ends->worker->store, end->id))
		return (struct store_cause){"worker", "its token is no longer valid"};
	switch (end->reason) {
	case END_EXPIRED: return (struct store_cause){"supervisor", "its time was over"};
	case END_REVOKED: return (struct store_cause){"worker", "its creator was gone"};
	case END_EXHAUSTED: return (struct store_cause){"relay", "a budget was used up"};
	case END_NONE:
	case END_FAILED:
	case END_REASONS:
	default: return (struct store_cause){"supervisor", "its relay failed"};
	}
}

// Stores the first ends of the queue, *N of them, as one. Returns 0 or a negative errno.
static int store_batch(struct ends *ends, size_t *n)
{
	struct store *store = ends->worker->store;
	struct end *end;
	*n = 0;
	int r = store_begin(store);
	if (r < 0)
		return r;
	TAILQ_FOREACH(end, &ends->queue, link)
	{
		if (*n == ENDS_BATCH)
			break;
		r = store_tunnel_end(store, end->id, tunnel_state_of_end(end->reason), end->at,
			&end->counters, cause_of(ends, end));
		end->changed = r == 0;
		if (r >= 0 && r != STORE_NONE && end->receipt != NULL)
			r = store_receipt_add(store, end->id, end->receipt,
				end->certificate != NULL ? certificate_tail(end->certificate)
							 : (struct span){NULL, 0});
		if (r < 0) {
			store_rollback(store);
			return r;
		}
		++*n;
	}
	return store_commit(store);
}

static void tell(struct worker *worker, const struct end *end)
{
	if (end->changed)
		worker_log(worker, LOG_INFO,
			"tunnel %s %s: %llu requests, %llu bytes in, %llu bytes out", end->id,
			tunnel_state_name(tunnel_state_of_end(end->reason)),
			(unsigned long long)end->counters.requests,
			(unsigned long long)end->counters.bytes_in,
			(unsigned long long)end->counters.bytes_out);
	if (end->changed)
		events_publish_id(&worker->events, EVENT_ENDED, end->id);
	// Lost acknowledgements only mean that the next worker is told again.
	ipc_post(&worker->control, MSG_ENDED_ACK, -1, wire_str(span_of(end->id)));
	restore_ended(worker, end->id);
	creation_ended(worker, end->id);
	deletions_done(worker, end->id, false);
}

static void give_up_for_now(struct ends *ends, int r)
{
	struct worker *worker = ends->worker;
	struct end *end;
	worker_log_store(worker, "storing ends", r);
	TAILQ_FOREACH(end, &ends->queue, link)
	deletions_done(worker, end->id, true);
	struct instant due = instant_add_ms(instant_now(), ENDS_RETRY_MS);
	if (loop_timer_set(&worker->loop, &ends->retry, due) < 0)
		loop_task_set(&worker->loop, &ends->task);
}

// Stores one batch. Returns false when that failed.
static bool advance(struct ends *ends)
{
	size_t n;
	int r = store_batch(ends, &n);
	if (r < 0) {
		give_up_for_now(ends, r);
		return false;
	}
	for (; n > 0; n--) {
		struct end *end = TAILQ_FIRST(&ends->queue);
		tell(ends->worker, end);
		end_free(ends, end);
	}
	return true;
}

bool ends_flush(struct ends *ends)
{
	while (!TAILQ_EMPTY(&ends->queue))
		if (!advance(ends))
			return false;
	return true;
}

void ends_store(
	struct worker *worker, const char *id, enum tunnel_state state, struct store_cause cause)
{
	int r = store_tunnel_end(worker->store, id, state, wall_now(), NULL, cause);
	if (r < 0)
		worker_log_store(worker, "storing an end", r);
	if (r == 0) {
		worker_log(worker, LOG_INFO, "tunnel %s %s: %s", id, tunnel_state_name(state),
			cause.reason);
		events_publish_id(&worker->events, EVENT_ENDED, id);
	}
	deletions_done(worker, id, r < 0);
}

static void on_task(struct loop_task *task)
{
	struct ends *ends = container_of(task, struct ends, task);
	if (advance(ends) && !TAILQ_EMPTY(&ends->queue))
		loop_task_set(&ends->worker->loop, task);
}

static void on_retry(struct loop_timer *timer)
{
	struct ends *ends = container_of(timer, struct ends, retry);
	loop_task_set(&ends->worker->loop, &ends->task);
}
