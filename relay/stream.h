// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// One end of a connection: where its bytes come from and go to, what is known of that, and the few
// bytes that were read too early or could not be sent yet. There are two kinds: sockets, and
// channels of an agent (channel.h).
//
// Sockets are watched edge-triggered and registered once, so the usual request costs no epoll_ctl.
// The price is that `readable` and `writable` must be kept true: they are set by events and cleared
// only by a call that found the socket empty or full.

#pragma once

#include "buf.h"
#include "loop.h"

#include <sys/uio.h>

struct stream;

// What the two kinds do differently; see the functions of the same names below.
struct stream_kind {
	ssize_t (*take)(struct stream *stream, char *scratch, size_t size, char **ret);
	bool (*empty)(struct stream *stream);
	int (*send)(struct stream *stream, const struct iovec *pieces, int n);
	int (*flush)(struct stream *stream);
	size_t (*room)(struct stream *stream);
	int (*shut)(struct stream *stream);
	bool (*delivered)(const struct stream *stream);
	void (*set_orderly)(struct stream *stream);
	void (*close)(struct stream *stream);
};

struct stream {
	const struct stream_kind *kind;
	struct loop_watch watch; // watch.fd: the socket, owned; -1 when closed, or when it is none
	struct loop *loop;
	bool readable;
	bool writable;
	bool local;        // to an edge, see ending.h
	bool watches_room; // the loop tells when it can be written to
	bool urgent;       // the peer has sent urgent bytes: reads stop at them, pipes for good
	bool peer_done;    // the kernel has seen the peer's FIN (bytes may be left to read)
	bool ended;        // read() has returned 0
	bool shut;         // we have sent our FIN
	bool finished;     // and said that we want nothing more
	bool broken;       // reset or another error: nothing goes either way any more
	struct buf in;     // read, not used yet
	struct buf out;    // to be written before anything else
	uint64_t written;  // in all
};

enum {
	STREAM_IN_MAX = 64 * 1024,
	STREAM_OUT_MAX = 256 * 1024,
};

enum stream_socket {
	STREAM_TCP,
	STREAM_CONNECTING, // TCP too, but not connected yet
	STREAM_LOCAL,      // the end of a pair whose other end is an edge's, see ending.h
};

// Starts watching FD (consumed, also on failure). What has arrived already is told by the loop's
// next round, and so is room to write, once, if the socket is still connecting. Returns 0 or a
// negative errno.
int stream_open(struct stream *stream, struct loop *loop, int fd, enum stream_socket socket,
	void (*ready)(struct loop_watch *, uint32_t)) WARN_UNUSED;

static inline bool stream_is_socket(const struct stream *stream)
{
	return stream->watch.fd >= 0;
}

// Closes at once. On a TCP socket that carries SO_LINGER {1, 0} this resets the connection.
static inline void stream_close(struct stream *stream)
{
	stream->kind->close(stream);
}

// ---- sockets only

// Notes what an event says.
void stream_note(struct stream *stream, uint32_t events);

// Notes that a call found no room to write.
void stream_full(struct stream *stream);

// Writes as much as the socket takes. Returns the bytes written, 0 when it is full, or a negative
// errno.
ssize_t stream_write(struct stream *stream, const struct iovec *pieces, int n) WARN_UNUSED;

// ---- both kinds

// Takes at most SIZE bytes, which it leaves where they are or puts into SCRATCH; they are at *RET
// until the stream is next used and may be changed. Returns their number, 0 at the end, -EAGAIN
// when there are none now, or a negative errno.
static inline ssize_t stream_take(struct stream *stream, char *scratch, size_t size, char **ret)
{
	return stream->kind->take(stream, scratch, size, ret);
}

// The same, with the bytes in BYTES.
ssize_t stream_read(struct stream *stream, void *bytes, size_t size) WARN_UNUSED;

// Looks whether there is nothing to be taken now: a socket whatever the loop has told of it.
static inline bool stream_empty(struct stream *stream)
{
	return stream->kind->empty(stream);
}

// Sends N pieces, after what is waiting; what cannot leave now is kept (at most STREAM_OUT_MAX).
// Returns 0 or a negative errno.
static inline int stream_send(struct stream *stream, const struct iovec *pieces, int n)
{
	return stream->kind->send(stream, pieces, n);
}

// Sends what is waiting. Returns 0 when nothing is left, STREAM_PENDING, or a negative errno.
enum { STREAM_PENDING = 1 };
static inline int stream_flush(struct stream *stream)
{
	return stream->kind->flush(stream);
}

// How many bytes are worth having before they are sent, when nothing is waiting; with 0 an event of
// the stream tells when there is room.
static inline size_t stream_room(struct stream *stream)
{
	return stream->kind->room(stream);
}

// Says our end (after what was written). Returns 0, STREAM_PENDING when it has to be tried again
// once there is room, or a negative errno.
static inline int stream_shut(struct stream *stream)
{
	return stream->kind->shut(stream);
}

// The same, and we want nothing more from the peer.
int stream_finish(struct stream *stream);

// The same on a local stream, of which all is delivered though we may end before it is.
int stream_leave(struct stream *stream);

// Whether so little is left unacknowledged that the kernel has already sent it: closing in an
// orderly way now leaves nothing behind that could be delivered later. Of a local one: whether the
// edge has taken it.
static inline bool stream_delivered(const struct stream *stream)
{
	return stream->kind->delivered(stream);
}

// Whether closing now, with our end said, takes nothing away from the peer. An edge says so by
// closing its side.
bool stream_may_close(const struct stream *stream);

// Makes the coming close an orderly one (FIN instead of RST).
static inline void stream_set_orderly(struct stream *stream)
{
	stream->kind->set_orderly(stream);
}
