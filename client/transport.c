// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The two kinds of connection behind one set of functions.

#include "transport.h"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

int transport_new(struct transport **ret, int fd, SSL *ssl)
{
	struct transport *transport = calloc(1, sizeof *transport);

	if (transport == NULL) {
		SSL_free(ssl);
		close(fd);
		return -ENOMEM;
	}
	*transport = (struct transport){.fd = fd, .ssl = ssl};
	*ret = transport;
	return 0;
}

struct transport *transport_free(struct transport *transport)
{
	if (transport != NULL) {
		// Else OpenSSL takes the session for a bad one and does not resume it.
		if (transport->ssl != NULL)
			SSL_set_shutdown(transport->ssl, SSL_SENT_SHUTDOWN);
		SSL_free(transport->ssl);
		close_p(&transport->fd);
		free(transport);
	}
	return NULL;
}

static ssize_t plain_result(struct transport *transport, ssize_t n, uint32_t wants)
{
	if (n >= 0)
		return n;
	transport->wants = wants;
	return errno == EINTR ? -EAGAIN : -errno;
}

// What a call for TLS that did not succeed means.
static int tls_result(struct transport *transport, int result)
{
	int saved = errno;

	switch (SSL_get_error(transport->ssl, result)) {
	case SSL_ERROR_WANT_READ: transport->wants = EPOLLIN; return -EAGAIN;
	case SSL_ERROR_WANT_WRITE: transport->wants = EPOLLOUT; return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN: return 0;
	case SSL_ERROR_SYSCALL: return saved != 0 ? -saved : -ECONNRESET;
	default:
		return ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING
			       ? -ECONNRESET
			       : -EPROTO;
	}
}

ssize_t transport_read(struct transport *transport, void *bytes, size_t n)
{
	size_t got = 0;

	if (transport->ssl == NULL)
		return plain_result(transport, recv(transport->fd, bytes, n, 0), EPOLLIN);
	ERR_clear_error();
	errno = 0;
	int result = SSL_read_ex(transport->ssl, bytes, n, &got);
	return result == 1 ? (ssize_t)got : tls_result(transport, result);
}

static ssize_t tls_write(struct transport *transport, const struct iovec *pieces, int n)
{
	size_t total = 0;

	for (int i = 0; i < n; i++) {
		size_t put = 0;
		if (pieces[i].iov_len == 0)
			continue;
		ERR_clear_error();
		errno = 0;
		int result =
			SSL_write_ex(transport->ssl, pieces[i].iov_base, pieces[i].iov_len, &put);
		if (result != 1) {
			int r = tls_result(transport, result);
			return total > 0 && r == -EAGAIN ? (ssize_t)total : r != 0 ? r : -EPIPE;
		}
		total += put;
		if (put < pieces[i].iov_len)
			break;
	}
	return (ssize_t)total;
}

ssize_t transport_writev(struct transport *transport, const struct iovec *pieces, int n)
{
	if (transport->ssl != NULL)
		return tls_write(transport, pieces, n);
	return plain_result(transport, writev(transport->fd, pieces, n), EPOLLOUT);
}

int transport_shutdown(struct transport *transport)
{
	if (transport->ssl == NULL)
		return shutdown(transport->fd, SHUT_WR) < 0 ? -errno : 0;
	ERR_clear_error();
	errno = 0;
	int result = SSL_shutdown(transport->ssl);
	return result >= 0 ? 0 : tls_result(transport, result);
}

int transport_wait(struct transport *transport, struct instant deadline)
{
	struct pollfd polled = {
		.fd = transport->fd,
		.events = transport->wants == EPOLLOUT ? POLLOUT : POLLIN,
	};

	for (;;) {
		int64_t left_us = instant_diff_us(deadline, instant_now());
		int ms = (int)MIN((left_us + 999) / 1000, 60 * 1000);
		if (left_us <= 0)
			return -ETIMEDOUT;
		int n = poll(&polled, 1, ms);
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

int transport_write_all(
	struct transport *transport, const void *bytes, size_t n, struct instant deadline)
{
	struct iovec left = {(void *)(uintptr_t)bytes, n};

	while (left.iov_len > 0) {
		ssize_t put = transport_writev(transport, &left, 1);
		if (put == -EAGAIN)
			put = transport_wait(transport, deadline);
		if (put < 0)
			return (int)put;
		left.iov_base = (char *)left.iov_base + put;
		left.iov_len -= (size_t)put;
	}
	return 0;
}

int transport_spki(const struct transport *transport, uint8_t hash[TLS_SPKI_SIZE])
{
	X509 *certificate =
		transport->ssl != NULL ? SSL_get0_peer_certificate(transport->ssl) : NULL;

	return certificate != NULL ? tls_spki(certificate, hash) : -ENOENT;
}
