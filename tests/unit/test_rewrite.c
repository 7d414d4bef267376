// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What the backend gets to see of a request, and the visitor of an answer.

#include "rewrite.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const uint8_t peer4[PEER_SIZE] = {[10] = 0xff, [11] = 0xff, 203, 0, 113, 9, 0x12, 0x34};
static const uint8_t peer6[PEER_SIZE] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1, [17] = 80};

static char out[64 * 1024];

// On an origin of the tunnel's own.
static const struct mapping at_root = {
	.backend = SPAN_INIT("backend:81"),
	.backend_scheme = SPAN_INIT("http"),
	.own = SPAN_INIT("own.example"),
};

// The rewritten form of the request TEXT, terminated.
static const char *request(const char *text, struct rewrite_request how)
{
	static struct http_head head;
	const char *why = NULL;
	assert_int_equal(http_request_parse(&head, text, strlen(text), &why), HTTP_OK);
	how.head = &head;
	if (how.mapping == NULL)
		how.mapping = &at_root;
	if (how.path.p == NULL)
		how.path = head.path;
	if (how.peer == NULL)
		how.peer = peer4;
	how.authority = SPAN("backend:81");
	size_t n = rewrite_request(&how, out, sizeof out - 1);
	assert_true(n > 0);
	out[n] = '\0';
	return out;
}

static const char *response(const char *text, bool to_head, struct rewrite_response how)
{
	static struct http_head head;
	const char *why = NULL;
	assert_int_equal(http_response_parse(&head, text, strlen(text), to_head, &why), HTTP_OK);
	how.head = &head;
	if (how.mapping == NULL)
		how.mapping = &at_root;
	size_t n = rewrite_response(&how, out, sizeof out - 1);
	assert_true(n > 0);
	out[n] = '\0';
	return out;
}

static void whole_request(void **state)
{
	assert_string_equal(
		request("GET /t/x/a HTTP/1.1\r\nHost: Visible.Example:8443\r\nAccept: */*\r\n\r\n",
			(struct rewrite_request){
				.path = SPAN("/a"), .prefix = SPAN("/t/x"), .https = true}),
		"GET /a HTTP/1.1\r\nHost: backend:81\r\nAccept: */*\r\n"
		"X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n"
		"X-Forwarded-Host: Visible.Example:8443\r\nX-Forwarded-Prefix: /t/x\r\n"
		"Forwarded: for=203.0.113.9;host=\"Visible.Example:8443\";proto=https\r\n"
		"Via: 1.1 tunneld\r\n\r\n");
}

static void empty_rest_becomes_a_path(void **state)
{
	const char *text = request("GET /t/x HTTP/1.1\r\nHost: a\r\n\r\n",
		(struct rewrite_request){.path = SPAN("?q")});
	assert_non_null(strstr(text, "GET /?q HTTP/1.1\r\n"));
}

static void ipv6_peer_is_quoted(void **state)
{
	const char *text = request(
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n", (struct rewrite_request){.peer = peer6});
	assert_non_null(strstr(text, "X-Forwarded-For: 2001:db8::1\r\n"));
	assert_non_null(strstr(text, "Forwarded: for=\"[2001:db8::1]\";"));
}

static void fields_that_stay_here(void **state)
{
	static const char *const gone[] = {
		"Proxy: http://evil/\r\n",
		"Connection: x-mine, close\r\n",
		"X-Mine: 1\r\n",
		"Keep-Alive: timeout=5\r\n",
		"Proxy-Connection: keep-alive\r\n",
		"Proxy-Authorization: Basic eA==\r\n",
		"TE: trailers\r\n",
		"Trailer: X-Sum\r\n",
		"Authorization: Bearer secret\r\n",
		"X-Tunnel-Authorization: Bearer secret\r\n",
		"X-Forwarded-For: 6.6.6.6\r\n",
		"X-Forwarded-Host: evil\r\n",
		"X-Forwarded-Port: 1\r\n",
		"X-Forwarded-Prefix: /evil\r\n",
		"X-Forwarded-Proto: evil\r\n",
		"X-Real-IP: 6.6.6.6\r\n",
		"Forwarded: for=6.6.6.6\r\n",
	};
	char text[4096] = "GET / HTTP/1.1\r\nHost: visible\r\n";
	size_t used = strlen(text);
	for (size_t i = 0; i < ARRAY_SIZE(gone); i++)
		used += (size_t)snprintf(text + used, sizeof text - used, "%s", gone[i]);
	snprintf(text + used, sizeof text - used, "X-Stays: yes\r\nVia: 1.0 other\r\n\r\n");
	const char *result = request(text, (struct rewrite_request){0});
	for (size_t i = 0; i < ARRAY_SIZE(gone); i++)
		if (strstr(result, gone[i]) != NULL)
			fail_msg("%s went on to the backend:\n%s", gone[i], result);
	assert_non_null(strstr(result, "X-Stays: yes\r\n"));
	assert_non_null(strstr(result, "Via: 1.0 other\r\n"));
	assert_null(strstr(result, "6.6.6.6"));
	assert_null(strstr(result, "evil"));
}

static void authorization_of_the_backend_passes(void **state)
{
	const char *text = request("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Digest x\r\n\r\n",
		(struct rewrite_request){.authorization = true});
	assert_non_null(strstr(text, "Authorization: Digest x\r\n"));
}

static void cookies_of_ours_stay_here(void **state)
{
	static const struct {
		const char *sent, *left; // left NULL: no field
	} cases[] = {
		{"a=b; c=d", "a=b; c=d"},
		{"tunneld_t-a=1", NULL},
		{"tunneld_t-a=1; ", NULL},
		{"tunneld_t-a=1; __Host-tunneld_t-b=2", NULL},
		{"a=b; tunneld_t-a=1", "a=b"},
		{"a=b;tunneld_t-a=1;c=\"d\";;", "a=b;c=\"d\""},
		{"a=b; tunneld_t-a=1;  c=d", "a=b;  c=d"},
		{"a=\"; tunneld_t-a=1; b=\"", "a=\"; b=\""},
		{"a=b; =tunneld_t-a=1", "a=b"},
		{"a=tunneld_t-a; Tunneld_=1", "a=tunneld_t-a; Tunneld_=1"},
		{"a=tunneld_; tunneld_;b=c", "a=tunneld_;b=c"},
		{"", ""},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[512], field[512];
		snprintf(text, sizeof text,
			"GET / HTTP/1.1\r\nHost: a\r\ncOOkie: x=1\r\nCookie: %s\r\n\r\n",
			cases[i].sent);
		const char *result = request(text, (struct rewrite_request){0});
		assert_non_null(strstr(result, "\r\ncOOkie: x=1\r\n"));
		snprintf(field, sizeof field, "\r\nCookie: %s\r\n",
			cases[i].left != NULL ? cases[i].left : "");
		if ((strstr(result, field) != NULL) != (cases[i].left != NULL) ||
			(cases[i].left == NULL && strstr(result, "\r\nCookie:") != NULL))
			fail_msg("\"%s\" became\n%s", cases[i].sent, result);
	}
}

// On a port, what bears the tunnel's name is its own; nothing else of ours is.
static void cookies_of_a_port_find_their_backend(void **state)
{
	const char *text = request(
		"GET / HTTP/1.1\r\nHost: a\r\nCookie: tunneld_t-a_x=1; tunneld_t-b_x=2; y=3; "
		"__Host-tunneld_t-a_z=4; tunneld_t-a=5\r\n\r\n",
		(struct rewrite_request){
			.mapping = &(struct mapping){.jar = true, .id = SPAN_INIT("t-a")}});
	assert_non_null(strstr(text, "\r\nCookie: x=1; y=3; __Host-z=4\r\n"));
}

static void backends_do_not_set_cookies_of_ours(void **state)
{
	const char *text =
		response("HTTP/1.1 200 OK\r\nSet-Cookie: a=tunneld_\r\n"
			 "Set-Cookie: tunneld_t-a=1; Path=/\r\nset-cookie: =tunneld_t-a=1\r\n"
			 "Set-Cookie: tunneld_\r\nSet-Cookie: __Host-tunneld_x=1\r\n"
			 "Set-Cookie: Tunneld=1\r\n\r\n",
			false, (struct rewrite_response){0});
	assert_string_equal(text, "HTTP/1.1 200 OK\r\nSet-Cookie: a=tunneld_\r\n"
				  "Set-Cookie: Tunneld=1\r\nVia: 1.1 tunneld\r\n\r\n");
}

static void request_framing(void **state)
{
	const char *text = request("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\n",
		(struct rewrite_request){0});
	assert_non_null(strstr(text, "\r\nContent-Length: 7\r\n"));
	text = request("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n",
		(struct rewrite_request){0});
	assert_non_null(strstr(text, "\r\nTransfer-Encoding: chunked\r\n"));
	text = request("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x/1\r\n\r\n",
		(struct rewrite_request){.upgrade = true});
	assert_non_null(strstr(text, "\r\nConnection: Upgrade\r\nUpgrade: x/1\r\n\r\n"));
	text = request("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x/1\r\n\r\n",
		(struct rewrite_request){0});
	assert_null(strstr(text, "Upgrade"));
}

static void response_fields(void **state)
{
	const char *text = response("HTTP/1.1 200 Fine\r\nConnection: close, x-hop\r\nX-Hop: 1\r\n"
				    "Tunnel-Error: forged\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\n"
				    "service-worker-allowed: /\r\nNEL: {}\r\nNel-X: 1\r\n"
				    "Report-To: {}\r\nAlt-Svc: h3=\":1\"\r\n"
				    "Clear-Site-Data: \"*\"\r\n"
				    "Strict-Transport-Security: max-age=9\r\n"
				    "x-accel-redirect: /x\r\nX-Sendfile: /x\r\n"
				    "Content-Length: 3\r\n\r\n",
		false, (struct rewrite_response){0});
	assert_string_equal(text, "HTTP/1.1 200 Fine\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\n"
				  "service-worker-allowed: /\r\nNel-X: 1\r\n"
				  "Via: 1.1 tunneld\r\nContent-Length: 3\r\n\r\n");
}

static void response_framing(void **state)
{
	const char *text =
		response("HTTP/1.0 200\r\n\r\n", false, (struct rewrite_response){.chunked = true});
	assert_string_equal(
		text, "HTTP/1.1 200 OK\r\nVia: 1.1 tunneld\r\nTransfer-Encoding: chunked\r\n\r\n");
	text = response("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", true,
		(struct rewrite_response){.no_body = true, .close = true});
	assert_string_equal(text,
		"HTTP/1.1 200 OK\r\nVia: 1.1 tunneld\r\nContent-Length: 9\r\nConnection: close\r\n\r\n");
	text = response("HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n", false,
		(struct rewrite_response){.no_body = true});
	assert_null(strstr(text, "Content-Length"));
}

static void too_small_an_output_is_noticed_at_every_size(void **state)
{
	static struct http_head head;
	const char text[] = "GET /t/x/a HTTP/1.1\r\nHost: h\r\nAccept: */*\r\n\r\n";
	const char *why = NULL;
	assert_int_equal(http_request_parse(&head, text, sizeof text - 1, &why), HTTP_OK);
	struct rewrite_request how = {
		.head = &head, .path = SPAN("/a"), .authority = SPAN("b"), .peer = peer6};
	size_t whole = rewrite_request(&how, out, sizeof out);
	for (size_t size = 0; size < whole; size++) {
		char *exact = malloc(size > 0 ? size : 1);
		assert_int_equal(rewrite_request(&how, exact, size), 0);
		free(exact);
	}
	assert_int_equal(rewrite_request(&how, out, whole), whole);
}

static void another_host(void **state)
{
	static const char head[] = "GET /a?Host:%20x HTTP/1.1\r\nHost: old\r\nX-Host: old\r\n\r\n";
	static const char expected[] =
		"GET /a?Host:%20x HTTP/1.1\r\nHost: a.longer.test:8080\r\nX-Host: old\r\n\r\n";
	char made[sizeof expected];
	struct span all = {head, sizeof head - 1}, host = SPAN("a.longer.test:8080");
	assert_int_equal(rewrite_host(all, host, made, sizeof made), sizeof expected - 1);
	assert_memory_equal(made, expected, sizeof expected - 1);
	assert_int_equal(rewrite_host(all, SPAN("old"), made, sizeof made), 0);
	assert_int_equal(rewrite_host(all, host, made, sizeof expected - 2), 0);
	assert_int_equal(rewrite_host(SPAN("GET / HTTP/1.1\r\n\r\n"), host, made, sizeof made), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(another_host),
		cmocka_unit_test(whole_request),
		cmocka_unit_test(empty_rest_becomes_a_path),
		cmocka_unit_test(ipv6_peer_is_quoted),
		cmocka_unit_test(fields_that_stay_here),
		cmocka_unit_test(authorization_of_the_backend_passes),
		cmocka_unit_test(cookies_of_ours_stay_here),
		cmocka_unit_test(cookies_of_a_port_find_their_backend),
		cmocka_unit_test(backends_do_not_set_cookies_of_ours),
		cmocka_unit_test(request_framing),
		cmocka_unit_test(response_fields),
		cmocka_unit_test(response_framing),
		cmocka_unit_test(too_small_an_output_is_noticed_at_every_size),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
