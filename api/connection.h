// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The server's side of an HTTP/1.1 connection: one request in, one answer out, an orderly close. A
// gate hands a connection over for good, so one that was kept could bring requests that belong to
// others, and nobody could serve them. What comes behind the request is read and dropped.
//
// The one idea: a connection is in one state, and one function per state moves it on until it has
// to wait. An answer only appends to `out` and says connection_answered(); nothing is sent and
// nothing is freed before the caller is done. So handlers may answer whenever they like, at once
// or after the supervisor has answered them. An answer without an end is one whose waiter is asked
// for more whenever all has been sent (connection_stream()): the peer sets the pace.

#pragma once

#include "buf.h"
#include "connections.h"
#include "facts.h"
#include "loop.h"
#include "messages.h"
#include "problem.h"
#include "request.h"

enum {
	CONNECTION_ANSWER_MAX = 2 << 20,
	CONNECTION_LINGER_MS = 2 * 1000, // for the peer's end after ours
	CONNECTION_LINGER_MAX = 1 << 20, // bytes read and dropped meanwhile
};

// Somebody who answers later. `over` is called exactly once, with the waiter already taken off:
// when the answer was handed over, or when the connection broke before (LOST), with or without an
// answer given.
struct connection_waiter {
	void (*over)(struct connection_waiter *waiter, bool lost);
	// Of a stream: appends to OUT what is to be sent next. Returns whether there was anything.
	bool (*more)(struct connection_waiter *waiter, struct buf *out);
};

struct connection_server {
	// The head has come, its body may not have. Answers, or leaves it to `handle`.
	void (*begin)(struct connection *connection, struct request *request);
	// All has come. Answers, or waits. REQUEST is gone afterwards.
	void (*handle)(struct connection *connection, struct request *request);
	// A 101 has been sent, and BYTES came behind its request. The descriptor may be copied; it
	// is closed afterwards.
	void (*upgraded)(struct connection *connection, struct span bytes);
	// It was answered with CODE, a status of 500 or more: for the log.
	void (*failed)(struct connection *connection, enum code code, const char *request_id);
};

enum connection_state {
	CONNECTION_HEAD,      // the head is read
	CONNECTION_BODY,      // the body is read
	CONNECTION_WAITING,   // somebody answers later
	CONNECTION_SENDING,   // the answer is being sent
	CONNECTION_STREAMING, // an answer without an end is being sent
	CONNECTION_UPGRADING, // a 101 is being sent
	CONNECTION_LINGERING, // all is sent, the peer's end is waited for
	CONNECTION_BROKEN,
	CONNECTION_STATES
};

struct connection {
	TAILQ_ENTRY(connection) link;
	struct connections *set;
	struct loop_watch watch;
	struct loop_timer deadline;
	struct loop_task task;
	enum connection_kind kind;
	enum connection_state state;
	uint32_t events;
	struct buf in, out;
	size_t scanned; // bytes of `in` that were searched for the end of the head
	size_t drained; // bytes dropped while lingering
	struct request *request;
	struct connection_waiter *waiter;
	char tunnel[TUNNEL_ID_MAX + 1]; // of a page, or of the agent that is upgraded
	struct facts facts;             // of a request; as its gate says
	char own[TUNNEL_ID_MAX + 1];    // the tunnel whose own origin it was sent to; empty: none
	// How the request wants to be answered.
	enum answer_form form;
	bool to_head;
	bool privileged; // it is not given up for others; see connection_prefer()
	bool scoped;
	bool open; // pages of any origin may read the answer
	// For the request log.
	struct request_line *line; // NULL: none
	enum code code;            // of an error it was answered with
	uint16_t status;           // 0: none yet
	size_t bytes_in, bytes_out;
	bool running, peer_ended, hung_up, lost;
};

// Serves the one request of FD (consumed), which came as FACTS say, to the own origin of tunnel OWN
// (empty: of none), and from which BYTES have been read already: looks at them at once. Without a
// place or memory FD is closed.
void connection_serve(struct connections *set, int fd, const struct facts *facts, struct span own,
	struct span bytes);

// A connection of a visitor of TUNNEL that is to be given one answer, by the caller, right away. FD
// is consumed. Returns NULL, with FD closed, when there is no place or no memory.
struct connection *connection_for_page(
	struct connections *set, int fd, bool local, const char *tunnel);

// Closes and frees it, whatever it is doing; who waits is told that the connection is lost.
void connection_close(struct connection *connection);

// In `begin`: a valid token was shown, so it is not given up for others. That goes for all of the
// owner's, but for half of all of other tokens only: they take no place from the owner.
void connection_prefer(struct connection *connection, bool owner);

// In `handle`: the answer comes later. WAITER stays until over() or connection_forget().
void connection_wait(struct connection *connection, struct connection_waiter *waiter);
// Takes the waiter off without a call.
void connection_forget(struct connection *connection);

// `out` holds a complete answer (R is 0) or could not be given one (R is negative: the connection
// is closed).
void connection_answered(struct connection *connection, int r);

// In `handle`: `out` holds a 101 (R as above). When it has been sent the server takes the
// connection over (`upgraded`): nothing is read before that.
void connection_upgrade(struct connection *connection, int r);

// In `handle`: `out` holds the head of an answer that has no end (R as above), and WAITER has what
// follows, bit by bit: it is asked for `more` whenever all has been sent. This goes on until the
// peer ends, takes nothing for patience_ms, or connection_close(); then `over` is called.
void connection_stream(struct connection *connection, struct connection_waiter *waiter, int r);
// The waiter of a stream has more.
void connection_go_on(struct connection *connection);
