// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "page.h"

#include "failures.h"
#include "http_date.h"
#include "page_text.h"
#include "problem.h"
#include "web.h"

#include <assert.h>
#include <stdio.h>

enum { PAGE_MAX = 64 * 1024, COMMAND_SIZE = 128 };

// A kind of page: its template, and what it may do besides being looked at. Under no-referrer
// browsers send a form with `Origin: null`, and nothing says where it was sent from.
struct page_kind {
	const char *file, *form, *connect, *referrer;
};
static const struct page_kind front = {"front.html", "'none'", "", "no-referrer"};
static const struct page_kind login = {"login.html", "'self'", "", "same-origin"};
static const struct page_kind refusal = {"refusal.html", "'none'", "", "no-referrer"};
// Nobody else's files are on the origin of the API, so its own may be loaded. Text never becomes
// HTML or a script: no policy for that is allowed to be made.
static const struct page_kind dashboard = {"dashboard.html", "'none'",
	"script-src 'self'; style-src 'self'; connect-src 'self'; "
	"require-trusted-types-for 'script'; trusted-types 'none'; ",
	"no-referrer"};
static const struct page_kind waiting = {
	"waiting.html", "'none'", "connect-src 'self'; ", "no-referrer"};

static const struct span absent = {NULL, 0};

static struct span maybe(const char *text)
{
	return text != NULL ? span_of(text) : absent;
}

// ---- the kinds

static int fill(struct buf *body, const struct page_kind *kind, const struct template_value *values,
	size_t n)
{
	const struct web_file *file = web_file(span_of(kind->file));
	assert(file != NULL);
	return template_fill(body, file->plain, values, n);
}

// Waiting is not always of help.
static bool may_get_better(const struct code_info *info)
{
	return info->status == 429 || info->status >= 500;
}

static const struct page_kind *kind_of(const struct page *page)
{
	if (page->login)
		return &login;
	if (page->code == CODE_NONE)
		return page->dashboard ? &dashboard : &front;
	return page_text(page->code)->retry > 0 ? &waiting : &refusal;
}

static int fill_refusal(struct buf *body, const struct page *page, const char *request_id)
{
	const struct code_info *info = code_info(page->code);
	const struct page_text *text = page_text(page->code);
	char status[64], retry[8], command[COMMAND_SIZE];
	snprintf(status, sizeof status, "%u %s", info->status, http_reason(info->status));
	snprintf(retry, sizeof retry, "%u", text->retry);
	bool runs = text->command != NULL && (!text->with_id || page->tunnel.n > 0);
	if (runs)
		snprintf(command, sizeof command, "%s%s%.*s", text->command,
			text->with_id ? " " : "", text->with_id ? (int)page->tunnel.n : 0,
			text->with_id ? page->tunnel.p : "");
	const struct template_value values[] = {
		{"status", span_of(status)},
		{"title", span_of(info->title)},
		{"detail", page->detail.p != NULL ? page->detail : span_of(info->detail)},
		{"visitor", maybe(text->visitor)},
		{"owner", maybe(text->owner)},
		{"command", runs ? span_of(command) : absent},
		{"again", may_get_better(info) ? SPAN("") : absent},
		{"retry", text->retry > 0 ? span_of(retry) : absent},
		{"code", span_of(info->name)},
		{"id", page->tunnel},
		{"request", span_of(request_id)},
	};
	return fill(body, kind_of(page), values, ARRAY_SIZE(values));
}

static int fill_login(struct buf *body, const struct page *page, const char *request_id)
{
	struct span wrong = absent;
	if (page->code == CODE_AUTH_FAILED)
		wrong = SPAN("This was not the secret of this tunnel. Check it for missing "
			     "characters, or ask whoever shared it.");
	else if (page->code == CODE_RATE_LIMITED)
		wrong = SPAN(FAILURES_DETAIL);
	const struct template_value values[] = {
		{"title", span_of(code_info(CODE_AUTH_REQUIRED)->title)},
		{"id", page->tunnel},
		{"wrong", wrong},
		{"to", page->to},
		{"request", span_of(request_id)},
	};
	return fill(body, &login, values, ARRAY_SIZE(values));
}

static int fill_front(struct buf *body, const struct page *page)
{
	const struct template_value values[] = {{"title", SPAN("tunneld")}};
	return fill(body, kind_of(page), values, ARRAY_SIZE(values));
}

// ---- the answer

static int add_policy(struct buf *out, const struct page_kind *kind)
{
	return buf_printf(out,
		"Content-Security-Policy: default-src 'none'; %s%sbase-uri 'none'; "
		"form-action %s; frame-ancestors 'none'\r\n"
		"Cross-Origin-Opener-Policy: same-origin\r\n"
		"Cross-Origin-Resource-Policy: same-origin\r\n"
		"X-Content-Type-Options: nosniff\r\n"
		"Referrer-Policy: %s\r\n"
		"Content-Type: text/html; charset=utf-8\r\n",
		web_file(span_of(kind->file))->policy, kind->connect, kind->form, kind->referrer);
}

static int add_head(struct buf *out, const struct page *page, size_t length)
{
	unsigned status = page->code == CODE_NONE ? 200 : code_info(page->code)->status;
	int r = buf_printf(out, "HTTP/1.1 %u %s\r\nDate: %s\r\n", status, http_reason(status),
		http_date_now());
	if (r == 0)
		r = page->code == CODE_NONE ? buf_printf(out, "Cache-Control: no-store\r\n")
					    : problem_fields(out, page->code, page->retry_after);
	if (r == 0)
		r = buf_add_span(out, page->fields);
	if (r == 0)
		r = add_policy(out, kind_of(page));
	if (r == 0)
		r = buf_printf(out, "Content-Length: %zu\r\nConnection: close\r\n\r\n", length);
	return r;
}

int page_format(struct buf *out, const struct page *page, char *request_id)
{
	char own_id[REQUEST_ID_SIZE];
	if (request_id == NULL)
		request_id = own_id;
	request_id_make(request_id);

	CLEANUP(buf_reset) struct buf body;
	buf_init(&body, PAGE_MAX);
	int r;
	if (page->login)
		r = fill_login(&body, page, request_id);
	else if (page->code != CODE_NONE)
		r = fill_refusal(&body, page, request_id);
	else
		r = fill_front(&body, page);
	if (r == 0)
		r = add_head(out, page, buf_len(&body));
	if (r == 0 && !page->to_head)
		r = buf_add_span(out, buf_span(&body));
	return r;
}
