// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// One splitter takes an authority apart for both users: backends, where every mistake is explained
// to the person who made it, and Host fields, where yes or no is enough.

#include "url.h"

#include <arpa/inet.h>
#include <stdio.h>

enum { LABEL_MAX = 63 };

static const struct scheme {
	struct span text;
	enum url_scheme scheme;
	uint16_t port;
	bool unchecked;
} schemes[] = {
	{SPAN_INIT("http"), URL_HTTP, 80, false},
	{SPAN_INIT("https"), URL_HTTPS, 443, false},
	{SPAN_INIT("tcp"), URL_TCP, 0, false},
	{SPAN_INIT("ws"), URL_HTTP, 80, false},
	{SPAN_INIT("wss"), URL_HTTPS, 443, false},
	{SPAN_INIT("https+insecure"), URL_HTTPS, 443, true},
	{SPAN_INIT("wss+insecure"), URL_HTTPS, 443, true},
};

// An authority taken apart: [BRACKETED] or plain host, and the port if there is a colon for one.
struct authority {
	struct span host;
	struct span port;
	bool bracketed;
	bool has_port;
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
	return is_digit(c) || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'f');
}

static struct span span_from(struct span s, size_t from)
{
	return (struct span){s.p + from, s.n - from};
}

// Index of the first C in S, or S.n.
static size_t span_find(struct span s, char c)
{
	const char *at = s.n > 0 ? memchr(s.p, c, s.n) : NULL;
	return at != NULL ? (size_t)(at - s.p) : s.n;
}

// TEXT is not empty.
static bool authority_split(struct authority *ret, struct span text)
{
	struct authority a = {.bracketed = text.p[0] == '['};
	size_t behind;

	if (a.bracketed) {
		size_t close = span_find(text, ']');
		if (close == text.n)
			return false;
		a.host = (struct span){text.p + 1, close - 1};
		behind = close + 1;
	} else {
		behind = span_find(text, ':');
		a.host = (struct span){text.p, behind};
	}
	if (behind < text.n) {
		if (text.p[behind] != ':')
			return false;
		a.has_port = true;
		a.port = span_from(text, behind + 1);
	}
	*ret = a;
	return true;
}

// 1 to 65535 in decimal without leading zeros; 0 is "no".
static uint16_t port_parse(struct span text)
{
	unsigned port = 0;

	if (text.n < 1 || text.n > 5 || text.p[0] == '0')
		return 0;
	for (size_t i = 0; i < text.n; i++) {
		if (!is_digit(text.p[i]))
			return 0;
		port = port * 10 + (unsigned)(text.p[i] - '0');
	}
	return port <= UINT16_MAX ? (uint16_t)port : 0;
}

static bool label_ok(const char *p, size_t n)
{
	return n >= 1 && n <= LABEL_MAX && p[0] != '-' && p[n - 1] != '-';
}

// Labels of letters, digits, hyphens inside, and underscores (RFC 1123 section 2.1, RFC 2181
// section 11).
static bool name_ok(struct span name)
{
	size_t label = 0;

	if (name.n > URL_HOST_MAX)
		return false;
	for (size_t i = 0; i < name.n; i++) {
		char c = ascii_lower(name.p[i]);
		if (c == '.') {
			if (!label_ok(name.p + label, i - label))
				return false;
			label = i + 1;
		} else if (!(c >= 'a' && c <= 'z') && !is_digit(c) && c != '-' && c != '_') {
			return false;
		}
	}
	return label_ok(name.p + label, name.n - label);
}

static struct span without_final_dot(struct span name)
{
	if (name.n > 1 && name.p[name.n - 1] == '.')
		name.n--;
	return name;
}

// Such a name is an IPv4 address to one resolver or another: 127.1, 0x7f.1, 017700000001.
static bool ends_in_number(struct span name)
{
	size_t label = name.n;
	while (label > 0 && name.p[label - 1] != '.')
		label--;
	struct span last = span_from(name, label);
	bool hex = last.n >= 2 && last.p[0] == '0' && ascii_lower(last.p[1]) == 'x';

	for (size_t i = hex ? 2 : 0; i < last.n; i++)
		if (hex ? !is_hex(last.p[i]) : !is_digit(last.p[i]))
			return false;
	return last.n > 0;
}

// inet_pton() for a span. It takes nothing but four decimal octets without leading zeros for IPv4,
// and no zone for IPv6.
static bool literal_parse(int family, struct span text, void *address)
{
	char copy[INET6_ADDRSTRLEN];

	if (text.n == 0 || text.n >= sizeof(copy) || memchr(text.p, '\0', text.n) != NULL)
		return false;
	memcpy(copy, text.p, text.n);
	copy[text.n] = '\0';
	return inet_pton(family, copy, address) == 1;
}

bool url_authority_ok(struct span text)
{
	struct authority a;
	struct in6_addr address;

	if (text.n == 0 || !authority_split(&a, text) || (a.has_port && port_parse(a.port) == 0))
		return false;
	return a.bracketed ? literal_parse(AF_INET6, a.host, &address)
			   : name_ok(without_final_dot(a.host));
}

static const char *ipv6_host(struct url *url, struct span text)
{
	if (span_find(text, '%') != text.n)
		return "an IPv6 zone means nothing to another machine: leave out the % and what follows";
	if (!literal_parse(AF_INET6, text, &url->address))
		return "what stands in brackets is not an IPv6 address";
	url->host_kind = URL_IPV6;
	// One spelling for one address.
	inet_ntop(AF_INET6, &url->address, url->host, sizeof(url->host));
	return NULL;
}

static const char *ipv4_host(struct url *url, struct span text)
{
	struct in_addr address;

	if (!literal_parse(AF_INET, text, &address))
		return "a host that ends in a number must be an IPv4 address: four decimal numbers up to "
		       "255, without leading zeros";
	url->host_kind = URL_IPV4;
	url->address = (struct in6_addr){.s6_addr = {[10] = 0xff, [11] = 0xff}};
	memcpy(&url->address.s6_addr[12], &address, sizeof(address));
	memcpy(url->host, text.p, text.n);
	return NULL;
}

static const char *name_host(struct url *url, struct span text)
{
	struct span name = without_final_dot(text);

	if (ends_in_number(name))
		return ipv4_host(url, text);
	if (name.n > URL_HOST_MAX)
		return "a host name of more than 253 bytes";
	if (!name_ok(name))
		return "a host name may have letters, digits, hyphens, underscores and dots only, its labels "
		       "up to 63 bytes and no hyphen at their ends";
	url->host_kind = URL_NAME;
	for (size_t i = 0; i < name.n; i++)
		url->host[i] = ascii_lower(name.p[i]);
	return NULL;
}

static const char *authority_parse(struct url *url, struct span text)
{
	struct authority a;

	if (text.n == 0)
		return "there is no host: write scheme://host:port";
	if (span_find(text, '@') != text.n)
		return "a user name or password does not belong here: write scheme://host:port";
	if (!authority_split(&a, text))
		return "write an IPv6 address in brackets, as in http://[::1]:8080";
	if (a.has_port && span_find(a.port, ':') != a.port.n)
		return "write an IPv6 address in brackets, as in http://[::1]:8080";
	if (a.has_port && (url->port = port_parse(a.port)) == 0)
		return "a port is a number from 1 to 65535 without leading zeros";
	if (url->port == 0)
		return "a tcp backend needs a port: write tcp://host:port";
	if (a.host.n == 0)
		return "there is no host: write scheme://host:port";
	return a.bracketed ? ipv6_host(url, a.host) : name_host(url, a.host);
}

static const char wrong_scheme[] = "the scheme must be http, https, ws, wss or tcp";

// Takes "scheme://" off TEXT.
static const char *scheme_parse(struct url *url, struct span *text)
{
	size_t colon = span_find(*text, ':');
	struct span scheme = {text->p, colon};

	if (span_eq_nocase(scheme, SPAN("unix")))
		return "unix sockets cannot be reached: let the service listen on a TCP port and write "
		       "http://host:port";
	if (!span_starts(span_from(*text, colon), SPAN("://")))
		return "write the scheme too, as in http://localhost:3000";
	*text = span_from(*text, colon + 3);
	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		if (span_eq_nocase(scheme, schemes[i].text)) {
			url->scheme = schemes[i].scheme;
			url->port = schemes[i].port;
			url->unchecked = schemes[i].unchecked;
			return NULL;
		}
	}
	return wrong_scheme;
}

static const char *characters_ok(struct span text)
{
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];
		if (c <= ' ' || c == 0x7f)
			return "white space and control characters do not belong in an address";
		if (c >= 0x80)
			return "a name with other than ASCII letters must be written in its xn-- form";
	}
	return NULL;
}

static const char *tail_ok(struct span tail)
{
	if (tail.n > 0 && tail.p[0] == '/')
		tail = span_from(tail, 1);
	if (tail.n == 0)
		return NULL;
	switch (tail.p[0]) {
	case '?': return "a query does not belong here: end behind host and port";
	case '#': return "a fragment does not belong here: end behind host and port";
	default: return "a path does not belong here: end behind host and port";
	}
}

static const char *parse(struct url *url, struct span text)
{
	const char *wrong;

	if (text.n == 0)
		return "there is no address: write scheme://host:port";
	if ((wrong = characters_ok(text)) != NULL || (wrong = scheme_parse(url, &text)) != NULL)
		return wrong;
	size_t end = 0;
	while (end < text.n && strchr("/?#", text.p[end]) == NULL)
		end++;
	if ((wrong = authority_parse(url, (struct span){text.p, end})) != NULL)
		return wrong;
	return tail_ok(span_from(text, end));
}

int url_parse_backend(struct url *url, struct span text, const char **why)
{
	struct url result = {0};
	const char *wrong = parse(&result, text);

	if (wrong != NULL) {
		*why = wrong;
		return 1;
	}
	*url = result;
	return 0;
}

int url_parse(struct url *url, struct span text, const char **why)
{
	struct url result;
	int r = url_parse_backend(&result, text, why);

	if (r == 0 && result.unchecked) {
		*why = wrong_scheme;
		r = 1;
	}
	if (r == 0)
		*url = result;
	return r;
}

size_t url_format(const struct url *url, char *out, size_t size)
{
	bool brackets = url->host_kind == URL_IPV6;
	int n = snprintf(out, size, "%s%s://%s%s%s:%u", url_scheme_name(url->scheme),
		url->unchecked ? "+insecure" : "", brackets ? "[" : "", url->host,
		brackets ? "]" : "", (unsigned)url->port);

	return (size_t)n;
}

const char *url_scheme_name(enum url_scheme scheme)
{
	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
		if (schemes[i].scheme == scheme)
			return schemes[i].text.p;
	return NULL;
}
