// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Files of ours, which stay what they are as long as the program does: clients keep them, and ask
// whether what they have is still right.

#include "answer.h"

#include "http_date.h"

enum { FIELDS_MAX = 1024 };

// Whether the client has the bytes with this TAG (RFC 9110 section 13.1.2). It may call the tag
// weak, by `W/` ahead of it, as we do.
static bool has_already(const struct request *request, struct span tag)
{
	struct span list = http_head_named(&request->head, SPAN("if-none-match")), element;
	while (http_list_next(&list, &element)) {
		if (span_starts(element, SPAN("W/")))
			element = (struct span){element.p + 2, element.n - 2};
		if (span_eq(element, tag) || span_eq(element, SPAN("*")))
			return true;
	}
	return false;
}

// Whether an ELEMENT of Accept-Encoding is gzip, with a weight other than 0 (RFC 9110 section
// 12.4.2).
static bool is_gzip(struct span element)
{
	const char *mark = memchr(element.p, ';', element.n);
	struct span coding = {element.p, mark != NULL ? (size_t)(mark - element.p) : element.n};
	while (coding.n > 0 && (coding.p[coding.n - 1] == ' ' || coding.p[coding.n - 1] == '\t'))
		coding.n--;
	bool weighs = mark == NULL;
	for (size_t i = coding.n; i < element.n; i++)
		weighs |= element.p[i] >= '1' && element.p[i] <= '9';
	return weighs && span_eq_nocase(coding, SPAN("gzip"));
}

static bool takes_gzip(const struct request *request)
{
	struct span list = http_head_named(&request->head, SPAN("accept-encoding")), element;
	while (http_list_next(&list, &element))
		if (is_gzip(element))
			return true;
	return false;
}

// Field lines of either answer. The tag is weak: both encodings have the same.
static int add_fields(struct buf *out, const struct web_file *file)
{
	return buf_printf(out,
		"ETag: W/%s\r\nCache-Control: no-cache\r\nVary: Accept-Encoding\r\n"
		"Cross-Origin-Resource-Policy: same-origin\r\n"
		"X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n",
		file->tag);
}

static int add_file(struct buf *out, const struct web_file *file, bool packed, bool to_head)
{
	struct span bytes = packed ? file->packed : file->plain;
	int r = buf_printf(out, "HTTP/1.1 200 %s\r\nDate: %s\r\nConnection: close\r\n",
		http_reason(200), http_date_now());
	if (r == 0)
		r = add_fields(out, file);
	if (r == 0)
		r = buf_printf(out, "%sContent-Type: %s\r\nContent-Length: %zu\r\n\r\n",
			packed ? "Content-Encoding: gzip\r\n" : "", file->type, bytes.n);
	return r == 0 && !to_head ? buf_add_span(out, bytes) : r;
}

void answer_file(struct connection *c, const struct request *request, const struct web_file *file)
{
	CLEANUP(buf_reset) struct buf fields;
	buf_init(&fields, FIELDS_MAX);
	if (!has_already(request, span_of(file->tag))) {
		c->status = 200;
		connection_answered(c, add_file(&c->out, file, takes_gzip(request), c->to_head));
	} else if (add_fields(&fields, file) == 0) {
		answer_empty(c, 304, buf_span(&fields));
	} else {
		answer_problem(c, CODE_INTERNAL, "Out of memory.");
	}
}
