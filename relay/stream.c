// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "stream.h"

#include "ending.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static const uint32_t arrivals = EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLET;

static const struct stream_kind socket_kind;

int stream_open(struct stream *stream, struct loop *loop, int fd, enum stream_socket socket,
	void (*ready)(struct loop_watch *, uint32_t))
{
	*stream = (struct stream){
		.kind = &socket_kind,
		.watch = {.fd = -1, .ready = ready},
		.loop = loop,
		.writable = true,
		.watches_room = socket == STREAM_CONNECTING,
		.local = socket == STREAM_LOCAL,
	};
	buf_init(&stream->in, STREAM_IN_MAX);
	buf_init(&stream->out, STREAM_OUT_MAX);
	int r = loop_watch(
		loop, &stream->watch, fd, arrivals | (stream->watches_room ? EPOLLOUT : 0));
	if (r < 0)
		close(fd);
	return r;
}

void stream_full(struct stream *stream)
{
	stream->writable = false;
	if (stream->watches_room)
		return;
	// If there is room again by now, this tells.
	if (loop_rewatch(stream->loop, &stream->watch, arrivals | EPOLLOUT) < 0)
		stream->broken = true; // nobody would ever say that it can go on
	stream->watches_room = true;
}

static void socket_close(struct stream *stream)
{
	if (stream->watch.fd < 0)
		return;
	int fd = stream->watch.fd;
	loop_unwatch(stream->loop, &stream->watch);
	close(fd);
	buf_reset(&stream->in);
	buf_reset(&stream->out);
}

void stream_note(struct stream *stream, uint32_t events)
{
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		stream->readable = true;
	if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		stream->writable = true;
	if (events & EPOLLRDHUP)
		stream->peer_done = true;
	if (events & EPOLLPRI)
		stream->urgent = true;
	// EPOLLHUP alone is both directions ended in order, if we have ended ours; an edge that
	// hangs up has lost its visitor, whatever was said before.
	if ((events & EPOLLERR) || ((events & EPOLLHUP) && (stream->local || !stream->shut)))
		stream->broken = true;
}

static ssize_t socket_take(struct stream *stream, char *scratch, size_t size, char **ret)
{
	ssize_t n;
	*ret = scratch;
	do
		n = recv(stream->watch.fd, scratch, size, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n > 0) {
		// Less than asked for: the socket is empty, the next edge will tell. Not so once
		// the peer's FIN was announced, there is no further edge after that. Urgent bytes
		// are part of the stream (SO_OOBINLINE), but a read that meets them stops there.
		if ((size_t)n < size && !stream->peer_done && !stream->urgent)
			stream->readable = false;
		return n;
	}
	if (n == 0 && stream->local) {
		// Said, or hung up? The event tells that comes with either.
		if (stream->broken)
			return -ECONNRESET;
		if (!stream->peer_done) {
			stream->readable = false;
			return -EAGAIN;
		}
	}
	if (n == 0) {
		stream->ended = true;
		return 0;
	}
	if (errno == EAGAIN)
		stream->readable = false;
	else
		stream->broken = true;
	return -errno;
}

static bool socket_empty(struct stream *stream)
{
	char byte;
	ssize_t n = recv(stream->watch.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	stream->readable = !(n < 0 && errno == EAGAIN);
	return !stream->readable;
}

ssize_t stream_read(struct stream *stream, void *bytes, size_t size)
{
	char *at;
	ssize_t n = stream_take(stream, bytes, size, &at);
	if (n > 0 && at != bytes)
		memcpy(bytes, at, (size_t)n);
	return n;
}

// write() and writev(), not send() and sendmsg(): the filter allows them whatever their arguments,
// and the kernel does not run it for such calls. Every socket is non-blocking, and SIGPIPE ignored.
ssize_t stream_write(struct stream *stream, const struct iovec *pieces, int n)
{
	size_t all = 0;
	for (int i = 0; i < n; i++)
		all += pieces[i].iov_len;
	ssize_t sent;
	do
		sent = n == 1 ? write(stream->watch.fd, pieces->iov_base, all)
			      : writev(stream->watch.fd, pieces, n);
	while (sent < 0 && errno == EINTR);
	if (sent < 0 && errno != EAGAIN)
		return -errno;
	if (sent < (ssize_t)all)
		stream_full(stream);
	if (sent < 0)
		return 0;
	stream->written += (uint64_t)sent;
	return sent;
}

static int socket_send(struct stream *stream, const struct iovec *pieces, int n)
{
	ssize_t sent = 0;
	if (stream->writable && buf_len(&stream->out) == 0)
		sent = stream_write(stream, pieces, n);
	if (sent < 0)
		return (int)sent;
	size_t skip = (size_t)sent;
	for (int i = 0; i < n; i++) {
		size_t have = pieces[i].iov_len, gone = MIN(skip, have);
		skip -= gone;
		int r = buf_add(&stream->out, (const char *)pieces[i].iov_base + gone, have - gone);
		if (r < 0)
			return r;
	}
	return 0;
}

static int socket_flush(struct stream *stream)
{
	while (buf_len(&stream->out) > 0) {
		if (!stream->writable)
			return STREAM_PENDING;
		struct span waiting = buf_span(&stream->out);
		struct iovec piece = {
			.iov_base = (void *)(uintptr_t)waiting.p, .iov_len = waiting.n};
		ssize_t sent = stream_write(stream, &piece, 1);
		if (sent < 0)
			return (int)sent;
		buf_consume(&stream->out, (size_t)sent);
		buf_trim(&stream->out);
	}
	return 0;
}

static size_t socket_room(struct stream *stream)
{
	return SIZE_MAX; // what the kernel does not take is kept
}

static int say_end(struct stream *stream, bool *said, enum ending how)
{
	int r = ending_say(stream->watch.fd, stream->local, how);
	*said = r != ENDING_AGAIN;
	if (*said)
		return r;
	stream_full(stream);
	return STREAM_PENDING;
}

static int socket_shut(struct stream *stream)
{
	return stream->shut ? 0 : say_end(stream, &stream->shut, ENDING_HALF);
}

int stream_finish(struct stream *stream)
{
	if (!stream->local)
		return stream_shut(stream);
	return stream->finished ? 0 : say_end(stream, &stream->finished, ENDING_WHOLE);
}

int stream_leave(struct stream *stream)
{
	return say_end(stream, &stream->finished, ENDING_LEFT);
}

static bool socket_delivered(const struct stream *stream)
{
	enum { FIRST_WINDOW = 10 * 1460 }; // RFC 6928: sent without waiting for any acknowledgement
	int waiting = 0;
	if (stream->broken || stream->written <= FIRST_WINDOW)
		return true;
	if (ioctl(stream->watch.fd, SIOCOUTQ, &waiting) < 0)
		return true;
	return waiting <= FIRST_WINDOW;
}

bool stream_may_close(const struct stream *stream)
{
	return stream->local ? stream->broken : stream_delivered(stream);
}

static void socket_set_orderly(struct stream *stream)
{
	struct linger off = {0};
	if (stream->local)
		return; // what it delivers is the edge's business
	setsockopt(stream->watch.fd, SOL_SOCKET, SO_LINGER, &off, sizeof off);
}

static const struct stream_kind socket_kind = {
	.take = socket_take,
	.empty = socket_empty,
	.send = socket_send,
	.flush = socket_flush,
	.room = socket_room,
	.shut = socket_shut,
	.delivered = socket_delivered,
	.set_orderly = socket_set_orderly,
	.close = socket_close,
};
