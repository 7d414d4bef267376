// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// One request after the other on each connection; whatever does not fit is answered and ends it.

#include "demo.h"

#include "buf.h"
#include "demo_page.h"
#include "http_chunk.h"
#include "http_head.h"
#include "websocket.h"
#include "websocket_accept.h"

#include <stdio.h>
#include <sys/socket.h>

enum {
	DEMO_BODY_MAX = 64 * 1024, // that is echoed
	DEMO_IN_MAX = HTTP_HEAD_MAX + 4096,
	DEMO_OUT_MAX = 4 * DEMO_BODY_MAX,
	DEMO_PIECE = 16 * 1024,
};

enum demo_state { DEMO_HEAD = 0, DEMO_BODY, DEMO_WEBSOCKET, DEMO_LAST };

struct demo {
	struct loop *loop;
	struct loop_watch watch;
	enum demo_state state;
	bool writing; // what is written does not go out: nothing is read meanwhile
	struct buf in, out;
	size_t scanned;

	// The request whose body is read.
	struct buf echo; // what will be answered
	enum http_body framing;
	uint64_t left;
	struct http_chunk chunk;
	bool keep_alive, to_head;

	struct websocket websocket;
};

static void demo_free(struct demo *demo)
{
	int fd = demo->watch.fd;
	loop_unwatch(demo->loop, &demo->watch);
	close(fd);
	buf_reset(&demo->in);
	buf_reset(&demo->out);
	buf_reset(&demo->echo);
	free(demo);
}

// ---- answers

static int answer(struct demo *demo, const char *status, const char *type, struct span body)
{
	int r = buf_printf(&demo->out,
		"HTTP/1.1 %s\r\nContent-Type: %s; charset=utf-8\r\nContent-Length: %zu\r\n"
		"Cache-Control: no-store\r\n%s\r\n",
		status, type, body.n, demo->keep_alive ? "" : "Connection: close\r\n");
	if (r == 0 && !demo->to_head)
		r = buf_add_span(&demo->out, body);
	demo->state = demo->keep_alive ? DEMO_HEAD : DEMO_LAST;
	return r;
}

static int refuse(struct demo *demo, const char *status)
{
	demo->keep_alive = false;
	return answer(demo, status, "text/plain", span_of(status));
}

static int answer_echo(struct demo *demo)
{
	int r = answer(demo, "200 OK", "text/plain", buf_span(&demo->echo));
	buf_reset(&demo->echo);
	return r;
}

static int answer_websocket(struct demo *demo, struct span key)
{
	char accept[WEBSOCKET_ACCEPT_SIZE];
	if (!websocket_nonce_ok(key))
		return refuse(demo, "400 Bad Request");
	websocket_accept(key, accept);
	websocket_init(&demo->websocket, WEBSOCKET_SERVER);
	demo->state = DEMO_WEBSOCKET;
	return buf_printf(&demo->out,
		"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
		"Sec-WebSocket-Accept: %.*s\r\n\r\n",
		(int)sizeof accept, accept);
}

// ---- requests

static struct span without_query(struct span path)
{
	const char *query = path.n > 0 ? memchr(path.p, '?', path.n) : NULL;
	return query != NULL ? (struct span){path.p, (size_t)(query - path.p)} : path;
}

static int route(struct demo *demo, const struct http_head *head, struct span text)
{
	struct span path = without_query(head->path);
	if (head->upgrade && http_list_has(head->upgrade_protocols, SPAN("websocket")))
		return answer_websocket(demo, http_head_named(head, SPAN("Sec-WebSocket-Key")));
	if (span_eq(path, SPAN("/")) && head->body == HTTP_BODY_NONE)
		return answer(demo, "200 OK", "text/html", SPAN(DEMO_PAGE));
	if (!span_eq(path, SPAN("/echo")))
		return refuse(demo, "404 Not Found");
	demo->framing = head->body;
	demo->left = head->length;
	demo->chunk = (struct http_chunk){0};
	demo->state = DEMO_BODY;
	return buf_add_span(&demo->echo, text);
}

// Each returns 1 when it has got further, 0 when more bytes are needed, or a negative errno.

static int take_head(struct demo *demo)
{
	struct http_head head;
	struct span in = buf_span(&demo->in);
	size_t size;
	int r = http_head_find(in.p, in.n, true, &demo->scanned, &size);
	if (r == HTTP_MORE)
		return 0;
	if (r != HTTP_OK || http_request_parse(&head, in.p, size, NULL) != HTTP_OK)
		return refuse(demo, "400 Bad Request");
	demo->keep_alive = head.keep_alive;
	demo->to_head = head.method == HTTP_HEAD;
	demo->scanned = 0;
	r = route(demo, &head, (struct span){in.p, size});
	buf_consume(&demo->in, size);
	return r < 0 ? r : 1;
}

static int keep(struct demo *demo, struct span body)
{
	int r = buf_add_span(&demo->echo, body);
	return r == -ENOBUFS ? refuse(demo, "413 Content Too Large") : r;
}

static int take_length(struct demo *demo)
{
	struct span in = buf_span(&demo->in);
	size_t n = (size_t)MIN((uint64_t)in.n, demo->left);
	if (demo->left == 0)
		return answer_echo(demo) < 0 ? -ENOBUFS : 1;
	if (n == 0)
		return 0;
	int r = keep(demo, (struct span){in.p, n});
	demo->left -= n;
	buf_consume(&demo->in, n);
	return r < 0 ? r : 1;
}

static int take_chunks(struct demo *demo)
{
	struct span in = buf_span(&demo->in), data;
	size_t before = in.n;
	int r = 0, what = http_chunk_next(&demo->chunk, &in, &data);
	if (what == HTTP_CHUNK_DATA)
		r = keep(demo, data);
	else if (what == HTTP_CHUNK_END)
		r = answer_echo(demo);
	else if (what == HTTP_CHUNK_BAD)
		r = refuse(demo, "400 Bad Request");
	buf_consume(&demo->in, before - in.n);
	return r < 0 ? r : what != HTTP_CHUNK_OK;
}

static int echo_event(struct demo *demo, const struct websocket_event *event,
	enum websocket_outcome what, bool first)
{
	uint8_t frame[WEBSOCKET_CONTROL_FRAME_MAX];
	size_t n;
	switch (what) {
	case WEBSOCKET_DATA:
		n = websocket_head(frame,
			!first        ? WEBSOCKET_OP_MORE
			: event->text ? WEBSOCKET_OP_TEXT
				      : WEBSOCKET_OP_BINARY,
			event->last, event->payload.n, NULL);
		if (buf_add(&demo->out, frame, n) < 0)
			return -ENOBUFS;
		return buf_add_span(&demo->out, event->payload);
	case WEBSOCKET_PING:
		n = websocket_control(frame, WEBSOCKET_SERVER, WEBSOCKET_OP_PONG, event->payload);
		return buf_add(&demo->out, frame, n);
	case WEBSOCKET_CLOSE:
	case WEBSOCKET_BAD:
		demo->state = DEMO_LAST;
		n = websocket_close(frame, WEBSOCKET_SERVER,
			event->code == WEBSOCKET_NO_CODE ? 0 : event->code, (struct span){NULL, 0});
		return buf_add(&demo->out, frame, n);
	case WEBSOCKET_PONG:
	case WEBSOCKET_MORE: break;
	}
	return 0;
}

static int take_frames(struct demo *demo)
{
	struct span in = buf_span(&demo->in);
	size_t before = in.n;
	int r = 0;
	while (r == 0 && in.n > 0 && demo->state == DEMO_WEBSOCKET) {
		struct websocket_event event;
		bool first = demo->websocket.opcode == 0 && !demo->websocket.in_frame;
		enum websocket_outcome what = websocket_next(&demo->websocket, &in, &event);
		if (what == WEBSOCKET_MORE)
			break;
		r = echo_event(demo, &event, what, first);
	}
	buf_consume(&demo->in, before - in.n);
	return r;
}

// ---- the connection

static int go_on(struct demo *demo)
{
	int r = 1;
	// The answers of those who send requests and do not read are not collected.
	while (r > 0 && buf_len(&demo->out) < DEMO_BODY_MAX) {
		switch (demo->state) {
		case DEMO_HEAD: r = buf_len(&demo->in) > 0 ? take_head(demo) : 0; break;
		case DEMO_BODY:
			r = demo->framing == HTTP_BODY_CHUNKED ? take_chunks(demo)
							       : take_length(demo);
			break;
		case DEMO_WEBSOCKET: r = take_frames(demo); break;
		case DEMO_LAST: return 0;
		}
	}
	return r;
}

// Returns 0, or a negative errno: the connection is over.
static int flush(struct demo *demo)
{
	while (buf_len(&demo->out) > 0) {
		struct span s = buf_span(&demo->out);
		ssize_t n = write(demo->watch.fd, s.p, s.n);
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		buf_consume(&demo->out, (size_t)n);
	}
	return demo->state == DEMO_LAST ? -EPIPE : 0;
}

static int receive(struct demo *demo)
{
	size_t n = MIN((size_t)DEMO_PIECE, DEMO_IN_MAX - buf_len(&demo->in));
	char *room = buf_room(&demo->in, n);
	if (room == NULL)
		return -ENOMEM;
	ssize_t got = read(demo->watch.fd, room, n);
	if (got <= 0)
		return got < 0 && errno == EAGAIN ? 0 : -EPIPE;
	buf_added(&demo->in, (size_t)got);
	return 0;
}

static void ready(struct loop_watch *watch, uint32_t events)
{
	struct demo *demo = container_of(watch, struct demo, watch);
	int r = 0;
	(void)events;
	if (!demo->writing)
		r = receive(demo);
	if (r == 0)
		r = flush(demo);
	if (r == 0 && (r = go_on(demo)) >= 0)
		r = flush(demo);
	bool writing = buf_len(&demo->out) > 0;
	if (r == 0 && writing != demo->writing) {
		demo->writing = writing;
		r = loop_rewatch(demo->loop, &demo->watch, writing ? EPOLLOUT : EPOLLIN);
	}
	if (r < 0)
		demo_free(demo);
}

int demo_open(struct loop *loop)
{
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
		return -errno;
	struct demo *demo = calloc(1, sizeof *demo);
	int r = -ENOMEM;
	if (demo != NULL) {
		*demo = (struct demo){.loop = loop, .watch = {.fd = -1, .ready = ready}};
		buf_init(&demo->in, DEMO_IN_MAX);
		buf_init(&demo->out, DEMO_OUT_MAX);
		buf_init(&demo->echo, HTTP_HEAD_MAX + DEMO_BODY_MAX);
		r = loop_watch(loop, &demo->watch, ends[0], EPOLLIN);
	}
	if (r == 0)
		return ends[1];
	free(demo);
	close(ends[0]);
	close(ends[1]);
	return r;
}
