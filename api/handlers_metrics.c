// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// GET /metrics, which listeners for metrics alone lead to. Most numbers are the supervisor's: it is
// asked, and what we count ourselves is added.

#include "handlers.h"

#include "answer.h"
#include "metrics_text.h"
#include "worker.h"

enum {
	METRICS_PATIENCE_MS = 2000,
	METRICS_TEXT_MAX = 64 * 1024,
	DESCRIPTORS_ALWAYS = 10, // standard streams, epoll, two channels, folder, database files
};

struct scrape {
	struct worker *worker;
	struct connection *connection;
	struct connection_waiter waiter;
	struct pending pending;
};

static void answer_metrics(
	struct worker *worker, struct connection *connection, struct span supervisor)
{
	const struct connections *set = &worker->connections;
	struct metrics_all all = {
		.requests = set->requests,
		.database_errors = worker->database_errors,
		.version = worker->settings.version,
	};
	CLEANUP(buf_reset) struct buf text;
	buf_init(&text, METRICS_TEXT_MAX);
	memcpy(&all.supervisor, supervisor.p, sizeof all.supervisor);
	memcpy(all.refusals, set->refused, sizeof all.refusals);
	all.supervisor.descriptors[ROLE_API] = DESCRIPTORS_ALWAYS;
	for (size_t i = 0; i < CONNECTION_KINDS; i++) {
		all.connections[i] = set->n[i];
		all.supervisor.descriptors[ROLE_API] += set->n[i];
	}
	if (metrics_text(&text, &all) < 0)
		answer_problem(connection, CODE_INTERNAL, "Out of memory.");
	else
		answer_document(connection, 200, METRICS_TEXT_TYPE, buf_span(&text),
			(struct span){NULL, 0});
}

static void on_over(struct connection_waiter *waiter, bool lost)
{
	struct scrape *scrape = container_of(waiter, struct scrape, waiter);
	pending_stop(&scrape->pending);
	free(scrape);
}

static void on_metrics(struct pending *pending, const struct ipc_message *message)
{
	struct scrape *scrape = container_of(pending, struct scrape, pending);
	struct worker *worker = scrape->worker;
	struct connection *connection = scrape->connection;
	connection_forget(connection);
	free(scrape);
	if (message != NULL)
		answer_metrics(worker, connection, message->fields[1].bytes);
	else
		answer_problem(connection, CODE_DRAINING, "The supervisor did not answer in time.");
}

void handle_metrics(struct worker *worker, struct connection *connection, struct request *request)
{
	struct scrape *scrape = calloc(1, sizeof *scrape);
	if (scrape == NULL) {
		answer_problem(connection, CODE_INTERNAL, "Out of memory.");
		return;
	}
	*scrape =
		(struct scrape){.worker = worker, .connection = connection, .waiter.over = on_over};
	uint64_t number = pending_start(&worker->pendings, &scrape->pending, MSG_METRICS_GET,
		METRICS_PATIENCE_MS, on_metrics);
	if (number == 0 ||
		ipc_post(&worker->control, MSG_METRICS_GET, -1, wire_uint(number)) != IPC_SENT) {
		pending_stop(&scrape->pending);
		free(scrape);
		answer_problem(connection, CODE_INTERNAL, "The supervisor cannot be asked.");
		return;
	}
	connection_wait(connection, &scrape->waiter);
}
