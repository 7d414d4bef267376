// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The handshake of an agent: what is one, and what each that is none is told.

#include "handshake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define HOW "Connection: Upgrade\r\nUpgrade: websocket\r\n"
#define V13 "Sec-WebSocket-Version: 13\r\n"
#define V1  "Sec-WebSocket-Protocol: tunneld.v1\r\n"

static int judge(const char *line, const char *fields, struct span *key, const char **why)
{
	static char text[4096];
	static struct http_head head;
	int n = snprintf(text, sizeof text, "%s\r\nHost: h\r\n%s\r\n", line, fields);
	*why = NULL;
	assert_int_equal(http_request_parse(&head, text, (size_t)n, why), HTTP_OK);
	return handshake_check(&head, key, why);
}

static void what_is_one(void **state)
{
	static const char *const good[] = {
		HOW V13 KEY V1,
		"Connection: keep-alive, upgrade\r\nUpgrade: WebSocket\r\n" V13 KEY V1,
		HOW V13 KEY "Sec-WebSocket-Protocol: chat, tunneld.v1\r\n",
		HOW V13 KEY "Sec-WebSocket-Protocol: chat\r\n" V1,
		HOW V13 KEY V1 "Sec-WebSocket-Extensions: permessage-deflate\r\n",
		HOW "sec-websocket-version: 13\r\n" KEY V1 "Origin: http://elsewhere\r\n",
	};
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		struct span key;
		const char *why;
		if (judge("GET /x HTTP/1.1", good[i], &key, &why) != 0)
			fail_msg("refused: %s: %s", good[i], why);
		assert_true(span_eq(key, SPAN("dGhlIHNhbXBsZSBub25jZQ==")));
	}
}

static void what_is_none(void **state)
{
	static const struct {
		const char *line, *fields;
		int outcome;
		const char *says;
	} bad[] = {
		{"GET /x HTTP/1.1", "", HANDSHAKE_UPGRADE, "for agents"},
		{"GET /x HTTP/1.1", V13 KEY V1, HANDSHAKE_UPGRADE, "for agents"},
		{"GET /x HTTP/1.1", "Upgrade: websocket\r\n" V13 KEY V1, HANDSHAKE_UPGRADE,
			"for agents"},
		{"GET /x HTTP/1.1", "Connection: Upgrade\r\nUpgrade: tcp\r\n" V13 KEY V1,
			HANDSHAKE_UPGRADE, "for agents"},
		{"GET /x HTTP/1.0", HOW V13 KEY V1, HANDSHAKE_UPGRADE, "for agents"},
		{"HEAD /x HTTP/1.1", HOW V13 KEY V1, HANDSHAKE_UPGRADE, "for agents"},
		{"GET /x HTTP/1.1", HOW KEY V1, HANDSHAKE_UPGRADE, "version 13"},
		{"GET /x HTTP/1.1", HOW KEY V1 "Sec-WebSocket-Version: 8\r\n", HANDSHAKE_UPGRADE,
			"version 13"},
		{"GET /x HTTP/1.1", HOW KEY V1 "Sec-WebSocket-Version: 013\r\n", HANDSHAKE_UPGRADE,
			"version 13"},
		{"GET /x HTTP/1.1", HOW KEY V1 V13 V13, HANDSHAKE_UPGRADE, "version 13"},
		{"GET /x HTTP/1.1", HOW V13 V1, HANDSHAKE_BAD, "16 bytes"},
		{"GET /x HTTP/1.1", HOW V13 V1 KEY KEY, HANDSHAKE_BAD, "16 bytes"},
		{"GET /x HTTP/1.1", HOW V13 V1 "Sec-WebSocket-Key: \r\n", HANDSHAKE_BAD,
			"16 bytes"},
		{"GET /x HTTP/1.1", HOW V13 V1 "Sec-WebSocket-Key: AAAA\r\n", HANDSHAKE_BAD,
			"16 bytes"},
		{"GET /x HTTP/1.1", HOW V13 V1 "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAA=\r\n",
			HANDSHAKE_BAD, "16 bytes"},
		{"GET /x HTTP/1.1", HOW V13 V1 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==,\r\n",
			HANDSHAKE_BAD, "16 bytes"},
		{"GET /x HTTP/1.1", HOW V13 KEY, HANDSHAKE_BAD, "tunneld.v1"},
		{"GET /x HTTP/1.1", HOW V13 KEY "Sec-WebSocket-Protocol: tunneld.v2\r\n",
			HANDSHAKE_BAD, "tunneld.v1"},
		{"GET /x HTTP/1.1", HOW V13 KEY "Sec-WebSocket-Protocol: TUNNELD.V1\r\n",
			HANDSHAKE_BAD, "tunneld.v1"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct span key;
		const char *why;
		int outcome = judge(bad[i].line, bad[i].fields, &key, &why);
		if (outcome != bad[i].outcome)
			fail_msg("%d, not %d: %s", outcome, bad[i].outcome, bad[i].fields);
		if (why == NULL || strstr(why, bad[i].says) == NULL)
			fail_msg("'%s' does not say '%s'", why, bad[i].says);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_one),
		cmocka_unit_test(what_is_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
