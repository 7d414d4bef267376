// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// llhttp, the parser of Node.js, as one of the parsers that are compared. Used as Node.js uses it:
// it is told which answers have no body, and white space behind field values is not theirs.

#include "case.h"

#include <llhttp.h>

struct reading {
	struct result result;
	const char *bytes;
	enum case_kind kind;
	bool head_done;
	size_t in_names; // fields whose name has ended
	char text[CASE_MAX * 2];
	size_t text_n;
};

// Pieces of one text are put together: that a callback is called once for it is not promised.
static void add(struct reading *in, const char **text, size_t *n, const char *at, size_t length)
{
	if (*text == NULL)
		*text = in->text + in->text_n;
	memcpy(in->text + in->text_n, at, length);
	in->text_n += length;
	*n += length;
}

static int on_url(llhttp_t *parser, const char *at, size_t length)
{
	struct reading *in = parser->data;
	add(in, &in->result.target, &in->result.target_n, at, length);
	return 0;
}

static int on_field(llhttp_t *parser, const char *at, size_t length)
{
	struct reading *in = parser->data;
	struct result *r = &in->result;
	if (in->head_done)
		return 0; // trailers
	if (r->n_fields == in->in_names) {
		if (r->n_fields == sizeof r->fields / sizeof r->fields[0])
			return HPE_USER;
		memset(&r->fields[r->n_fields++], 0, sizeof r->fields[0]);
	}
	add(in, &r->fields[in->in_names].name, &r->fields[in->in_names].name_n, at, length);
	return 0;
}

static int on_value(llhttp_t *parser, const char *at, size_t length)
{
	struct reading *in = parser->data;
	if (!in->head_done)
		add(in, &in->result.fields[in->in_names].value,
			&in->result.fields[in->in_names].value_n, at, length);
	return 0;
}

static int on_value_complete(llhttp_t *parser)
{
	struct reading *in = parser->data;
	struct result *r = &in->result;
	if (in->head_done)
		return 0;
	size_t *n = &r->fields[in->in_names].value_n;
	const char *value = r->fields[in->in_names].value;
	while (*n > 0 && (value[*n - 1] == ' ' || value[*n - 1] == '\t'))
		--*n;
	in->in_names++;
	return 0;
}

static int on_body(llhttp_t *parser, const char *at, size_t length)
{
	struct reading *in = parser->data;
	memcpy(in->result.body + in->result.body_n, at, length);
	in->result.body_n += length;
	return 0;
}

static bool bodiless(const struct reading *in, const llhttp_t *parser)
{
	return in->kind != CASE_REQUEST &&
	       (in->kind == CASE_RESPONSE_TO_HEAD || parser->status_code / 100 == 1 ||
		       parser->status_code == 204 || parser->status_code == 304);
}

static int on_headers_complete(llhttp_t *parser)
{
	static char status[12];
	struct reading *in = parser->data;
	struct result *r = &in->result;

	in->head_done = true;
	r->reason = "body";
	r->minor = parser->http_minor;
	if (in->kind == CASE_REQUEST) {
		r->start = llhttp_method_name((llhttp_method_t)parser->method);
	} else {
		snprintf(status, sizeof status, "%d", parser->status_code);
		r->start = status;
	}
	r->start_n = strlen(r->start);
	if (bodiless(in, parser)) {
		r->framing = "none";
		return 1;
	}
	if (parser->flags & F_CHUNKED) {
		r->framing = "chunked";
	} else if (llhttp_message_needs_eof(parser)) {
		r->framing = "close";
	} else {
		r->framing = parser->content_length > 0 ? "length" : "none";
		r->length = parser->content_length;
	}
	return 0;
}

static int on_complete(llhttp_t *parser)
{
	struct reading *in = parser->data;
	in->result.verdict = VERDICT_ACCEPT;
	in->result.reason = "";
	return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
	.on_url = on_url,
	.on_header_field = on_field,
	.on_header_value = on_value,
	.on_header_value_complete = on_value_complete,
	.on_headers_complete = on_headers_complete,
	.on_body = on_body,
	.on_message_complete = on_complete,
};

static void read_case(struct reading *in, enum case_kind kind, const char *bytes, size_t n)
{
	struct result *r = &in->result;
	llhttp_t parser;

	memset(r, 0, offsetof(struct result, body));
	r->n_fields = in->in_names = in->text_n = 0;
	r->verdict = VERDICT_MORE;
	r->reason = "head";
	r->framing = "";
	in->bytes = bytes;
	in->kind = kind;
	in->head_done = false;
	llhttp_init(&parser, kind == CASE_REQUEST ? HTTP_REQUEST : HTTP_RESPONSE, &settings);
	parser.data = in;
	llhttp_errno_t error = llhttp_execute(&parser, bytes, n);
	r->end = n;
	if (error == HPE_OK && in->head_done)
		llhttp_finish(&parser); // completes what ends with its connection
	else if (error != HPE_OK)
		r->end = (size_t)(llhttp_get_error_pos(&parser) - bytes);
	if (error != HPE_OK && r->verdict != VERDICT_ACCEPT) {
		r->verdict = VERDICT_REFUSE;
		r->reason = llhttp_get_error_reason(&parser);
	}
	if (r->n_fields > in->in_names)
		r->n_fields = in->in_names;
}

int main(void)
{
	static struct reading reading;
	static char bytes[CASE_MAX];
	enum case_kind kind;
	size_t n;

	while (case_read(&kind, bytes, &n)) {
		read_case(&reading, kind, bytes, n);
		case_write(&reading.result);
	}
	return 0;
}
