// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "page.h"

#include "http_date.h"
#include "problem.h"

enum { PAGE_MAX = 16 * 1024 };

static const char policy[] =
	"Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; "
	"form-action 'none'; frame-ancestors 'none'\r\n"
	"X-Content-Type-Options: nosniff\r\n"
	"Referrer-Policy: no-referrer\r\n"
	"Content-Type: text/html; charset=utf-8\r\n";

static const char style[] =
	":root{color-scheme:light dark;--back:#f6f7f9;--card:#fff;--text:#1b1f27;--soft:#5a6472;"
	"--line:#d9dde3;--mark:#3552c8}"
	"@media(prefers-color-scheme:dark){:root{--back:#14171c;--card:#1d2128;--text:#e8ebf0;"
	"--soft:#a3adba;--line:#343b45;--mark:#93a8ff}}"
	"*{box-sizing:border-box}"
	"body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1rem;"
	"background:var(--back);color:var(--text);"
	"font:1rem/1.55 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif}"
	"main{width:100%;max-width:34rem;background:var(--card);border:1px solid var(--line);"
	"border-radius:.75rem;padding:clamp(1.25rem,6vw,2.5rem);overflow-wrap:anywhere}"
	".status{margin:0;color:var(--soft);font-variant-numeric:tabular-nums}"
	"h1{margin:.25rem 0 .75rem;font-size:clamp(1.35rem,6vw,1.75rem);line-height:1.25}"
	"p{margin:0 0 1rem}a{color:var(--mark)}"
	"footer{margin-top:1.5rem;padding-top:1rem;border-top:1px solid var(--line);"
	"font-size:.85rem;color:var(--soft)}"
	"code{font-family:ui-monospace,Consolas,monospace}";

// Appends TEXT so that it is text in HTML.
static int add_text(struct buf *out, struct span text)
{
	int r = 0;
	for (size_t i = 0; i < text.n && r == 0; i++) {
		switch (text.p[i]) {
		case '<': r = buf_printf(out, "&lt;"); break;
		case '>': r = buf_printf(out, "&gt;"); break;
		case '&': r = buf_printf(out, "&amp;"); break;
		case '"': r = buf_printf(out, "&quot;"); break;
		default: r = buf_add(out, &text.p[i], 1); break;
		}
	}
	return r;
}

static int add_start(struct buf *out, const char *title)
{
	return buf_printf(out,
		"<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
		"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
		"<meta name=\"robots\" content=\"noindex\">"
		"<title>%s</title><style>%s</style></head><body><main>",
		title, style);
}

// A page may be worth asking for again: an empty address is the page's own.
static bool may_get_better(const struct code_info *info)
{
	return info->status == 429 || info->status >= 500;
}

static int add_error(struct buf *out, const struct page *page, const char *request_id)
{
	const struct code_info *info = code_info(page->code);
	int r = add_start(out, info->title);
	if (r == 0)
		r = buf_printf(out, "<p class=\"status\">%u %s</p><h1>%s</h1><p>", info->status,
			http_reason(info->status), info->title);
	if (r == 0)
		r = add_text(out, page->detail.p != NULL ? page->detail : span_of(info->detail));
	if (r == 0)
		r = buf_printf(out, "</p>%s<footer><code>%s</code><br>Request <code>%s</code>",
			may_get_better(info) ? "<p><a href=\"\">Try again</a></p>" : "", info->name,
			request_id);
	return r;
}

static int add_front(struct buf *out)
{
	int r = add_start(out, "tunneld");
	if (r == 0)
		r = buf_printf(out,
			"<h1>tunneld</h1><p>This server gives temporary access to services, "
			"through tunnels with an address and an end.</p><p>If somebody shared a "
			"tunnel with you, open the whole address you were given.</p><footer>There "
			"is nothing else to see at this address.");
	return r;
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
		r = buf_printf(
			out, "%sContent-Length: %zu\r\nConnection: close\r\n\r\n", policy, length);
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
	int r = page->code == CODE_NONE ? add_front(&body) : add_error(&body, page, request_id);
	if (r == 0)
		r = buf_printf(&body, "</footer></main></body></html>\n");
	if (r == 0)
		r = add_head(out, page, buf_len(&body));
	if (r == 0 && !page->to_head)
		r = buf_add_span(out, buf_span(&body));
	return r;
}
