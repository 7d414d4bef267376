// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "guest.h"

#include <sys/socket.h>

enum { READ_SIZE = 16 * 1024, REQUEST_MAX = 4096 };

const char *guest_outcome_name(enum guest_outcome outcome)
{
	static const char *const names[GUEST_OUTCOMES] = {
		[GUEST_OK] = "quoted",
		[GUEST_UNAVAILABLE] = "unavailable",
		[GUEST_SLOW] = "slow",
		[GUEST_CUT_OFF] = "cut_off",
		[GUEST_TOO_LARGE] = "too_large",
		[GUEST_MALFORMED] = "malformed",
		[GUEST_ERROR] = "error",
		[GUEST_MISMATCH] = "mismatch",
	};
	return names[outcome];
}

static void finish(struct guest_call *call, enum guest_outcome outcome)
{
	int fd = call->watch.fd;
	loop_unwatch(call->loop, &call->watch);
	close(fd);
	call->done(call, outcome, buf_span(&call->body));
	if (call->watch.fd < 0) // not started anew meanwhile
		guest_call_stop(call);
}

// ---- reading; all functions return a guest_outcome to end with, or MORE

enum { MORE = -1 };

static int answered(const struct guest_call *call)
{
	return call->status == 200 ? GUEST_OK : GUEST_ERROR;
}

static int add_body(struct guest_call *call, struct span bytes)
{
	return buf_add_span(&call->body, bytes) == 0 ? MORE : GUEST_TOO_LARGE;
}

static int take_chunks(struct guest_call *call)
{
	struct span in = buf_span(&call->in), data;
	int outcome, r = MORE;
	while (r == MORE &&
		(outcome = http_chunk_next(&call->chunk, &in, &data)) != HTTP_CHUNK_OK) {
		if (outcome == HTTP_CHUNK_DATA)
			r = add_body(call, data);
		else
			r = outcome == HTTP_CHUNK_END ? answered(call) : GUEST_MALFORMED;
	}
	if (r == MORE)
		buf_reset(&call->in);
	return r;
}

static int take_body(struct guest_call *call, bool ended)
{
	if (call->framing == HTTP_BODY_CHUNKED) {
		int r = take_chunks(call);
		return r == MORE && ended ? GUEST_CUT_OFF : r;
	}
	struct span in = buf_span(&call->in);
	bool counted = call->framing != HTTP_BODY_CLOSE;
	if (counted)
		in.n = MIN(in.n, call->left);
	int r = add_body(call, in);
	buf_reset(&call->in);
	call->left -= counted ? in.n : 0;
	if (r != MORE)
		return r;
	if (counted && call->left == 0)
		return answered(call);
	if (!ended)
		return MORE;
	return counted ? GUEST_CUT_OFF : answered(call);
}

// Takes the head off `in`; an interim one is dropped.
static int take_head(struct guest_call *call, bool ended)
{
	static struct http_head head;
	struct span in = buf_span(&call->in);
	size_t size;
	int r = in.n > 0 ? http_head_find(in.p, in.n, false, &call->scanned, &size) : HTTP_MORE;
	if (r == HTTP_MORE)
		return ended ? GUEST_CUT_OFF : MORE;
	if (r == HTTP_OK)
		r = http_response_parse(&head, in.p, size, false, NULL);
	if (r != HTTP_OK)
		return r == HTTP_TOO_LARGE ? GUEST_TOO_LARGE : GUEST_MALFORMED;
	call->has_head = head.status >= 200;
	call->status = head.status;
	call->framing = head.body;
	call->left = head.length;
	call->scanned = 0;
	buf_consume(&call->in, size);
	return MORE;
}

static int take(struct guest_call *call, bool ended)
{
	int r = MORE;
	while (!call->has_head && r == MORE) {
		size_t before = buf_len(&call->in);
		r = take_head(call, ended);
		if (r == MORE && !call->has_head && buf_len(&call->in) == before)
			return MORE;
	}
	return r == MORE ? take_body(call, ended) : r;
}

static int receive(struct guest_call *call)
{
	for (;;) {
		char *room = buf_room(&call->in, READ_SIZE);
		if (room == NULL)
			return GUEST_TOO_LARGE;
		ssize_t n = recv(call->watch.fd, room, READ_SIZE, MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return MORE;
		if (n > 0)
			buf_added(&call->in, (size_t)n);
		int r = take(call, n <= 0);
		if (r != MORE || n <= 0)
			return r == MORE ? GUEST_CUT_OFF : r;
	}
}

// ---- sending

static int send_request(struct guest_call *call)
{
	while (buf_len(&call->out) > 0) {
		struct span out = buf_span(&call->out);
		ssize_t n = send(call->watch.fd, out.p, out.n, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? MORE : GUEST_CUT_OFF;
		buf_consume(&call->out, (size_t)n);
	}
	return loop_rewatch(call->loop, &call->watch, EPOLLIN) == 0 ? MORE : GUEST_CUT_OFF;
}

static void on_ready(struct loop_watch *watch, uint32_t events)
{
	struct guest_call *call = container_of(watch, struct guest_call, watch);
	int r = buf_len(&call->out) > 0 ? send_request(call) : MORE;
	if (r == MORE)
		r = receive(call);
	if (r != MORE)
		finish(call, (enum guest_outcome)r);
}

void guest_call_init(struct guest_call *call, struct loop *loop,
	void (*done)(struct guest_call *call, enum guest_outcome outcome, struct span body))
{
	*call = (struct guest_call){
		.loop = loop, .watch = {.fd = -1, .ready = on_ready}, .done = done};
	buf_init(&call->out, REQUEST_MAX);
	buf_init(&call->in, GUEST_HEAD_ROOM);
	buf_init(&call->body, GUEST_ANSWER_MAX);
}

// Makes it ready for an answer to what goes to `out` now.
static void renew(struct guest_call *call)
{
	guest_call_stop(call);
	call->has_head = false;
	call->scanned = 0;
	call->chunk = (struct http_chunk){0};
}

// Sends what is in `out` over FD, if R is 0.
static int begin(struct guest_call *call, int fd, int r)
{
	if (r == 0)
		r = loop_watch(call->loop, &call->watch, fd, EPOLLIN | EPOLLOUT);
	if (r < 0)
		close(fd);
	return r;
}

int guest_call_get(struct guest_call *call, int fd, struct span host, struct span path)
{
	renew(call);
	return begin(call, fd,
		buf_printf(&call->out,
			"GET %.*s HTTP/1.1\r\nHost: %.*s\r\nAccept: application/json\r\n"
			"Connection: close\r\n\r\n",
			(int)path.n, path.p, (int)host.n, host.p));
}

int guest_call_start(struct guest_call *call, int fd, const char *path, struct span body)
{
	renew(call);
	int r = buf_printf(&call->out,
		"POST %s HTTP/1.1\r\nHost: dstack\r\nContent-Type: application/json\r\n"
		"Content-Length: %zu\r\nConnection: close\r\n\r\n",
		path, body.n);
	if (r == 0)
		r = buf_add_span(&call->out, body);
	return begin(call, fd, r);
}

void guest_call_stop(struct guest_call *call)
{
	int fd = call->watch.fd;
	if (fd >= 0) {
		loop_unwatch(call->loop, &call->watch);
		close(fd);
	}
	buf_reset(&call->out);
	buf_reset(&call->in);
	buf_reset(&call->body);
}
