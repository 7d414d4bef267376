// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "tls_io.h"

#include <assert.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

// Records of the connection in hand.
static char gathered[80 * 1024];
static size_t n_gathered;
static const struct tls_io *gathering;

void tls_io_init(struct tls_io *io, int fd)
{
	*io = (struct tls_io){.fd = fd, .readable = true, .writable = true};
	buf_init(&io->out, TLS_IO_OUT_MAX);
}

void tls_io_deinit(struct tls_io *io)
{
	if (gathering == io)
		n_gathered = 0;
	buf_reset(&io->out);
}

// ---- sending

// Returns how many of the bytes the socket took, or a negative errno.
static ssize_t send_now(struct tls_io *io, const char *bytes, size_t n, int more)
{
	ssize_t sent = 0;
	if (!io->writable)
		return 0;
	do
		sent = send(io->fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT | more);
	while (sent < 0 && errno == EINTR);
	if (sent < 0 && errno != EAGAIN) {
		io->broken = true;
		return -errno;
	}
	io->writable = sent == (ssize_t)n;
	sent = MAX(sent, 0);
	io->written += (uint64_t)sent;
	return sent;
}

static int flush_pending(struct tls_io *io, int more)
{
	struct span waiting = buf_span(&io->out);
	ssize_t sent = waiting.n > 0 && !io->held ? send_now(io, waiting.p, waiting.n, more) : 0;
	if (sent > 0)
		buf_consume(&io->out, (size_t)sent);
	return (int)MIN(sent, 0);
}

static int keep(struct tls_io *io, const char *bytes, size_t n)
{
	int r = n > 0 ? buf_add(&io->out, bytes, n) : 0;
	io->broken |= r < 0;
	return r;
}

static int flush(struct tls_io *io, int more)
{
	int r = flush_pending(io, more);
	if (r < 0 || gathering != io || n_gathered == 0)
		return r;
	size_t n = n_gathered;
	n_gathered = 0;
	ssize_t sent = tls_io_pending(io) ? 0 : send_now(io, gathered, n, more);
	return sent < 0 ? (int)sent : keep(io, gathered + sent, n - (size_t)sent);
}

int tls_io_flush(struct tls_io *io)
{
	return flush(io, 0);
}

int tls_io_flush_last(struct tls_io *io)
{
	return flush(io, MSG_MORE);
}

int tls_io_hold(struct tls_io *io)
{
	if (gathering != io || n_gathered == 0)
		return 0;
	size_t n = n_gathered;
	n_gathered = 0;
	io->held = !tls_io_pending(io);
	return keep(io, gathered, n);
}

// What was held goes in front of what is written now.
static void release(struct tls_io *io)
{
	struct span held = buf_span(&io->out);
	if (!io->held || held.n > sizeof gathered)
		return;
	memcpy(gathered, held.p, held.n);
	n_gathered = held.n;
	buf_consume(&io->out, held.n);
	io->held = false;
}

bool tls_io_delivered(const struct tls_io *io)
{
	enum { FIRST_WINDOW = 10 * 1460 }; // RFC 6928: sent without waiting for any acknowledgement
	int waiting = 0;
	if (tls_io_pending(io))
		return false;
	if (io->broken || io->written <= FIRST_WINDOW)
		return true;
	return ioctl(io->fd, SIOCOUTQ, &waiting) < 0 || waiting <= FIRST_WINDOW;
}

// ---- the BIO

static int on_write(BIO *bio, const char *bytes, int n)
{
	struct tls_io *io = BIO_get_data(bio);
	BIO_clear_retry_flags(bio);
	assert(n_gathered == 0 || gathering == io); // each flushes before another has its turn
	gathering = io;
	if (n_gathered == 0)
		release(io);
	if ((size_t)n > sizeof gathered - n_gathered && tls_io_flush(io) < 0)
		return -1;
	if (io->broken || (size_t)n > sizeof gathered)
		return -1;
	memcpy(gathered + n_gathered, bytes, (size_t)n);
	n_gathered += (size_t)n;
	return n;
}

static int on_read(BIO *bio, char *bytes, int size)
{
	struct tls_io *io = BIO_get_data(bio);
	ssize_t n = -1;
	BIO_clear_retry_flags(bio);
	if (io->readable && !io->broken) {
		do
			n = recv(io->fd, bytes, (size_t)size, MSG_DONTWAIT);
		while (n < 0 && errno == EINTR);
		io->broken |= n < 0 && errno != EAGAIN;
		io->ended |= n == 0;
		// Less than asked for: it is empty now, the next edge will tell.
		if (n < 0 || (n < size && !io->peer_done))
			io->readable = n == 0;
	}
	if (n < 0 && !io->broken)
		BIO_set_retry_read(bio);
	return (int)n;
}

static long on_ctrl(BIO *bio, int command, long number, void *pointer)
{
	const struct tls_io *io = BIO_get_data(bio);
	switch (command) {
	case BIO_CTRL_FLUSH: return 1; // whoever called OpenSSL flushes
	case BIO_CTRL_EOF: return io->ended;
	default: return 0;
	}
}

static BIO_METHOD *method_new(void)
{
	BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "wire");
	if (method == NULL || !BIO_meth_set_write(method, on_write) ||
		!BIO_meth_set_read(method, on_read) || !BIO_meth_set_ctrl(method, on_ctrl))
		return NULL;
	return method;
}

BIO *tls_io_bio(struct tls_io *io)
{
	static BIO_METHOD *method;
	if (method == NULL)
		method = method_new();
	BIO *bio = method != NULL ? BIO_new(method) : NULL;
	if (bio != NULL) {
		BIO_set_data(bio, io);
		BIO_set_init(bio, 1);
	}
	return bio;
}
