// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// PROXY headers: those that proxies send, byte by byte, and everything that is none.

#include "proxy_header.h"

#include "peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V4        "\xc0\x00\x02\x07\xcb\x00\x71\x01\x12\x67\x01\xbb" // 192.0.2.7:4711, 203.0.113.1:443
#define V6                                                                                   \
	"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1" \
	"\x12\x67\x01\xbb"

// What the socket says, for headers that say nothing.
static const uint8_t own[PEER_SIZE] = {[10] = 0xff, 0xff, 127, 0, 0, 1, 0, 80};

static uint8_t peer[PEER_SIZE];
static size_t size;

// In memory of its own size: a reader that goes beyond it is seen.
static int parse(struct span bytes)
{
	char *exact = malloc(bytes.n > 0 ? bytes.n : 1);
	memcpy(exact, bytes.p, bytes.n);
	memcpy(peer, own, sizeof own);
	size = 0;
	int r = proxy_header_parse(exact, bytes.n, peer, &size);
	if (r != 0)
		assert_memory_equal(peer, own, sizeof own);
	free(exact);
	return r;
}

// HEADER names WHO ("address port"; NULL: nobody). All of it is needed, and no more is taken.
static void check(struct span header, const char *who)
{
	char longer[4200], text[PEER_TEXT_SIZE], found[PEER_TEXT_SIZE + 8];
	assert_true(header.n + 8 <= sizeof longer);
	for (size_t n = 0; n < header.n; n++)
		if (parse((struct span){header.p, n}) != PROXY_HEADER_MORE)
			fail_msg("decided after %zu of %zu bytes", n, header.n);
	memcpy(longer, header.p, header.n);
	memcpy(longer + header.n, "GET / HT", 8);
	assert_int_equal(parse((struct span){longer, header.n + 8}), 0);
	assert_int_equal(size, header.n);
	if (who == NULL) {
		assert_memory_equal(peer, own, sizeof own);
		return;
	}
	struct span address = peer_format(peer, text);
	snprintf(found, sizeof found, "%.*s %u", (int)address.n, address.p,
		(unsigned)(peer[16] << 8 | peer[17]));
	assert_string_equal(found, who);
}

static void lines(void **state)
{
	check(SPAN("PROXY TCP4 192.0.2.7 203.0.113.1 4711 443\r\n"), "192.0.2.7 4711");
	check(SPAN("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"),
		"255.255.255.255 65535");
	check(SPAN("PROXY TCP6 2001:db8::7 2001:db8::1 0 443\r\n"), "2001:db8::7 0");
	check(SPAN("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
		   "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535");
	check(SPAN("PROXY UNKNOWN\r\n"), NULL);
	check(SPAN("PROXY UNKNOWN ffff:f...f:ffff whatever 65535 x\r\n"), NULL);
}

static void no_lines(void **state)
{
	static const char *const bad[] = {
		"GET / HTTP/1.1\r\n",
		"PROXY\r\n",
		"PROXY \r\n",
		"proxy TCP4 192.0.2.7 203.0.113.1 4711 443\r\n",
		"PROXY tcp4 192.0.2.7 203.0.113.1 4711 443\r\n",
		"PROXY TCP5 192.0.2.7 203.0.113.1 4711 443\r\n",
		"PROXY UNKNOWNX\r\n",
		"PROXY  TCP4 192.0.2.7 203.0.113.1 4711 443\r\n",
		"PROXY TCP4 192.0.2.7 203.0.113.1 4711 443 \r\n",
		"PROXY TCP4 192.0.2.7 203.0.113.1 4711 443 1\r\n",
		"PROXY TCP4 192.0.2.7 203.0.113.1 4711\r\n",
		"PROXY TCP4 192.0.2.7 203.0.113.1 04711 443\r\n",
		"PROXY TCP4 192.0.2.7 203.0.113.1 65536 443\r\n",
		"PROXY TCP4 192.0.2.7 203.0.113.1 -1 443\r\n",
		"PROXY TCP4 192.0.2.7 203.0.113.1 4711 \r\n",
		"PROXY TCP4 192.0.2.07 203.0.113.1 4711 443\r\n",
		"PROXY TCP4 192.0.2 203.0.113.1 4711 443\r\n",
		"PROXY TCP4 2001:db8::7 2001:db8::1 4711 443\r\n",
		"PROXY TCP6 192.0.2.7 203.0.113.1 4711 443\r\n",
		"PROXY TCP6 [2001:db8::7] [2001:db8::1] 4711 443\r\n",
		"PROXY TCP6 fe80::1%lo fe80::2 4711 443\r\n",
		"PROXY TCP4 192.0.2.7 203.0.113.1 4711 443\n\r\n",
		// One byte more than the longest, without an end.
		("PROXY UNKNOWN aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
	};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (parse(span_of(bad[i])) != PROXY_HEADER_BAD)
			fail_msg("taken: %s", bad[i]);
}

static void binary(void **state)
{
	char text[4100] = SIGNATURE;
	check(SPAN(SIGNATURE "\x21\x11\x00\x0c" V4), "192.0.2.7 4711");
	check(SPAN(SIGNATURE "\x21\x21\x00\x24" V6), "2001:db8::7 4711");
	check(SPAN(SIGNATURE "\x21\x11\x00\x14" V4 "\x03\x00\x01x\x04\x00\x01y"), "192.0.2.7 4711");
	check(SPAN(SIGNATURE "\x21\x11\x00\x0f" V4 "\x04\x00\x00"), "192.0.2.7 4711");
	check(SPAN(SIGNATURE "\x20\x00\x00\x00"), NULL);
	check(SPAN(SIGNATURE "\x20\x11\x00\x0c" V4), NULL); // LOCAL: what it names is not the peer
	check(SPAN(SIGNATURE "\x20\xff\x00\x03xyz"), NULL);
	check(SPAN(SIGNATURE "\x21\x00\x00\x00"), NULL);
	check(SPAN(SIGNATURE "\x21\x00\x00\x05what?"), NULL);
	memcpy(text + 12, "\x21\x31\x00\xd8", 4); // AF_UNIX: two paths
	check((struct span){text, 16 + 216}, "unknown 0");
	memcpy(text + 12, "\x20\x00\x0f\xf0", 4); // the longest
	check((struct span){text, PROXY_HEADER_MAX}, NULL);
	memcpy(text + 12, "\x20\x00\x0f\xf1", 4);
	assert_int_equal(parse((struct span){text, 16}), PROXY_HEADER_BAD);
}

static void no_binary(void **state)
{
	static const struct span bad[] = {
		SPAN_INIT("\r\n\r\n\0\r\nQUIX"), SPAN_INIT("\r\nGET"), SPAN_INIT("\n"),
		SPAN_INIT(SIGNATURE "\x11\x11\x00\x0c" V4),                     // version 1
		SPAN_INIT(SIGNATURE "\x31\x11\x00\x0c" V4),                     // version 3
		SPAN_INIT(SIGNATURE "\x22\x11\x00\x0c" V4),                     // no command
		SPAN_INIT(SIGNATURE "\x21\x12\x00\x0c" V4),                     // datagrams
		SPAN_INIT(SIGNATURE "\x21\x10\x00\x0c" V4),                     // neither
		SPAN_INIT(SIGNATURE "\x21\x41\x00\x0c" V4),                     // no family
		SPAN_INIT(SIGNATURE "\x21\x11\x00\x0b\xc0\x00\x02\x07xxxxxxx"), // too short
		SPAN_INIT(SIGNATURE "\x21\x21\x00\x0c" V4),                     // the same
		SPAN_INIT(SIGNATURE "\x21\x11\x00\x0d" V4 "x"),                 // half an extension
		SPAN_INIT(SIGNATURE "\x21\x11\x00\x10" V4 "\x03\x00\x02x"),     // one that goes on
		SPAN_INIT(SIGNATURE "\x21\x11\xff\xff"),                        // too long
	};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (parse(bad[i]) != PROXY_HEADER_BAD)
			fail_msg("taken: number %zu", i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines),
		cmocka_unit_test(no_lines),
		cmocka_unit_test(binary),
		cmocka_unit_test(no_binary),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
