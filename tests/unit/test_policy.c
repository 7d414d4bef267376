// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The address policy: every spelling of what must never be dialled, and the two lists.

#include "policy.h"

#include <setjmp.h>
#include <stdarg.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>

enum { RULES_MAX = 8 };

// A policy with storage of its own.
struct fixture {
	struct policy policy;
	struct policy_rule allow[RULES_MAX], deny[RULES_MAX];
	struct sockaddr_storage listeners[RULES_MAX];
};

static void fixture_init(struct fixture *f)
{
	*f = (struct fixture){0};
	f->policy.allow = f->allow;
	f->policy.deny = f->deny;
	f->policy.listeners = f->listeners;
}

static struct sockaddr_storage address_of(const char *text, uint16_t port)
{
	struct sockaddr_storage ss = {0};
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

	if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
		memcpy(&ss, &in, sizeof in);
	else if (inet_pton(AF_INET6, text, &in6.sin6_addr) == 1)
		memcpy(&ss, &in6, sizeof in6);
	else
		fail_msg("test has a bad address: %s", text);
	return ss;
}

static void add_rule(struct policy_rule *rules, size_t *n, const char *text)
{
	const char *why = "";

	assert_true(*n < RULES_MAX);
	if (policy_rule_parse(&rules[*n], span_of(text), &why) != 0)
		fail_msg("rule %s: %s", text, why);
	(*n)++;
}

static void allow(struct fixture *f, const char *text)
{
	add_rule(f->allow, &f->policy.n_allow, text);
}

static void deny(struct fixture *f, const char *text)
{
	add_rule(f->deny, &f->policy.n_deny, text);
}

static void listen_on(struct fixture *f, const char *text, uint16_t port)
{
	assert_true(f->policy.n_listeners < RULES_MAX);
	f->listeners[f->policy.n_listeners++] = address_of(text, port);
}

// The reason of the refusal, or "allowed".
static const char *verdict(const struct fixture *f, const char *text, uint16_t port, bool owner)
{
	struct sockaddr_storage ss = address_of(text, port);
	const char *why = NULL;
	int r = policy_check(&f->policy, (const struct sockaddr *)&ss, owner, &why);

	assert_true(r == 0 || r == POLICY_FORBIDDEN);
	assert_true((r == 0) == (why == NULL));
	return why != NULL ? why : "allowed";
}

#define ALLOWED  "allowed"
#define UNLISTED "it is not in backend_allow"
#define DENIED   "it is in backend_deny"
#define OWN      "tunneld itself listens there"
#define METADATA "it is a cloud metadata address"
#define UNSPEC   "it is an unspecified address"
#define LOCAL    "it is a link-local address"
#define MULTI    "it is a multicast address"
#define BROAD    "it is a broadcast address"

static void expect(
	const struct fixture *f, const char *text, uint16_t port, bool owner, const char *what)
{
	const char *got = verdict(f, text, port, owner);

	if (strcmp(got, what) != 0)
		fail_msg("%s port %u (%s): %s, expected: %s", text, port,
			owner ? "owner" : "scoped", got, what);
}

// Every IPv6 spelling of the IPv4 address TEXT. The first PLAIN mean nothing else. Those up to
// EITHER are IPv6 hosts too, which are reached by way of TEXT. The rest are local NAT64, where the
// place of the address depends on the network.
enum { PLAIN = 4, EITHER = 9, SPELLINGS = 14, SPELLING_MAX = 64 };

static void spellings_of(const char *text, char out[SPELLINGS][SPELLING_MAX])
{
	uint8_t b[4];
	size_t n = 0;

	assert_int_equal(inet_pton(AF_INET, text, b), 1);
	snprintf(out[n++], SPELLING_MAX, "::ffff:%s", text);
	snprintf(out[n++], SPELLING_MAX, "::ffff:0:%s", text);
	snprintf(out[n++], SPELLING_MAX, "::%s", text);
	snprintf(out[n++], SPELLING_MAX, "64:ff9b::%s", text);
	assert_int_equal(n, PLAIN);
	snprintf(out[n++], SPELLING_MAX, "2002:%02x%02x:%02x%02x::1", b[0], b[1], b[2], b[3]);
	snprintf(out[n++], SPELLING_MAX, "2001:0:%02x%02x:%02x%02x:8000:63bf:f6f7:f6f7", b[0], b[1],
		b[2], b[3]); // behind Teredo's server
	snprintf(out[n++], SPELLING_MAX, "2001:0:808:808:8000:63bf:%02x%02x:%02x%02x", b[0] ^ 0xff,
		b[1] ^ 0xff, b[2] ^ 0xff, b[3] ^ 0xff); // and its client
	snprintf(out[n++], SPELLING_MAX, "2001:db8:1:2:0:5efe:%s", text);
	snprintf(out[n++], SPELLING_MAX, "2001:db8:1:2:200:5efe:%s", text);
	assert_int_equal(n, EITHER);
	snprintf(out[n++], SPELLING_MAX, "64:ff9b:1::%s", text);
	snprintf(out[n++], SPELLING_MAX, "64:ff9b:1:fffe::%s", text);
	// At 48, 56 and 64 bits; what follows the address may be anything.
	snprintf(out[n++], SPELLING_MAX, "64:ff9b:1:%02x%02x:%02x:%02x00:808:808", b[0], b[1], b[2],
		b[3]);
	snprintf(out[n++], SPELLING_MAX, "64:ff9b:1:%02x:%02x:%02x%02x:808:808", b[0], b[1], b[2],
		b[3]);
	snprintf(out[n++], SPELLING_MAX, "64:ff9b:1::%02x:%02x%02x:%02x08:808", b[0], b[1], b[2],
		b[3]);
	assert_int_equal(n, SPELLINGS);
}

static const struct {
	const char *address, *why;
} refused[] = {
	{"0.0.0.0", UNSPEC},
	{"0.0.0.1", UNSPEC},
	{"0.255.255.255", UNSPEC},
	{"::", UNSPEC},
	{"::2", UNSPEC}, // 0.0.0.2
	{"169.254.0.0", LOCAL},
	{"169.254.1.1", LOCAL},
	{"169.254.255.255", LOCAL},
	{"fe80::", LOCAL},
	{"fe80::1", LOCAL},
	{"fe80::a9fe:a9fe", LOCAL},
	{"febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", LOCAL},
	{"169.254.169.254", METADATA},
	{"100.100.100.200", METADATA},
	{"168.63.129.16", METADATA},
	{"fd00:ec2::254", METADATA},
	{"fd00:ec2::23", METADATA},
	{"fd20:ce::254", METADATA},
	{"fd00:42::42", METADATA},
	{"192.0.0.192", METADATA},
	{"fd00:c1::a9fe:a9fe", METADATA},
	{"fd00:100::100:200", METADATA},
	{"fd00:a9fe:a9fe::1", METADATA},
	{"224.0.0.0", MULTI},
	{"224.0.0.1", MULTI},
	{"239.255.255.255", MULTI},
	{"ff00::", MULTI},
	{"ff02::1", MULTI},
	{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", MULTI},
	{"255.255.255.255", BROAD},
};

static void test_always_refused(void **state)
{
	struct fixture f;

	fixture_init(&f);
	allow(&f, "0.0.0.0/0");
	allow(&f, "::/0");
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		expect(&f, refused[i].address, 80, true, refused[i].why);
		expect(&f, refused[i].address, 80, false, refused[i].why);
	}
}

static void test_refused_in_every_spelling(void **state)
{
	struct fixture f;
	char spelling[SPELLINGS][SPELLING_MAX];

	fixture_init(&f);
	allow(&f, "0.0.0.0/0");
	allow(&f, "::/0");
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		if (strchr(refused[i].address, ':') != NULL)
			continue;
		spellings_of(refused[i].address, spelling);
		for (size_t s = 0; s < EITHER; s++)
			if (strcmp(spelling[s], "::0.0.0.1") != 0) // that is ::1
				expect(&f, spelling[s], 80, true, refused[i].why);
		// Zeros around an address cannot be told from 0.x.y.z.
		if (strncmp(refused[i].address, "0.", 2) == 0)
			continue;
		for (size_t s = EITHER; s < SPELLINGS; s++)
			if (strcmp(verdict(&f, spelling[s], 80, true), ALLOWED) == 0)
				fail_msg("%s stands for %s and is allowed", spelling[s],
					refused[i].address);
	}
	expect(&f, "64:ff9b:1::", 80, true, UNSPEC);
	expect(&f, "64:ff9b:1::1", 80, true, UNSPEC);
}

static void test_neighbours_of_the_refused_are_not(void **state)
{
	static const char *const fine[] = {"1.0.0.0", "127.0.0.1", "10.0.0.1", "169.253.255.255",
		"169.255.0.0", "223.255.255.255", "240.0.0.1", "255.255.255.254", "100.100.100.199",
		"100.100.100.201", "168.63.129.15", "168.63.129.17", "::1", "fe7f::1", "fec0::1",
		"feff::1", "fd00:ec1::254", "fd00:ec3::254", "fd20:ce::253", "fd00:42::41",
		"192.0.0.191", "192.0.0.193", "fd00:c1::a9fe:a9ff", "fd00:100::100:201",
		"fd00:a9fe:a9fe::2", "2001:1::a9fe:a9fe", "2001:db8::5eff:a9fe:a9fe",
		"2001:db8::100:5efe:a9fe:a9fe", "2001:db8::5efe:a9fe:a9fe:1", "2001:db8::1",
		"64:ff9a::a9fe:a9fe", "64:ff9b:0:1::a9fe:a9fe", "64:ff9b:2::a9fe:a9fe",
		"2003:a9fe:a9fe::", "::fffe:a9fe:a9fe", "::1:a9fe:a9fe"};
	struct fixture f;

	fixture_init(&f);
	for (size_t i = 0; i < ARRAY_SIZE(fine); i++) {
		expect(&f, fine[i], 80, true, ALLOWED);
		expect(&f, fine[i], 80, false, UNLISTED);
	}
}

static void test_lists(void **state)
{
	struct fixture f;

	fixture_init(&f);
	allow(&f, "10.0.0.0/8");
	allow(&f, "192.0.2.7:443");
	allow(&f, "[2001:db8::]/32:8443");
	deny(&f, "10.9.0.0/16");
	deny(&f, "10.1.1.1:22");
	deny(&f, "2001:db8:bad::/48");

	expect(&f, "10.0.0.1", 80, false, ALLOWED);
	expect(&f, "10.255.255.255", 65535, false, ALLOWED);
	expect(&f, "9.255.255.255", 80, false, UNLISTED);
	expect(&f, "11.0.0.0", 80, false, UNLISTED);
	expect(&f, "192.0.2.7", 443, false, ALLOWED);
	expect(&f, "192.0.2.7", 444, false, UNLISTED);
	expect(&f, "192.0.2.6", 443, false, UNLISTED);
	expect(&f, "2001:db8::1", 8443, false, ALLOWED);
	expect(&f, "2001:db8::1", 443, false, UNLISTED);
	expect(&f, "2001:db9::1", 8443, false, UNLISTED);

	// Denied comes before allowed, and counts for the owner too.
	expect(&f, "10.9.0.1", 80, false, DENIED);
	expect(&f, "10.9.0.1", 80, true, DENIED);
	expect(&f, "10.10.0.1", 80, true, ALLOWED);
	expect(&f, "10.1.1.1", 22, false, DENIED);
	expect(&f, "10.1.1.1", 22, true, DENIED);
	expect(&f, "10.1.1.1", 23, false, ALLOWED);
	expect(&f, "2001:db8:bad::1", 8443, true, DENIED);
	expect(&f, "2001:db8:bae::1", 8443, false, ALLOWED);
	expect(&f, "203.0.113.1", 80, true, ALLOWED);
	expect(&f, "203.0.113.1", 80, false, UNLISTED);
}

static void test_lists_in_every_spelling(void **state)
{
	struct fixture f;
	char spelling[SPELLINGS][SPELLING_MAX];

	fixture_init(&f);
	allow(&f, "::/0"); // IPv6 only: opens no IPv4 address however it is written
	deny(&f, "10.20.30.40");
	spellings_of("10.20.30.40", spelling);
	for (size_t i = 0; i < SPELLINGS; i++)
		expect(&f, spelling[i], 80, true, DENIED);
	spellings_of("10.20.30.41", spelling);
	for (size_t i = 0; i < SPELLINGS; i++) {
		expect(&f, spelling[i], 80, true, ALLOWED);
		expect(&f, spelling[i], 80, false, UNLISTED);
	}
	allow(&f, "10.20.30.41:80");
	for (size_t i = 0; i < PLAIN; i++) {
		expect(&f, spelling[i], 80, false, ALLOWED);
		expect(&f, spelling[i], 81, false, UNLISTED);
	}
	allow(&f, "8.8.8.8"); // the other end of Teredo
	allow(&f, "9.8.9.8");
	for (size_t i = PLAIN; i < EITHER; i++) {
		expect(&f, spelling[i], 80, false, ALLOWED);
		expect(&f, spelling[i], 81, false, UNLISTED);
	}
	expect(&f, "64:ff9b:1::10.20.30.41", 80, false, ALLOWED);
	// Readings that disagree are refused to scoped tokens.
	expect(&f, "64:ff9b:1:fffe::10.20.30.41", 80, false, UNLISTED);

	// An IPv4 rule is enough for what only stands for IPv4.
	fixture_init(&f);
	allow(&f, "10.20.30.41:80");
	allow(&f, "8.8.8.8");
	allow(&f, "9.8.9.8");
	for (size_t i = 0; i < PLAIN; i++)
		expect(&f, spelling[i], 80, false, ALLOWED);
	// Not for an IPv6 host that is reached by way of it.
	for (size_t i = PLAIN; i < EITHER; i++)
		expect(&f, spelling[i], 80, false, UNLISTED);
	allow(&f, "2001:db8:1:2::/64");
	expect(&f, "2001:db8:1:2:0:5efe:10.20.30.41", 80, false, ALLOWED);
	expect(&f, "2001:db8:1:2:0:5efe:10.20.30.42", 80, false, UNLISTED);
	allow(&f, "2002:a14:1e00::/40");
	expect(&f, "2002:a14:1e29::1", 80, false, ALLOWED);
	expect(&f, "2002:a14:1e2a::1", 80, false, UNLISTED);

	fixture_init(&f);
	deny(&f, "::/0"); // no IPv6 at all, what stands for IPv4 included
	expect(&f, "2001:db8::1", 80, true, DENIED);
	expect(&f, "64:ff9b::10.0.0.1", 80, true, DENIED);
	expect(&f, "10.0.0.1", 80, true, ALLOWED);
}

static void test_own_listener_on_one_address(void **state)
{
	struct fixture f;
	char spelling[SPELLINGS][SPELLING_MAX];

	fixture_init(&f);
	allow(&f, "0.0.0.0/0");
	listen_on(&f, "127.0.0.1", 8080);
	listen_on(&f, "::1", 8081);
	listen_on(&f, "::ffff:127.0.0.3", 8082);
	expect(&f, "127.0.0.1", 8080, true, OWN);
	expect(&f, "127.0.0.1", 8080, false, OWN);
	expect(&f, "127.0.0.1", 8081, true, ALLOWED);
	expect(&f, "127.0.0.2", 8080, true, ALLOWED); // nobody of ours listens there
	expect(&f, "::1", 8081, true, OWN);
	expect(&f, "::1", 8080, true, ALLOWED);
	expect(&f, "127.0.0.3", 8082, true, OWN);
	expect(&f, "::ffff:127.0.0.3", 8082, true, OWN);
	spellings_of("127.0.0.1", spelling);
	for (size_t i = 0; i < SPELLINGS; i++)
		expect(&f, spelling[i], 8080, true, OWN);
}

// Every address of this machine, as text; returns how many there are.
enum { ADDRESSES_MAX = 32 };

static size_t local_addresses(char out[ADDRESSES_MAX][INET6_ADDRSTRLEN])
{
	struct ifaddrs *list = NULL;
	size_t n = 0;

	assert_int_equal(getifaddrs(&list), 0);
	for (struct ifaddrs *i = list; i != NULL && n < ADDRESSES_MAX; i = i->ifa_next) {
		if (i->ifa_addr == NULL || (i->ifa_flags & IFF_UP) == 0)
			continue;
		if (i->ifa_addr->sa_family == AF_INET) {
			const struct sockaddr_in *in =
				(const struct sockaddr_in *)(void *)i->ifa_addr;
			inet_ntop(AF_INET, &in->sin_addr, out[n++], INET6_ADDRSTRLEN);
		} else if (i->ifa_addr->sa_family == AF_INET6) {
			const struct sockaddr_in6 *in6 =
				(const struct sockaddr_in6 *)(void *)i->ifa_addr;
			if (!IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr))
				inet_ntop(AF_INET6, &in6->sin6_addr, out[n++], INET6_ADDRSTRLEN);
		}
	}
	freeifaddrs(list);
	return n;
}

static void wildcard_story(const char *wildcard)
{
	struct fixture f;
	char spelling[SPELLINGS][SPELLING_MAX];
	char addresses[ADDRESSES_MAX][INET6_ADDRSTRLEN];

	fixture_init(&f);
	listen_on(&f, wildcard, 8080);
	size_t n = local_addresses(addresses);
	for (size_t i = 0; i < n; i++) {
		expect(&f, addresses[i], 8080, true, OWN);
		expect(&f, addresses[i], 8081, true, ALLOWED);
	}
	static const char *const loopbacks[] = {
		"127.0.0.1", "127.0.0.2", "127.1.2.3", "127.255.255.254"};
	for (size_t i = 0; i < ARRAY_SIZE(loopbacks); i++) {
		expect(&f, loopbacks[i], 8080, true, OWN);
		expect(&f, loopbacks[i], 8081, true, ALLOWED);
		spellings_of(loopbacks[i], spelling);
		for (size_t j = 0; j < SPELLINGS; j++)
			expect(&f, spelling[j], 8080, true, OWN);
	}
	// Addresses for documentation are nobody's.
	expect(&f, "203.0.113.77", 8080, true, ALLOWED);
	expect(&f, "198.51.100.77", 8080, true, ALLOWED);
	expect(&f, "2001:db8::77", 8080, true, ALLOWED);
}

static void test_own_listener_on_every_address(void **state)
{
	wildcard_story("0.0.0.0");
	wildcard_story("::");
	wildcard_story("::ffff:0.0.0.0");
}

static void test_not_an_address_at_all(void **state)
{
	struct fixture f;
	struct sockaddr_storage ss = {.ss_family = AF_UNIX};
	const char *why = NULL;

	fixture_init(&f);
	assert_int_equal(policy_check(&f.policy, (const struct sockaddr *)&ss, true, &why),
		POLICY_FORBIDDEN);
	assert_string_equal(why, "it is neither an IPv4 nor an IPv6 address");
	expect(&f, "10.0.0.1", 0, true, "its port is 0");
	expect(&f, "2001:db8::1", 0, true, "its port is 0");
	expect(&f, "10.0.0.1", 1, true, ALLOWED);
	expect(&f, "10.0.0.1", 65535, true, ALLOWED);
}

static void test_rule_spellings(void **state)
{
	static const struct {
		const char *text, *canonical;
	} good[] = {
		{"10.0.0.0/8", "10.0.0.0/8"}, {"10.0.0.0/8:443", "10.0.0.0/8:443"},
		{"10.1.2.3", "10.1.2.3/32"}, {"10.1.2.3:65535", "10.1.2.3/32:65535"},
		{"10.1.2.3/32:1", "10.1.2.3/32:1"}, {"0.0.0.0/0", "0.0.0.0/0"},
		{"0.0.0.0/0:80", "0.0.0.0/0:80"}, {"::/0", "::/0"}, {"[::]/0:80", "[::]/0:80"},
		{"::1", "::1/128"}, {"[::1]", "::1/128"}, {"[::1]:3000", "[::1]/128:3000"},
		{"fd00::/8", "fd00::/8"}, {"[fd00::]/8", "fd00::/8"},
		{"[FD00:0::]/8:443", "[fd00::]/8:443"}, {"fd00::/8:443", "[fd00::]/8:443"},
		{"2001:db8:1:2:3:4:5:6", "2001:db8:1:2:3:4:5:6/128"},
		{"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
			"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]/128:65535"},
		{"2002::/16", "2002::/16"}, {"2002:a00::/24", "2002:a00::/24"},
		{"2001::/32", "2001::/32"}, {"2001:db8::5efe:a00:1", "2001:db8::5efe:a00:1/128"},
		{"2000::/3", "2000::/3"}, // holds 6to4 and more: a network of its own all the same
	};
	static const char *const bad[] = {"", "/", ":", "[", "[]", "[]:80", "[::1", "::1]",
		"[::1]x", "[::1]80", "[10.0.0.1]", "[10.0.0.1]:80", "10.0.0.0/", "10.0.0.0/33",
		"10.0.0.0/99999999999", "10.0.0.0/-1", "10.0.0.0/08", "10.0.0.0/8/8",
		"10.0.0.0/8:", "10.0.0.0/8:0", "10.0.0.1:", "10.0.0.1:0", "10.0.0.1:65536",
		"10.0.0.1:99999999999", "10.0.0.1:80:90", "10.0.0.1:http", "10.0.0.1:80/8",
		"10.0.0.1/8", "10.0.0.128/24", "10.0.0.1/31", "10.0.0", "10.0.0.256", "010.0.0.1",
		"0x0a.0.0.1", "167772161", "localhost", "localhost:80", "*", "*:80", "10.*",
		"::/129", "fd00::1/8", "[fd00::1]/8:80", "[fd00::/8]:443", "[fd00::]:/8",
		"fe80::1%eth0", " 10.0.0.1", "10.0.0.1 ", "::ffff:10.0.0.1", "::ffff:10.0.0.0/104",
		"::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "::10.0.0.1", "::/96x"};
	struct policy_rule rule;
	const char *why;
	char text[POLICY_RULE_TEXT_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		if (policy_rule_parse(&rule, span_of(good[i].text), &why) != 0)
			fail_msg("%s: %s", good[i].text, why);
		assert_int_equal(policy_rule_format(&rule, text), strlen(good[i].canonical));
		assert_string_equal(text, good[i].canonical);
		assert_int_equal(policy_rule_parse(&rule, span_of(text), &why), 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		why = NULL;
		if (policy_rule_parse(&rule, span_of(bad[i]), &why) != 1)
			fail_msg("'%s' was taken for a rule", bad[i]);
		assert_non_null(why);
	}
	assert_int_equal(policy_rule_parse(&rule, (struct span){"10.0.0.1\0", 9}, &why), 1);
	assert_int_equal(policy_rule_parse(&rule, (struct span){NULL, 0}, &why), 1);
}

// Each length of prefix, at its first and last address and one beyond either.
static void test_every_prefix_length(void **state)
{
	for (unsigned bits = 1; bits <= 32; bits++) {
		uint32_t mask = bits == 32 ? UINT32_MAX : ~(UINT32_MAX >> bits);
		uint32_t first = 0x2d5ac3a7 & mask, last = first | ~mask;
		struct fixture f;
		char rule[64], text[INET_ADDRSTRLEN];

		fixture_init(&f);
		uint32_t net = htonl(first);
		inet_ntop(AF_INET, &net, text, sizeof text);
		snprintf(rule, sizeof rule, "%s/%u", text, bits);
		allow(&f, rule);
		const struct {
			uint32_t address;
			bool inside;
		} points[] = {{first, true}, {last, true}, {first - 1, false}, {last + 1, false}};
		for (size_t i = 0; i < ARRAY_SIZE(points); i++) {
			uint32_t top = points[i].address >> 24;
			if (top == 0 || top >= 224) // refused for another reason
				continue;
			net = htonl(points[i].address);
			inet_ntop(AF_INET, &net, text, sizeof text);
			expect(&f, text, 80, false, points[i].inside ? ALLOWED : UNLISTED);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_always_refused),
		cmocka_unit_test(test_refused_in_every_spelling),
		cmocka_unit_test(test_neighbours_of_the_refused_are_not),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_lists_in_every_spelling),
		cmocka_unit_test(test_own_listener_on_one_address),
		cmocka_unit_test(test_own_listener_on_every_address),
		cmocka_unit_test(test_not_an_address_at_all),
		cmocka_unit_test(test_rule_spellings),
		cmocka_unit_test(test_every_prefix_length),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
