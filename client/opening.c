// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Each stage waits for one thing on one descriptor; what is ready leads to the next stage. All
// failures but those of an address that has a successor are the end.

#include "opening.h"

#include "http_head.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <sys/socket.h>

static void release(struct opening *opening)
{
	loop_unwatch(opening->loop, &opening->watch);
	loop_timer_clear(opening->loop, &opening->timer);
	SSL_free(opening->ssl);
	opening->ssl = NULL;
	close_p(&opening->fd);
	opening->resolution = resolution_free(opening->resolution);
	buf_wipe(&opening->out);
	buf_wipe(&opening->in);
}

static void finish(struct opening *opening, int r)
{
	struct transport *transport = NULL;

	if (r == 0) {
		SSL *ssl = opening->ssl;
		opening->ssl = NULL;
		opening->stage = OPENING_DONE;
		loop_unwatch(opening->loop, &opening->watch);
		r = transport_new(&transport, take_fd(&opening->fd), ssl);
	}
	release(opening);
	opening->opened(opening, transport, r);
}

static void PRINTF(2, 3) fail(struct opening *opening, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(opening->failure.text, sizeof opening->failure.text, format, args);
	va_end(args);
	finish(opening, EXIT_CODE_UNREACHABLE);
}

static int wait_for(struct opening *opening, int fd, uint32_t events)
{
	if (opening->watch.fd == fd)
		return loop_rewatch(opening->loop, &opening->watch, events);
	loop_unwatch(opening->loop, &opening->watch);
	return loop_watch(opening->loop, &opening->watch, fd, events);
}

// Waits for FD and, if that fails, ends.
static void wait_or_end(struct opening *opening, int fd, uint32_t events)
{
	int r = wait_for(opening, fd, events);

	if (r < 0)
		finish(opening, r);
}

// ---- TLS

static void shake_hands(struct opening *opening)
{
	int result;

	ERR_clear_error();
	result = SSL_do_handshake(opening->ssl);
	if (result == 1) {
		finish(opening, 0);
		return;
	}
	switch (SSL_get_error(opening->ssl, result)) {
	case SSL_ERROR_WANT_READ: wait_or_end(opening, opening->fd, EPOLLIN); break;
	case SSL_ERROR_WANT_WRITE: wait_or_end(opening, opening->fd, EPOLLOUT); break;
	default:
		fail(opening, "TLS with %s failed: %s", opening->route.server->host,
			tls_why(opening->ssl));
		break;
	}
}

static void start_tls(struct opening *opening)
{
	int r;

	if (opening->route.server->scheme != URL_HTTPS) {
		finish(opening, 0);
		return;
	}
	opening->stage = OPENING_TLS;
	r = tls_client_new(&opening->ssl, opening->route.trust, opening->route.server, opening->fd);
	if (r < 0)
		finish(opening, r);
	else
		shake_hands(opening);
}

// ---- proxy

// Judges what the proxy has answered so far.
static void read_proxy(struct opening *opening)
{
	struct span in = buf_span(&opening->in);
	struct http_head head;
	size_t scanned = 0, size;
	int r = http_head_find(in.p, in.n, false, &scanned, &size);

	if (r == HTTP_MORE)
		return;
	// Nobody speaks behind a proxy's head before us.
	if (r != HTTP_OK || http_response_parse(&head, in.p, size, false, NULL) != HTTP_OK ||
		(head.status / 100 == 2 && size != in.n)) {
		fail(opening, "what answers at the proxy %s is no HTTP proxy", opening->address);
	} else if (head.status == 407) {
		fail(opening,
			"the proxy %s wants a user and password: write them into the variable",
			opening->address);
	} else if (head.status / 100 != 2) {
		fail(opening, "the proxy %s does not connect to %s: %u %.*s", opening->address,
			opening->route.server->host, head.status, (int)MIN(head.reason.n, 200),
			head.reason.p);
	} else {
		start_tls(opening);
	}
}

static void talk_to_proxy(struct opening *opening)
{
	struct span out = buf_span(&opening->out);
	ssize_t n;

	if (out.n > 0) {
		n = send(opening->fd, out.p, out.n, MSG_NOSIGNAL);
		if (n > 0)
			buf_consume(&opening->out, (size_t)n);
		if (n >= 0)
			wait_or_end(opening, opening->fd,
				buf_len(&opening->out) > 0 ? EPOLLOUT : EPOLLIN);
	} else {
		char *room = buf_room(&opening->in, 512);
		if (room == NULL) {
			fail(opening, "the proxy %s answers without an end", opening->address);
			return;
		}
		n = recv(opening->fd, room, 512, 0);
		if (n > 0) {
			buf_added(&opening->in, (size_t)n);
			read_proxy(opening);
			return;
		}
		if (n == 0)
			fail(opening, "the proxy %s closed the connection", opening->address);
	}
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		fail(opening, "the proxy %s cut the connection: %s", opening->address,
			strerror(errno));
}

static void start_proxy(struct opening *opening)
{
	int r;

	if (opening->route.proxy == NULL) {
		start_tls(opening);
		return;
	}
	opening->stage = OPENING_PROXY;
	buf_init(&opening->out, 4096);
	buf_init(&opening->in, HTTP_HEAD_MAX);
	r = proxy_request(opening->route.proxy, opening->route.server, &opening->out);
	if (r < 0)
		finish(opening, r);
	else
		wait_or_end(opening, opening->fd, EPOLLOUT);
}

// ---- TCP

static void name_address(struct opening *opening, const struct addrinfo *info)
{
	char host[INET6_ADDRSTRLEN] = "", port[6] = "";

	getnameinfo(info->ai_addr, info->ai_addrlen, host, sizeof host, port, sizeof port,
		NI_NUMERICHOST | NI_NUMERICSERV);
	snprintf(opening->address, sizeof opening->address,
		info->ai_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

// Every address gets its share of the time that is left.
static struct instant address_deadline(const struct opening *opening)
{
	int64_t left_us = instant_diff_us(opening->deadline, instant_now());

	return instant_add_ms(instant_now(), left_us / 1000 / (opening->left + 1));
}

// Begins to connect. Returns 0, or the negative errno that ends the attempt at this address.
static int connect_to(struct opening *opening, const struct addrinfo *info)
{
	int one = 1;

	name_address(opening, info);
	opening->fd = socket(info->ai_family, info->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC,
		info->ai_protocol);
	if (opening->fd < 0)
		return -errno;
	setsockopt(opening->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (connect(opening->fd, info->ai_addr, info->ai_addrlen) < 0 && errno != EINPROGRESS)
		return -errno;
	int r = wait_for(opening, opening->fd, EPOLLOUT);
	return r != 0 ? r
		      : loop_timer_set(opening->loop, &opening->timer, address_deadline(opening));
}

// Tries the next address; ERROR is what happened to the one before, 0 if there was none.
static void try_next(struct opening *opening, int error)
{
	while (opening->next != NULL && opening->left > 0) {
		const struct addrinfo *info = opening->next;
		loop_unwatch(opening->loop, &opening->watch);
		close_p(&opening->fd);
		opening->next = info->ai_next;
		opening->left--;
		error = connect_to(opening, info);
		if (error == 0)
			return;
	}
	fail(opening, "%s%s does not answer: %s", opening->route.proxy != NULL ? "the proxy " : "",
		opening->address, strerror(-error));
}

static void connected(struct opening *opening)
{
	int error = 0;
	socklen_t size = sizeof error;

	if (getsockopt(opening->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
		error = errno;
	if (error != 0) {
		try_next(opening, -error);
		return;
	}
	if (loop_timer_set(opening->loop, &opening->timer, opening->deadline) < 0)
		finish(opening, -ENOMEM);
	else
		start_proxy(opening);
}

// ---- name

static const struct url *first_hop(const struct opening *opening)
{
	return opening->route.proxy != NULL ? &opening->route.proxy->url : opening->route.server;
}

static void resolved(struct opening *opening)
{
	const char *why;

	if (resolution_result(opening->resolution, &opening->next, &why) != 0) {
		fail(opening, "the name %s cannot be resolved: %s", first_hop(opening)->host, why);
		return;
	}
	opening->left = 0;
	for (const struct addrinfo *i = opening->next; i != NULL; i = i->ai_next)
		opening->left += opening->left < RESOLUTION_ADDRESSES;
	opening->stage = OPENING_CONNECT;
	try_next(opening, -EADDRNOTAVAIL);
}

// ---- what happens

static void on_ready(struct loop_watch *watch, uint32_t events)
{
	struct opening *opening = container_of(watch, struct opening, watch);

	switch (opening->stage) {
	case OPENING_NAME: resolved(opening); break;
	case OPENING_CONNECT: connected(opening); break;
	case OPENING_PROXY: talk_to_proxy(opening); break;
	case OPENING_TLS: shake_hands(opening); break;
	case OPENING_DONE: break;
	}
}

static void on_expired(struct loop_timer *timer)
{
	struct opening *opening = container_of(timer, struct opening, timer);

	switch (opening->stage) {
	case OPENING_NAME:
		fail(opening, "the name %s cannot be resolved: no name server answers in time",
			first_hop(opening)->host);
		break;
	case OPENING_CONNECT: try_next(opening, -ETIMEDOUT); break;
	case OPENING_PROXY: fail(opening, "the proxy %s does not answer", opening->address); break;
	case OPENING_TLS:
		fail(opening, "%s does not answer the greeting of TLS", opening->address);
		break;
	case OPENING_DONE: break;
	}
}

int opening_start(struct opening *opening)
{
	const struct url *first = first_hop(opening);
	int r;

	opening->stage = OPENING_NAME;
	opening->address[0] = '\0';
	opening->failure.text[0] = '\0';
	opening->fd = opening->watch.fd = -1;
	opening->watch.ready = on_ready;
	opening->timer.expired = on_expired;
	r = resolution_start(&opening->resolution, first->host, first->port);
	if (r == 0)
		r = wait_for(opening, resolution_fd(opening->resolution), EPOLLIN);
	if (r == 0)
		r = loop_timer_set(opening->loop, &opening->timer, opening->deadline);
	if (r != 0)
		release(opening);
	return r;
}

void opening_cancel(struct opening *opening)
{
	if (opening->resolution != NULL)
		release(opening);
}

// ---- waiting for it

struct waiting {
	struct opening opening;
	struct transport *transport;
	int r;
};

static void on_opened(struct opening *opening, struct transport *transport, int r)
{
	struct waiting *waiting = container_of(opening, struct waiting, opening);

	waiting->transport = transport;
	waiting->r = r;
	loop_stop(opening->loop, 0);
}

int transport_open(struct transport **ret, const struct route *route, struct instant deadline,
	struct failure *failure)
{
	struct loop loop;
	struct waiting waiting = {
		.opening = {.loop = &loop,
			.route = *route,
			.deadline = deadline,
			.opened = on_opened},
	};
	int r = loop_init(&loop);

	if (r < 0)
		return r;
	r = opening_start(&waiting.opening);
	if (r == 0)
		r = loop_run(&loop);
	if (r == 0)
		r = waiting.r;
	loop_deinit(&loop);
	if (r > 0)
		*failure = waiting.opening.failure;
	if (r == 0)
		*ret = waiting.transport;
	return r;
}
