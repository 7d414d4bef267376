// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Pages for every code: complete, alike, and with nothing in them that a browser would run or load
// but a script of ours, in pages that need one, which the policy names by its hash.

#include "page.h"

#include "bucket.h"
#include "hex.h"
#include "page_text.h"
#include "problem.h"
#include "secret.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <stdio.h>

static char text[64 * 1024];
static const char *body;

static void take(const struct buf *out)
{
	struct span all = buf_span(out);
	memcpy(text, all.p, all.n);
	text[all.n] = '\0';
	body = strstr(text, "\r\n\r\n");
	assert_non_null(body);
	body += 4;
}

static void format(const struct page *page)
{
	char id[REQUEST_ID_SIZE] = "";
	CLEANUP(buf_reset) struct buf out;
	buf_init(&out, sizeof text - 1);
	assert_int_equal(page_format(&out, page, id), 0);
	take(&out);
	assert_int_equal(strlen(id), REQUEST_ID_SIZE - 1);
	if (page->code != CODE_NONE && !page->to_head)
		assert_non_null(strstr(body, id));
}

static size_t announced(void)
{
	size_t n = 0;
	assert_int_equal(sscanf(strstr(text, "Content-Length: "), "Content-Length: %zu", &n), 1);
	return n;
}

static unsigned count(const char *in, const char *part)
{
	unsigned n = 0;
	for (const char *p = in; (p = strstr(p, part)) != NULL; p++)
		n++;
	return n;
}

// Every element that is opened is closed, in order.
static void check_nesting(void)
{
	static const char *const empty[] = {"meta", "br", "!DOCTYPE", "input"};
	char open[32][16], name[16];
	unsigned depth = 0;
	for (const char *p = body; (p = strchr(p, '<')) != NULL; p++) {
		bool closes = p[1] == '/', is_empty = false;
		assert_int_equal(sscanf(p + 1 + closes, "%15[A-Za-z0-9!]", name), 1);
		for (size_t i = 0; i < ARRAY_SIZE(empty); i++)
			is_empty = is_empty || strcmp(name, empty[i]) == 0;
		if (closes) {
			assert_true(depth > 0);
			assert_string_equal(open[--depth], name);
		} else if (!is_empty) {
			assert_true(depth < 32);
			memcpy(open[depth++], name, sizeof name);
		}
	}
	assert_int_equal(depth, 0);
}

// What stands in the one ELEMENT of the body, as the policy has to name it.
static const char *source_of(const char *element)
{
	static char source[128];
	char open[16], digest[BASE64_SIZE(SECRET_HASH_SIZE)];
	struct secret_hash hash;
	snprintf(open, sizeof open, "<%s>", element);
	assert_int_equal(count(body, open), 1);
	const char *start = strstr(body, open) + strlen(open);
	secret_hash_make(&hash, (struct span){start, strcspn(start, "<")});
	base64_encode(digest, hash.bytes, sizeof hash.bytes);
	snprintf(source, sizeof source, "%s-src 'sha256-%s'; ", element, digest);
	return source;
}

static void check_common(void)
{
	static const char *const never[] = {
		"src=", "@import", "url(", "http:", "https:", "javascript:", "onclick"};
	assert_int_equal(announced(), strlen(body));
	assert_int_equal(strncmp(body, "<!DOCTYPE html>", 15), 0);
	assert_int_equal(count(body, "<title>"), 1);
	assert_int_equal(count(body, "<h1>"), 1);
	assert_int_equal(count(body, "width=device-width"), 1);
	assert_int_equal(count(body, "prefers-color-scheme: dark"), 1);
	check_nesting();
	for (size_t i = 0; i < ARRAY_SIZE(never); i++)
		if (strstr(body, never[i]) != NULL)
			fail_msg("%s in %s", never[i], body);
	assert_int_equal(count(text, "Content-Security-Policy: "), 1);
	assert_non_null(strstr(text, "Content-Security-Policy: default-src 'none'; "));
	assert_non_null(strstr(text, source_of("style")));
	assert_non_null(strstr(text, " base-uri 'none'; "));
	assert_non_null(strstr(text, "; frame-ancestors 'none'\r\n"));
	assert_null(strstr(text, "unsafe"));
	assert_non_null(strstr(text, "\r\nX-Content-Type-Options: nosniff\r\n"));
	assert_non_null(strstr(text, "\r\nCross-Origin-Opener-Policy: same-origin\r\n"));
	assert_non_null(strstr(text, "\r\nCross-Origin-Resource-Policy: same-origin\r\n"));
	assert_non_null(strstr(text, "\r\nCache-Control: no-store\r\n"));
	assert_null(strstr(body, "{{"));
	assert_null(strstr(body, "}}"));
	assert_non_null(strstr(text, "\r\nConnection: close\r\n"));
	assert_int_equal(count(text, "\r\nDate: "), 1);
	assert_non_null(strstr(text, "\r\nContent-Type: text/html; charset=utf-8\r\n"));
}

// WAITS: the page asks again by itself.
static void check_page(bool waits)
{
	check_common();
	assert_int_equal(count(body, "<script"), waits);
	if (waits)
		assert_non_null(strstr(text, source_of("script")));
	else
		assert_null(strstr(text, "script-src"));
	assert_int_equal(count(text, " connect-src 'self'; "), waits);
	assert_null(strstr(body, "<form"));
	assert_non_null(strstr(text, "; form-action 'none'; "));
	assert_non_null(strstr(text, "\r\nReferrer-Policy: no-referrer\r\n"));
}

static void check_login(void)
{
	check_common();
	assert_non_null(strstr(text, source_of("script")));
	assert_non_null(strstr(text, "; form-action 'self'; "));
	assert_non_null(strstr(text, "\r\nReferrer-Policy: same-origin\r\n"));
	assert_non_null(strstr(body, "<form method=\"post\" action=\"/_t/t-abc/login\">"));
	assert_non_null(strstr(body, "<label for=\"secret\">"));
	assert_non_null(strstr(body, "<input id=\"secret\" name=\"secret\" type=\"password\" "));
	assert_non_null(strstr(body, "autocomplete=\"current-password\""));
}

static void every_code_has_a_page(void **state)
{
	for (int i = CODE_NONE + 1; i < CODES; i++) {
		const struct code_info *info = code_info((enum code)i);
		char line[64];
		format(&(struct page){.code = (enum code)i});
		snprintf(line, sizeof line, "HTTP/1.1 %u %s\r\n", info->status,
			http_reason(info->status));
		assert_int_equal(strncmp(text, line, strlen(line)), 0);
		snprintf(line, sizeof line, "\r\nTunnel-Error: %s\r\n", info->name);
		assert_non_null(strstr(text, line));
		assert_non_null(strstr(body, info->title));
		check_page(page_text((enum code)i)->retry > 0);
		assert_int_equal(
			count(body, "Try again</a>"), info->status == 429 || info->status >= 500);
		assert_null(strstr(body, "/_t/"));
	}
}

static void what_its_owner_can_do(void **state)
{
	format(&(struct page){.code = CODE_AGENT_OFFLINE, .tunnel = SPAN("t-abc")});
	check_page(true);
	assert_non_null(strstr(body, "<pre>tunnel up PORT --attach t-abc</pre>"));
	assert_non_null(strstr(body, "<a href=\"/_t/t-abc/\">"));
	assert_non_null(strstr(body, "data-code=\"agent_offline\" data-wait=\"2\""));
	format(&(struct page){.code = CODE_AGENT_OFFLINE});
	assert_null(strstr(body, "<pre>"));
	format(&(struct page){.code = CODE_TUNNEL_OVER});
	check_page(false);
	assert_non_null(strstr(body, "<pre>tunnel up PORT</pre>"));
}

static void the_front_door(void **state)
{
	const struct template_value values[] = {{"title", SPAN("tunneld")}};
	CLEANUP(buf_reset) struct buf out;
	buf_init(&out, sizeof text - 1);
	const struct page page = {.abuse = SPAN("mailto:abuse@example.org?subject=\"x\"")};
	assert_int_equal(page_fill(&out, &page_front, &page, values, ARRAY_SIZE(values)), 0);
	take(&out);
	assert_non_null(strstr(body, "<a href=\"mailto:abuse@example.org?subject=&quot;x&quot;\""));
	assert_int_equal(strncmp(text, "HTTP/1.1 200 OK\r\n", 17), 0);
	assert_null(strstr(text, "Tunnel-Error"));
	check_page(false);
}

static void details_are_text(void **state)
{
	format(&(struct page){.code = CODE_INTERNAL, .detail = SPAN("<b a=\"1\">&amp;'</b>")});
	assert_non_null(strstr(body, "<p>&lt;b a=&quot;1&quot;&gt;&amp;amp;'&lt;/b&gt;</p>"));
	check_page(false);
}

static void the_login_form(void **state)
{
	static const struct {
		enum code code;
		const char *status, *wrong;
	} forms[] = {
		{CODE_NONE, "HTTP/1.1 200 ", NULL},
		{CODE_AUTH_REQUIRED, "HTTP/1.1 401 ", NULL},
		{CODE_AUTH_FAILED, "HTTP/1.1 401 ", "This was not the secret"},
		{CODE_RATE_LIMITED, "HTTP/1.1 429 ", "A right one is let in"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		format(&(struct page){
			.code = forms[i].code, .tunnel = SPAN("t-abc"), .login = true});
		check_login();
		assert_int_equal(strncmp(text, forms[i].status, strlen(forms[i].status)), 0);
		const char *told = strstr(body, "aria-invalid=\"true\" aria-describedby=\"wrong\"");
		assert_int_equal(told != NULL, forms[i].wrong != NULL);
		assert_int_equal(
			count(body, "id=\"wrong\" role=\"alert\""), forms[i].wrong != NULL);
		if (forms[i].wrong != NULL)
			assert_non_null(strstr(body, forms[i].wrong));
		assert_null(strstr(body, "name=\"to\""));
	}
	format(&(struct page){.code = CODE_AUTH_FAILED,
		.tunnel = SPAN("t-abc"),
		.login = true,
		.to = SPAN("/t/t-abc/?a=\"b\"&c=<d>")});
	check_login();
	assert_non_null(
		strstr(body, "name=\"to\" value=\"/t/t-abc/?a=&quot;b&quot;&amp;c=&lt;d&gt;\""));
}

static void head_has_the_length_and_no_body(void **state)
{
	format(&(struct page){.code = CODE_TUNNEL_OVER});
	size_t n = announced();
	format(&(struct page){.code = CODE_TUNNEL_OVER, .to_head = true});
	assert_int_equal(announced(), n);
	assert_string_equal(body, "");
}

static void further_fields(void **state)
{
	format(&(struct page){
		.code = CODE_DRAINING, .retry_after = 77, .fields = SPAN("X-Y: z\r\n")});
	assert_non_null(strstr(text, "\r\nRetry-After: 77\r\n"));
	assert_non_null(strstr(text, "\r\nX-Y: z\r\n"));
}

// ---- how fast tunnels may be created

static void buckets(void **state)
{
	struct instant now = {1000};
	struct bucket bucket;
	bucket_init(&bucket, 60, now);
	for (int i = 0; i < 60; i++)
		assert_int_equal(bucket_take(&bucket, now), 0);
	assert_int_equal(bucket_take(&bucket, now), 1);
	now = instant_add_ms(now, 999);
	assert_int_equal(bucket_take(&bucket, now), 1);
	now = instant_add_ms(now, 1);
	assert_int_equal(bucket_take(&bucket, now), 0);
	assert_int_equal(bucket_take(&bucket, now), 1);
	now = instant_add_ms(now, 3600 * 1000); // a pause fills it, and no more than that
	for (int i = 0; i < 60; i++)
		assert_int_equal(bucket_take(&bucket, now), 0);
	assert_int_equal(bucket_take(&bucket, now), 1);

	bucket_init(&bucket, 1, now);
	assert_int_equal(bucket_take(&bucket, now), 0);
	assert_int_equal(bucket_take(&bucket, now), 60);
	bucket_init(&bucket, 0, now);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(bucket_take(&bucket, now), 0);
	bucket_init(&bucket, 1000000, now);
	for (int i = 0; i < 100000; i++)
		assert_int_equal(bucket_take(&bucket, now), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_code_has_a_page),
		cmocka_unit_test(what_its_owner_can_do),
		cmocka_unit_test(the_front_door),
		cmocka_unit_test(details_are_text),
		cmocka_unit_test(the_login_form),
		cmocka_unit_test(head_has_the_length_and_no_body),
		cmocka_unit_test(further_fields),
		cmocka_unit_test(buckets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
