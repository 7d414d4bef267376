// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What happens to tunnels, told to clients as it happens: server-sent events (WHATWG HTML, section
// 9.2).
//
// The latest events are kept once for all, as the text that is sent, and each stream is a place
// among them: it costs no memory of its own, however slowly it is read. One whose place is no
// longer kept, or was never ours, is told so by the event `reset`: its client has to read the list
// again.

#pragma once

#include "connection.h"
#include "meters.h"
#include "tunnel.h"

struct worker;

enum event_kind { EVENT_CREATED, EVENT_UPDATED, EVENT_ENDED, EVENT_KINDS };

enum {
	EVENTS_KEPT = 1024,
	EVENTS_BEAT_MS = 15 * 1000, // a stream is not silent for longer
	EVENTS_RETRY_MS = 3 * 1000, // after that clients connect again
	EVENTS_AT_ONCE = 16 * 1024, // bytes after which a stream gets no further event in one go
	EVENTS_ID_SIZE = 16 + 1 + 20 + 1,
};

struct event {
	char token[TOKEN_ID_MAX + 1]; // whose tunnel it is
	size_t n;
	char text[]; // N bytes
};

struct event_stream {
	TAILQ_ENTRY(event_stream) link;
	struct worker *worker;
	struct connection *connection;
	struct connection_waiter waiter;
	char token[TOKEN_ID_MAX + 1]; // whose tunnels it is about; empty: all
	uint64_t next;                // number of the event it gets next; 0: it has lost its place
	bool counting;                // it is told counters, too
	struct meters_place counted;
	bool opened; // its first lines are on their way
	bool beat;   // it has to say something
};

struct events {
	struct worker *worker;
	uint64_t instance; // random: numbers are those of this worker only
	uint64_t last;     // number of the latest event; the first one is 1
	struct event *kept[EVENTS_KEPT];
	TAILQ_HEAD(, event_stream) streams;
	unsigned n;
	struct loop_timer beat;
	struct meters meters;
};

// Returns 0 or a negative errno.
int events_init(struct events *events, struct worker *worker);
// All streams have to be gone.
void events_deinit(struct events *events);

// Answers CONNECTION with the events of TOKEN's tunnels (its id; NULL: of all), from behind
// LAST_ID on ({NULL, 0}: from now on), and their counters as they change if it is COUNTING; or
// refuses it when there are too many streams.
void events_open(struct events *events, struct connection *connection, const char *token,
	struct span last_id, bool counting);

// Ends the streams of this token: it is no longer valid.
void events_token_ended(struct events *events, const char *token);

// Whether a stream is told the counters of TOKEN's tunnels.
bool events_counted(const struct events *events, const char *token);
// Counters have been counted: streams go on.
void events_go_on(struct events *events);

// TUNNEL is as its row is now.
void events_publish(struct events *events, enum event_kind kind, const struct tunnel *tunnel);
// The same for the tunnel with this id; nothing is told of one that was never active.
void events_publish_id(struct events *events, enum event_kind kind, const char *id);
