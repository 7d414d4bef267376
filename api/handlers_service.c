// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What can be asked of the server itself.

#include "handlers.h"

#include "answer.h"
#include "worker.h"

static void answer_status(struct connection *connection, const char *status)
{
	CLEANUP(buf_reset) struct buf document;
	buf_init(&document, 256);
	if (buf_printf(&document, "{\"status\":\"%s\"}\n", status) < 0)
		answer_problem(connection, CODE_INTERNAL, "Out of memory.");
	else
		answer_json(connection, 200, buf_span(&document), (struct span){NULL, 0});
}

void handle_health(struct worker *worker, struct connection *connection, struct request *request)
{
	answer_status(connection, "ok");
}

// What a visitor could miss; NULL: nothing. An attestor that ends later takes nothing back: what it
// has signed stands.
static const char *what_is_missing(const struct worker *worker)
{
	enum worker_attestation attestation = worker->settings.attestation;
	const struct certificate *certificate = worker->evidence.certificate;
	if (!worker->sync.done)
		return "The supervisor has not said yet which tunnels live.";
	if (!restores_tried(&worker->restores))
		return "Tunnels from before the start are not back yet.";
	if (attestation != WORKER_ATTESTATION_OFF && certificate == NULL)
		return "The attestor has not signed anything yet.";
	if (attestation == WORKER_ATTESTATION_REQUIRE && !certificate->quoted)
		return "There is no quote of this machine yet (attestation = require).";
	if (!store_writable(worker->store))
		return "The database cannot be written to.";
	return NULL;
}

void handle_ready(struct worker *worker, struct connection *connection, struct request *request)
{
	const char *missing = what_is_missing(worker);
	if (missing != NULL)
		answer_problem(connection, CODE_DRAINING, "%s", missing);
	else
		answer_status(connection, "ready");
}

void handle_version(struct worker *worker, struct connection *connection, struct request *request)
{
	CLEANUP(buf_reset) struct buf document;
	buf_init(&document, 512);
	int r = buf_printf(&document, "{\"name\":\"tunneld\",\"version\":");
	if (r == 0)
		r = problem_string(&document, span_of(worker->settings.version));
	if (r == 0)
		r = buf_printf(&document, "}\n");
	if (r < 0)
		answer_problem(connection, CODE_INTERNAL, "Out of memory.");
	else
		answer_json(connection, 200, buf_span(&document), (struct span){NULL, 0});
}

void handle_openapi(struct worker *worker, struct connection *connection, struct request *request)
{
	answer_file(connection, request, web_file(SPAN("openapi.json")));
}

// What pages load. HTML stays what it is a part of.
void handle_asset(struct worker *worker, struct connection *connection, struct request *request)
{
	const struct web_file *file = web_file(request->id);
	if (file == NULL || span_starts(span_of(file->type), SPAN("text/html")))
		answer_refusal(connection, CODE_NOT_FOUND, 0, (struct span){NULL, 0});
	else
		answer_file(connection, request, file);
}
