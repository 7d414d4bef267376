// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// One end of a connection: a socket, what the kernel last said about it, and the few bytes that
// were read too early or could not be written yet.
//
// Sockets are watched edge-triggered and registered once, so the usual request costs no epoll_ctl.
// The price is that `readable` and `writable` must be kept true: they are set by events and cleared
// only by a call that found the socket empty or full. Room to write is watched for from the first
// time that there was none: a new socket always has some, and saying so would be a wake-up for
// nothing.

#pragma once

#include "buf.h"
#include "loop.h"

#include <sys/uio.h>

struct stream {
	struct loop_watch watch; // watch.fd: the socket, owned; -1 when closed
	struct loop *loop;
	bool readable;
	bool writable;
	bool watches_room; // the loop tells when it can be written to
	bool urgent;       // the peer has sent urgent bytes: reads stop at them, pipes for good
	bool peer_done;    // the kernel has seen the peer's FIN (bytes may be left to read)
	bool ended;        // read() has returned 0
	bool shut;         // we have sent our FIN
	bool broken;       // reset or another error: nothing goes either way any more
	struct buf in;     // read, not used yet
	struct buf out;    // to be written before anything else
	uint64_t written;  // in all
};

enum {
	STREAM_IN_MAX = 64 * 1024,
	STREAM_OUT_MAX = 256 * 1024,
};

// Starts watching FD (consumed, also on failure). What has arrived already is told by the loop's
// next round, and so is room to write, once, if the socket is still CONNECTING. Returns 0 or a
// negative errno.
int stream_open(struct stream *stream, struct loop *loop, int fd, bool connecting,
	void (*ready)(struct loop_watch *, uint32_t));
// Closes at once. On a TCP socket that carries SO_LINGER {1, 0} this resets the connection.
void stream_close(struct stream *stream);

// Notes what an event says.
void stream_note(struct stream *stream, uint32_t events);

// Notes that a call found no room to write.
void stream_full(struct stream *stream);

// Returns the bytes read, 0 at the end, -EAGAIN when there are none now, or a negative errno.
ssize_t stream_read(struct stream *stream, void *bytes, size_t size);

// Sends N pieces, after what is waiting; what the socket does not take is kept (at most
// STREAM_OUT_MAX). Returns 0 or a negative errno.
int stream_send(struct stream *stream, const struct iovec *pieces, int n);

// Writes what is waiting. Returns 0 when nothing is left, STREAM_PENDING, or a negative errno.
enum { STREAM_PENDING = 1 };
int stream_flush(struct stream *stream);

// Sends our FIN (after what was written). Returns 0 or a negative errno.
int stream_shut(struct stream *stream);

// Whether so little is left unacknowledged that the kernel has already sent it: closing in an
// orderly way now leaves nothing behind that could be delivered later.
bool stream_delivered(const struct stream *stream);

// Makes the coming close an orderly one (FIN instead of RST).
void stream_set_orderly(struct stream *stream);
