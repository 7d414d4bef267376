// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// GET /_api/events.

#include "handlers.h"

#include "answer.h"
#include "worker.h"

// Where the client was when it lost its stream; the absent span when it never had one. Two of them
// are a place nobody knows.
static struct span last_event_id(const struct http_head *head)
{
	static const struct span name = SPAN_INIT("Last-Event-ID");
	struct span found = {NULL, 0};
	for (size_t i = 0; i < head->n_fields; i++)
		if (span_eq_nocase(head->fields[i].name, name))
			found = found.p == NULL ? head->fields[i].value : SPAN("?");
	return found;
}

void handle_events(struct worker *worker, struct connection *connection, struct request *request)
{
	if (connection->to_head)
		answer_stream(connection, "text/event-stream", NULL);
	else
		events_open(&worker->events, connection, request_scope(request),
			last_event_id(&request->head));
}
