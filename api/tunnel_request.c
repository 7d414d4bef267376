// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// A table of members decides who reads what; every reader reports through error_add(), so that the
// asker learns of all mistakes from one answer. Numbers are read as reals: an integer too large for
// any type is then a value out of range like any other.

#include "tunnel_request.h"

#include "problem.h"

#include <jansson.h>
#include <stdio.h>

#define NUMBER_MAX 9007199254740991.0 // 2^53 - 1: what every JSON reader can hold (RFC 7493)

enum { NAME_SHOWN_MAX = 128 }; // bytes of an unknown member's name that go into a pointer

struct reader {
	struct tunnel_request *request;
	const struct tunnel_bounds *bounds;
	struct buf *said;
	unsigned n_errors;
	int failed; // errno of a buffer that could not grow
};

// ---- saying what is wrong

static void keep_failure(struct reader *reader, int r)
{
	if (r < 0)
		reader->failed = r;
}

// Appends PREFIX and NAME as a JSON pointer (RFC 6901: ~ and / are escaped).
static void pointer_add(struct reader *reader, const char *prefix, struct span name)
{
	char text[16 + 2 * NAME_SHOWN_MAX];
	size_t n = (size_t)snprintf(text, sizeof text, "%s/", prefix);
	for (size_t i = 0; i < name.n && n + 2 < sizeof text; i++) {
		bool escaped = name.p[i] == '~' || name.p[i] == '/';
		if (escaped)
			text[n++] = '~';
		text[n++] = name.p[i] == '~' ? '0' : name.p[i] == '/' ? '1' : name.p[i];
	}
	keep_failure(reader, problem_string(reader->said, (struct span){text, n}));
}

// PREFIX: "" or "/limits". A NAME of {NULL, 0} is the whole document.
static void error_add(
	struct reader *reader, const char *prefix, struct span name, const char *detail)
{
	if (reader->n_errors++ >= TUNNEL_REQUEST_ERRORS_MAX)
		return;
	keep_failure(reader,
		buf_printf(reader->said, "%s{\"pointer\":", reader->n_errors > 1 ? "," : "["));
	if (name.p == NULL)
		keep_failure(reader, buf_printf(reader->said, "\"\""));
	else
		pointer_add(reader, prefix, name);
	keep_failure(reader, buf_printf(reader->said, ",\"detail\":"));
	keep_failure(reader, problem_string(reader->said, span_of(detail)));
	keep_failure(reader, buf_printf(reader->said, "}"));
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
	const char *why = "Must be a text such as \"http://127.0.0.1:3000\".";
	struct span text = text_of(value);
	if (text.p == NULL || url_parse(&url, text, &why) != 0) {
		error_add(reader, "", span_of(name), why);
		return;
	}
	if (url.scheme == URL_HTTPS) {
		error_add(reader, "", span_of(name),
			"https and wss backends are not served by this server; use http, ws or "
			"tcp.");
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
	struct reader reader = {.request = request, .bounds = bounds, .said = said};
	read_document(&reader, document);
	json_decref(document);
	if (reader.failed < 0)
		return reader.failed;
	if (reader.n_errors == 0)
		return TUNNEL_REQUEST_OK;
	int r = buf_printf(said, "]");
	return r < 0 ? r : TUNNEL_REQUEST_INVALID;
}
