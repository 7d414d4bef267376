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

const struct page_kind page_front = {"front.html", "'none'", "", "no-referrer"};
const struct page_kind page_tunnel = {"tunnel.html", "'none'", "", "no-referrer"};
const struct page_kind page_evidence = {"evidence.html", "'none'", "", "no-referrer"};
const struct page_kind page_notice = {"notice.html", "'self'", "", "same-origin"};
static const struct page_kind login = {"login.html", "'self'", "", "same-origin"};
static const struct page_kind refusal = {"refusal.html", "'none'", "", "no-referrer"};
// Nobody else's files are on the origin of the API, so its own may be loaded. Text never becomes
// HTML or a script: no policy for that is allowed to be made.
const struct page_kind page_dashboard = {"dashboard.html", "'none'",
	"script-src 'self'; style-src 'self'; connect-src 'self'; "
	"require-trusted-types-for 'script'; trusted-types 'none'; ",
	"no-referrer"};
static const struct page_kind waiting = {
	"waiting.html", "'none'", "connect-src 'self'; ", "no-referrer"};

static const struct span absent = {NULL, 0};

// ---- the answer

static int add_policy(struct buf *out, const struct page_kind *kind, const char *inside)
{
	return buf_printf(out,
		"Content-Security-Policy: default-src 'none'; %s%sbase-uri 'none'; "
		"form-action %s; frame-ancestors 'none'\r\n"
		"Cross-Origin-Opener-Policy: same-origin\r\n"
		"Cross-Origin-Resource-Policy: same-origin\r\n"
		"X-Content-Type-Options: nosniff\r\n"
		"Referrer-Policy: %s\r\n"
		"Content-Type: text/html; charset=utf-8\r\n",
		inside, kind->connect, kind->form, kind->referrer);
}

static int add_head(struct buf *out, const struct page_kind *kind, const struct page *page,
	const char *inside, size_t length)
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
		r = add_policy(out, kind, inside);
	if (r == 0)
		r = buf_printf(out, "Content-Length: %zu\r\nConnection: close\r\n\r\n", length);
	return r;
}

int page_fill(struct buf *out, const struct page_kind *kind, const struct page *page,
	const struct template_value *values, size_t n)
{
	const struct web_file *file = web_file(span_of(kind->file));
	struct template_value all[PAGE_VALUES_MAX + 1];
	CLEANUP(buf_reset) struct buf body;
	assert(file != NULL && n <= PAGE_VALUES_MAX);
	memcpy(all, values, n * sizeof values[0]);
	all[n] = (struct template_value){"abuse", page->abuse};
	buf_init(&body, PAGE_MAX);
	int r = template_fill(&body, file->plain, all, n + 1);
	if (r == 0)
		r = add_head(out, kind, page, file->policy, buf_len(&body));
	if (r == 0 && !page->to_head)
		r = buf_add_span(out, buf_span(&body));
	return r;
}

// ---- codes and logins

static struct span maybe(const char *text)
{
	return text != NULL ? span_of(text) : absent;
}

// Waiting is not always of help.
static bool may_get_better(const struct code_info *info)
{
	return info->status == 429 || info->status >= 500;
}

static int add_refusal(struct buf *out, const struct page *page, const char *request_id)
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
	return page_fill(
		out, text->retry > 0 ? &waiting : &refusal, page, values, ARRAY_SIZE(values));
}

static int add_login(struct buf *out, const struct page *page, const char *request_id)
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
	return page_fill(out, &login, page, values, ARRAY_SIZE(values));
}

int page_format(struct buf *out, const struct page *page, char *request_id)
{
	char own_id[REQUEST_ID_SIZE];
	if (request_id == NULL)
		request_id = own_id;
	request_id_make(request_id);
	return page->login ? add_login(out, page, request_id) : add_refusal(out, page, request_id);
}
