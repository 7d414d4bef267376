// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// GET /_api/audit: what has happened to tunnels, who did it and why, newest first.

#include "handlers.h"

#include "answer.h"
#include "query.h"
#include "worker.h"

#include <inttypes.h>
#include <stdio.h>

enum {
	AUDIT_MOST = 200, // rows of one answer
	AUDIT_USUAL = 50,
	AUDIT_DOCUMENT_MAX = 1 << 18,
};

struct audit_list {
	struct buf document;
	unsigned n, limit;
	int64_t before, last; // `seq` of rows
	bool more;
	int r;
};

// Appends LEAD and VALUE as a string, or null when there is none.
static int add_text(struct buf *out, const char *lead, const char *value)
{
	int r = buf_printf(out, "%s", lead);
	if (r == 0)
		r = value[0] != '\0' ? problem_string(out, span_of(value))
				     : buf_printf(out, "null");
	return r;
}

static int add_row(struct buf *out, const struct audit_row *row)
{
	char at[RFC3339_SIZE];
	rfc3339_format(row->at, at);
	int r = buf_printf(out, "{\"at\":\"%s\"", at);
	if (r == 0)
		r = add_text(out, ",\"subject\":", row->subject);
	if (r == 0)
		r = add_text(out, ",\"name\":", row->name);
	if (r == 0)
		r = add_text(out, ",\"was\":", row->was);
	if (r == 0)
		r = add_text(out, ",\"became\":", row->became);
	if (r == 0)
		r = add_text(out, ",\"actor\":", row->actor);
	if (r == 0)
		r = add_text(out, ",\"reason\":", row->reason);
	return r == 0 ? buf_printf(out, "}") : r;
}

static bool add_to_list(const struct audit_row *row, void *arg)
{
	struct audit_list *list = arg;
	if (list->n == list->limit) {
		list->more = true;
		return false;
	}
	list->r = buf_printf(&list->document, list->n++ == 0 ? "\n" : ",\n");
	if (list->r == 0)
		list->r = add_row(&list->document, row);
	list->last = row->seq;
	return list->r == 0;
}

// One more than wanted is read, to know whether there is a next page.
static int make_list(struct worker *worker, const char *token, struct audit_list *list)
{
	int r = buf_printf(&list->document, "[");
	if (r == 0)
		r = store_audit_list(
			worker->store, token, list->before, list->limit + 1, add_to_list, list);
	if (r < 0)
		worker_log_store(worker, "reading the audit", r);
	if (r == 0)
		r = list->r;
	return r == 0 ? buf_printf(&list->document, "\n]\n") : r;
}

static void answer_list(struct connection *connection, const struct audit_list *list)
{
	char link[128];
	int n = 0;
	if (list->more)
		n = snprintf(link, sizeof link,
			"Link: </_api/audit?limit=%u&cursor=%" PRId64 ">; rel=\"next\"\r\n",
			list->limit, list->last);
	answer_json(connection, 200, buf_span(&list->document), (struct span){link, (size_t)n});
}

// ---- the query

static void read_parameter(
	struct findings *findings, struct audit_list *list, struct span name, struct span value)
{
	if (span_eq(name, SPAN("limit"))) {
		list->limit = (unsigned)query_number(value, AUDIT_MOST);
		if (list->limit == 0)
			finding_parameter(
				findings, name, "limit must be a whole number from 1 to 200.");
	} else if (span_eq(name, SPAN("cursor"))) {
		list->before = query_number(value, INT64_MAX);
		if (list->before == 0)
			finding_parameter(
				findings, name, "cursor must be one that a list has named.");
	} else {
		query_unknown(findings, name, "limit and cursor");
	}
}

// Reads what is behind the `?`, or answers what is wrong with it.
static bool read_query(struct connection *connection, struct span text, struct audit_list *list)
{
	char summary[FINDINGS_SUMMARY_SIZE];
	CLEANUP(buf_reset) struct buf said;
	struct findings findings = {.said = &said};
	struct span name, value;
	buf_init(&said, FINDINGS_SAID_MAX);
	while (query_next(&text, &name, &value))
		read_parameter(&findings, list, name, value);
	int r = findings_end(&findings, summary);
	if (r != FINDINGS_NONE)
		answer_findings(connection, r, summary, buf_span(&said));
	return r == FINDINGS_NONE;
}

// ----

void handle_audit(struct worker *worker, struct connection *connection, struct request *request)
{
	struct audit_list list = {.limit = AUDIT_USUAL, .before = INT64_MAX};
	if (!read_query(connection, request->query, &list))
		return;
	buf_init(&list.document, AUDIT_DOCUMENT_MAX);
	if (make_list(worker, request_scope(request), &list) < 0)
		answer_problem(connection, CODE_INTERNAL, "The audit could not be read.");
	else
		answer_list(connection, &list);
	buf_reset(&list.document);
}
