// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// GET /_api/events.

#include "handlers.h"

#include "answer.h"
#include "query.h"
#include "worker.h"

// Where the client was when it lost its stream; the absent span when it never had one. Two of them
// are a place nobody knows.
static struct span last_event_id(const struct http_head *head)
{
	struct span found = {NULL, 0};
	for (size_t i = 0; i < head->n_fields; i++)
		if (head->fields[i].id == HTTP_LAST_EVENT_ID)
			found = found.p == NULL ? head->fields[i].value : SPAN("?");
	return found;
}

// Reads what is behind the `?`, or answers what is wrong with it.
static bool read_query(struct connection *connection, struct span text, bool *counting)
{
	char summary[FINDINGS_SUMMARY_SIZE];
	CLEANUP(buf_reset) struct buf said;
	struct findings findings = {.said = &said};
	struct span name, value;
	buf_init(&said, FINDINGS_SAID_MAX);
	while (query_next(&text, &name, &value)) {
		*counting = span_eq(value, SPAN("1"));
		if (!span_eq(name, SPAN("counters")))
			query_unknown(&findings, name, "counters");
		else if (!*counting && !span_eq(value, SPAN("0")))
			finding_parameter(&findings, name, "counters must be 0 or 1.");
	}
	int r = findings_end(&findings, summary);
	if (r != FINDINGS_NONE)
		answer_findings(connection, r, summary, buf_span(&said));
	return r == FINDINGS_NONE;
}

void handle_events(struct worker *worker, struct connection *connection, struct request *request)
{
	bool counting = false;
	if (!read_query(connection, request->query, &counting))
		return;
	if (connection->to_head)
		answer_stream(connection, "text/event-stream", NULL);
	else
		events_open(&worker->events, connection, request_scope(request),
			last_event_id(&request->head), counting);
}
