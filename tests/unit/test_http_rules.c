// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// What the fields of a head mean together, and the combinations that are refused.

#include "http_parse_check.h"

// The four forms of a target, and what must match between it and Host.
static void targets_and_hosts(void **state)
{
#define WITHOUT_HOST "a request target without a valid host"
#define OTHER_HOST   "a request target for another host than Host says"
#define BAD_HOST     "a Host that is not host or host:port"
#define NO_URL       "a request target that is neither a path nor an http URL"
	static const struct {
		const char *head;
		const char *path, *authority; // of a good one
		const char *why;              // of a bad one
	} cases[] = {
		{"GET /x HTTP/1.1\r\nHost: a", "/x", "a", NULL},
		{"GET /x HTTP/1.1\r\nHost: A.b.:65535", "/x", "A.b.:65535", NULL},
		{"GET /x HTTP/1.1\r\nHost: [::1]:8080", "/x", "[::1]:8080", NULL},
		{"GET /x HTTP/1.1\r\nHost: 127.0.0.1", "/x", "127.0.0.1", NULL},
		{"GET /x HTTP/1.0\r\nHost: a", "/x", "a", NULL},
		{"GET /x HTTP/1.0\r\nA: b", "/x", "", NULL},
		{"GET http://a/x?y HTTP/1.1\r\nHost: a", "/x?y", "a", NULL},
		{"GET HTTPS://A:80/x HTTP/1.1\r\nHost: a:80", "/x", "A:80", NULL},
		{"GET http://a HTTP/1.1\r\nHost: a", "/", "a", NULL},
		{"GET http://a/ HTTP/1.0\r\nA: b", "/", "a", NULL},
		{"OPTIONS * HTTP/1.1\r\nHost: a", "*", "a", NULL},
		{"OPTIONS /x HTTP/1.1\r\nHost: a", "/x", "a", NULL},
		{"CONNECT a:1 HTTP/1.1\r\nHost: a:1", "", "a:1", NULL},

		{"GET /x HTTP/1.1\r\nA: b", NULL, NULL, "no Host field"},
		{"GET http://a/ HTTP/1.1\r\nA: b", NULL, NULL, "no Host field"},
		{"GET /x HTTP/1.1\r\nHost:", NULL, NULL, BAD_HOST},
		{"GET /x HTTP/1.0\r\nHost:", NULL, NULL, BAD_HOST},
		{"GET /x HTTP/1.1\r\nHost: a b", NULL, NULL, BAD_HOST},
		{"GET /x HTTP/1.1\r\nHost: a, b", NULL, NULL, BAD_HOST},
		{"GET /x HTTP/1.1\r\nHost: a/b", NULL, NULL, BAD_HOST},
		{"GET /x HTTP/1.1\r\nHost: u@a", NULL, NULL, BAD_HOST},
		{"GET /x HTTP/1.1\r\nHost: a?b", NULL, NULL, BAD_HOST},
		{"GET /x HTTP/1.1\r\nHost: a%41", NULL, NULL, BAD_HOST},
		{"GET /x HTTP/1.1\r\nHost: \xc3\xa9", NULL, NULL, BAD_HOST},
		{"GET /x HTTP/1.1\r\nHost: a:", NULL, NULL, BAD_HOST},
		{"GET /x HTTP/1.1\r\nHost: a:b", NULL, NULL, BAD_HOST},
		{"GET /x HTTP/1.1\r\nHost: a:80:80", NULL, NULL, BAD_HOST},
		{"GET /x HTTP/1.1\r\nHost: ::1", NULL, NULL, BAD_HOST},
		{"GET /x HTTP/1.1\r\nHost: http://a", NULL, NULL, BAD_HOST},
		{"GET /x HTTP/1.1\r\nHost: a\r\nHost: a", NULL, NULL, "more than one Host field"},
		{"GET /x HTTP/1.0\r\nHost: a\r\nhost: b", NULL, NULL, "more than one Host field"},
		{"GET http://b/ HTTP/1.1\r\nHost: a", NULL, NULL, OTHER_HOST},
		{"GET http://a:80/ HTTP/1.1\r\nHost: a", NULL, NULL, OTHER_HOST},
		{"GET http://a/ HTTP/1.1\r\nHost: a:80", NULL, NULL, OTHER_HOST},
		{"GET http://a.b/ HTTP/1.1\r\nHost: a", NULL, NULL, OTHER_HOST},
		{"CONNECT b:1 HTTP/1.1\r\nHost: a:1", NULL, NULL, OTHER_HOST},
		{"GET http://u@a/ HTTP/1.1\r\nHost: a", NULL, NULL, WITHOUT_HOST},
		{"GET http:/// HTTP/1.1\r\nHost: a", NULL, NULL, WITHOUT_HOST},
		{"CONNECT / HTTP/1.1\r\nHost: a", NULL, NULL, WITHOUT_HOST},
		{"CONNECT a HTTP/1.1\r\nHost: a", NULL, NULL, "a CONNECT target without a port"},
		{"GET http://a?x HTTP/1.1\r\nHost: a", NULL, NULL,
			"a request target with a query and no path"},
		{"GET http:// HTTP/1.1\r\nHost: a", NULL, NULL, NO_URL},
		{"GET http:/a HTTP/1.1\r\nHost: a", NULL, NULL, NO_URL},
		{"GET ftp://a/ HTTP/1.1\r\nHost: a", NULL, NULL, NO_URL},
		{"GET ws://a/ HTTP/1.1\r\nHost: a", NULL, NULL, NO_URL},
		{"GET a:80 HTTP/1.1\r\nHost: a:80", NULL, NULL, NO_URL},
		{"GET x HTTP/1.1\r\nHost: a", NULL, NULL, NO_URL},
		{"GET * HTTP/1.1\r\nHost: a", NULL, NULL, NO_URL},
		{"OPTIONS *x HTTP/1.1\r\nHost: a", NULL, NULL, NO_URL},
	};
	char text[128];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		snprintf(text, sizeof(text), "%s\r\n\r\n", cases[i].head);
		check_outcome(text, request(text), cases[i].why != NULL ? HTTP_BAD : HTTP_OK,
			cases[i].why);
		if (cases[i].why == NULL) {
			check_span(text, head.path, cases[i].path);
			check_span(text, head.authority, cases[i].authority);
		}
	}
}

// What request smuggling is made of: two readers, two opinions about where the message ends.
static void smuggling(void **state)
{
#define BOTH     "both Content-Length and Transfer-Encoding"
#define CODING   "a transfer coding other than chunked"
#define NUMBER   "a Content-Length that is not a number"
#define MARGIN   "a field line that begins with white space"
#define COLON    "white space before the colon of a field"
#define CONTROL  "a control character in a field"
#define NAMECHAR "a wrong character in a field name"
#define TAB      "a tab behind Content-Length or Transfer-Encoding"
	static const struct {
		const char *fields;
		const char *why;
	} cases[] = {
		{"Content-Length: 6\r\nTransfer-Encoding: chunked", BOTH},
		{"Transfer-Encoding: chunked\r\nContent-Length: 6", BOTH},
		{"Content-Length: 0\r\ntransfer-encoding: CHUNKED", BOTH},
		{"Content-Length:\r\nTransfer-Encoding: chunked", BOTH},
		{"Content-Length: 5\r\nContent-Length: 6", "more than one Content-Length field"},
		{"Content-Length: 5\r\nContent-Length: 5", "more than one Content-Length field"},
		{"Content-Length: 5, 5", NUMBER},
		{"Content-Length: 5, 6", NUMBER},
		{"Content-Length: +5", NUMBER},
		{"Content-Length: -5", NUMBER},
		{"Content-Length: 0x5", NUMBER},
		{"Content-Length: 5 5", NUMBER},
		{"Content-Length: 5.", NUMBER},
		{"Content-Length: 5a", NUMBER},
		{"Content-Length: \"5\"", NUMBER},
		{"Content-Length: \xb2", NUMBER},
		{"Content-Length:", NUMBER},
		{"Content-Length: 010", NUMBER},
		{"Content-Length: 00", NUMBER},
		{"Content-Length: 9223372036854775808", "a Content-Length that is too large"},
		{"Content-Length: 18446744073709551621", "a Content-Length that is too large"},
		{"Content-Length: 99999999999999999999999999999",
			"a Content-Length that is too large"},
		{"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
			"more than one Transfer-Encoding field"},
		{"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
			"more than one Transfer-Encoding field"},
		{"Transfer-Encoding: chunked, chunked", CODING},
		{"Transfer-Encoding: gzip, chunked", CODING},
		{"Transfer-Encoding: chunked, identity", CODING},
		{"Transfer-Encoding: identity", CODING},
		{"Transfer-Encoding: chunked,", CODING},
		{"Transfer-Encoding: ,chunked", CODING},
		{"Transfer-Encoding: chunked;q=1", CODING},
		{"Transfer-Encoding: \"chunked\"", CODING},
		{"Transfer-Encoding: xchunked", CODING},
		{"Transfer-Encoding: chunke", CODING},
		{"Transfer-Encoding: chunked\xa0", CODING},
		{"Transfer-Encoding:", CODING},
		{"Transfer-Encoding: chunked x", CODING},
		{"Transfer-Encoding:\x0b"
		 "chunked",
			CONTROL},
		{"Transfer-Encoding: chunked\x0c", CONTROL},
		{"Transfer-Encoding: chu\x7fnked", CONTROL},
		{"Transfer-Encoding: chunked\t", TAB},
		{"Transfer-Encoding: chunked  \t ", TAB},
		{"Transfer-Encoding:\t", CODING},
		{"Content-Length: 5\t", TAB},
		{"Content-Length: 5 \t", TAB},
		{"Transfer-Encoding : chunked", COLON},
		{"Transfer-Encoding\t: chunked", COLON},
		{"Content-Length : 5", COLON},
		{" Transfer-Encoding: chunked", MARGIN},
		{"X: y\r\n Transfer-Encoding: chunked", MARGIN},
		{"Transfer-Encoding:\r\n chunked", MARGIN},
		{"Transfer-Encoding: chunked\r\n\tx", MARGIN},
		{"X: y\r\n ", MARGIN},
		{"X: y\nTransfer-Encoding: chunked", CONTROL},
		{"X: y\rTransfer-Encoding: chunked", CONTROL},
		{"X: y\r\r\nTransfer-Encoding: chunked", CONTROL},
		{"X\n: y", NAMECHAR},
		{"X\r: y", "a field line without a colon"},
		{"X", "a field line without a colon"},
		{": y", "a field without a name"},
		{"X\xc3: y", NAMECHAR},
		{"X(: y", NAMECHAR},
		{"X Y: z", COLON},
		{"\rX: y", "a carriage return or an empty line inside the head"},
		{"X: y\r\n\r\nZ: z", "a carriage return or an empty line inside the head"},
		{"Authorization: a\r\nAuthorization: b", "more than one Authorization field"},
		{"X-Tunnel-Authorization: a\r\nX-Tunnel-Authorization: a",
			"more than one X-Tunnel-Authorization field"},
		{"Connection: content-length\r\nContent-Length: 5",
			"a Connection field that names a field for the other end"},
		{"Connection: close, Host",
			"a Connection field that names a field for the other end"},
		{"Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked",
			"a Connection field that names Transfer-Encoding"},
	};
	char text[256];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		snprintf(text, sizeof(text), "POST / HTTP/1.1\r\n%s\r\n" HOST "\r\n",
			cases[i].fields);
		check_outcome(text, request(text), HTTP_BAD, cases[i].why);
	}
	check_outcome("", request("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
		HTTP_BAD, "Transfer-Encoding in HTTP/1.0");
	check_outcome("",
		request("POST / HTTP/1.0\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
		HTTP_BAD, BOTH);
	check_outcome("",
		request_n(GET HOST "X: a\0b\r\n\r\n", sizeof(GET HOST "X: a\0b\r\n\r\n") - 1),
		HTTP_BAD, CONTROL);
}

static void request_framing(void **state)
{
	good_request(GET HOST "\r\n");
	assert_int_equal(head.body, HTTP_BODY_NONE);
	good_request(GET HOST "Content-Length: 0\r\n\r\n");
	assert_int_equal(head.body, HTTP_BODY_LENGTH);
	assert_int_equal(head.length, 0);
	good_request(GET HOST "Content-Length: 9223372036854775807\r\n\r\n");
	assert_true(head.length == INT64_MAX);
	good_request(GET HOST "Transfer-Encoding: \t Chunked  \r\n\r\n");
	assert_int_equal(head.body, HTTP_BODY_CHUNKED);
	assert_int_equal(head.length, 0);
	good_request("POST / HTTP/1.0\r\nContent-Length: 7\r\n\r\n");
	assert_int_equal(head.body, HTTP_BODY_LENGTH);
	assert_int_equal(head.length, 7);
}

static void connection_semantics(void **state)
{
	static const struct {
		const char *version;
		const char *fields;
		bool keep_alive;
		const char *upgrade;
	} cases[] = {
		{"1", "", true, NULL},
		{"1", "Connection: close\r\n", false, NULL},
		{"1", "Connection: CLOSE\r\n", false, NULL},
		{"1", "Connection: keep-alive\r\n", true, NULL},
		{"1", "Connection: keep-alive, close\r\n", false, NULL},
		{"1", "Connection: keep-alive\r\nConnection: x , close,\r\n", false, NULL},
		{"1", "Connection:\r\n", true, NULL},
		{"1", "Connection: ,, ,\r\n", true, NULL},
		{"1", "Connection: closed\r\n", true, NULL},
		{"1", "Proxy-Connection: close\r\n", true, NULL},
		{"0", "", false, NULL},
		{"0", "Connection: Keep-Alive\r\n", true, NULL},
		{"0", "Connection: keep-alive, close\r\n", false, NULL},
		{"0", "Proxy-Connection: keep-alive\r\n", false, NULL},
		{"1", "Connection: Upgrade\r\nUpgrade: websocket\r\n", true, "websocket"},
		{"1", "Upgrade: a/1.0, b\r\nConnection: x, upgrade\r\n", true, "a/1.0, b"},
		{"1", "Connection: upgrade\r\nUpgrade: tcp\r\nConnection: close\r\n", false, "tcp"},
		{"1", "Upgrade: websocket\r\n", true, NULL},
		{"1", "Upgrade: {not;even}\r\n", true, NULL}, // not named: ours to drop unread
		{"1", "Connection: upgrade\r\n", true, NULL},
		{"1", "Connection: upgrade\r\nUpgrade: ,\r\n", true, NULL},
		{"0", "Connection: upgrade\r\nUpgrade: websocket\r\n", false, NULL},
	};
	char text[256];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		snprintf(text, sizeof(text), "GET / HTTP/1.%s\r\n" HOST "%s\r\n", cases[i].version,
			cases[i].fields);
		good_request(text);
		if (head.keep_alive != cases[i].keep_alive)
			fail_msg("keep_alive %d of:\n%s", head.keep_alive, text);
		if (head.upgrade != (cases[i].upgrade != NULL))
			fail_msg("upgrade %d of:\n%s", head.upgrade, text);
		check_span(text, head.upgrade_protocols,
			cases[i].upgrade != NULL ? cases[i].upgrade : "");
	}
}

static void connection_mistakes(void **state)
{
	static const struct {
		const char *fields;
		const char *why;
	} cases[] = {
		{"Connection: a b", "a malformed Connection field"},
		{"Connection: close;x", "a malformed Connection field"},
		{"Connection: \"close\"", "a malformed Connection field"},
		{"Connection: x\r\nConnection: close=1", "a malformed Connection field"},
		{"Connection: upgrade\r\nUpgrade: a b", "a malformed Upgrade field"},
		{"Connection: upgrade\r\nUpgrade: a/", "a malformed Upgrade field"},
		{"Connection: upgrade\r\nUpgrade: /a", "a malformed Upgrade field"},
		{"Connection: upgrade\r\nUpgrade: a/b/c", "a malformed Upgrade field"},
		{"Connection: upgrade\r\nUpgrade: a\r\nUpgrade: a", "more than one Upgrade field"},
	};
	static const char *const not_to_be_named[] = {"host", "Content-Length", "authorization",
		"Cookie", "X-Tunnel-Authorization", "x-forwarded-for", "Content-Type",
		"Set-Cookie"};
	char text[2048];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		snprintf(text, sizeof(text), GET HOST "%s\r\n\r\n", cases[i].fields);
		check_outcome(text, request(text), HTTP_BAD, cases[i].why);
	}
	for (size_t i = 0; i < ARRAY_SIZE(not_to_be_named); i++) {
		snprintf(text, sizeof(text), GET HOST "Connection: %s\r\n\r\n", not_to_be_named[i]);
		check_outcome(text, request(text), HTTP_BAD,
			"a Connection field that names a field for the other end");
		snprintf(text, sizeof(text), ANSWER "Connection: %s\r\n\r\n", not_to_be_named[i]);
		check_outcome(text, response(text, false), HTTP_BAD,
			"a Connection field that names a field for the other end");
	}
	// Some servers name it, and it is hop-by-hop: it still frames the body.
	good_response(ANSWER "Transfer-Encoding: chunked\r\nConnection: Transfer-Encoding\r\n\r\n",
		false);
	assert_int_equal(head.body, HTTP_BODY_CHUNKED);

	for (int names = 32; names <= 33; names++) {
		int n = snprintf(text, sizeof(text), GET HOST "Connection: close");
		for (int i = 0; i < names; i++)
			n += snprintf(text + n, sizeof(text) - (size_t)n, ", x%d", i);
		snprintf(text + n, sizeof(text) - (size_t)n, "\r\n\r\n");
		check_outcome(text, request(text), names == 32 ? HTTP_OK : HTTP_TOO_LARGE, NULL);
	}
}

static void hop_by_hop_fields(void **state)
{
	static const struct {
		const char *name;
		bool hop;
	} fields[] = {
		{"Host", false},
		{"X-Mine", true},
		{"Connection", true},
		{"x-also", true},
		{"X-Als", false},
		{"X-Also-", false},
		{"keep-ALIVE", true},
		{"Proxy-Connection", true},
		{"Proxy-Authenticate", true},
		{"Proxy-Authorization", true},
		{"TE", true},
		{"Trailer", true},
		{"Transfer-Encoding", true},
		{"Upgrade", true},
		{"X-MINE", true},
		{"Cookie", false},
		{"Authorization", false},
		{"Sec-WebSocket-Key", false},
		// Look-alikes of names that mean something here.
		{"Content_Length", true},
		{"content.type", true},
		{"X_Forwarded_For", true},
		{"X-Forwarded_For", true},
		{"X~Tunnel|Authorization", true},
		{"X_Other", false},
		{"_Host", false},
		{"Ho_st", false},
		{"X_Forwarded_Fo", false},
		{"X_Forwarded_For_And_For_And_For", false},
	};
	char text[1024];
	int n = snprintf(text, sizeof(text), GET);

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		const char *value = "a";
		if (strcmp(fields[i].name, "Connection") == 0)
			value = "x-mine, close,X-ALSO,x-absent";
		if (strcmp(fields[i].name, "Transfer-Encoding") == 0)
			value = "chunked";
		n += snprintf(
			text + n, sizeof(text) - (size_t)n, "%s: %s\r\n", fields[i].name, value);
	}
	snprintf(text + n, sizeof(text) - (size_t)n, "\r\n");
	good_request(text);
	assert_int_equal(head.n_fields, ARRAY_SIZE(fields));
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (head.fields[i].hop != fields[i].hop)
			fail_msg("%s: hop is %d", fields[i].name, head.fields[i].hop);
}

static void expectations(void **state)
{
	good_request(GET HOST "Expect: 100-Continue\r\n\r\n");
	assert_true(head.expect_continue);
	good_request("GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n");
	assert_false(head.expect_continue);
	static const char *const unknown[] = {
		"", "100-continue, 100-continue", "101", "100-continue=1"};
	char text[128];
	for (size_t i = 0; i < ARRAY_SIZE(unknown); i++) {
		snprintf(text, sizeof(text), GET HOST "Expect: %s\r\n\r\n", unknown[i]);
		check_outcome(
			text, request(text), HTTP_BAD, "an expectation other than 100-continue");
	}
	check_outcome("", request(GET HOST "Expect: 100-continue\r\nExpect: 100-continue\r\n\r\n"),
		HTTP_BAD, "more than one Expect field");
}

static void response_framing(void **state)
{
	static const struct {
		unsigned status;
		bool to_head;
		const char *fields;
		enum http_body body;
		uint64_t length;
		bool keep_alive;
	} cases[] = {
		{200, false, "Content-Length: 5\r\n", HTTP_BODY_LENGTH, 5, true},
		{200, false, "Content-Length: 0\r\n", HTTP_BODY_LENGTH, 0, true},
		{200, false, "Content-Length: 0000000012\r\n", HTTP_BODY_LENGTH, 12, true},
		{200, false, "Transfer-Encoding: chunked\r\n", HTTP_BODY_CHUNKED, 0, true},
		{200, false, "", HTTP_BODY_CLOSE, 0, false},
		{200, false, "Connection: keep-alive\r\n", HTTP_BODY_CLOSE, 0, false},
		{404, false, "Content-Length: 5\r\nConnection: close\r\n", HTTP_BODY_LENGTH, 5,
			false},
		{205, false, "", HTTP_BODY_CLOSE, 0, false},
		{200, true, "Content-Length: 5\r\n", HTTP_BODY_NONE, 0, true},
		{200, true, "Transfer-Encoding: chunked\r\n", HTTP_BODY_NONE, 0, true},
		{200, true, "", HTTP_BODY_NONE, 0, true},
		{304, false, "Content-Length: 5\r\n", HTTP_BODY_NONE, 0, true},
		{304, false, "", HTTP_BODY_NONE, 0, true},
		{204, false, "", HTTP_BODY_NONE, 0, true},
		{204, false, "Content-Length: 0\r\n", HTTP_BODY_NONE, 0, true},
		{204, false, "Content-Length: 5\r\n", HTTP_BODY_NONE, 0, false},
		{204, false, "Transfer-Encoding: chunked\r\n", HTTP_BODY_NONE, 0, false},
		{100, false, "", HTTP_BODY_NONE, 0, true},
		{103, false, "Link: </a>\r\n", HTTP_BODY_NONE, 0, true},
		{101, false, "Connection: upgrade\r\nUpgrade: x\r\n", HTTP_BODY_NONE, 0, true},
	};
	static const char *const bad[] = {"Content-Length: 5\r\nTransfer-Encoding: chunked",
		"Content-Length: 5\r\nContent-Length: 5", "Content-Length: 5, 5",
		"Content-Length: x", "Transfer-Encoding: chunked\t", "Transfer-Encoding: gzip",
		"Transfer-Encoding: gzip, chunked",
		"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"};
	char text[256];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		snprintf(text, sizeof(text), "HTTP/1.1 %u x\r\n%s\r\n", cases[i].status,
			cases[i].fields);
		good_response(text, cases[i].to_head);
		if (head.body != cases[i].body || head.length != cases[i].length ||
			head.keep_alive != cases[i].keep_alive)
			fail_msg("case %zu: body %d length %llu keep_alive %d", i, (int)head.body,
				(unsigned long long)head.length, head.keep_alive);
	}
	// Malformed framing is refused where it has no effect, too.
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(text, sizeof(text), "HTTP/1.1 200 x\r\n%s\r\n\r\n", bad[i]);
		check_outcome(text, response(text, false), HTTP_BAD, NULL);
		check_outcome(text, response(text, true), HTTP_BAD, NULL);
	}
	check_outcome("", response("HTTP/1.0 200 x\r\nTransfer-Encoding: chunked\r\n\r\n", false),
		HTTP_BAD, "Transfer-Encoding in HTTP/1.0");
}

static void lists(void **state)
{
	assert_true(http_list_has(SPAN("a"), SPAN("A")));
	assert_true(http_list_has(SPAN("b, a"), SPAN("a")));
	assert_true(http_list_has(SPAN(" ,\t,b ,A\t,"), SPAN("a")));
	assert_false(http_list_has(SPAN("aa, b"), SPAN("a")));
	assert_false(http_list_has(SPAN("a b"), SPAN("a")));
	assert_false(http_list_has(SPAN(""), SPAN("a")));
	assert_false(http_list_has((struct span){NULL, 0}, SPAN("a")));
	assert_false(http_list_has(SPAN(",, ,"), SPAN("")));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(targets_and_hosts),
		cmocka_unit_test(smuggling),
		cmocka_unit_test(request_framing),
		cmocka_unit_test(connection_semantics),
		cmocka_unit_test(connection_mistakes),
		cmocka_unit_test(hop_by_hop_fields),
		cmocka_unit_test(expectations),
		cmocka_unit_test(response_framing),
		cmocka_unit_test(lists),
	};

	return cmocka_run_group_tests_name("http_rules", tests, NULL, forget);
}
