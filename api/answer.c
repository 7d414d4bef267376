// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "answer.h"

#include "evidence.h"
#include "failures.h"
#include "handshake.h"
#include "http_date.h"
#include "page.h"
#include "websocket_accept.h"

#include <stdio.h>

enum { FIELDS_MAX = 1024, DETAIL_MAX = 1024 };

static int add_head(struct buf *out, unsigned status, struct span fields)
{
	int r = buf_printf(out, "HTTP/1.1 %u %s\r\nDate: %s\r\nConnection: close\r\n", status,
		http_reason(status), http_date_now());
	return r == 0 ? buf_add_span(out, fields) : r;
}

int answer_format(struct buf *out, unsigned status, const char *type, struct span document,
	struct span fields, bool to_head)
{
	// Room for all at once: growing would leave a copy behind, and one document holds a secret.
	int r = buf_room(out, document.n + fields.n + FIELDS_MAX) != NULL ? 0 : -ENOMEM;
	if (r == 0)
		r = add_head(out, status, fields);
	if (r == 0)
		r = buf_printf(out,
			"Content-Type: %s\r\nCache-Control: no-store\r\n"
			"X-Content-Type-Options: nosniff\r\nContent-Length: %zu\r\n\r\n",
			type, document.n);
	return r == 0 && !to_head ? buf_add_span(out, document) : r;
}

void answer_document(struct connection *c, unsigned status, const char *type, struct span document,
	struct span fields)
{
	c->status = (uint16_t)status;
	connection_answered(c, answer_format(&c->out, status, type, document, fields, c->to_head));
}

void answer_bytes(struct connection *c, unsigned status, struct span bytes)
{
	c->status = (uint16_t)status;
	int r = buf_room(&c->out, bytes.n) != NULL ? buf_add_span(&c->out, bytes) : -ENOMEM;
	connection_answered(c, r);
}

void answer_json(struct connection *c, unsigned status, struct span document, struct span fields)
{
	answer_document(c, status, "application/json", document, fields);
}

void answer_with_tunnel(
	struct connection *c, const struct tunnel *tunnel, const struct tunnel_view *view)
{
	CLEANUP(buf_reset) struct buf document;
	buf_init(&document, TUNNEL_JSON_MAX);
	int r = tunnel_json(&document, tunnel, view);
	if (r == 0)
		r = buf_add(&document, "\n", 1);
	if (r < 0)
		answer_problem(c, CODE_INTERNAL, "Out of memory.");
	else
		answer_json(c, 200, buf_span(&document), (struct span){NULL, 0});
}

void answer_stream(struct connection *c, const char *type, struct connection_waiter *waiter)
{
	// A reverse proxy must not collect it (nginx, proxy_buffering).
	c->status = 200;
	int r = add_head(&c->out, 200, SPAN("X-Accel-Buffering: no\r\n"));
	if (r == 0)
		r = buf_printf(&c->out,
			"Content-Type: %s\r\nCache-Control: no-store\r\n"
			"X-Content-Type-Options: nosniff\r\n\r\n",
			type);
	if (waiter == NULL)
		connection_answered(c, r);
	else
		connection_stream(c, waiter, r);
}

void answer_upgrade(struct connection *c, const char *id, struct span key)
{
	char accept[WEBSOCKET_ACCEPT_SIZE];
	websocket_accept(key, accept);
	memcpy(c->tunnel, id, strnlen(id, sizeof c->tunnel - 1));
	c->status = 101;
	connection_upgrade(c, buf_printf(&c->out,
				      "HTTP/1.1 101 %s\r\nUpgrade: websocket\r\n"
				      "Connection: upgrade\r\nSec-WebSocket-Accept: %.*s\r\n"
				      "Sec-WebSocket-Protocol: " HANDSHAKE_PROTOCOL "\r\n\r\n",
				      http_reason(101), (int)sizeof accept, accept));
}

void answer_empty(struct connection *c, unsigned status, struct span fields)
{
	c->status = (uint16_t)status;
	// As above: a field may hold a cookie.
	int r = buf_room(&c->out, fields.n + FIELDS_MAX) != NULL ? 0 : -ENOMEM;
	if (r == 0)
		r = add_head(&c->out, status, fields);
	if (r == 0 && status != 204 && status != 304)
		r = buf_printf(&c->out, "Content-Length: 0\r\n");
	if (r == 0)
		r = buf_printf(&c->out, "\r\n");
	connection_answered(c, r);
}

// The end of an answer that tells about CODE.
static void finish(struct connection *c, int r, enum code code, const char *request_id)
{
	c->code = code;
	c->status = code != CODE_NONE ? code_info(code)->status : 200;
	if (code != CODE_NONE && c->kind != CONNECTION_PAGE)
		c->set->refused[code]++;
	if (r == 0 && code != CODE_NONE && code_info(code)->status >= 500)
		c->set->server->failed(c, code, request_id);
	connection_answered(c, r);
}

void answer_problem_full(struct connection *c, struct problem *problem)
{
	char request_id[REQUEST_ID_SIZE];
	CLEANUP(buf_reset) struct buf fields;
	buf_init(&fields, FIELDS_MAX);
	int r = buf_add_span(&fields, problem->fields);
	if (r == 0 && c->open)
		r = buf_printf(&fields, EVIDENCE_FIELDS);
	if (r == 0)
		r = buf_printf(&fields, "X-Content-Type-Options: nosniff\r\n");
	problem->fields = buf_span(&fields);
	problem->form = c->form == FORM_STATUS ? FORM_STATUS : FORM_JSON;
	problem->to_head = c->to_head;
	if (r == 0)
		r = problem_format(&c->out, problem, request_id);
	finish(c, r, problem->code, request_id);
}

void answer_problem(struct connection *c, enum code code, const char *format, ...)
{
	char detail[DETAIL_MAX];
	va_list ap;
	va_start(ap, format);
	vsnprintf(detail, sizeof detail, format, ap);
	va_end(ap);
	struct problem problem = {.code = code, .detail = span_of(detail)};
	answer_problem_full(c, &problem);
}

static void answer_invalid(
	struct connection *c, enum code code, const char *summary, struct span errors)
{
	CLEANUP(buf_reset) struct buf members;
	buf_init(&members, FINDINGS_SAID_MAX + 64);
	int r = buf_printf(&members, ",\"errors\":");
	if (r == 0)
		r = buf_add_span(&members, errors);
	if (r < 0)
		buf_reset(&members);
	struct problem problem = {
		.code = code, .detail = span_of(summary), .members = buf_span(&members)};
	answer_problem_full(c, &problem);
}

void answer_findings(struct connection *c, int outcome, const char *summary, struct span said)
{
	switch (outcome) {
	case FINDINGS_INVALID: answer_invalid(c, CODE_INVALID, summary, said); break;
	case FINDINGS_NOT_JSON:
		answer_problem(c, CODE_BAD_REQUEST, "%.*s", (int)said.n, said.p);
		break;
	default: answer_problem(c, CODE_INTERNAL, "Out of memory."); break;
	}
}

// The end of FINDINGS, which have one or failed.
static void answer_finding(struct connection *c, enum code code, struct findings *findings)
{
	char summary[FINDINGS_SUMMARY_SIZE];
	int r = findings_end(findings, summary);
	if (r == FINDINGS_INVALID)
		answer_invalid(c, code, summary, buf_span(findings->said));
	else
		answer_findings(c, r, NULL, buf_span(findings->said));
}

void answer_wrong_member(struct connection *c, enum code code, const char *name, struct span reason)
{
	CLEANUP(buf_reset) struct buf said;
	struct findings findings = {.said = &said};
	buf_init(&said, FINDINGS_SAID_MAX);
	finding_reason(&findings, span_of(name), reason);
	answer_finding(c, code, &findings);
}

void answer_wrong_field(struct connection *c, enum code code, const char *name, const char *detail)
{
	CLEANUP(buf_reset) struct buf said;
	struct findings findings = {.said = &said};
	buf_init(&said, FINDINGS_SAID_MAX);
	finding_field(&findings, span_of(name), detail);
	answer_finding(c, code, &findings);
}

static void answer_page(struct connection *c, struct page *page)
{
	char request_id[REQUEST_ID_SIZE];
	page->to_head = c->to_head;
	page->abuse = c->set->abuse;
	int r = page_format(&c->out, page, request_id);
	finish(c, r, page->code, request_id);
}

void answer_filled(struct connection *c, const struct page_kind *kind,
	const struct template_value *values, size_t n)
{
	const struct page page = {.to_head = c->to_head, .abuse = c->set->abuse};
	finish(c, page_fill(&c->out, kind, &page, values, n), CODE_NONE, "");
}

void answer_refusal(struct connection *c, enum code code, unsigned retry_after, struct span fields)
{
	if (c->form == FORM_HTML) {
		struct page page = {.code = code, .retry_after = retry_after, .fields = fields};
		if (c->kind == CONNECTION_PAGE) // from the relay of a tunnel that lives
			page.tunnel = span_of(c->tunnel);
		answer_page(c, &page);
		return;
	}
	struct problem problem = {.code = code, .retry_after = retry_after, .fields = fields};
	answer_problem_full(c, &problem);
}

void answer_login(
	struct connection *c, enum code code, unsigned retry_after, const char *id, struct span to)
{
	static const struct span challenge =
		SPAN_INIT("WWW-Authenticate: Bearer realm=\"tunnel\"\r\n");
	bool challenged = code == CODE_AUTH_REQUIRED || code == CODE_AUTH_FAILED;
	struct span fields = challenged ? challenge : (struct span){NULL, 0};
	if (c->form == FORM_HTML) {
		answer_page(c, &(struct page){.code = code,
				       .retry_after = retry_after,
				       .fields = fields,
				       .tunnel = span_of(id),
				       .login = true,
				       .to = to});
		return;
	}
	struct problem problem = {.code = code, .retry_after = retry_after, .fields = fields};
	if (code == CODE_RATE_LIMITED)
		problem.detail = SPAN(FAILURES_DETAIL);
	answer_problem_full(c, &problem);
}
