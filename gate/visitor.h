// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// A visitor's connection while it is with a gate: from accept until it is handed over or answered.
//
// The one idea: nearly every head arrives whole with the first read, and such a visitor needs no
// memory, timer or watch of its own. It lives on the stack of visitor_arrive(), its bytes in one
// static buffer, and is gone when that returns. Only who has to wait is given an object: because
// its head is incomplete (READING), its receiver is busy (PARKED), or our answer has to reach it
// before the connection may be closed (CLOSING). Each of these has a deadline and a cap.

#pragma once

#include "buf.h"
#include "facts.h"
#include "ipc.h"
#include "problem.h"
#include "request_log.h"

#include <sys/queue.h>

enum visitor_state { VISITOR_IN_HAND = 0, VISITOR_READING, VISITOR_PARKED, VISITOR_CLOSING };

enum {
	VISITOR_CLOSE_MS = 2000,         // for the visitor to take our answer and close
	VISITOR_CLOSE_BYTES = 64 * 1024, // that may still come from it meanwhile
	VISITORS_CLOSING_MAX = 256,      // beyond it the oldest of them is cut
};

// Those that wait for the same thing, the longest waiting first.
struct visitor_list {
	TAILQ_HEAD(, visitor) queue;
	size_t n;
};

void visitor_list_init(struct visitor_list *list);

struct visitors;

struct visitor {
	int fd; // owned
	struct facts facts;
	enum visitor_state state;
	enum answer_form form; // of our answer, should there be one
	bool to_head;
	uint8_t own_size;
	char own[TUNNEL_ID_MAX]; // the tunnel whose own origin it was sent to; none while empty
	bool kept;               // an object of its own, on the heap
	struct span first;       // bytes read, while in hand and not kept
	struct buf bytes;        // bytes read, once kept
	size_t scanned;          // READING: how far http_head_find() has looked
	size_t drained;          // CLOSING: bytes thrown away
	struct visitors *all;
	struct visitor_list *list; // that it waits in
	TAILQ_ENTRY(visitor) link;
	struct loop_watch watch;
	struct loop_timer timer;
};

// What has happened since the supervisor was told last.
struct visitor_counts {
	uint32_t accepted;
	uint32_t cut;            // let go without an answer, for want of room
	uint32_t refused[CODES]; // answered by us with an error
};

enum { VISITORS_REPORT_MS = 1000 };

struct visitors {
	struct loop *loop;
	struct visitor_counts counts;
	struct request_log log;
	struct loop_timer report; // set when there is something to tell
	int64_t head_timeout_ms;
	int64_t park_ms;
	size_t max_waiting; // READING, and PARKED, at most, each
	size_t max_parked;  // in one list, so that one tunnel cannot use up all places
	struct visitor_list reading, closing;
	size_t n_parked; // in all lists of outlets

	// The head, SIZE bytes, is complete: to be parsed and acted on. Consumes the visitor: it is
	// released, parked or answered when this returns.
	void (*complete)(struct visitors *all, struct visitor *visitor, size_t size);
};

void visitors_init(struct visitors *all, struct loop *loop);

// Counts have changed: REPORT expires within VISITORS_REPORT_MS.
static inline void visitors_counted(struct visitors *all)
{
	struct instant due = instant_add_ms(all->loop->now, VISITORS_REPORT_MS);
	if (all->report.place == 0 && loop_timer_set(all->loop, &all->report, due) < 0)
		return; // out of memory: it is told with what is counted next
}

// Makes room in a full descriptor table: half of those whose head is incomplete are cut, or half of
// those that are closing. Returns whether there were any.
bool visitors_shed(struct visitors *all);

// A new connection: reads what is there and goes on from it. FD is consumed.
void visitor_arrive(struct visitors *all, int fd, const struct facts *facts);

// One whose TLS an edge has ended, and BYTES that have come already. FD is consumed.
void visitor_arrive_by_edge(
	struct visitors *all, int fd, const struct facts *facts, struct span bytes);

// The bytes read so far; valid until the visitor is consumed or parked.
struct span visitor_bytes(const struct visitor *visitor);

// It was sent to the own origin of tunnel ID.
void visitor_set_own(struct visitor *visitor, struct span id);

// Puts it at the end of LIST, which belongs to a busy receiver, for at most park_ms; then
// it is answered CODE_DRAINING. Consumes an unkept VISITOR; it is answered at once when no more may
// wait.
void visitor_park(struct visitor *visitor, struct visitor_list *list);

// Takes a parked one out of its list: it is in hand again, its deadline gone.
void visitor_unpark(struct visitor *visitor);

// It has been handed over: forgets it and closes our copy of its descriptor. Consumes it.
void visitor_release(struct visitor *visitor);

// Answers with a problem (DETAIL absent: the code's own sentence) or with a redirect of this STATUS
// to /t/ID + PATH (ID absent: PATH begins with it), then closes in an orderly way. Consume it.
void visitor_answer(struct visitor *visitor, enum code code, struct span detail);
void visitor_redirect(struct visitor *visitor, unsigned status, struct span id, struct span path);
