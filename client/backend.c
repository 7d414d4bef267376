// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "backend.h"

#include "demo.h"

#include <netinet/tcp.h>
#include <openssl/err.h>

struct backend_dial {
	struct backend *backend;
	struct addresses_wait wait;
	struct loop_timer deadline;
	struct loop_task report; // of an outcome that was there at once
	struct address_list list;
	unsigned next; // of it
	int outcome;   // with report: 0 or why it failed
};

// ---- context

int backend_context_init(struct backend_context *context, struct loop *loop,
	const struct target *target, struct failure *failure)
{
	*context = (struct backend_context){.loop = loop, .target = target};
	addresses_init(&context->addresses, loop, target);
	if (!target->tls)
		return 0;
	return tls_trust_new(&context->trust, target->insecure ? TLS_CHECK_NONE : TLS_CHECK_ROOTS,
		NULL, failure);
}

void backend_context_deinit(struct backend_context *context)
{
	addresses_deinit(&context->addresses);
	context->trust = tls_trust_free(context->trust);
}

// ---- opening

static void dial_free(struct backend *backend)
{
	struct backend_dial *dial = backend->dial;
	if (dial == NULL)
		return;
	addresses_forget(&dial->wait);
	loop_timer_clear(backend->context->loop, &dial->deadline);
	loop_task_clear(&dial->report);
	free(dial);
	backend->dial = NULL;
}

static void close_socket(struct backend *backend)
{
	int fd = backend->watch.fd;
	loop_unwatch(backend->context->loop, &backend->watch);
	if (backend->transport == NULL)
		close_p(&fd);
	backend->transport = transport_free(backend->transport);
}

static void settle(struct backend *backend, enum backend_state state, enum backend_failure failure)
{
	dial_free(backend);
	if (state == BACKEND_FAILED)
		close_socket(backend);
	backend->state = (uint8_t)state;
	backend->failure = (uint8_t)failure;
	backend->event(backend);
}

static void fail(struct backend *backend, enum backend_failure failure)
{
	settle(backend, BACKEND_FAILED, failure);
}

static void deadline(struct loop_timer *timer)
{
	fail(container_of(timer, struct backend_dial, deadline)->backend, BACKEND_TIMEOUT);
}

static void handshake(struct backend *backend)
{
	SSL *ssl = backend->transport->ssl;
	ERR_clear_error();
	int r = SSL_do_handshake(ssl);
	if (r == 1) {
		settle(backend, BACKEND_OPEN, 0);
		return;
	}
	switch (SSL_get_error(ssl, r)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE: return;
	case SSL_ERROR_SSL: fail(backend, BACKEND_UNTRUSTED); return;
	default: fail(backend, BACKEND_REFUSED); return;
	}
}

// The socket becomes a transport, which owns it from here on.
static int make_transport(struct backend *backend)
{
	const struct target *target = backend->context->target;
	SSL *ssl = NULL;
	if (target->tls) {
		int r = tls_client_new(
			&ssl, backend->context->trust, &target->url, backend->watch.fd);
		if (r < 0)
			return r;
	}
	int r = transport_new(&backend->transport, backend->watch.fd, ssl);
	if (r < 0)
		loop_forget(backend->context->loop, &backend->watch);
	return r;
}

static void connected(struct backend *backend)
{
	addresses_prefer(&backend->context->addresses, backend->dial->next - 1);
	backend->readable = backend->writable = true;
	if (make_transport(backend) < 0)
		fail(backend, BACKEND_NO_ROOM);
	else if (backend->transport->ssl != NULL)
		handshake(backend);
	else
		settle(backend, BACKEND_OPEN, 0);
}

static void ready(struct loop_watch *watch, uint32_t events);

static int watch_socket(struct backend *backend, int fd)
{
	int r = loop_watch(backend->context->loop, &backend->watch, fd,
		EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET);
	if (r < 0)
		close(fd);
	return r;
}

// Returns 0 when a connection is under way or there, or a negative errno.
static int dial_address(struct backend *backend, const struct address *address)
{
	int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	int on = 1;
	if (address->any.sa_family != AF_UNIX) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		// Urgent bytes stay in the stream, as every reader that knows no others expects.
		setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof on);
	}
	if (connect(fd, &address->any, address->size) < 0 && errno != EINPROGRESS) {
		close_p(&fd);
		return -errno;
	}
	return watch_socket(backend, fd);
}

// Tries addresses until one is being connected to. Returns 0 then, or why there is none.
static int dial_next(struct backend *backend)
{
	struct backend_dial *dial = backend->dial;
	while (dial->next < dial->list.n) {
		int r = dial_address(backend, &dial->list.at[dial->next++]);
		if (r == 0)
			return 0;
		if (r == -EMFILE || r == -ENFILE || r == -ENOMEM || r == -ENOSPC)
			return BACKEND_NO_ROOM;
	}
	return BACKEND_REFUSED;
}

static void report(struct loop_task *task)
{
	struct backend_dial *dial = container_of(task, struct backend_dial, report);
	settle(dial->backend, dial->outcome == 0 ? BACKEND_OPEN : BACKEND_FAILED,
		(enum backend_failure)dial->outcome);
}

static void found(struct addresses_wait *wait, const struct address_list *list)
{
	struct backend_dial *dial = container_of(wait, struct backend_dial, wait);
	dial->list = *list;
	dial->outcome = dial_next(dial->backend);
	if (dial->outcome != 0)
		loop_task_set(dial->backend->context->loop, &dial->report);
}

static void dial_demo(struct backend_dial *dial)
{
	struct backend *backend = dial->backend;
	int fd = demo_open(backend->context->loop);
	if (fd < 0 || watch_socket(backend, fd) < 0 || make_transport(backend) < 0)
		dial->outcome = BACKEND_NO_ROOM;
	backend->readable = backend->writable = true;
	loop_task_set(backend->context->loop, &dial->report);
}

int backend_open(struct backend *backend, struct backend_context *context,
	void (*event)(struct backend *backend))
{
	struct loop *loop = context->loop;
	struct backend_dial *dial = calloc(1, sizeof *dial);
	if (dial == NULL)
		return -ENOMEM;
	*backend = (struct backend){
		.context = context,
		.watch = {.fd = -1, .ready = ready},
		.dial = dial,
		.event = event,
		.state = BACKEND_DIALLING,
	};
	dial->backend = backend;
	dial->wait.found = found;
	dial->deadline.expired = deadline;
	dial->report.run = report;
	int r = loop_timer_set(
		loop, &dial->deadline, instant_add_ms(loop->now, BACKEND_CONNECT_MS));
	if (r < 0) {
		dial_free(backend);
		return r;
	}
	if (context->target->kind == TARGET_DEMO)
		dial_demo(dial);
	else
		addresses_ask(&context->addresses, &dial->wait);
	return 0;
}

// ---- events

static int socket_error(int fd)
{
	int error = 0;
	socklen_t size = sizeof error;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
		return errno;
	return error;
}

static void dialling(struct backend *backend, uint32_t events)
{
	if (backend->transport != NULL) {
		handshake(backend);
		return;
	}
	if ((events & (EPOLLERR | EPOLLHUP)) != 0 && socket_error(backend->watch.fd) != 0) {
		close_socket(backend);
		int r = dial_next(backend);
		if (r != 0)
			fail(backend, (enum backend_failure)r);
		return;
	}
	if (events & EPOLLOUT)
		connected(backend);
}

static void ready(struct loop_watch *watch, uint32_t events)
{
	struct backend *backend = container_of(watch, struct backend, watch);
	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		backend->peer_done = true;
	if (events & EPOLLPRI)
		backend->urgent = true;
	if (backend->state == BACKEND_DIALLING) {
		dialling(backend, events);
		return;
	}
	// TLS may have to read in order to write, and the other way round.
	bool both = backend->transport->ssl != NULL || (events & (EPOLLHUP | EPOLLERR)) != 0;
	if (both || (events & (EPOLLIN | EPOLLRDHUP)) != 0)
		backend->readable = true;
	if (both || (events & EPOLLOUT) != 0)
		backend->writable = true;
	if (events & EPOLLERR)
		backend->broken = true;
	backend->event(backend);
}

void backend_close(struct backend *backend, bool reset)
{
	const struct linger now = {.l_onoff = 1};
	dial_free(backend);
	if (reset && backend->watch.fd >= 0 && backend->context->target->kind == TARGET_INET)
		setsockopt(backend->watch.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	if (!reset && backend->state == BACKEND_OPEN)
		(void)!backend_shut(backend);
	close_socket(backend);
}

// ---- bytes

ssize_t backend_read(struct backend *backend, void *bytes, size_t size)
{
	ssize_t n = transport_read(backend->transport, bytes, size);
	if (n == 0)
		backend->ended = true;
	else if (n == -EAGAIN)
		backend->readable = false;
	else if (n < 0)
		backend->broken = true;
	else if ((size_t)n < size && !backend->peer_done && !backend->urgent &&
		 backend->transport->ssl == NULL)
		backend->readable = false; // the socket is empty, the next edge will tell
	return n;
}

ssize_t backend_write(struct backend *backend, struct span bytes)
{
	const struct iovec piece = {.iov_base = (void *)(uintptr_t)bytes.p, .iov_len = bytes.n};
	ssize_t n = transport_writev(backend->transport, &piece, 1);
	if (n == -EAGAIN) {
		backend->writable = false;
		return 0;
	}
	if (n < 0)
		backend->broken = true;
	return n;
}

int backend_shut(struct backend *backend)
{
	if (backend->shut)
		return 0;
	int r = transport_shutdown(backend->transport);
	backend->shut = r != -EAGAIN;
	return backend->shut ? r : 0;
}
