// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// A question about evidence while the supervisor has it answered: for a statement, for a fresh
// quote, or for both, one after the other.

#include "evidence.h"

#include "answer.h"
#include "worker.h"

#include <stdio.h>

enum {
	STATEMENT_PATIENCE_MS = 10 * 1000,
	FRESH_PATIENCE_MS = 90 * 1000, // five calls of the guest service, 15 s each, and a little
};

struct question {
	struct worker *worker;
	struct connection *connection;
	struct connection_waiter waiter;
	struct pending pending;
	char id[TUNNEL_ID_MAX + 1]; // empty: about the instance
	bool fresh;
	size_t n;
	uint8_t nonce[NONCE_MAX];
	// What has been answered.
	size_t statement_n;
	char statement[STATEMENT_MAX];
	uint8_t signature[64];
};

static void refuse(
	struct connection *connection, enum code code, unsigned retry_after, struct span detail)
{
	struct problem problem = {.code = code, .retry_after = retry_after};
	if (detail.n > 0)
		problem.detail = detail;
	answer_problem_full(connection, &problem);
}

// ---- the answer

// The certificate's own statement, or the question's; the fresh quote; the rest of the certificate.
static int format(struct buf *out, const struct question *question, struct span quote)
{
	const struct certificate *certificate = question->worker->evidence.certificate;
	struct span head = {certificate->document, certificate->tail};
	struct span tail = certificate_tail(certificate);
	int r = question->id[0] != '\0'
			? evidence_statement(out,
				  (struct span){question->statement, question->statement_n},
				  question->signature)
			: buf_add_span(out, head);
	if (r == 0 && quote.n > 0)
		r = buf_printf(out, "\"fresh\":%.*s,", (int)quote.n, quote.p);
	return r == 0 ? buf_add_span(out, tail) : r;
}

static void finish(struct question *question, struct span quote)
{
	struct connection *connection = question->connection;
	CLEANUP(buf_reset) struct buf document;
	buf_init(&document, CERTIFICATE_MAX + 2 * STATEMENT_MAX + FRESH_MAX);
	int r = format(&document, question, quote);
	connection_forget(connection);
	free(question);
	if (r < 0)
		refuse(connection, CODE_INTERNAL, 0, SPAN("Out of memory."));
	else
		answer_json(connection, 200, buf_span(&document), SPAN(EVIDENCE_FIELDS));
}

static void give_up(
	struct question *question, enum code code, unsigned retry_after, struct span detail)
{
	struct connection *connection = question->connection;
	connection_forget(connection);
	free(question);
	refuse(connection, code, retry_after, detail);
}

// ---- the questions to the supervisor

static void ask_quote(struct question *question);

static void on_quote(struct pending *pending, const struct ipc_message *message)
{
	struct question *question = container_of(pending, struct question, pending);
	if (message == NULL)
		give_up(question, CODE_DRAINING, 0, SPAN("There was no quote in time."));
	else if (message->fields[1].number != CODE_NONE)
		give_up(question, (enum code)message->fields[1].number,
			(unsigned)message->fields[2].number, message->fields[3].bytes);
	else
		finish(question, message->fields[4].bytes);
}

static void on_statement(struct pending *pending, const struct ipc_message *message)
{
	struct question *question = container_of(pending, struct question, pending);
	const struct wire_value *f = message != NULL ? message->fields : NULL;
	if (message == NULL) {
		give_up(question, CODE_DRAINING, 0, SPAN("Nothing was signed in time."));
	} else if (f[1].number != CODE_NONE) {
		give_up(question, (enum code)f[1].number, 0, SPAN(""));
	} else if (f[3].bytes.n != sizeof question->signature) {
		give_up(question, CODE_INTERNAL, 0, SPAN(""));
	} else {
		question->statement_n = f[2].bytes.n;
		memcpy(question->statement, f[2].bytes.p, f[2].bytes.n);
		memcpy(question->signature, f[3].bytes.p, sizeof question->signature);
		if (question->fresh)
			ask_quote(question);
		else
			finish(question, SPAN(""));
	}
}

static void ask_quote(struct question *question)
{
	struct worker *worker = question->worker;
	uint64_t request = pending_start(
		&worker->pendings, &question->pending, MSG_FRESH_GET, FRESH_PATIENCE_MS, on_quote);
	if (request == 0 || ipc_post(&worker->control, MSG_FRESH_GET, -1, wire_uint(request),
				    wire_bin(question->nonce, question->n)) != IPC_SENT) {
		pending_stop(&question->pending);
		give_up(question, CODE_INTERNAL, 0, SPAN("The supervisor cannot be asked."));
	}
}

static void ask_statement(struct question *question)
{
	struct worker *worker = question->worker;
	uint64_t request = pending_start(&worker->pendings, &question->pending, MSG_STATEMENT_GET,
		STATEMENT_PATIENCE_MS, on_statement);
	if (request == 0 || ipc_post(&worker->control, MSG_STATEMENT_GET, -1, wire_uint(request),
				    wire_str(span_of(question->id)),
				    wire_bin(question->nonce, question->n)) != IPC_SENT) {
		pending_stop(&question->pending);
		give_up(question, CODE_INTERNAL, 0, SPAN("The supervisor cannot be asked."));
	}
}

static void on_over(struct connection_waiter *waiter, bool lost)
{
	struct question *question = container_of(waiter, struct question, waiter);
	pending_stop(&question->pending);
	free(question);
}

void evidence_ask(struct worker *worker, struct connection *connection, const char *id,
	struct span nonce, bool fresh)
{
	struct question *question = calloc(1, sizeof *question);
	if (question == NULL) {
		refuse(connection, CODE_INTERNAL, 0, SPAN("Out of memory."));
		return;
	}
	question->worker = worker;
	question->connection = connection;
	question->waiter.over = on_over;
	question->fresh = fresh;
	question->n = nonce.n;
	memcpy(question->nonce, nonce.p, nonce.n);
	if (id != NULL)
		memcpy(question->id, id, strlen(id) + 1);
	connection_wait(connection, &question->waiter);
	if (id != NULL)
		ask_statement(question);
	else
		ask_quote(question);
}
