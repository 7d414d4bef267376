// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// A visitor's connection and the request it is busy with. From the moment it is taken it belongs to
// this tunnel for good.
//
//   HEAD -> DIALING -> EXCHANGE -> DELIVERING -> HEAD ...    requests, one after the other
//                         |
//                         +-> BYTES                          after a 101, or in a tcp tunnel
//   any  -> CLOSING                                          our last bytes are out, the
//   peer's are drained

#pragma once

#include "backend.h"
#include "dial.h"
#include "facts.h"
#include "flow.h"
#include "ipc.h"
#include "mapping.h"
#include "problem.h"

#include <sys/queue.h>

enum visitor_state {
	VISITOR_HEAD,       // waiting for a request, or in the middle of its head
	VISITOR_DIALING,    // a request waits for a connection to the backend
	VISITOR_EXCHANGE,   // request and answer move
	VISITOR_BYTES,      // both directions are byte relays
	VISITOR_DELIVERING, // with limits.requests: the last answer is not with the visitor yet
	VISITOR_CLOSING,
};

// The request in hand and its answer.
struct exchange {
	bool accepted;   // counted against the budget
	bool to_head;    // HEAD: the answer has no body
	bool safe;       // may be sent again if nothing was answered
	bool old;        // from HTTP/1.0
	bool keep_alive; // the visitor means to go on afterwards
	bool last;       // the visitor has said that no further request follows
	bool expecting;  // the visitor sends its body only after a 100
	bool upgrade;    // we asked the backend to switch protocols
	bool outside;    // its path does not begin with the prefix and a slash
	bool https;      // that is how the visitor sees us
	bool tcp;        // it turns into a byte relay to the backend at once
	uint8_t resent;  // how often it was sent again on another backend connection
	bool up_done;    // the request is with the backend
	bool up_dead;    // the backend takes no more of it; its answer may still come
	bool answering;  // the final head has gone out
	bool reusable;   // the answer's framing allows another request on the backend connection
	uint8_t origin;  // that it came on, enum tunnel_origin
	uint8_t interim; // 1xx answers passed on
	uint8_t code;    // of an error of ours, enum code
	uint16_t status; // that was sent, 0: none yet
	struct request_line *line; // for the request log; NULL: it is off
	enum answer_form form;
	struct flow up, down;
	struct buf head; // the rebuilt request head, while it may have to be sent (again)
};

struct visitor {
	struct relay *relay;
	struct stream stream;
	struct backend *backend; // NULL: none
	struct dial dial;
	enum visitor_state state;
	struct loop_timer
		timer; // of HEAD (head or idle deadline), DIALING, a body, the two last states
	struct loop_task task; // goes on after a yield
	struct exchange x;
	size_t scanned; // by http_head_find(), of the head in hand: a request's or an answer's
	size_t drained; // bytes thrown away while CLOSING
	uint8_t ticks;  // of the timer, while CLOSING
	LIST_ENTRY(visitor) link; // in relay->leaving; without le_prev it is not
	bool admitted;       // has passed access control once: counts against limits.connections
	bool unread;         // more bytes may come: to be drained at the end
	struct facts facts;  // of the connection
	struct facts sender; // of the request in hand
};

// What a tunnel that carries raw TCP says to requests.
#define REQUEST_TCP_DETAIL                                                  \
	"This tunnel carries raw TCP: enter it with `Connection: Upgrade` " \
	"and `Upgrade: tcp`."

// How addresses are mapped for the request in hand.
struct mapping request_mapping(const struct visitor *visitor);

// What a step led to.
enum step {
	STEP_WAIT,  // until an event
	STEP_AGAIN, // the state has changed, go on at once
	STEP_GONE,  // the visitor is freed
};

// Takes the connection of a MSG_VISITOR.
int visitor_on_message(struct ipc_channel *channel, struct ipc_message *message) WARN_UNUSED;

// Goes on as far as it can go. The visitor may be freed.
void visitor_step(struct visitor *visitor);

// To be called before the end of the tunnel that its last request brings: edges have the answers of
// those who could go on asking, and deliver them whatever becomes of us.
void visitors_leave(struct relay *relay);

// Answers to its dial; FD is consumed.
void visitor_dialed(struct visitor *visitor, int fd);
void visitor_dial_failed(struct visitor *visitor, enum dial_failure why);

// The pieces below are for the files of the visitor only.

// request.c: a complete head of SIZE bytes at BYTES, REST after it. BYTES may be changed.
enum step request_begin(struct visitor *visitor, char *bytes, size_t size, struct span rest);
// request.c: DIALING.
enum step request_step(struct visitor *visitor);
// request.c: asks for (another) backend connection for the request in x.head.
enum step request_dial(struct visitor *visitor, uint8_t attempt);

// exchange.c: EXCHANGE and BYTES.
enum step exchange_step(struct visitor *visitor);
enum step exchange_bytes_step(struct visitor *visitor);
// exchange.c: EXCHANGE, when its timer has expired: no byte of the request body for too long.
enum step exchange_stalled(struct visitor *visitor);
// exchange.c: starts moving the request; START as for flow_step().
enum step exchange_begin(struct visitor *visitor, const struct flow_start *start);
// exchange.c: from now on both directions are byte relays; LEAD goes to the visitor first.
enum step exchange_switch(struct visitor *visitor, struct span lead, struct span rest);

// refuse.c: answers the request in hand with an error of ours, or, if its answer has begun, cuts
// it. DETAIL may be absent.
enum step refuse(struct visitor *visitor, enum code code, struct span detail);
// In place of an answer of the service, the notice (notice.h).
enum step refuse_for_notice(struct visitor *visitor);
// refuse.c: the same without a request that could be understood: the connection ends after it.
enum step refuse_connection(struct visitor *visitor, enum code code, struct span detail);

// exchange_log.c: a request has been read, HEAD is NULL when it was not understood; its exchange
// ends. To be called when the request log is on, and when there is a line.
void exchange_log_begin(struct visitor *visitor, const struct http_head *head);
void exchange_log_end(struct visitor *visitor);

// visitor.c
enum step visitor_next(struct visitor *visitor);   // ready for the next request
enum step visitor_finish(struct visitor *visitor); // orderly end once everything is out
enum step visitor_drop(struct visitor *visitor);   // reset and free
enum step visitor_deadline(struct visitor *visitor, uint32_t ms, enum step then); // sets the timer
