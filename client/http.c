// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Exchanges that wait.

#include "http.h"

#include "server.h"

#include <stdio.h>

int http_request_format(
	struct buf *out, const struct url *server, const struct http_request *request)
{
	char authority[SERVER_AUTHORITY_MAX];
	int r;

	server_authority(server, false, authority);
	r = buf_printf(out, "%s %s HTTP/1.1\r\nHost: %s",
		request->method != NULL ? request->method : "GET", request->path, authority);
	if (r == 0)
		r = buf_printf(out, "\r\nUser-Agent: tunnel/%s\r\n", TUNNELD_VERSION);
	if (r == 0 && request->token != NULL)
		r = buf_printf(out, "Authorization: Bearer %s\r\n", request->token);
	if (r == 0 && request->upgrade != NULL)
		r = buf_printf(out, "Connection: Upgrade\r\nUpgrade: %s\r\n", request->upgrade);
	else if (r == 0)
		r = buf_printf(out, "Connection: close\r\n");
	if (r == 0 && request->fields != NULL)
		r = buf_add_span(out, span_of(request->fields));
	if (r == 0 && request->body.p != NULL)
		r = buf_printf(out, "Content-Type: application/json\r\nContent-Length: %zu\r\n",
			request->body.n);
	if (r == 0)
		r = buf_add(out, "\r\n", 2);
	return r != 0 ? r : buf_add_span(out, request->body);
}

static int broken(const struct http *http, int error, struct failure *failure)
{
	if (error == -ETIMEDOUT)
		return failure_set(
			failure, EXIT_CODE_UNREACHABLE, "%s does not answer in time", http->host);
	return failure_set(failure, EXIT_CODE_UNREACHABLE, "the connection to %s broke: %s",
		http->host, strerror(-error));
}

static int not_http(const struct http *http, struct failure *failure)
{
	return failure_set(failure, EXIT_CODE_UNREACHABLE,
		"the answer of %s is not to be understood: %s", http->host, http->answer.why);
}

// Reads more. Returns how many bytes, 0 at the end, or a negative errno.
static ssize_t fill(struct http *http)
{
	char *room = buf_room(&http->in, HTTP_READ_SIZE);

	if (room == NULL)
		return -errno;
	for (;;) {
		ssize_t n = transport_read(http->transport, room, HTTP_READ_SIZE);
		if (n > 0)
			buf_added(&http->in, (size_t)n);
		if (n != -EAGAIN)
			return n;
		int r = transport_wait(http->transport, http->deadline);
		if (r < 0)
			return r;
	}
}

// The next event but ANSWER_MORE and ANSWER_BAD. What it consumes of the input goes with the call
// after it, so that DATA stays valid.
static int next_event(
	struct http *http, enum answer_event *ret, struct span *data, struct failure *failure)
{
	buf_consume(&http->in, http->shown);
	http->shown = 0;
	for (;;) {
		struct span in = buf_span(&http->in);
		size_t before = in.n;
		*ret = answer_next(&http->answer, &in, data);
		http->shown = before - in.n;
		if (*ret == ANSWER_MORE) {
			buf_consume(&http->in, http->shown);
			http->shown = 0;
			ssize_t n = fill(http);
			if (n < 0)
				return broken(http, (int)n, failure);
			if (n > 0)
				continue;
			*ret = answer_eof(&http->answer);
		}
		return *ret == ANSWER_BAD ? not_http(http, failure) : 0;
	}
}

static int send_request(struct http *http, const struct url *server,
	const struct http_request *request, struct failure *failure)
{
	struct buf out;
	int r;

	buf_init(&out, 256 * 1024);
	if (buf_room(&out, 4096 + request->body.n) == NULL) // one allocation: it is wiped below
		return -errno;
	r = http_request_format(&out, server, request);
	if (r == 0) {
		struct span bytes = buf_span(&out);
		r = transport_write_all(http->transport, bytes.p, bytes.n, http->deadline);
		if (r < 0)
			r = broken(http, r, failure);
	}
	buf_wipe(&out);
	return r;
}

int http_begin(struct http *http, const struct route *route, const struct http_request *request,
	struct instant deadline, struct failure *failure)
{
	bool to_head = request->method != NULL && strcmp(request->method, "HEAD") == 0;
	enum answer_event event;
	struct span data;
	int r;

	*http = (struct http){.deadline = deadline, .host = route->server->host};
	r = transport_open(&http->transport, route, deadline, failure);
	if (r != 0)
		return r;
	answer_init(&http->answer, to_head);
	buf_init(&http->in, HTTP_HEAD_MAX + HTTP_READ_SIZE);
	r = send_request(http, route->server, request, failure);
	if (r == 0)
		r = next_event(http, &event, &data, failure); // the head, or nothing
	if (r != 0)
		http_end(http);
	return r;
}

int http_body(struct http *http, struct span *data, struct failure *failure)
{
	enum answer_event event;
	int r = next_event(http, &event, data, failure);

	if (r == 0 && event == ANSWER_END)
		*data = (struct span){0};
	return r;
}

int http_body_all(struct http *http, struct buf *body, struct failure *failure)
{
	struct span data;

	for (;;) {
		int r = http_body(http, &data, failure);
		if (r != 0 || data.n == 0)
			return r;
		r = buf_add_span(body, data);
		if (r == -ENOBUFS)
			return failure_set(failure, EXIT_CODE_UNREACHABLE,
				"the answer of %s is larger than any answer of tunneld",
				http->host);
		if (r < 0)
			return r;
	}
}

void http_end(struct http *http)
{
	http->transport = transport_free(http->transport);
	answer_deinit(&http->answer);
	buf_wipe(&http->in);
}
