// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The address policy. An address is first turned into its readings: itself, and every IPv4 address
// it may be carried to. Each rule is then asked about each reading.

#include "policy.h"

#include <arpa/inet.h>
#include <assert.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdio.h>

#define V4(...)                                             \
	{                                                   \
		.family = AF_INET, .bytes = { __VA_ARGS__ } \
	}
#define V6(...)                                              \
	{                                                    \
		.family = AF_INET6, .bytes = { __VA_ARGS__ } \
	}

#define METADATA "it is a cloud metadata address"

// Refused to everybody, the owner included; the first match gives the reason.
static const struct refusal {
	struct policy_ip network;
	uint8_t bits;
	const char *why;
} refusals[] = {
	{V4(169, 254, 169, 254), 32, METADATA},  // nearly everybody
	{V4(100, 100, 100, 200), 32, METADATA},  // Alibaba
	{V4(168, 63, 129, 16), 32, METADATA},    // Azure
	{V4(192, 0, 0, 192), 32, METADATA},      // Oracle, the older one
	{V6(0xfd, 0, 0x0e, 0xc2), 32, METADATA}, // AWS: fd00:ec2::254, pod identity at ::23
	{V6(0xfd, 0x20, 0, 0xce, [14] = 2, [15] = 0x54), 128, METADATA},      // Google
	{V6(0xfd, 0, 0, 0x42, [15] = 0x42), 128, METADATA},                   // Scaleway
	{V6(0xfd, 0, 0, 0xc1, [12] = 0xa9, 0xfe, 0xa9, 0xfe), 128, METADATA}, // Oracle
	{V6(0xfd, 0, 1, 0, [12] = 1, 0, 2, 0), 128, METADATA},                // Alibaba
	{V6(0xfd, 0, 0xa9, 0xfe, 0xa9, 0xfe, [15] = 1), 128, METADATA},       // Akamai
	{V4(0), 8, "it is an unspecified address"}, // RFC 1122: "this network"
	{V6(0), 128, "it is an unspecified address"},
	{V4(169, 254), 16, "it is a link-local address"},
	{V6(0xfe, 0x80), 10, "it is a link-local address"},
	{V4(224), 4, "it is a multicast address"},
	{V6(0xff), 8, "it is a multicast address"},
	{V4(255, 255, 255, 255), 32, "it is a broadcast address"},
};

// IPv6 networks whose addresses stand for an IPv4 one, and where its four bytes are.
static const struct embedding {
	struct policy_ip network;
	uint8_t bits;
	uint8_t at[4];
	bool guess;   // one of several possible places
	bool both;    // leads to an IPv6 host as well: reached by way of the IPv4 one, or not
	uint8_t flip; // the IPv4 address has these bits inverted, in each byte
	uint8_t from; // byte of the address at which the network stands
} embeddings[] = {
	{V6([10] = 0xff, [11] = 0xff), 96, {12, 13, 14, 15}}, // mapped, RFC 4291
	{V6([8] = 0xff, [9] = 0xff), 96, {12, 13, 14, 15}},   // translated, RFC 2765
	{V6(0), 96, {12, 13, 14, 15}},                        // compatible, RFC 4291
	{V6(0x00, 0x64, 0xff, 0x9b), 96, {12, 13, 14, 15}},   // NAT64, RFC 6052
	{V6(0x20, 0x02), 16, {2, 3, 4, 5}, .both = true},     // 6to4, RFC 3056
	// Teredo, RFC 4380: the server, and the client.
	{V6(0x20, 0x01, 0, 0), 32, {4, 5, 6, 7}, .both = true},
	{V6(0x20, 0x01, 0, 0), 32, {12, 13, 14, 15}, .both = true, .flip = 0xff},
	// ISATAP, RFC 5214: an interface of any network, the address unique or not.
	{V6(0x00, 0, 0x5e, 0xfe), 32, {12, 13, 14, 15}, .both = true, .from = 8},
	{V6(0x02, 0, 0x5e, 0xfe), 32, {12, 13, 14, 15}, .both = true, .from = 8},
	// Local NAT64, RFC 8215: the network chooses a prefix length within this /48, and with it
	// the place (RFC 6052 section 2.2: 96, 48, 56 and 64 bits; byte 8 is left out).
	{V6(0x00, 0x64, 0xff, 0x9b, 0, 1), 48, {12, 13, 14, 15}, true},
	{V6(0x00, 0x64, 0xff, 0x9b, 0, 1), 48, {6, 7, 9, 10}, true},
	{V6(0x00, 0x64, 0xff, 0x9b, 0, 1), 48, {7, 9, 10, 11}, true},
	{V6(0x00, 0x64, 0xff, 0x9b, 0, 1), 48, {9, 10, 11, 12}, true},
};

// What an address may mean. ip[0] is the address as given; the others, if any, are what it stands
// for.
struct readings {
	struct policy_ip ip[1 + ARRAY_SIZE(embeddings)];
	size_t n;
	size_t first; // of those that are dialled: 1 if ip[0] only spells the others
};

static bool ip_in(const struct policy_ip *ip, const struct policy_ip *network, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	if (ip->family != network->family || memcmp(ip->bytes, network->bytes, whole) != 0)
		return false;
	return rest == 0 || (ip->bytes[whole] ^ network->bytes[whole]) >> (8 - rest) == 0;
}

static unsigned ip_width(const struct policy_ip *ip)
{
	return ip->family == AF_INET ? 32 : 128;
}

static bool ip_equal(const struct policy_ip *a, const struct policy_ip *b)
{
	return ip_in(a, b, ip_width(b));
}

static bool ip_is_zero(const struct policy_ip *ip)
{
	static const struct policy_ip zero;

	return memcmp(ip->bytes, zero.bytes, sizeof zero.bytes) == 0;
}

// Takes address and port out of SA. False when it is of another family.
static bool ip_from_sockaddr(struct policy_ip *ip, uint16_t *port, const struct sockaddr *sa)
{
	*ip = (struct policy_ip){.family = sa->sa_family};
	if (sa->sa_family == AF_INET) {
		struct sockaddr_in in;
		memcpy(&in, sa, sizeof in);
		memcpy(ip->bytes, &in.sin_addr, sizeof in.sin_addr);
		*port = ntohs(in.sin_port);
		return true;
	}
	if (sa->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;
		memcpy(&in6, sa, sizeof in6);
		memcpy(ip->bytes, &in6.sin6_addr, sizeof in6.sin6_addr);
		*port = ntohs(in6.sin6_port);
		return true;
	}
	return false;
}

// :: and ::1 lie in the IPv4-compatible network but stand for themselves.
static bool stands_for_itself(const struct policy_ip *ip)
{
	static const struct policy_ip loopback = V6([15] = 1);

	return ip->family == AF_INET6 && (ip_is_zero(ip) || ip_equal(ip, &loopback));
}

static bool embeds(const struct embedding *e, const struct policy_ip *ip)
{
	struct policy_ip rest = {.family = ip->family};

	memcpy(rest.bytes, ip->bytes + e->from, sizeof rest.bytes - e->from);
	return ip_in(&rest, &e->network, e->bits) && !stands_for_itself(ip);
}

static void readings_of(struct readings *r, const struct policy_ip *ip)
{
	bool guessed = false, both = false;

	r->ip[0] = *ip;
	r->n = 1;
	for (const struct embedding *e = embeddings; e < embeddings + ARRAY_SIZE(embeddings); e++) {
		if (!embeds(e, ip))
			continue;
		struct policy_ip v4 = {.family = AF_INET};
		for (size_t i = 0; i < sizeof e->at; i++)
			v4.bytes[i] = ip->bytes[e->at[i]] ^ e->flip;
		both = both || e->both;
		guessed = guessed || e->guess;
		// The bytes around the IPv4 address are zero, so a wrong guess mostly reads
		// 0.x.y.z.
		if (!e->guess || v4.bytes[0] != 0)
			r->ip[r->n++] = v4;
	}
	if (guessed && r->n == 1)
		r->ip[r->n++] = (struct policy_ip){.family = AF_INET};
	r->first = r->n > 1 && !both ? 1 : 0;
}

static bool rule_matches(const struct policy_rule *rule, const struct policy_ip *ip, uint16_t port)
{
	return (rule->port == 0 || rule->port == port) && ip_in(ip, &rule->network, rule->bits);
}

static bool any_rule_matches(
	const struct policy_rule *rules, size_t n, const struct policy_ip *ip, uint16_t port)
{
	for (size_t i = 0; i < n; i++)
		if (rule_matches(&rules[i], ip, port))
			return true;
	return false;
}

struct route_request {
	struct nlmsghdr header;
	struct rtmsg route;
	struct rtattr attribute;
	uint8_t address[16];
};

static_assert(sizeof(struct route_request) ==
		      NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(struct rtmsg)) + RTA_LENGTH(16),
	"laid out as the kernel reads it");

// What kind of route (RTN_*) leads to IP, or a negative errno.
static int route_type(const struct policy_ip *ip)
{
	CLEANUP(close_p) int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	unsigned bytes = ip_width(ip) / 8;
	struct route_request ask = {
		.header = {.nlmsg_type = RTM_GETROUTE, .nlmsg_flags = NLM_F_REQUEST},
		.route = {.rtm_family = (uint8_t)ip->family, .rtm_dst_len = (uint8_t)(bytes * 8)},
		.attribute = {.rta_type = RTA_DST, .rta_len = (uint16_t)RTA_LENGTH(bytes)},
	};
	union {
		struct nlmsghdr header;
		char bytes[4096];
	} reply;

	if (fd < 0)
		return -errno;
	ask.header.nlmsg_len = (uint32_t)(offsetof(struct route_request, address) + bytes);
	memcpy(ask.address, ip->bytes, bytes);
	if (send(fd, &ask, ask.header.nlmsg_len, 0) < 0)
		return -errno;
	ssize_t n = recv(fd, &reply, sizeof reply, 0);
	if (n < 0)
		return -errno;
	if (!NLMSG_OK(&reply.header, (size_t)n))
		return -EBADMSG;
	if (reply.header.nlmsg_type == NLMSG_ERROR &&
		(size_t)n >= NLMSG_LENGTH(sizeof(struct nlmsgerr)))
		return ((const struct nlmsgerr *)NLMSG_DATA(&reply.header))->error;
	if (reply.header.nlmsg_type != RTM_NEWROUTE ||
		(size_t)n < NLMSG_LENGTH(sizeof(struct rtmsg)))
		return -EBADMSG;
	return ((const struct rtmsg *)NLMSG_DATA(&reply.header))->rtm_type;
}

// Whether a connection to IP ends at this machine. The routing table is asked, at the time of the
// check: it is what connect() will use, it is never out of date, and unlike a list of interface
// addresses it knows all of 127/8 and every other local route. The price is small, since this is
// reached only for the port of a listener on a wildcard address. No answer counts as yes.
static bool ip_is_local(const struct policy_ip *ip)
{
	static const struct policy_ip loopback = V4(127);

	if (ip_in(ip, &loopback, 8))
		return true;
	int type = route_type(ip);
	switch (type) {
	case RTN_UNICAST:
	case RTN_BLACKHOLE:
	case RTN_UNREACHABLE:
	case RTN_PROHIBIT:
	case -ENETUNREACH:
	case -EHOSTUNREACH: return false;
	default: return true;
	}
}

static bool listener_takes(
	const struct sockaddr_storage *listener, const struct policy_ip *ip, uint16_t port)
{
	struct readings own;
	struct policy_ip address;
	uint16_t own_port;

	if (!ip_from_sockaddr(&address, &own_port, (const struct sockaddr *)listener) ||
		own_port != port)
		return false;
	readings_of(&own, &address); // a socket bound to ::ffff:127.0.0.1 listens on 127.0.0.1
	for (size_t i = 0; i < own.n; i++)
		if (ip_is_zero(&own.ip[i]) ? ip_is_local(ip) : ip_equal(&own.ip[i], ip))
			return true;
	return false;
}

// The reason why IP:PORT is refused to everybody, or NULL.
static const char *refusal_of(
	const struct policy *policy, const struct policy_ip *ip, uint16_t port)
{
	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++)
		if (ip_in(ip, &refusals[i].network, refusals[i].bits))
			return refusals[i].why;
	for (size_t i = 0; i < policy->n_listeners; i++)
		if (listener_takes(&policy->listeners[i], ip, port))
			return "tunneld itself listens there";
	if (any_rule_matches(policy->deny, policy->n_deny, ip, port))
		return "it is in backend_deny";
	return NULL;
}

int policy_check(
	const struct policy *policy, const struct sockaddr *address, bool owner, const char **why)
{
	struct readings r;
	struct policy_ip ip;
	uint16_t port;

	if (!ip_from_sockaddr(&ip, &port, address)) {
		*why = "it is neither an IPv4 nor an IPv6 address";
		return POLICY_FORBIDDEN;
	}
	if (port == 0) {
		*why = "its port is 0";
		return POLICY_FORBIDDEN;
	}
	readings_of(&r, &ip);
	for (size_t i = 0; i < r.n; i++) {
		const char *refusal = refusal_of(policy, &r.ip[i], port);
		if (refusal != NULL) {
			*why = refusal;
			return POLICY_FORBIDDEN;
		}
	}
	// An address that stands for others is allowed only if all of those are: ::/0 in
	// backend_allow does not open 10.0.0.1 in the spelling ::ffff:10.0.0.1. Nor does 10.0.0.0/8
	// open the IPv6 hosts behind a 6to4 router that has an address in it.
	for (size_t i = r.first; i < r.n && !owner; i++) {
		if (!any_rule_matches(policy->allow, policy->n_allow, &r.ip[i], port)) {
			*why = "it is not in backend_allow";
			return POLICY_FORBIDDEN;
		}
	}
	return 0;
}

// Takes what comes before the first of STOPS off the front of TEXT, which then begins with that
// stop or is empty.
static struct span take_until(struct span *text, const char *stops)
{
	struct span head = {text->p, 0};

	while (head.n < text->n && strchr(stops, text->p[head.n]) == NULL)
		head.n++;
	*text = (struct span){text->p + head.n, text->n - head.n};
	return head;
}

// Takes C off the front of TEXT if it is there.
static bool take(struct span *text, char c)
{
	if (text->n == 0 || text->p[0] != c)
		return false;
	*text = (struct span){text->p + 1, text->n - 1};
	return true;
}

// A decimal number of 1 to 5 digits without leading zeros, at most MAX.
static bool number_parse(uint32_t *value, struct span text, uint32_t max)
{
	uint32_t v = 0;

	if (text.n == 0 || text.n > 5 || (text.n > 1 && text.p[0] == '0'))
		return false;
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] < '0' || text.p[i] > '9')
			return false;
		v = v * 10 + (uint32_t)(text.p[i] - '0');
	}
	*value = v;
	return v <= max;
}

// The parts of a rule as written; absent spans where there is none.
struct rule_text {
	struct span address, length, port;
};

static bool rule_split(struct rule_text *parts, struct span text)
{
	struct span whole = text;

	*parts = (struct rule_text){0};
	if (take(&text, '[')) {
		parts->address = take_until(&text, "]");
		if (!take(&text, ']') || memchr(parts->address.p, ':', parts->address.n) == NULL)
			return false;
	} else {
		parts->address = take_until(&text, "/");
		struct span rest = parts->address;
		take_until(&rest, ":");
		if (take(&rest, ':') &&
			memchr(rest.p, ':', rest.n) == NULL) { // one colon: IPv4 and port
			text = whole;
			parts->address = take_until(&text, ":");
		}
	}
	if (take(&text, '/'))
		parts->length = take_until(&text, ":");
	if (take(&text, ':'))
		parts->port = take_until(&text, "");
	return text.n == 0;
}

static bool ip_parse(struct policy_ip *ip, struct span text)
{
	char copy[INET6_ADDRSTRLEN];

	if (text.n == 0 || text.n >= sizeof copy || memchr(text.p, '\0', text.n) != NULL)
		return false;
	memcpy(copy, text.p, text.n);
	copy[text.n] = '\0';
	*ip = (struct policy_ip){.family = AF_INET};
	if (inet_pton(AF_INET, copy, ip->bytes) == 1)
		return true;
	*ip = (struct policy_ip){.family = AF_INET6};
	return inet_pton(AF_INET6, copy, ip->bytes) == 1;
}

// Whether all bits behind the first BITS are zero.
static bool ip_is_network(const struct policy_ip *ip, unsigned bits)
{
	for (unsigned i = bits; i < ip_width(ip); i++)
		if ((ip->bytes[i / 8] >> (7 - i % 8) & 1) != 0)
			return false;
	return true;
}

static bool rule_inside_embedding(const struct policy_rule *rule)
{
	for (size_t i = 0; i < ARRAY_SIZE(embeddings); i++)
		if (!embeddings[i].both && rule->bits >= embeddings[i].bits &&
			embeds(&embeddings[i], &rule->network))
			return true;
	return false;
}

int policy_rule_parse(struct policy_rule *rule, struct span text, const char **why)
{
	struct policy_rule r = {0};
	struct rule_text parts;
	uint32_t number;

	if (text.n == 0 || !rule_split(&parts, text) || !ip_parse(&r.network, parts.address)) {
		*why = "write an address or network such as 10.0.0.0/8, 10.1.2.3:443 or [fd00::]/8:443";
		return 1;
	}
	number = ip_width(&r.network);
	if (parts.length.p != NULL && !number_parse(&number, parts.length, number)) {
		*why = "the length after the slash is 0 to 32 for IPv4, 0 to 128 for IPv6";
		return 1;
	}
	r.bits = (uint8_t)number;
	number = 0;
	if (parts.port.p != NULL &&
		(!number_parse(&number, parts.port, UINT16_MAX) || number == 0)) {
		*why = "the port is 1 to 65535; leave it out for every port";
		return 1;
	}
	r.port = (uint16_t)number;
	if (!ip_is_network(&r.network, r.bits)) {
		*why = "the address has bits set behind the length: write the network (10.0.0.0/8, not "
		       "10.1.2.3/8)";
		return 1;
	}
	if (rule_inside_embedding(&r)) {
		*why = "this IPv6 network stands for IPv4 addresses: write the IPv4 network";
		return 1;
	}
	*rule = r;
	return 0;
}

size_t policy_rule_format(const struct policy_rule *rule, char out[POLICY_RULE_TEXT_MAX])
{
	char address[INET6_ADDRSTRLEN];
	bool bracket = rule->network.family == AF_INET6 && rule->port != 0;

	inet_ntop(rule->network.family, rule->network.bytes, address, sizeof address);
	int n = snprintf(out, POLICY_RULE_TEXT_MAX, "%s%s%s/%u", bracket ? "[" : "", address,
		bracket ? "]" : "", rule->bits);
	if (rule->port != 0)
		n += snprintf(out + n, POLICY_RULE_TEXT_MAX - (size_t)n, ":%u", rule->port);
	return (size_t)n;
}
