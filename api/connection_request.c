// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// A connection whose request is being read: its head, then its body.

#include "connection_private.h"

#include "answer.h"

#include <assert.h>
#include <sys/socket.h>

void connection_forget_request(struct connection *c)
{
	request_free(c->request);
	c->request = NULL;
}

// Reads some bytes. Returns 1 with some, 0 when there are none now, -1 when the peer has ended.
static int fill(struct connection *c)
{
	char *room = buf_room(&c->in, CONNECTION_READ);
	if (room == NULL)
		return -1;
	ssize_t n = recv(c->watch.fd, room, CONNECTION_READ, MSG_DONTWAIT);
	if (n > 0) {
		buf_added(&c->in, (size_t)n);
		return 1;
	}
	int error = errno;
	if (buf_len(&c->in) == 0)
		buf_reset(&c->in);
	return n < 0 && (error == EAGAIN || error == EINTR) ? 0 : -1;
}

void connection_refuse(struct connection *c, enum code code, const char *detail)
{
	answer_problem(c, code, "%s", detail != NULL ? detail : code_info(code)->detail);
}

// ---- the head

// The client waits for this before it sends its body. Nothing is queued ahead of it, so it fits
// into the socket of any peer that reads.
static void send_continue(struct connection *c)
{
	static const char interim[] = "HTTP/1.1 100 Continue\r\n\r\n";
	ssize_t n = send(c->watch.fd, interim, sizeof interim - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n != (ssize_t)sizeof interim - 1)
		c->state = CONNECTION_BROKEN;
}

static void begin_request(struct connection *c)
{
	struct request *request = c->request;
	const struct http_head *head = &request->head;
	c->set->requests++;
	if (request_log_on(&c->set->log))
		c->line = request_line_new(head->method_text, head->path, c->set->loop->now);
	c->to_head = head->method == HTTP_HEAD;
	c->form = answer_form(head);
	c->state = CONNECTION_BODY;
	c->set->server->begin(c, request);
	if (c->state != CONNECTION_BODY)
		return;
	connection_set_deadline(c, c->set->patience_ms);
	if (head->expect_continue && request_has_body(request) &&
		request->left <= REQUEST_BODY_MAX && buf_len(&c->in) == 0)
		send_continue(c);
}

static void take_head(struct connection *c, size_t size)
{
	int r = HTTP_BAD;
	char detail[PROBLEM_WHY_SIZE];
	const char *why = NULL;
	c->request = request_new(&c->in, size, &r, &why);
	if (c->request == NULL)
		c->state = CONNECTION_BROKEN;
	else if (r == HTTP_OK)
		begin_request(c);
	else
		connection_refuse(c, r == HTTP_TOO_LARGE ? CODE_HEAD_TOO_LARGE : CODE_BAD_REQUEST,
			problem_why(detail, why).p);
	if (c->state != CONNECTION_BODY)
		connection_forget_request(c);
}

enum step connection_step_head(struct connection *c)
{
	size_t size = 0;
	struct span in = buf_span(&c->in);
	int r = in.n > 0 ? http_head_find(in.p, in.n, true, &c->scanned, &size) : HTTP_MORE;
	if (r == HTTP_MORE) {
		int filled = fill(c);
		return filled > 0   ? STEP_AGAIN
		       : filled < 0 ? STEP_OVER
				    : connection_wait_for(c, EPOLLIN);
	}
	if (r == HTTP_OK)
		take_head(c, size);
	else
		connection_refuse(
			c, r == HTTP_TOO_LARGE ? CODE_HEAD_TOO_LARGE : CODE_BAD_REQUEST, NULL);
	return STEP_AGAIN;
}

// ---- the body

enum step connection_step_body(struct connection *c)
{
	int filled;
	switch (request_take_body(c->request, &c->in)) {
	case 0:
		loop_timer_clear(c->set->loop, &c->deadline);
		c->bytes_in = buf_len(&c->request->body);
		c->set->server->handle(c, c->request);
		assert(c->state != CONNECTION_BODY);
		break;
	case REQUEST_MORE:
		filled = fill(c);
		return filled > 0   ? STEP_AGAIN
		       : filled < 0 ? STEP_OVER
				    : connection_wait_for(c, EPOLLIN);
	case REQUEST_BAD:
		connection_refuse(c, CODE_BAD_REQUEST, "The chunked body is malformed.");
		break;
	case REQUEST_TOO_LARGE:
		connection_refuse(c, CODE_TOO_LARGE, "The body may have 65536 bytes at most.");
		break;
	default: return STEP_OVER;
	}
	connection_forget_request(c);
	return STEP_AGAIN;
}
