// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "link.h"

#include <openssl/err.h>
#include <sys/sendfile.h>

enum { PIECE = 256 * 1024 };

static SSL_CTX *context(void)
{
	static SSL_CTX *made;
	if (made != NULL)
		return made;
	made = SSL_CTX_new(TLS_client_method());
	if (made == NULL || SSL_CTX_set_min_proto_version(made, TLS1_3_VERSION) != 1)
		bench_fail("SSL_CTX_new");
	SSL_CTX_set_session_cache_mode(made, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(made, SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(made, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				       SSL_MODE_RELEASE_BUFFERS);
	return made;
}

void link_open(struct link *link, int fd, bool tls)
{
	*link = (struct link){.fd = fd};
	if (!tls)
		return;
	link->tls = SSL_new(context());
	if (link->tls == NULL || SSL_set_fd(link->tls, fd) != 1)
		bench_fail("SSL_new");
	SSL_set_connect_state(link->tls);
}

void link_close(struct link *link)
{
	SSL_free(link->tls);
	if (link->fd >= 0)
		close(link->fd);
	*link = (struct link){.fd = -1};
}

static ssize_t result(struct link *link, int r)
{
	if (r > 0)
		return r;
	int why = SSL_get_error(link->tls, r);
	link->waits = why == SSL_ERROR_WANT_READ;
	errno = why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? EAGAIN : ECONNRESET;
	return why == SSL_ERROR_ZERO_RETURN ? 0 : -1;
}

ssize_t link_recv(struct link *link, void *bytes, size_t n)
{
	if (link->tls == NULL)
		return recv(link->fd, bytes, n, 0);
	ERR_clear_error();
	return result(link, SSL_read(link->tls, bytes, (int)n));
}

ssize_t link_send(struct link *link, const void *bytes, size_t n)
{
	if (link->tls == NULL)
		return send(link->fd, bytes, n, MSG_NOSIGNAL);
	ERR_clear_error();
	return result(link, SSL_write(link->tls, bytes, (int)n));
}

ssize_t link_drop(struct link *link, size_t n)
{
	static char bytes[PIECE];
	if (link->tls == NULL)
		return recv(link->fd, NULL, n, MSG_TRUNC);
	return link_recv(link, bytes, MIN(n, sizeof bytes));
}

ssize_t link_send_pattern(struct link *link, int pattern, off_t offset, size_t n)
{
	static const char *mapped;
	if (link->tls == NULL)
		return sendfile(link->fd, pattern, &offset, n);
	if (mapped == NULL)
		mapped = mmap(NULL, PATTERN_SIZE, PROT_READ, MAP_SHARED, pattern, 0);
	if (mapped == MAP_FAILED)
		bench_fail("mmap");
	return link_send(link, mapped + offset, MIN(n, (size_t)PIECE));
}
