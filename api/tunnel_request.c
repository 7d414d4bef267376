// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// A table of members decides who reads what; every reader reports through error_add(), so that the
// asker learns of all mistakes from one answer. Numbers are read as reals: an integer too large for
// any type is then a value out of range like any other.

#include "tunnel_request.h"

#include "problem.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>

#define NUMBER_MAX 9007199254740991.0 // 2^53 - 1: what every JSON reader can hold (RFC 7493)

enum { NAME_SHOWN_MAX = 128 }; // bytes of an unknown member's name that go into a pointer

// What is wrong, as a JSON array that goes into `errors`.
struct findings {
	struct buf *said;
	unsigned n;
	int failed; // errno of a buffer that could not grow
	char first[TUNNEL_SUMMARY_SIZE - 32];
};

struct reader {
	struct tunnel_request *request;
	const struct tunnel_bounds *bounds;
	struct findings findings;
};

// ---- saying what is wrong

static void keep_failure(struct findings *findings, int r)
{
	if (r < 0)
		findings->failed = r;
}

// WHERE stands in front of the first DETAIL unless it is empty.
static void keep_first(struct findings *findings, struct span where, const char *detail)
{
	if (where.n == 0)
		snprintf(findings->first, sizeof findings->first, "%s", detail);
	else
		snprintf(findings->first, sizeof findings->first, "%.*s: %c%s", (int)where.n,
			where.p, ascii_lower(detail[0]), detail + 1);
}

// DETAIL is a sentence. KIND, which names WHERE: "pointer" or "parameter".
static void finding_add(
	struct findings *findings, const char *kind, struct span where, const char *detail)
{
	if (findings->n++ >= TUNNEL_REQUEST_ERRORS_MAX)
		return;
	keep_failure(findings,
		buf_printf(findings->said, "%s{\"%s\":", findings->n > 1 ? "," : "[", kind));
	keep_failure(findings, problem_string(findings->said, where));
	keep_failure(findings, buf_printf(findings->said, ",\"detail\":"));
	keep_failure(findings, problem_string(findings->said, span_of(detail)));
	keep_failure(findings, buf_printf(findings->said, "}"));
}

// Returns TUNNEL_REQUEST_OK when there are none, _INVALID, or a negative errno. SUMMARY: the first,
// and how many more.
static int findings_end(struct findings *findings, char summary[TUNNEL_SUMMARY_SIZE])
{
	if (findings->failed < 0)
		return findings->failed;
	if (findings->n == 0)
		return TUNNEL_REQUEST_OK;
	int n = snprintf(summary, TUNNEL_SUMMARY_SIZE, "%s", findings->first);
	if (findings->n > 1)
		snprintf(summary + n, TUNNEL_SUMMARY_SIZE - (size_t)n, " (and %u more)",
			findings->n - 1);
	int r = buf_printf(findings->said, "]");
	return r < 0 ? r : TUNNEL_REQUEST_INVALID;
}

// PREFIX ("" or "/limits") and NAME are written as a JSON pointer (RFC 6901: ~ and / are escaped).
// A NAME of {NULL, 0} is the whole document.
static void error_add(
	struct reader *reader, const char *prefix, struct span name, const char *detail)
{
	char text[16 + 2 * NAME_SHOWN_MAX];
	size_t n = name.p != NULL ? (size_t)snprintf(text, sizeof text, "%s/", prefix) : 0;
	for (size_t i = 0; i < name.n && n + 2 < sizeof text; i++) {
		bool escaped = name.p[i] == '~' || name.p[i] == '/';
		if (escaped)
			text[n++] = '~';
		text[n++] = name.p[i] == '~' ? '0' : name.p[i] == '/' ? '1' : name.p[i];
	}
	struct span pointer = {text, n};
	if (reader->findings.n == 0)
		keep_first(&reader->findings, pointer, detail);
	finding_add(&reader->findings, "pointer", pointer, detail);
}

static void unknown_add(struct reader *reader, const char *prefix, struct span name)
{
	if (name.n <= NAME_SHOWN_MAX) {
		error_add(reader, prefix, name, "There is no such member.");
		return;
	}
	char detail[96];
	snprintf(
		detail, sizeof detail, "A member whose name has %zu bytes does not exist.", name.n);
	error_add(reader, prefix, (struct span){NULL, 0}, detail);
}

// ---- values

static struct span text_of(const json_t *value)
{
	if (!json_is_string(value))
		return (struct span){NULL, 0};
	return (struct span){json_string_value(value), json_string_length(value)};
}

// A whole number from 1 to MAX (0: as large as a number may be).
static void read_number(struct reader *reader, const char *prefix, const char *name,
	const json_t *value, uint64_t max, uint64_t *ret)
{
	char detail[96];
	double most = max != 0 ? (double)max : NUMBER_MAX;
	double number = json_is_number(value) ? json_number_value(value) : 0;
	if (number >= 1 && number <= most && (double)(uint64_t)number == number) {
		*ret = (uint64_t)number;
		return;
	}
	snprintf(detail, sizeof detail, "Must be a whole number from 1 to %.0f.", most);
	error_add(reader, prefix, span_of(name), detail);
}

// ---- members of limits

struct limit {
	const char *name;
	uint64_t max, *ret;
};

static void read_limit(struct reader *reader, struct span name, json_t *value)
{
	const struct limit limits[] = {
		{"connections", reader->bounds->max_connections, &reader->request->max_connections},
		{"requests", 0, &reader->request->max_requests},
		{"bytes", 0, &reader->request->max_bytes},
		{"request_rate",
			reader->bounds->request_rate != 0 ? reader->bounds->request_rate : 1000000,
			&reader->request->request_rate},
	};
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
		if (span_eq(name, span_of(limits[i].name))) {
			read_number(reader, "/limits", limits[i].name, value, limits[i].max,
				limits[i].ret);
			return;
		}
	unknown_add(reader, "/limits", name);
}

// ---- members of the document

static void read_backend(struct reader *reader, const char *name, json_t *value)
{
	struct url url;
	const char *why;
	char detail[256];
	struct span text = text_of(value);
	if (text.p == NULL) {
		error_add(reader, "", span_of(name),
			"Must be a text such as \"http://127.0.0.1:3000\".");
		return;
	}
	if (url_parse(&url, text, &why) != 0) {
		snprintf(detail, sizeof detail, "%c%s.", toupper((unsigned char)why[0]), why + 1);
		error_add(reader, "", span_of(name), detail);
		return;
	}
	if (url.scheme == URL_HTTPS) {
		error_add(reader, "", span_of(name),
			"https and wss backends are not supported yet; use http, ws or tcp.");
		return;
	}
	url_format(&url, reader->request->backend, sizeof reader->request->backend);
}

static void read_timeout(struct reader *reader, const char *name, json_t *value)
{
	read_number(reader, "", name, value, reader->bounds->max_timeout_s,
		&reader->request->timeout_s);
}

static void read_auth(struct reader *reader, const char *name, json_t *value)
{
	reader->request->auth = tunnel_auth_parse(text_of(value));
	if (reader->request->auth == 0)
		error_add(reader, "", span_of(name), "Must be \"bearer\", \"basic\" or \"none\".");
}

static void read_prefix(struct reader *reader, const char *name, json_t *value)
{
	reader->request->prefix = tunnel_prefix_parse(text_of(value));
	if (reader->request->prefix == 0)
		error_add(reader, "", span_of(name), "Must be \"strip\" or \"keep\".");
}

static void read_origin(struct reader *reader, const char *name, json_t *value)
{
	if (!span_eq(text_of(value), SPAN("path")))
		error_add(reader, "", span_of(name),
			"Must be \"path\": this server has no other origins for tunnels.");
}

// C0, DEL and C1 (U+0080 to U+009F); TEXT is valid UTF-8.
static bool has_controls(struct span text)
{
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];
		if (c < 0x20 || c == 0x7f)
			return true;
		if (c == 0xc2 && i + 1 < text.n && (unsigned char)text.p[i + 1] < 0xa0)
			return true;
	}
	return false;
}

static void read_name(struct reader *reader, const char *name, json_t *value)
{
	struct span text = text_of(value);
	if (text.p == NULL || text.n > TUNNEL_NAME_MAX || has_controls(text)) {
		error_add(reader, "", span_of(name),
			"Must be a text of at most 128 bytes without control characters.");
		return;
	}
	memcpy(reader->request->name, text.p, text.n);
	reader->request->name[text.n] = '\0';
}

static struct span key_span(void *iterator)
{
	return (struct span){json_object_iter_key(iterator), json_object_iter_key_len(iterator)};
}

static void read_limits(struct reader *reader, const char *name, json_t *value)
{
	if (!json_is_object(value)) {
		error_add(reader, "", span_of(name), "Must be an object.");
		return;
	}
	for (void *i = json_object_iter(value); i != NULL; i = json_object_iter_next(value, i))
		read_limit(reader, key_span(i), json_object_iter_value(i));
}

static const struct member {
	const char *name;
	void (*read)(struct reader *reader, const char *name, json_t *value);
} members[] = {
	{"backend", read_backend},
	{"timeout", read_timeout},
	{"auth", read_auth},
	{"name", read_name},
	{"prefix", read_prefix},
	{"origin", read_origin},
	{"limits", read_limits},
};

static void read_member(struct reader *reader, struct span name, json_t *value)
{
	for (size_t i = 0; i < ARRAY_SIZE(members); i++)
		if (span_eq(name, span_of(members[i].name))) {
			members[i].read(reader, members[i].name, value);
			return;
		}
	unknown_add(reader, "", name);
}

static void read_document(struct reader *reader, json_t *document)
{
	if (!json_is_object(document)) {
		error_add(reader, "", (struct span){NULL, 0}, "The document must be an object.");
		return;
	}
	for (void *i = json_object_iter(document); i != NULL;
		i = json_object_iter_next(document, i))
		read_member(reader, key_span(i), json_object_iter_value(i));
	if (json_object_get(document, "backend") == NULL)
		error_add(reader, "", SPAN("backend"),
			"This server needs a backend, for example \"http://127.0.0.1:3000\".");
}

// ---- the document

static int say_not_json(struct buf *said, struct span body, const json_error_t *error)
{
	if (body.n == 0)
		return buf_printf(said, "The body is empty: send a JSON object.");
	const char *what = "The body is not valid JSON";
	if (json_error_code(error) == json_error_duplicate_key)
		what = "The body names a member twice";
	else if (json_error_code(error) == json_error_out_of_memory)
		return -ENOMEM;
	else if (json_error_code(error) == json_error_numeric_overflow)
		what = "The body has a number beyond all bounds";
	return buf_printf(said, "%s (line %d, column %d).", what, error->line, error->column);
}

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
	json_error_t error;
	json_t *document = json_loadb(body.p != NULL ? body.p : "", body.n,
		JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL,
		&error);
	if (document == NULL) {
		int r = say_not_json(said, body, &error);
		return r < 0 ? r : TUNNEL_REQUEST_NOT_JSON;
	}
	struct reader reader = {.request = request, .bounds = bounds, .findings.said = said};
	read_document(&reader, document);
	json_decref(document);
	return findings_end(&reader.findings, request->summary);
}

// ---- the query of a list

static void parameter_add(struct findings *findings, struct span name, const char *detail)
{
	if (findings->n == 0)
		keep_first(findings, (struct span){NULL, 0}, detail);
	finding_add(findings, "parameter", name, detail);
}

// A decimal number from 1 to MAX without sign or leading zero; 0 if TEXT is none.
static int64_t parse_number(struct span text, int64_t max)
{
	int64_t n = 0;
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] < '0' || text.p[i] > '9' || (i == 0 && text.p[i] == '0'))
			return 0;
		if (n > (max - (text.p[i] - '0')) / 10)
			return 0;
		n = n * 10 + (text.p[i] - '0');
	}
	return n;
}

static void read_parameter(
	struct findings *findings, struct tunnel_query *query, struct span name, struct span value)
{
	char detail[NAME_SHOWN_MAX + 96];
	if (span_eq(name, SPAN("state"))) {
		query->state = tunnel_state_parse(value);
		if (query->state == 0 && !span_eq(value, SPAN("all")))
			parameter_add(findings, name,
				"state must be all, starting, active, expired, revoked, exhausted "
				"or failed.");
	} else if (span_eq(name, SPAN("limit"))) {
		query->limit = (unsigned)parse_number(value, TUNNEL_QUERY_MOST);
		if (query->limit == 0)
			parameter_add(
				findings, name, "limit must be a whole number from 1 to 1000.");
	} else if (span_eq(name, SPAN("cursor"))) {
		query->before = parse_number(value, INT64_MAX);
		if (query->before == 0)
			parameter_add(findings, name, "cursor must be one that a list has named.");
	} else {
		name.n = MIN(name.n, (size_t)NAME_SHOWN_MAX);
		snprintf(detail, sizeof detail,
			"\"%.*s\" is no parameter: there are state, limit and cursor.", (int)name.n,
			name.p);
		parameter_add(findings, name, detail);
	}
}

int tunnel_query_parse(struct tunnel_query *query, struct span text, struct buf *said)
{
	struct findings findings = {.said = said};
	*query = (struct tunnel_query){
		.state = TUNNEL_ACTIVE, .limit = TUNNEL_QUERY_MOST, .before = INT64_MAX};
	while (text.n > 0) {
		const char *and = memchr(text.p, '&', text.n);
		size_t n = and != NULL ? (size_t)(and-text.p) : text.n;
		const char *equals = memchr(text.p, '=', n);
		size_t name_n = equals != NULL ? (size_t)(equals - text.p) : n;
		struct span value = {NULL, 0};
		if (equals != NULL)
			value = (struct span){equals + 1, n - name_n - 1};
		if (n > 0)
			read_parameter(&findings, query, (struct span){text.p, name_n}, value);
		size_t used = MIN(n + 1, text.n);
		text = (struct span){text.p + used, text.n - used};
	}
	return findings_end(&findings, query->summary);
}
