// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The lines of heads, good and bad: start lines, fields, limits of the parse.

#include "http_parse_check.h"

static void request_is_taken_apart(void **state)
{
	good_request(
		"POST /a/b?c=d HTTP/1.1\r\nHost: a.example:80\r\nX-One:1\r\n"
		"X-Two: \t two words\t \r\nX-Empty:\r\nX-Blank:   \r\nCONTENT-LENGTH: 10\r\n\r\n");
	assert_int_equal(head.minor, 1);
	assert_int_equal(head.method, HTTP_POST);
	check_span("method", head.method_text, "POST");
	check_span("target", head.target, "/a/b?c=d");
	check_span("path", head.path, "/a/b?c=d");
	check_span("authority", head.authority, "a.example:80");
	assert_int_equal(head.n_fields, 6);
	check_span("name", head.fields[2].name, "X-Two");
	check_span("value", head.fields[1].value, "1");
	check_span("value", head.fields[2].value, "two words");
	check_span("value", head.fields[3].value, "");
	check_span("value", head.fields[4].value, "");
	check_span("name", head.fields[5].name, "CONTENT-LENGTH");
	assert_int_equal(head.fields[5].id, HTTP_CONTENT_LENGTH);
	assert_int_equal(head.body, HTTP_BODY_LENGTH);
	assert_int_equal(head.length, 10);
	assert_true(head.keep_alive);
	assert_false(head.upgrade);
	assert_false(head.expect_continue);
	assert_int_equal(head.status, 0);
	assert_ptr_equal(http_head_field(&head, HTTP_HOST), &head.fields[0]);
	assert_null(http_head_field(&head, HTTP_COOKIE));
}

static void response_is_taken_apart(void **state)
{
	good_response("HTTP/1.0 404 Not  Found\r\nContent-Length: 0\r\nSet-Cookie: a=b\r\n"
		      "Set-Cookie: c=d\r\n\r\n",
		false);
	assert_int_equal(head.minor, 0);
	assert_int_equal(head.status, 404);
	check_span("reason", head.reason, "Not  Found");
	assert_int_equal(head.n_fields, 3);
	assert_int_equal(head.body, HTTP_BODY_LENGTH);
	assert_int_equal(head.length, 0);
	assert_false(head.keep_alive);
	check_span("first", http_head_field(&head, HTTP_SET_COOKIE)->value, "a=b");
}

static void request_lines(void **state)
{
	static const struct {
		const char *line;
		int outcome;
		const char *why;
	} cases[] = {
		{"GET / HTTP/1.1", HTTP_OK, NULL},
		{"GET / HTTP/1.0", HTTP_OK, NULL},
		{"GET / HTTP/1.7", HTTP_OK, NULL},
		{"get / HTTP/1.1", HTTP_OK, NULL}, // another method than GET: case counts
		{"M-SEARCH / HTTP/1.1", HTTP_OK, NULL},
		{"GET //evil.example/ HTTP/1.1", HTTP_OK, NULL},
		{"GET /a|b{c}\"d\"<e>^`\\ HTTP/1.1", HTTP_OK, NULL}, // browsers send some of these
		{"GET / HTTP/2.0", HTTP_VERSION, "an HTTP version other than 1.0 and 1.1"},
		{"PRI * HTTP/2.0", HTTP_VERSION, "an HTTP version other than 1.0 and 1.1"},
		{"GET / HTTP/0.9", HTTP_VERSION, "an HTTP version other than 1.0 and 1.1"},
		{"GET / HTTP/2.0 ", HTTP_BAD, "a start line that goes on where it should end"},
		{"GET / HTTP/1.1 ", HTTP_BAD, "a start line that goes on where it should end"},
		{"GET / HTTP/1.10", HTTP_BAD, "a start line that goes on where it should end"},
		{"GET / HTTP/11.1", HTTP_BAD, "no HTTP version behind the request target"},
		{"GET / HTTP/1,1", HTTP_BAD, "no HTTP version behind the request target"},
		{"GET / HTTP/1.", HTTP_BAD, "no HTTP version behind the request target"},
		{"GET / HTTP/", HTTP_BAD, "no HTTP version behind the request target"},
		{"GET / http/1.1", HTTP_BAD, "no HTTP version behind the request target"},
		{"GET / ", HTTP_BAD, "no HTTP version behind the request target"},
		{"GET /", HTTP_BAD, "a wrong character in the request target"},
		{"GET  / HTTP/1.1", HTTP_BAD, "a wrong character in the request target"},
		{"GET /  HTTP/1.1", HTTP_BAD, "no HTTP version behind the request target"},
		{"GET\t/ HTTP/1.1", HTTP_BAD, "a malformed method"},
		{"GET /\tHTTP/1.1", HTTP_BAD, "a wrong character in the request target"},
		{"GET /a b HTTP/1.1", HTTP_BAD, "no HTTP version behind the request target"},
		{"GET / HTTP/1.1 HTTP/1.1", HTTP_BAD,
			"a start line that goes on where it should end"},
		{" GET / HTTP/1.1", HTTP_BAD, "a malformed method"},
		{"G(T / HTTP/1.1", HTTP_BAD, "a malformed method"},
		{"GET", HTTP_BAD, "a malformed method"},
		{"GET /a#b HTTP/1.1", HTTP_BAD, "a fragment in the request target"},
		{"GET /\xc3\xa9 HTTP/1.1", HTTP_BAD, "a wrong character in the request target"},
		{"GET /\x7f HTTP/1.1", HTTP_BAD, "a wrong character in the request target"},
		{"HTTP/1.1 200 OK", HTTP_BAD, "a malformed method"},
	};
	char text[128];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		snprintf(text, sizeof(text), "%s\r\n" HOST "\r\n", cases[i].line);
		check_outcome(text, request(text), cases[i].outcome, cases[i].why);
	}
	assert_int_equal(request("GET / HTTP/1.7\r\n" HOST "\r\n"), HTTP_OK);
	assert_int_equal(head.minor, 1);
}

static void methods(void **state)
{
	static const struct {
		const char *text;
		enum http_method method;
		bool safe;
	} cases[] = {
		{"GET", HTTP_GET, true},
		{"HEAD", HTTP_HEAD, true},
		{"POST", HTTP_POST, false},
		{"PUT", HTTP_PUT, false},
		{"PATCH", HTTP_PATCH, false},
		{"DELETE", HTTP_DELETE, false},
		{"OPTIONS", HTTP_OPTIONS, true},
		{"TRACE", HTTP_TRACE, true},
		{"get", HTTP_METHOD_OTHER, false},
		{"GETS", HTTP_METHOD_OTHER, false},
		{"PROPFIND", HTTP_METHOD_OTHER, false},
	};
	char text[64];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		snprintf(text, sizeof(text), "%s / HTTP/1.1\r\n" HOST "\r\n", cases[i].text);
		good_request(text);
		assert_int_equal(head.method, cases[i].method);
		assert_int_equal(http_method_is_safe(head.method), cases[i].safe);
	}
	good_request("CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n");
	assert_int_equal(head.method, HTTP_CONNECT);
	assert_false(http_method_is_safe(head.method));
}

static bool is_tchar(int c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c != 0 && c < 0x80 && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

// TEXT with its '@' replaced by C, for every C there is; GOOD says which are to be accepted.
static void every_byte(const char *text, bool as_request, bool (*good)(int c))
{
	char copy[128];
	size_t n = strlen(text);
	size_t at = strcspn(text, "@");

	assert_true(n < sizeof(copy));
	for (int c = 0; c < 256; c++) {
		memcpy(copy, text, n);
		copy[at] = (char)c;
		take(copy, n);
		int got = as_request ? http_request_parse(&head, bytes, n, &why)
				     : http_response_parse(&head, bytes, n, false, &why);
		if ((got == HTTP_OK) != good(c))
			fail_msg("byte 0x%02x: outcome %d (%s) in:\n%s", c, got, why, text);
	}
}

static bool is_method(int c)
{
	return is_tchar(c);
}

// ':' ends the name early and is good there; what follows is a value.
static bool is_name(int c)
{
	return is_tchar(c) || c == ':';
}

static bool is_target(int c)
{
	return c > 0x20 && c < 0x7f && c != '#';
}

static void every_byte_everywhere(void **state)
{
	every_byte("GE@T / HTTP/1.1\r\n" HOST "\r\n", true, is_method);
	every_byte("GET /a@b HTTP/1.1\r\n" HOST "\r\n", true, is_target);
	every_byte(GET HOST "a@b: c\r\n\r\n", true, is_name);
	every_byte(GET HOST "abcdefgh: c@d\r\n\r\n", true, is_text);
	every_byte(GET HOST "abcdefgh: @cdefghijkl\r\n\r\n", true, is_text);
	every_byte(GET HOST "abcdefgh: cdefghijkl@\r\n\r\n", true, is_text);
	every_byte("HTTP/1.1 200 a@b\r\n\r\n", false, is_text);
	every_byte(ANSWER "a: b@c\r\n\r\n", false, is_text);
}

static void known_names(void **state)
{
	static const char *const names[HTTP_NAMES] = {
		[HTTP_ACCEPT] = "Accept",
		[HTTP_AUTHORIZATION] = "Authorization",
		[HTTP_CONNECTION] = "Connection",
		[HTTP_CONTENT_LENGTH] = "Content-Length",
		[HTTP_CONTENT_TYPE] = "Content-Type",
		[HTTP_COOKIE] = "Cookie",
		[HTTP_EXPECT] = "Expect",
		[HTTP_FORWARDED] = "Forwarded",
		[HTTP_HOST] = "Host",
		[HTTP_KEEP_ALIVE] = "Keep-Alive",
		[HTTP_LAST_EVENT_ID] = "Last-Event-ID",
		[HTTP_LOCATION] = "Location",
		[HTTP_ORIGIN] = "Origin",
		[HTTP_PROXY_AUTHENTICATE] = "Proxy-Authenticate",
		[HTTP_PROXY_AUTHORIZATION] = "Proxy-Authorization",
		[HTTP_PROXY_CONNECTION] = "Proxy-Connection",
		[HTTP_REFERER] = "Referer",
		[HTTP_SEC_FETCH_DEST] = "Sec-Fetch-Dest",
		[HTTP_SEC_FETCH_MODE] = "Sec-Fetch-Mode",
		[HTTP_SEC_FETCH_SITE] = "Sec-Fetch-Site",
		[HTTP_SET_COOKIE] = "Set-Cookie",
		[HTTP_TE] = "TE",
		[HTTP_TRAILER] = "Trailer",
		[HTTP_TRANSFER_ENCODING] = "Transfer-Encoding",
		[HTTP_UPGRADE] = "Upgrade",
		[HTTP_VIA] = "Via",
		[HTTP_X_FORWARDED_FOR] = "X-Forwarded-For",
		[HTTP_X_FORWARDED_HOST] = "X-Forwarded-Host",
		[HTTP_X_FORWARDED_PORT] = "X-Forwarded-Port",
		[HTTP_X_FORWARDED_PREFIX] = "X-Forwarded-Prefix",
		[HTTP_X_FORWARDED_PROTO] = "X-Forwarded-Proto",
		[HTTP_X_REAL_IP] = "X-Real-IP",
		[HTTP_X_TUNNEL_AUTHORIZATION] = "X-Tunnel-Authorization",
	};
	char text[128];

	for (int id = HTTP_OTHER + 1; id < HTTP_NAMES; id++) {
		char name[32];
		size_t n = strlen(names[id]);
		// As written, in lower and upper case, then with each character spoilt in turn.
		for (size_t round = 0; round < 3 + n + 2; round++) {
			snprintf(name, sizeof(name), "%s", names[id]);
			for (size_t i = 0; i < n; i++) {
				if (round == 1)
					name[i] = ascii_lower(name[i]);
				if (round == 2 && ascii_lower(name[i]) >= 'a')
					name[i] = (char)(name[i] & ~0x20);
			}
			if (round >= 3 && round < 3 + n)
				name[round - 3] = '9';
			if (round == 3 + n)
				name[n - 1] = '\0';
			if (round == 4 + n)
				snprintf(name + n, sizeof(name) - n, "x");
			snprintf(text, sizeof(text), ANSWER "%s: 1\r\n\r\n", name);
			int wanted = round < 3 ? id : HTTP_OTHER;
			(void)response(
				text, true); // some of the values are malformed: names come first
			if (strlen(name) > 0 && (int)head.fields[0].id != wanted)
				fail_msg("%s is %d, wanted %d", name, (int)head.fields[0].id,
					wanted);
		}
	}
}

static void status_lines(void **state)
{
	static const struct {
		const char *line;
		int outcome;
		unsigned status;
		const char *reason;
	} cases[] = {
		{"HTTP/1.1 200 OK", HTTP_OK, 200, "OK"},
		{"HTTP/1.1 200 ", HTTP_OK, 200, ""},
		{"HTTP/1.1 200", HTTP_OK, 200, ""},
		{"HTTP/1.1 200  two\tthree ", HTTP_OK, 200, " two\tthree "},
		{"HTTP/1.1 200 \xc3\xa9", HTTP_OK, 200, "\xc3\xa9"},
		{"HTTP/1.0 599 x", HTTP_OK, 599, "x"},
		{"HTTP/1.1 100 Continue", HTTP_OK, 100, "Continue"},
		{"HTTP/1.1 099 x", HTTP_BAD, 0, NULL},
		{"HTTP/1.1 600 x", HTTP_BAD, 0, NULL},
		{"HTTP/1.1 999 x", HTTP_BAD, 0, NULL},
		{"HTTP/1.1 20 OK", HTTP_BAD, 0, NULL},
		{"HTTP/1.1 2000 OK", HTTP_BAD, 0, NULL},
		{"HTTP/1.1 200OK", HTTP_BAD, 0, NULL},
		{"HTTP/1.1 200\tOK", HTTP_BAD, 0, NULL},
		{"HTTP/1.1 2x0 OK", HTTP_BAD, 0, NULL},
		{"HTTP/1.1 -20 OK", HTTP_BAD, 0, NULL},
		{"HTTP/1.1  200 OK", HTTP_BAD, 0, NULL},
		{"HTTP/1.1\t200 OK", HTTP_BAD, 0, NULL},
		{"HTTP/1.1 200 a\rb", HTTP_BAD, 0, NULL},
		{"HTTP/1.1 200 a\nb", HTTP_BAD, 0, NULL},
		{"HTTP/1.1", HTTP_BAD, 0, NULL},
		{"HTTP/1.1 ", HTTP_BAD, 0, NULL},
		{"HTTP/1", HTTP_BAD, 0, NULL},
		{"H", HTTP_BAD, 0, NULL},
		{" HTTP/1.1 200 OK", HTTP_BAD, 0, NULL},
		{"http/1.1 200 OK", HTTP_BAD, 0, NULL},
		{"ICY 200 OK", HTTP_BAD, 0, NULL},
		{"GET / HTTP/1.1", HTTP_BAD, 0, NULL},
		{"HTTP/2.0 200 OK", HTTP_VERSION, 0, NULL},
		{"HTTP/2 200 OK", HTTP_BAD, 0, NULL},
		{"\r\nHTTP/1.1 200 OK", HTTP_BAD, 0, NULL},
	};
	char text[128];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		snprintf(text, sizeof(text), "%s\r\nContent-Length: 0\r\n\r\n", cases[i].line);
		check_outcome(text, response(text, false), cases[i].outcome, NULL);
		if (cases[i].outcome == HTTP_OK) {
			assert_int_equal(head.status, cases[i].status);
			check_span(text, head.reason, cases[i].reason);
		}
	}
	good_response("HTTP/1.1 200 OK\r\n\r\n", false); // no field at all
	assert_int_equal(head.n_fields, 0);
}

static void only_whole_heads_are_parsed(void **state)
{
	static const char text[] = GET HOST "Accept: */*\r\n"
					    "\r\n";
	const size_t n = sizeof(text) - 1;

	for (size_t i = 0; i < n; i++)
		if (request_n(text, i) != HTTP_BAD)
			fail_msg("the first %zu of %zu bytes were parsed", i, n);
	assert_int_equal(request(GET HOST "\r\nX"), HTTP_BAD);
	assert_int_equal(request(GET HOST "\r\n\r\n"), HTTP_BAD);
	assert_int_equal(request(GET HOST "\r\n" GET HOST "\r\n"), HTTP_BAD);
	assert_int_equal(request("\r\n\r\n"), HTTP_BAD);
	assert_int_equal(request("\r\n\r\n\r\n\r\n\r\n"), HTTP_BAD);
	assert_int_equal(request_n(text, n), HTTP_OK);
	assert_int_equal(http_request_parse(&head, bytes, n - 1, NULL), HTTP_BAD);
}

static void field_limit(void **state)
{
	char text[HTTP_FIELDS_MAX * 8 + 64];

	for (int fields = HTTP_FIELDS_MAX; fields <= HTTP_FIELDS_MAX + 1; fields++) {
		int n = snprintf(text, sizeof(text), GET HOST);
		for (int i = 1; i < fields; i++)
			n += snprintf(text + n, sizeof(text) - (size_t)n, "A: b\r\n");
		snprintf(text + n, sizeof(text) - (size_t)n, "\r\n");
		check_outcome(text, request(text),
			fields > HTTP_FIELDS_MAX ? HTTP_TOO_LARGE : HTTP_OK, NULL);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(request_is_taken_apart),
		cmocka_unit_test(response_is_taken_apart),
		cmocka_unit_test(request_lines),
		cmocka_unit_test(methods),
		cmocka_unit_test(every_byte_everywhere),
		cmocka_unit_test(known_names),
		cmocka_unit_test(status_lines),
		cmocka_unit_test(only_whole_heads_are_parsed),
		cmocka_unit_test(field_limit),
	};

	return cmocka_run_group_tests_name("http_head", tests, NULL, forget);
}
