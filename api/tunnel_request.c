// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The members of /_api/tunnels, each with its reader.

#include "tunnel_request.h"

#include "document.h"
#include "query.h"

#include <inttypes.h>
#include <stdio.h>

struct reader {
	struct document document;
	struct tunnel_request *request;
	const struct tunnel_bounds *bounds;
};

static struct reader *reader_of(struct document *document)
{
	return container_of(document, struct reader, document);
}

static void say(struct document *document, const char *name, const char *detail)
{
	finding_member(&document->findings, "", span_of(name), detail);
}

// ---- members of limits

struct limit {
	const char *name;
	uint64_t max, *ret;
};

static void read_limit(struct document *document, struct span name, json_t *value)
{
	const struct tunnel_bounds *bounds = reader_of(document)->bounds;
	struct tunnel_request *request = reader_of(document)->request;
	const struct limit limits[] = {
		{"connections", bounds->max_connections, &request->max_connections},
		{"requests", 0, &request->max_requests},
		{"bytes", 0, &request->max_bytes},
		{"request_rate", bounds->request_rate != 0 ? bounds->request_rate : 1000000,
			&request->request_rate},
	};
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
		if (span_eq(name, span_of(limits[i].name))) {
			document_number(document, "/limits", limits[i].name, value, limits[i].max,
				limits[i].ret);
			return;
		}
	finding_unknown(&document->findings, "/limits", name);
}

// ---- members of the document

static void read_backend(struct document *document, const char *name, json_t *value)
{
	struct url url;
	const char *why;
	struct tunnel_request *request = reader_of(document)->request;
	struct span text = document_text(value);
	if (text.p == NULL) {
		say(document, name, "Must be a text such as \"http://127.0.0.1:3000\".");
		return;
	}
	if (url_parse_backend(&url, text, &why) != 0) {
		finding_reason(&document->findings, span_of(name), span_of(why));
		return;
	}
	url_format(&url, request->backend, sizeof request->backend);
}

static void read_timeout(struct document *document, const char *name, json_t *value)
{
	char detail[128];
	const struct tunnel_bounds *bounds = reader_of(document)->bounds;
	uint64_t *timeout_s = &reader_of(document)->request->timeout_s;
	if (!document_number(document, "", name, value, bounds->max_timeout_s, timeout_s))
		return;
	if (bounds->token_left_s == 0 || *timeout_s <= bounds->token_left_s)
		return;
	snprintf(detail, sizeof detail,
		"Must be at most %" PRIu64 ": the token ends then, and its tunnels with it.",
		bounds->token_left_s);
	say(document, name, detail);
}

static void read_auth(struct document *document, const char *name, json_t *value)
{
	struct tunnel_request *request = reader_of(document)->request;
	request->auth = tunnel_auth_parse(document_text(value));
	if (request->auth == 0)
		say(document, name, "Must be \"bearer\", \"basic\" or \"none\".");
}

static void read_prefix(struct document *document, const char *name, json_t *value)
{
	struct tunnel_request *request = reader_of(document)->request;
	request->prefix = tunnel_prefix_parse(document_text(value));
	if (request->prefix == 0)
		say(document, name, "Must be \"strip\" or \"keep\".");
}

static void read_origin(struct document *document, const char *name, json_t *value)
{
	const struct reader *reader = reader_of(document);
	enum tunnel_origin origin = tunnel_origin_parse(document_text(value));
	char detail[128];
	reader->request->origin = origin;
	if (origin == 0) {
		say(document, name, "Must be \"path\", \"port\" or \"wildcard\".");
	} else if (reader->bounds->origins->url[origin][0] == '\0') {
		snprintf(detail, sizeof detail, "This server has no %s: it cannot be \"%s\".",
			origin == ORIGIN_PORT ? "port_pool" : "wildcard_domain",
			tunnel_origin_name(origin));
		say(document, name, detail);
	}
}

static void read_name(struct document *document, const char *name, json_t *value)
{
	document_name(document, name, value, reader_of(document)->request->name);
}

static void read_limits(struct document *document, const char *name, json_t *value)
{
	if (!json_is_object(value)) {
		say(document, name, "Must be an object.");
		return;
	}
	for (void *i = json_object_iter(value); i != NULL; i = json_object_iter_next(value, i))
		read_limit(document,
			(struct span){json_object_iter_key(i), json_object_iter_key_len(i)},
			json_object_iter_value(i));
}

static const struct document_member members_of_new[] = {
	{"backend", read_backend, NULL},
	{"timeout", read_timeout, NULL},
	{"auth", read_auth, NULL},
	{"name", read_name, NULL},
	{"prefix", read_prefix, NULL},
	{"origin", read_origin, NULL},
	{"limits", read_limits, NULL},
};

static const struct document_member members_of_change[] = {
	{"timeout", read_timeout, "Must be given: it is all that can be changed."},
};

int tunnel_request_parse(struct tunnel_request *request, struct span body,
	const struct tunnel_bounds *bounds, struct buf *said)
{
	*request = (struct tunnel_request){
		.timeout_s = bounds->default_timeout_s,
		.auth = AUTH_BEARER,
		.prefix = PREFIX_STRIP,
		.max_connections = bounds->max_connections,
		.request_rate = bounds->request_rate,
	};
	if (bounds->token_left_s > 0)
		request->timeout_s = MIN(request->timeout_s, bounds->token_left_s);
	struct reader reader = {
		.document.findings.said = said, .request = request, .bounds = bounds};
	return document_read(&reader.document, body, members_of_new, ARRAY_SIZE(members_of_new),
		request->summary);
}

int tunnel_change_parse(struct tunnel_request *request, struct span body,
	const struct tunnel_bounds *bounds, struct buf *said)
{
	*request = (struct tunnel_request){0};
	struct reader reader = {
		.document.findings.said = said, .request = request, .bounds = bounds};
	return document_read(&reader.document, body, members_of_change,
		ARRAY_SIZE(members_of_change), request->summary);
}

// ---- the query of a list

static void read_parameter(
	struct findings *findings, struct tunnel_query *query, struct span name, struct span value)
{
	if (span_eq(name, SPAN("state"))) {
		query->state = tunnel_state_parse(value);
		if (query->state == 0 && !span_eq(value, SPAN("all")))
			finding_parameter(findings, name,
				"state must be all, starting, active, expired, revoked, exhausted "
				"or failed.");
	} else if (span_eq(name, SPAN("limit"))) {
		query->limit = (unsigned)query_number(value, TUNNEL_QUERY_MOST);
		if (query->limit == 0)
			finding_parameter(
				findings, name, "limit must be a whole number from 1 to 1000.");
	} else if (span_eq(name, SPAN("cursor"))) {
		query->before = query_number(value, INT64_MAX);
		if (query->before == 0)
			finding_parameter(
				findings, name, "cursor must be one that a list has named.");
	} else {
		query_unknown(findings, name, "state, limit and cursor");
	}
}

int tunnel_query_parse(struct tunnel_query *query, struct span text, struct buf *said)
{
	struct findings findings = {.said = said};
	struct span name, value;
	*query = (struct tunnel_query){
		.state = TUNNEL_ACTIVE, .limit = TUNNEL_QUERY_MOST, .before = INT64_MAX};
	while (query_next(&text, &name, &value))
		read_parameter(&findings, query, name, value);
	return findings_end(&findings, query->summary);
}
