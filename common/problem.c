// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "problem.h"

#include "hex.h"
#include "http_date.h"

#include <stdio.h>
#include <sys/random.h>

// ---- what the asker can read

static bool accepts_html(struct span accept)
{
	// The media type alone decides; a browser that accepts HTML names it without a parameter
	// that would change the meaning.
	static const struct span html = SPAN_INIT("text/html");
	for (size_t i = 0; i + html.n <= accept.n; i++)
		if (span_eq_nocase((struct span){accept.p + i, html.n}, html))
			return true;
	return false;
}

enum answer_form answer_form(const struct http_head *request)
{
	if (request->upgrade)
		return FORM_STATUS;
	const struct http_field *mode = http_head_field(request, HTTP_SEC_FETCH_MODE);
	if (mode != NULL)
		return span_eq_nocase(mode->value, SPAN("navigate")) ? FORM_HTML : FORM_JSON;
	const struct http_field *accept = http_head_field(request, HTTP_ACCEPT);
	return accept != NULL && accepts_html(accept->value) ? FORM_HTML : FORM_JSON;
}

// ---- the pieces

struct span problem_why(char out[PROBLEM_WHY_SIZE], const char *why)
{
	snprintf(out, PROBLEM_WHY_SIZE, "The request has %s.", why);
	return span_of(out);
}

void request_id_make(char id[REQUEST_ID_SIZE])
{
	uint8_t random[(REQUEST_ID_SIZE - 1) / 2];
	if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
		memset(random, 0, sizeof random); // an id for the log, not a secret
	hex_encode(id, random, sizeof random);
}

int problem_string(struct buf *out, struct span text)
{
	int r = buf_add(out, "\"", 1);

	for (size_t i = 0; r == 0 && i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];
		if (c == '"' || c == '\\')
			r = buf_printf(out, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			r = buf_printf(out, "\\u%04x", c);
		else
			r = buf_add(out, &text.p[i], 1);
	}
	return r == 0 ? buf_add(out, "\"", 1) : r;
}

int problem_fields(struct buf *out, enum code code, unsigned retry_after)
{
	const struct code_info *info = code_info(code);
	int r = buf_printf(out, "Tunnel-Error: %s\r\nCache-Control: no-store\r\n", info->name);
	if (r == 0 && info->proxy_error != NULL)
		r = buf_printf(out, "Proxy-Status: tunneld; error=%s\r\n", info->proxy_error);
	if (retry_after == 0)
		retry_after = info->retry_after;
	if (r == 0 && retry_after != 0)
		r = buf_printf(out, "Retry-After: %u\r\n", retry_after);
	return r;
}

static int body_format(struct buf *body, const struct problem *problem, const char *request_id)
{
	const struct code_info *info = code_info(problem->code);
	struct span detail = problem->detail.p != NULL ? problem->detail : span_of(info->detail);
	int r = buf_printf(body,
		"{\"type\":\"urn:tunneld:error:%s\",\"title\":\"%s\",\"status\":%u,\"code\":\"%s\","
		"\"request_id\":\"%s\",\"detail\":",
		info->name, info->title, info->status, info->name, request_id);
	if (r == 0)
		r = problem_string(body, detail);
	if (r == 0)
		r = buf_printf(body, ",\"error\":");
	if (r == 0)
		r = problem_string(body, detail);
	if (r == 0)
		r = buf_add_span(body, problem->members);
	if (r == 0)
		r = buf_add(body, "}\n", 2);
	return r;
}

static int head_format(struct buf *out, const struct problem *problem, size_t length)
{
	const struct code_info *info = code_info(problem->code);
	int r = buf_printf(out, "HTTP/1.1 %u %s\r\nDate: %s\r\n", info->status,
		http_reason(info->status), http_date_now());
	if (r == 0)
		r = problem_fields(out, problem->code, problem->retry_after);
	if (r == 0)
		r = buf_add_span(out, problem->fields);
	if (r == 0 && problem->form == FORM_JSON)
		r = buf_printf(out, "Content-Type: application/problem+json\r\n");
	if (r == 0)
		r = buf_printf(out, "Content-Length: %zu\r\n%s\r\n", length,
			problem->keep_alive ? "" : "Connection: close\r\n");
	return r;
}

int problem_format(struct buf *out, const struct problem *problem, char request_id[REQUEST_ID_SIZE])
{
	char own_id[REQUEST_ID_SIZE];
	if (request_id == NULL)
		request_id = own_id;
	request_id_make(request_id);

	CLEANUP(buf_reset) struct buf body;
	buf_init(&body, 64 * 1024);
	int r = 0;
	if (problem->form == FORM_JSON)
		r = body_format(&body, problem, request_id);
	if (r == 0)
		r = head_format(out, problem, buf_len(&body));
	if (r == 0 && !problem->to_head)
		r = buf_add_span(out, buf_span(&body));
	return r;
}
