// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "backend.h"

#include "roots.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

struct backend {
	struct pump pump;
	struct loop_timer deadline;
	struct ipc_channel *control;
	uint64_t request;
};

static size_t n_backends;

size_t backend_count(void)
{
	return n_backends;
}

static void backend_free(struct backend *backend)
{
	n_backends--;
	loop_timer_clear(backend->pump.loop, &backend->deadline);
	pump_deinit(&backend->pump);
	free(backend);
}

static void on_over(struct pump *pump)
{
	backend_free(container_of(pump, struct backend, pump));
}

static void tell_failure(struct ipc_channel *control, uint64_t request, enum dial_failure why)
{
	(void)ipc_post(control, MSG_EDGE_DIAL_FAILED, -1, wire_uint(request), wire_uint(why));
}

static void fail(struct backend *backend, enum dial_failure why)
{
	tell_failure(backend->control, backend->request, why);
	backend_free(backend);
}

static void on_deadline(struct loop_timer *timer)
{
	fail(container_of(timer, struct backend, deadline), DIAL_TIMEOUT);
}

// ---- what went wrong

static enum dial_failure reason(const struct pump *pump)
{
	int error = 0;
	socklen_t n = sizeof error;
	if (pump->io.broken && pump->io.written == 0) { // it has never been connected
		getsockopt(pump->io.fd, SOL_SOCKET, SO_ERROR, &error, &n);
		return error == ETIMEDOUT ? DIAL_TIMEOUT : DIAL_REFUSED;
	}
	switch (SSL_get_verify_result(pump->ssl)) {
	case X509_V_OK: return DIAL_TLS;
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID: return DIAL_CERT_EXPIRED;
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH: return DIAL_CERT_NAME;
	default: return DIAL_CERT_UNTRUSTED;
	}
}

// ---- the handshake

static void hand_over(struct backend *backend)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0) {
		fail(backend, DIAL_EXHAUSTED);
		return;
	}
	int r = ipc_post(backend->control, MSG_EDGE_DIALED, pair[1], wire_uint(backend->request));
	close(pair[1]);
	loop_timer_clear(backend->pump.loop, &backend->deadline);
	if (r != IPC_SENT)
		close(pair[0]);
	if (r != IPC_SENT || pump_start(&backend->pump, pair[0]) < 0)
		backend_free(backend);
}

static void go_on(struct backend *backend)
{
	struct pump *pump = &backend->pump;
	if (pump->io.broken || tls_io_flush(&pump->io) < 0) {
		fail(backend, reason(pump));
		return;
	}
	ERR_clear_error();
	int r = SSL_do_handshake(pump->ssl);
	int why = r == 1 ? SSL_ERROR_NONE : SSL_get_error(pump->ssl, r);
	bool written = tls_io_flush(&pump->io) == 0; // an alert too
	if (why == SSL_ERROR_NONE && written)
		hand_over(backend);
	else if (why == SSL_ERROR_WANT_READ && written)
		pump_watch_room(pump);
	else
		fail(backend, reason(pump));
}

static void on_ready(struct loop_watch *watch, uint32_t events)
{
	struct backend *backend = container_of(watch, struct backend, pump.tcp);
	pump_note(&backend->pump, events);
	go_on(backend);
}

static int begin(struct ipc_channel *control, uint64_t request, int fd, SSL *ssl, int64_t ms)
{
	struct backend *backend = malloc(sizeof *backend);
	if (backend == NULL) {
		SSL_free(ssl);
		close(fd);
		return -ENOMEM;
	}
	*backend = (struct backend){
		.control = control, .request = request, .deadline = {.expired = on_deadline}};
	int r = pump_init(&backend->pump, control->loop, fd, ssl, on_ready);
	if (r < 0) {
		free(backend);
		return r;
	}
	backend->pump.over = on_over;
	n_backends++;
	r = loop_timer_set(
		control->loop, &backend->deadline, instant_add_ms(control->loop->now, ms));
	if (r < 0)
		backend_free(backend);
	else
		go_on(backend);
	return r;
}

int backend_begin(struct ipc_channel *control, struct ipc_message *message, int roots_fd)
{
	const struct wire_value *f = message->fields;
	char host[254];
	if (ipc_check_stream(message->fd, true) != 0)
		return -EBADMSG;
	memcpy(host, f[1].bytes.p, f[1].bytes.n); // at most 253 bytes, see messages.c
	host[f[1].bytes.n] = '\0';
	SSL *ssl = roots_connect(roots_fd, host, f[2].number != 0);
	int r = ssl != NULL ? begin(control, f[0].number, take_fd(&message->fd), ssl,
				      (int64_t)f[3].number)
			    : -ENOMEM;
	if (r < 0)
		tell_failure(control, f[0].number, DIAL_EXHAUSTED);
	return 0;
}
