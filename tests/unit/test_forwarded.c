// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Whose word about a visitor is taken, and what is taken for its address.

#include "forwarded.h"

#include "networks.h"
#include "peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>

#include <cmocka.h>

// 10.0.0.0/8, 192.0.2.1/32, 2001:db8::/33
static const char networks[] = "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\0\x68"
			       "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\1\x80"
			       "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\0\x21";
static const struct span trusted = SPAN_INIT(networks);

static bool is_trusted(const char *address)
{
	uint8_t peer[PEER_SIZE];
	assert_true(peer_parse(peer, span_of(address), AF_UNSPEC));
	return networks_have(trusted, peer);
}

static void membership(void **state)
{
	assert_true(is_trusted("10.0.0.0"));
	assert_true(is_trusted("10.255.255.255"));
	assert_true(is_trusted("::ffff:10.1.2.3"));
	assert_false(is_trusted("11.0.0.0"));
	assert_false(is_trusted("9.255.255.255"));
	assert_true(is_trusted("192.0.2.1"));
	assert_false(is_trusted("192.0.2.0"));
	assert_true(is_trusted("2001:db8:7fff::1"));
	assert_false(is_trusted("2001:db8:8000::"));
	assert_false(is_trusted("::"));
	uint8_t peer[PEER_SIZE];
	struct span all = SPAN("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"); // ::/0
	assert_true(peer_parse(peer, SPAN("10.0.0.1"), AF_UNSPEC));
	assert_false(networks_have(all, peer)); // no IPv4
	assert_true(peer_parse(peer, SPAN("fd00::1"), AF_UNSPEC));
	assert_true(networks_have(all, peer));
	assert_false(networks_have((struct span){NULL, 0}, peer));
}

// A request with FIELDS from PEER is taken to be from WHO.
static void check(const char *from, const char *fields, const char *who, bool tls)
{
	static struct http_head head;
	char request[1024], text[PEER_TEXT_SIZE];
	struct facts facts = {.tls = false};
	const char *why = "";
	int n = snprintf(request, sizeof request, "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", fields);
	assert_true(peer_parse(facts.peer, span_of(from), AF_UNSPEC));
	peer_set_port(facts.peer, 4711);
	if (http_request_parse(&head, request, (size_t)n, &why) != HTTP_OK)
		fail_msg("%s: %s", fields, why);
	forwarded_apply(&facts, &head, trusted);
	struct span found = peer_format(facts.peer, text);
	if (!span_eq(found, span_of(who)) || facts.tls != tls)
		fail_msg("from %s, %s: found %.*s, tls %d", from, fields, (int)found.n, found.p,
			facts.tls);
}

#define FOR(list) "X-Forwarded-For: " list "\r\n"
#define PROTO(s)  "X-Forwarded-Proto: " s "\r\n"

static void belief(void **state)
{
	check("203.0.113.9", FOR("198.51.100.1") PROTO("https"), "203.0.113.9", false);
	check("10.0.0.1", "", "10.0.0.1", false);
	check("10.0.0.1", FOR("198.51.100.1") PROTO("https"), "198.51.100.1", true);
	check("10.0.0.1", PROTO("https"), "10.0.0.1", true);
	check("10.0.0.1", PROTO("https, http"), "10.0.0.1", false);
	check("10.0.0.1", PROTO("https") PROTO("http"), "10.0.0.1", false);
	check("10.0.0.1", PROTO("wss"), "10.0.0.1", true);
	check("10.0.0.1", PROTO("gopher"), "10.0.0.1", false);
}

static void whose_address(void **state)
{
	// What the visitor has written stands in front.
	check("10.0.0.1", FOR("1.1.1.1, 198.51.100.1"), "198.51.100.1", false);
	check("10.0.0.1", FOR("1.1.1.1") FOR("198.51.100.1"), "198.51.100.1", false);
	check("10.0.0.1", FOR("10.9.9.9, 198.51.100.1, 10.2.2.2"), "198.51.100.1", false);
	check("10.0.0.1", FOR("198.51.100.1, 10.2.2.2") FOR("192.0.2.1"), "198.51.100.1", false);
	check("10.0.0.1", FOR("10.3.3.3, 10.2.2.2"), "10.3.3.3", false);
	// An element nobody can read ends the search.
	check("10.0.0.1", FOR("198.51.100.1, unknown"), "10.0.0.1", false);
	check("10.0.0.1", FOR("198.51.100.1, unknown, 10.2.2.2"), "10.2.2.2", false);
	check("10.0.0.1", FOR("198.51.100.1, ,, "), "198.51.100.1", false);
	check("10.0.0.1", FOR(""), "10.0.0.1", false);
}

static void spellings(void **state)
{
	check("10.0.0.1", FOR("198.51.100.1:80"), "198.51.100.1", false);
	check("10.0.0.1", FOR("[2001:db8:ffff::1]:80"), "2001:db8:ffff::1", false);
	check("10.0.0.1", FOR("[2001:db8:ffff::1]"), "2001:db8:ffff::1", false);
	check("10.0.0.1", FOR("2001:db8:ffff::1"), "2001:db8:ffff::1", false);
	check("10.0.0.1", FOR("::ffff:198.51.100.1"), "198.51.100.1", false);
	check("2001:db8::1", FOR("198.51.100.1"), "198.51.100.1", false);
	check("10.0.0.1", FOR("0198.51.100.1"), "10.0.0.1", false);
	check("10.0.0.1", FOR("[198.51.100.1"), "10.0.0.1", false);
	check("10.0.0.1", FOR("\"198.51.100.1\""), "10.0.0.1", false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(membership),
		cmocka_unit_test(belief),
		cmocka_unit_test(whose_address),
		cmocka_unit_test(spellings),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
