// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "page.h"

#include "failures.h"
#include "hex.h"
#include "http_date.h"
#include "problem.h"
#include "secret.h"

#include <stdio.h>

enum { PAGE_MAX = 32 * 1024 };

static const char style[] =
	":root{color-scheme:light dark;--back:#f6f7f9;--card:#fff;--text:#1b1f27;--soft:#5a6472;"
	"--line:#d9dde3;--mark:#3552c8;--wrong:#b3261e}"
	"@media(prefers-color-scheme:dark){:root{--back:#14171c;--card:#1d2128;--text:#e8ebf0;"
	"--soft:#a3adba;--line:#343b45;--mark:#93a8ff;--wrong:#ff9a92}}"
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
	"code{font-family:ui-monospace,Consolas,monospace}"
	"label{display:block;margin:1.25rem 0 .4rem;font-weight:600}"
	"input,button{width:100%;font:inherit;line-height:1.5;border-radius:.5rem;padding:.6rem .8rem}"
	"input{color:var(--text);background:var(--back);border:1px solid var(--soft)}"
	"input[aria-invalid]{border-color:var(--wrong)}"
	"input:focus-visible,button:focus-visible,a:focus-visible{outline:3px solid var(--mark);"
	"outline-offset:2px}"
	".wrong{margin:.5rem 0 0;color:var(--wrong)}"
	"button{margin-top:1rem;border:0;font-weight:600;cursor:pointer;background:var(--mark);"
	"color:var(--card)}";

// The secret of a share link stands behind the '#'. It leaves the address bar before anything else
// is done, and is what the form is sent with if it looks like a secret of ours.
static const char script[] = "(()=>{const secret=location.hash.slice(1);"
			     "if(secret==='')return;"
			     "history.replaceState(null,'',location.pathname+location.search);"
			     "if(!/^[a-z2-7]{16,128}$/.test(secret))return;"
			     "const form=document.forms[0];"
			     "form.elements.secret.value=secret;"
			     "form.submit()})()";

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

// What a login form says above and below its field.
static int add_form(struct buf *out, const struct page *page, const char *wrong)
{
	int r = buf_printf(out,
		"<form method=\"post\" action=\"/_t/%.*s/login\">"
		"<input name=\"user\" value=\"%.*s\" autocomplete=\"username\" hidden>"
		"<label for=\"secret\">Secret</label>"
		"<input id=\"secret\" name=\"secret\" type=\"password\" required autofocus "
		"autocomplete=\"current-password\" autocapitalize=\"none\" spellcheck=\"false\" "
		"maxlength=\"200\"%s>",
		(int)page->login.n, page->login.p, (int)page->login.n, page->login.p,
		wrong != NULL ? " aria-invalid=\"true\" aria-describedby=\"wrong\"" : "");
	if (r == 0 && wrong != NULL)
		r = buf_printf(out, "<p class=\"wrong\" id=\"wrong\" role=\"alert\">%s</p>", wrong);
	if (r == 0 && page->to.p != NULL) {
		r = buf_printf(out, "<input type=\"hidden\" name=\"to\" value=\"");
		if (r == 0)
			r = add_text(out, page->to);
		if (r == 0)
			r = buf_printf(out, "\">");
	}
	return r == 0 ? buf_printf(out, "<button>Open the tunnel</button></form>") : r;
}

static int add_login(struct buf *out, const struct page *page, const char *request_id)
{
	const char *wrong = NULL;
	if (page->code == CODE_AUTH_FAILED)
		wrong = "This was not the secret of this tunnel. Check it for missing characters, "
			"or ask whoever shared it.";
	else if (page->code == CODE_RATE_LIMITED)
		wrong = FAILURES_DETAIL;
	int r = add_start(out, code_info(CODE_AUTH_REQUIRED)->title);
	if (r == 0)
		r = buf_printf(out,
			"<h1>%s</h1><p>Whoever shared this tunnel with you has its secret. Enter "
			"it here, or open the whole link you were given.</p>",
			code_info(CODE_AUTH_REQUIRED)->title);
	if (r == 0)
		r = add_form(out, page, wrong);
	if (r == 0)
		r = buf_printf(out, "<script>%s</script><footer>Request <code>%s</code>", script,
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

// 'sha256-...' of TEXT, as a Content-Security-Policy names what stands in a page.
enum { SOURCE_SIZE = sizeof "'sha256-'" + BASE64_SIZE(SECRET_HASH_SIZE) };
static void format_source(char source[SOURCE_SIZE], const char *text)
{
	struct secret_hash hash;
	char digest[BASE64_SIZE(SECRET_HASH_SIZE)];
	secret_hash_make(&hash, span_of(text));
	base64_encode(digest, hash.bytes, sizeof hash.bytes);
	snprintf(source, SOURCE_SIZE, "'sha256-%s'", digest);
}

// Under no-referrer browsers send a form with `Origin: null`, and nothing says where it was sent
// from.
static int add_policy(struct buf *out, bool login)
{
	char style_source[SOURCE_SIZE], script_source[SOURCE_SIZE];
	format_source(style_source, style);
	format_source(script_source, script);
	return buf_printf(out,
		"Content-Security-Policy: default-src 'none'; style-src %s; %s%s%sbase-uri 'none'; "
		"form-action %s; frame-ancestors 'none'\r\n"
		"X-Content-Type-Options: nosniff\r\n"
		"Referrer-Policy: %s\r\n"
		"Content-Type: text/html; charset=utf-8\r\n",
		style_source, login ? "script-src " : "", login ? script_source : "",
		login ? "; " : "", login ? "'self'" : "'none'",
		login ? "same-origin" : "no-referrer");
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
		r = add_policy(out, page->login.p != NULL);
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
	int r = 0;
	if (page->login.p != NULL)
		r = add_login(&body, page, request_id);
	else if (page->code != CODE_NONE)
		r = add_error(&body, page, request_id);
	else
		r = add_front(&body);
	if (r == 0)
		r = buf_printf(&body, "</footer></main></body></html>\n");
	if (r == 0)
		r = add_head(out, page, buf_len(&body));
	if (r == 0 && !page->to_head)
		r = buf_add_span(out, buf_span(&body));
	return r;
}
