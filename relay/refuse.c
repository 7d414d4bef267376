// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Answers of our own: problem+json and bare statuses from here; pages are made by the API worker,
// to which the connection then goes.

#include "access.h"
#include "relay.h"
#include "visitor.h"

static bool is_auth(enum code code)
{
	return code == CODE_AUTH_REQUIRED || code == CODE_AUTH_FAILED;
}

// Hands the connection to the API worker. Returns false when that is not possible now.
static bool page_out(struct visitor *visitor, enum code code, unsigned wait_s)
{
	struct relay *relay = visitor->relay;
	if (buf_len(&visitor->stream.out) > 0)
		return false;
	return ipc_post(&relay->control, MSG_PAGE_OUT, visitor->stream.watch.fd, wire_uint(code),
		       wire_bool(visitor->x.to_head), wire_uint(wait_s)) == IPC_SENT;
}

// Returns 0 or a negative errno.
static int answer(struct visitor *visitor, const struct problem *problem)
{
	CLEANUP(buf_reset) struct buf text;
	buf_init(&text, 16 * 1024);
	char request_id[REQUEST_ID_SIZE];
	int r = problem_format(&text, problem, request_id);
	if (r < 0)
		return r;
	// What went wrong on our side or behind us is what somebody will ask about.
	const struct code_info *info = code_info(problem->code);
	if (info->status >= 500)
		relay_log(visitor->relay, 2, "answered %u %s, request_id %s", info->status,
			info->name, request_id);
	struct iovec piece = {(void *)(uintptr_t)buf_span(&text).p, buf_len(&text)};
	return stream_send(&visitor->stream, &piece, 1);
}

enum step refuse_for_notice(struct visitor *visitor)
{
	visitor->x.status = 200;
	if (page_out(visitor, CODE_NONE, 0))
		return visitor_drop(visitor); // only our copy of the descriptor
	return refuse(visitor, CODE_DRAINING, (struct span){NULL, 0});
}

enum step refuse(struct visitor *visitor, enum code code, struct span detail)
{
	struct exchange *x = &visitor->x;
	struct relay *relay = visitor->relay;
	char challenge[ACCESS_CHALLENGE_SIZE];
	visitor->backend = backend_free(visitor->backend);
	if (x->answering)
		return visitor_drop(visitor);
	counter_add(&relay->counters->refused[code], 1);
	unsigned wait_s = 0;
	if (code == CODE_AUTH_FAILED)
		wait_s = failures_note(&relay->failures, visitor->sender.peer, relay->loop.now);
	enum code shown = wait_s > 0 ? CODE_RATE_LIMITED : code;
	x->code = (uint8_t)shown;
	x->status = code_info(shown)->status;
	if (x->form == FORM_HTML && page_out(visitor, code, wait_s))
		return visitor_drop(visitor); // only our copy of the descriptor
	if (wait_s > 0)
		detail = SPAN(FAILURES_DETAIL);
	// Who has not been let in does not keep a place.
	bool keep = x->keep_alive && x->up.ended && visitor->admitted &&
		    !budget_requests_gone(&relay->budget);
	struct problem problem = {
		.code = shown,
		.detail = detail,
		.form = x->form == FORM_STATUS ? FORM_STATUS : FORM_JSON,
		.to_head = x->to_head,
		.keep_alive = keep,
		.retry_after = wait_s,
		.fields = is_auth(shown) ? access_challenge(&relay->config, challenge)
					 : (struct span){NULL, 0},
	};
	if (answer(visitor, &problem) < 0)
		return visitor_drop(visitor);
	return keep ? visitor_next(visitor) : visitor_finish(visitor);
}

enum step refuse_connection(struct visitor *visitor, enum code code, struct span detail)
{
	visitor->x.keep_alive = false;
	if (visitor->x.line == NULL && request_log_on(&visitor->relay->log))
		exchange_log_begin(visitor, NULL);
	visitor->unread = true;
	return refuse(visitor, code, detail);
}
