// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// A channel between two of our processes: SOCK_SEQPACKET, one msgpack array `[type, epoch,
// field...]` per datagram, at most one descriptor each. The rows of messages.c decide what may be
// received; whatever does not fit a row ends the channel, because a process that sends it is broken
// or taken over. On a channel several processes send into (gates to a relay) only the message is
// dropped: ending it would cost the others, and naming the culprit would be believing the receiver.

#pragma once

#include "loop.h"
#include "messages.h"

struct ipc_channel;
struct ipc_message;

struct ipc_message {
	const struct message_type *type;
	uint32_t epoch;
	const struct wire_value
		*fields; // as many and of the kinds its row says; valid during the handler
	int fd;          // closed after the handler unless taken with take_fd()
};

// Returns 0, or a negative errno: the message is a violation, as if it had not fitted its row.
typedef int (*ipc_handler)(struct ipc_channel *channel, struct ipc_message *message);

// What one role does with what it may receive on one kind of channel.
struct ipc_handlers {
	enum ipc_role self, peer;
	const struct ipc_handling {
		enum message type;
		ipc_handler handle;
	} * table;
	size_t n;
};

enum ipc_flags {
	IPC_SHARED = 1 << 0, // several senders: violations drop the message, `ended` is not called
			     // for them
	IPC_SEND_ONLY = 1 << 1, // never read from
	IPC_ANY_EPOCH = 1 << 2, // the epoch is the handlers' business
	IPC_EXCLUSIVE = 1 << 3, // several receivers: a message wakes one. Cannot be paused
};

struct ipc_channel {
	struct loop *loop;
	struct loop_watch watch; // watch.fd: the socket, owned; -1 when closed
	const struct ipc_handlers *handlers;
	uint32_t epoch;
	uint8_t phase; // the one enum ipc_phase we are in
	uint8_t flags;
	bool paused, wants_writable;
	bool moved, stalled;     // private: see try_again() in ipc.c
	struct loop_timer retry; // private
	bool *gone;              // private: set when closed during a handler
	struct ipc_queued *head, **tail;
	size_t queued, queue_max; // bytes waiting to be sent, and their cap

	// Called once when the channel has ended by itself, already closed: the peer closed it (WHY
	// is ipc_peer_closed) or sent what it must not (WHY, for the log). May free the channel. On
	// IPC_SHARED also called, with the channel still open, for every dropped message.
	void (*ended)(struct ipc_channel *channel, const char *why);
	// Optional: called once after IPC_FULL when sending can be tried again.
	void (*writable)(struct ipc_channel *channel);
	// Optional: called when the descriptor of a message could not be received here (EMFILE).
	// LOST is that message, without it; it is not handled.
	void (*exhausted)(struct ipc_channel *channel, const struct ipc_message *lost);
};

extern const char ipc_peer_closed[];

enum ipc_outcome { IPC_SENT = 0, IPC_FULL = 1 };

enum { IPC_FIRST_FD = 3 }; // where a child finds its control channel

// Makes a connected pair, close-on-exec and non-blocking. Returns 0 or a negative errno.
int ipc_pair(int fds[2]) WARN_UNUSED;

// Starts using FD (consumed, also on failure). QUEUE_MAX bytes of messages may wait when the peer
// is slow; with 0 nothing is ever queued and IPC_FULL says that the socket is. The caller sets the
// callbacks and, if it is not PHASE_START, the phase. Returns 0 or a negative errno.
int ipc_init(struct ipc_channel *channel, struct loop *loop, int fd,
	const struct ipc_handlers *handlers, uint32_t epoch, unsigned flags,
	size_t queue_max) WARN_UNUSED;
// Closes at once; what was queued is dropped, its descriptors closed. Harmless on a closed one.
void ipc_deinit(struct ipc_channel *channel);

static inline bool ipc_open(const struct ipc_channel *channel)
{
	return channel->watch.fd >= 0;
}

// Sends a message of this row with its fields, and a copy of FD (borrowed; -1 where the row has
// none). EPOCH is the channel's unless ipc_send_epoch says otherwise. Returns IPC_SENT (also when
// queued), IPC_FULL with nothing sent, or a negative errno: -EPIPE when the peer is gone (`ended`
// follows from the loop).
int ipc_send(struct ipc_channel *channel, enum message type, int fd,
	const struct wire_value *values, size_t n);
int ipc_send_epoch(struct ipc_channel *channel, uint32_t epoch, enum message type, int fd,
	const struct wire_value *values, size_t n);

// ipc_post(channel, MSG_DIAL, -1, wire_uint(request), wire_uint(0))
#define ipc_post(channel, type, fd, ...)                                      \
	ipc_send(channel, type, fd, (const struct wire_value[]){__VA_ARGS__}, \
		sizeof((const struct wire_value[]){__VA_ARGS__}) / sizeof(struct wire_value))

// Asks for one call of `writable`, as after IPC_FULL: when all that waits has been sent.
void ipc_want_writable(struct ipc_channel *channel);

// Reads and handles what is there right now, before the loop would. Returns like ipc_open(): false
// when the channel is no more (it may have been freed).
bool ipc_drain(struct ipc_channel *channel);

// Stops reading (the peer's messages wait in the socket) until ipc_resume().
void ipc_pause(struct ipc_channel *channel);
void ipc_resume(struct ipc_channel *channel);

// Whether FD is what a visitor or backend descriptor must be: a connected (or, with CONNECTING,
// still connecting) stream socket that does not listen. Returns 0 when it is TCP; IPC_STREAM_LOCAL
// when it is the end of a Unix pair, whose other end is an edge's; IPC_STREAM_OVER when it was
// connected, but the peer has reset it meanwhile; or -EBADMSG.
enum { IPC_STREAM_OVER = 1, IPC_STREAM_LOCAL = 2 };
int ipc_check_stream(int fd, bool connecting) WARN_UNUSED;
