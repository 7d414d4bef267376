// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The server behind the proxies of a benchmark, one process with one epoll loop:
//
//     bench-backend PORT
//
//     .../big/N             N bytes, sent from memory with sendfile(2)
//     .../sink              drops the body, in the kernel, and answers with its size
//     a WebSocket upgrade   echoes messages of up to 125 bytes
//     anything else         128 bytes
//
// It believes what it reads: its peers are the proxies under test.

#include "bench.h"

#include <sys/epoll.h>
#include <sys/sendfile.h>

enum { IN_SIZE = 8192, BACKLOG = 4096, READS_MAX = 16 };

enum state { STATE_HEAD, STATE_SINK, STATE_BIG, STATE_FRAMES };

struct connection {
	int fd;
	enum state state;
	bool watches_out, closes;
	unsigned long long left, got; // bytes of the body still to come or go, and received
	off_t offset;                 // in the pattern
	size_t n_in;
	char in[IN_SIZE];
};

static int epoll_fd, pattern_fd;

static const char small[] =
	"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 128\r\n\r\n"
	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

// The answer to the one key bench-load sends.
static const char upgraded[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
			       "Connection: Upgrade\r\n"
			       "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

// Answers are small and are waited for, so they always fit the socket's buffer.
static bool send_all(struct connection *c, const char *p, size_t n)
{
	return send(c->fd, p, n, MSG_NOSIGNAL) == (ssize_t)n;
}

static void watch_out(struct connection *c, bool out)
{
	if (c->watches_out == out)
		return;
	c->watches_out = out;
	struct epoll_event event = {.events = out ? EPOLLOUT : EPOLLIN, .data.ptr = c};
	if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &event) < 0)
		bench_fail("epoll_ctl");
}

// ---- answers; each returns false when the connection is to be closed

static bool send_big(struct connection *c)
{
	while (c->left > 0) {
		ssize_t n = sendfile(c->fd, pattern_fd, &c->offset,
			MIN(c->left, (unsigned long long)(PATTERN_SIZE - c->offset)));
		if (n < 0 && errno != EAGAIN)
			return false;
		if (n < 0) {
			watch_out(c, true);
			return true;
		}
		c->left -= (unsigned long long)n;
		c->offset %= PATTERN_SIZE;
	}
	c->state = STATE_HEAD;
	watch_out(c, false);
	return !c->closes;
}

static bool start_big(struct connection *c, unsigned long long size)
{
	char head[128];
	int n = snprintf(head, sizeof head,
		"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
		"Content-Length: %llu\r\n\r\n",
		size);
	c->left = size;
	c->offset = 0;
	c->state = STATE_BIG;
	return send_all(c, head, (size_t)n) && send_big(c);
}

static bool end_sink(struct connection *c)
{
	char number[24], answer[128];
	int n = snprintf(number, sizeof number, "%llu", c->got);
	n = snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", n,
		number);
	c->state = STATE_HEAD;
	return send_all(c, answer, (size_t)n) && !c->closes;
}

static bool start_sink(struct connection *c, unsigned long long size)
{
	c->got = MIN(size, c->n_in);
	c->left = size - c->got;
	c->n_in -= (size_t)c->got;
	c->state = STATE_SINK;
	return c->left > 0 || end_sink(c);
}

static bool on_request(struct connection *c, const char *head)
{
	const char *value = bench_field(head, "Connection");
	const char *line_end = strstr(head, "\r\n");
	const char *big = memmem(head, (size_t)(line_end - head), "/big/", 5);
	c->closes = line_end - head > 8 && memcmp(line_end - 8, "HTTP/1.0", 8) == 0;
	if (value != NULL)
		c->closes = strncasecmp(value, "close", 5) == 0;
	if (big != NULL)
		return start_big(c, strtoull(big + 5, NULL, 10));
	if (bench_field(head, "Upgrade") != NULL) {
		c->state = STATE_FRAMES;
		return send_all(c, upgraded, sizeof upgraded - 1);
	}
	value = bench_field(head, "Content-Length");
	if (value != NULL)
		return start_sink(c, strtoull(value, NULL, 10));
	return send_all(c, small, sizeof small - 1) && !c->closes;
}

// ---- reading

static bool on_head_bytes(struct connection *c)
{
	c->in[c->n_in] = '\0';
	char *end = memmem(c->in, c->n_in, "\r\n\r\n", 4);
	if (end == NULL)
		return c->n_in < IN_SIZE - 1;
	char head[IN_SIZE];
	size_t n = (size_t)(end + 4 - c->in);
	memcpy(head, c->in, n);
	head[n - 2] = '\0';
	c->n_in -= n;
	memmove(c->in, end + 4, c->n_in);
	return on_request(c, head);
}

static bool on_frame_bytes(struct connection *c)
{
	while (c->n_in >= 6) {
		const char *in = c->in;
		size_t size = in[1] & 0x7f;
		char out[2 + 125];
		if (size > 125 || (in[0] & 0x0f) == 8)
			return false;
		if (c->n_in < 6 + size)
			break;
		out[0] = in[0];
		out[1] = (char)size;
		for (size_t i = 0; i < size; i++)
			out[2 + i] = in[6 + i] ^ in[2 + i % 4];
		c->n_in -= 6 + size;
		memmove(c->in, c->in + 6 + size, c->n_in);
		if (!send_all(c, out, 2 + size))
			return false;
	}
	return true;
}

static bool drop_body(struct connection *c)
{
	for (int i = 0; i < READS_MAX; i++) {
		ssize_t n = recv(c->fd, NULL, MIN(c->left, 1ull << 20), MSG_TRUNC);
		if (n <= 0)
			return n < 0 && errno == EAGAIN;
		c->got += (unsigned long long)n;
		c->left -= (unsigned long long)n;
		if (c->left == 0)
			return end_sink(c);
	}
	return true;
}

static bool on_readable(struct connection *c)
{
	if (c->state == STATE_SINK)
		return drop_body(c);
	ssize_t n = recv(c->fd, c->in + c->n_in, IN_SIZE - 1 - c->n_in, 0);
	if (n <= 0)
		return n < 0 && errno == EAGAIN;
	c->n_in += (size_t)n;
	return c->state == STATE_FRAMES ? on_frame_bytes(c) : on_head_bytes(c);
}

// ---- connections

static void accept_all(int listener)
{
	for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
		struct connection *c = calloc(1, sizeof *c);
		if (c == NULL)
			bench_fail("calloc");
		c->fd = fd;
		bench_no_delay(fd);
		struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
		if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
			bench_fail("epoll_ctl");
	}
}

static int listen_on(unsigned long port)
{
	struct sockaddr_in address = bench_loopback(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
	if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, BACKLOG) < 0)
		bench_fail("listen");
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		bench_fail("epoll_ctl");
	return fd;
}

static void on_event(struct connection *c, uint32_t events)
{
	if ((events & EPOLLOUT) != 0 ? send_big(c) : on_readable(c))
		return;
	close(c->fd);
	free(c);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: bench-backend PORT\n");
		return 2;
	}
	bench_raise_descriptors();
	pattern_fd = bench_pattern();
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	int listener = listen_on(strtoul(argv[1], NULL, 10));
	for (;;) {
		struct epoll_event events[256];
		int n = epoll_wait(epoll_fd, events, ARRAY_SIZE(events), -1);
		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr == NULL)
				accept_all(listener);
			else
				on_event(events[i].data.ptr, events[i].events);
		}
	}
}
