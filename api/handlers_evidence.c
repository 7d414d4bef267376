// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Evidence of what runs here, for anybody; receipts of tunnels that are over, for those who had to
// do with them.

#include "handlers.h"

#include "access.h"
#include "answer.h"
#include "evidence_query.h"
#include "shown.h"
#include "worker.h"

// ---- attestation

// A browser that was led here by itself gets a page. What has a query is asked for by somebody who
// wants the document.
static bool is_for_a_person(const struct connection *connection, const struct request *request)
{
	return connection->form == FORM_HTML && request->query.p == NULL;
}

// Whether there is evidence; answers if not.
static bool has_evidence(struct worker *worker, struct connection *connection)
{
	if (worker->settings.attestation == WORKER_ATTESTATION_OFF) {
		answer_problem(connection, CODE_NOT_FOUND,
			"This server gives no evidence (attestation = off).");
		return false;
	}
	if (worker->evidence.certificate == NULL)
		answer_problem(connection, CODE_DRAINING, "The evidence is being put together.");
	return worker->evidence.certificate != NULL;
}

// Reads the query, or answers what is wrong with it.
static bool read_query(struct connection *connection, const struct request *request, bool needed,
	struct evidence_query *query)
{
	CLEANUP(buf_reset) struct buf said;
	buf_init(&said, FINDINGS_SAID_MAX);
	int r = evidence_query_parse(query, request->query, needed, &said);
	if (r != FINDINGS_NONE)
		answer_findings(connection, r, query->summary, buf_span(&said));
	return r == FINDINGS_NONE;
}

void handle_attestation(
	struct worker *worker, struct connection *connection, struct request *request)
{
	struct evidence_query query;
	if (is_for_a_person(connection, request)) {
		handle_evidence_page(worker, connection, request);
		return;
	}
	if (!has_evidence(worker, connection) || !read_query(connection, request, false, &query))
		return;
	if (query.fresh)
		evidence_ask(worker, connection, NULL,
			(struct span){(const char *)query.nonce, query.n}, true);
	else
		answer_json(connection, 200, certificate_document(worker->evidence.certificate),
			SPAN(EVIDENCE_FIELDS));
}

void handle_tunnel_attestation(
	struct worker *worker, struct connection *connection, struct request *request)
{
	struct evidence_query query;
	struct tunnel tunnel;
	if (is_for_a_person(connection, request)) {
		handle_about(worker, connection, request);
		return;
	}
	if (!has_evidence(worker, connection) || !read_query(connection, request, true, &query) ||
		!handle_find_tunnel(worker, connection, NULL, request->id, &tunnel))
		return;
	if (tunnel_state_is_over(tunnel.state))
		answer_problem(connection, CODE_TUNNEL_OVER, "The tunnel is over: %s.",
			tunnel_state_name(tunnel.state));
	else
		evidence_ask(worker, connection, tunnel.id,
			(struct span){(const char *)query.nonce, query.n}, query.fresh);
}

// ---- receipts

// Whether REQUEST shows a token that sees TUNNEL.
static bool shows_token(
	struct worker *worker, const struct request *request, const struct tunnel *tunnel)
{
	struct token token;
	int r = access_find(&request->head, &worker->settings.owner_token, worker->store, &token);
	return r == 0 && (token_is_owner(token.id) || strcmp(token.id, tunnel->token) == 0);
}

static void turn_away(
	struct worker *worker, struct connection *connection, const struct request *request)
{
	struct problem problem = {.code = CODE_AUTH_REQUIRED,
		.detail =
			SPAN("A receipt is for the owner of the tunnel, and for those who know its "
			     "secret: send either as `Authorization: Bearer ...`."),
		.fields = SPAN("WWW-Authenticate: Bearer realm=\"tunneld\"\r\n")};
	unsigned wait_s = 0;
	if (http_head_field(&request->head, HTTP_AUTHORIZATION) != NULL ||
		http_head_field(&request->head, HTTP_X_TUNNEL_AUTHORIZATION) != NULL) {
		problem.code = CODE_AUTH_FAILED;
		problem.detail = SPAN("What was sent is neither the tunnel's secret nor a token "
				      "that it was made with.");
		wait_s = failures_note(&worker->failures, connection->facts.peer, worker->loop.now);
	}
	if (wait_s > 0)
		problem = (struct problem){.code = CODE_RATE_LIMITED,
			.detail = SPAN(FAILURES_DETAIL),
			.retry_after = wait_s};
	answer_problem_full(connection, &problem);
}

static int format_receipt(struct buf *out, const struct receipt *receipt, struct span certificate)
{
	int r = evidence_statement(
		out, (struct span){receipt->statement, receipt->n}, receipt->signature);
	if (r == 0)
		r = buf_add_span(out,
			certificate.n > 0 ? certificate : SPAN("\"instance\":null,\"tee\":null}"));
	return r;
}

static void answer_receipt(
	struct worker *worker, struct connection *connection, const struct tunnel *tunnel)
{
	struct receipt receipt;
	CLEANUP(buf_reset) struct buf certificate;
	CLEANUP(buf_reset) struct buf document;
	buf_init(&certificate, CERTIFICATE_MAX);
	buf_init(&document, CERTIFICATE_MAX + 2 * STATEMENT_MAX);
	int r = store_receipt_get(worker->store, tunnel->id, &receipt, &certificate);
	if (r == STORE_NONE) {
		answer_problem(connection, CODE_NOT_FOUND,
			"No receipt was signed when this tunnel ended.");
		return;
	}
	if (r == 0)
		r = format_receipt(&document, &receipt, buf_span(&certificate));
	if (r < 0) {
		worker_log_store(worker, "reading a receipt", r);
		answer_problem(connection, CODE_INTERNAL, "The receipt could not be read.");
	} else {
		answer_json(connection, 200, buf_span(&document), (struct span){NULL, 0});
	}
}

void handle_receipt(struct worker *worker, struct connection *connection, struct request *request)
{
	struct tunnel tunnel;
	if (!handle_find_tunnel(worker, connection, NULL, request->id, &tunnel))
		return;
	if (!shows_token(worker, request, &tunnel) && !shown_secret(request, &tunnel))
		turn_away(worker, connection, request);
	else if (!tunnel_state_is_over(tunnel.state))
		answer_problem(connection, CODE_CONFLICT,
			"The tunnel is not over: there is a receipt when it has ended.");
	else
		answer_receipt(worker, connection, &tunnel);
}
