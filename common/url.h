// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// Addresses of backends as people write them: scheme://host[:port]. (RFC 3986 authority, strict.)

#pragma once

#include "util.h"

#include <netinet/in.h>

enum url_scheme { URL_HTTP = 1, URL_HTTPS = 2, URL_TCP = 3 };
enum url_host { URL_NAME = 1, URL_IPV4 = 2, URL_IPV6 = 3 };

enum { URL_HOST_MAX = 253 };

struct url {
	enum url_scheme scheme; // ws is http, wss is https
	bool unchecked;         // https, with any certificate: scheme "https+insecure"
	enum url_host host_kind;
	char host[URL_HOST_MAX + 1]; // lower case, without brackets, without a trailing dot
	uint16_t port;           // the scheme's default filled in; tcp has none and must name it
	struct in6_addr address; // for the two literal kinds; IPv4 as ::ffff:a.b.c.d
};

// Parses TEXT. Returns 0, or 1 with *WHY set to what is wrong and what to write instead (static
// text); *URL is written only on success. Accepted paths: none or "/" only. Refused: userinfo,
// query, fragment, other schemes (unix: by name), white space, IPv4 in any spelling but four
// decimal octets without leading zeros (so a "name" whose last label is all digits or 0x.. is
// refused: some resolvers take it for an address), IPv6 zones, names that are not LDH labels
// of 1..63 bytes (underscore allowed, non-ASCII refused: use punycode), port 0 or above 65535 or
// with leading zeros.
int url_parse(struct url *url, struct span text, const char **why) WARN_UNUSED;

// The same for the backend of a tunnel, which may also have the schemes https+insecure and
// wss+insecure.
int url_parse_backend(struct url *url, struct span text, const char **why) WARN_UNUSED;

// Writes the canonical form, "http://host:port" with the port always there and IPv6 in brackets,
// into OUT of size SIZE (URL_TEXT_MAX always fits) and terminates it. Returns its length; at SIZE
// or above it was cut.
enum { URL_TEXT_MAX = 17 + URL_HOST_MAX + 2 + 6 + 1 };
size_t url_format(const struct url *url, char *out, size_t size);

const char *url_scheme_name(enum url_scheme scheme);

// Whether TEXT is a valid authority of a Host field: a name or IPv4 address as above or [ipv6],
// with an optional :port. Numbers in other spellings pass as names: no address is made of them.
bool url_authority_ok(struct span text);
