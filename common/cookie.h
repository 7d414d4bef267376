// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors
//
// The tunnel cookie: what a browser shows in place of a tunnel's secret once it has logged in.
//
//     tunneld_<id>=<expiry>.<mac>
//
// <id> is the tunnel's, <expiry> seconds since the epoch in decimal without leading zeros, <mac> 64
// lower-case hex digits: HMAC-SHA-256 of "tunneld-cookie:<id>:<expiry>" under the SHA-256 of the
// tunnel's secret. The API worker makes it, the relay checks it; nothing about it is stored.
//
// Names that begin with tunneld_ or __Host-tunneld_ are ours. The rest of this file finds them in
// Cookie fields (RFC 6265 section 4.2.1), which it takes apart at every ';' and nowhere else, as
// browsers put them together.

#pragma once

#include "messages.h"
#include "secret.h"

enum {
	COOKIE_EXPIRY_DIGITS = 12, // most
	COOKIE_MAC_DIGITS = 64,
	// "__Host-tunneld_<id>=<expiry>.<mac>", terminated.
	COOKIE_TEXT_SIZE =
		7 + 8 + TUNNEL_ID_MAX + 1 + COOKIE_EXPIRY_DIGITS + 1 + COOKIE_MAC_DIGITS + 1,
};

// Writes name, '=' and value of the cookie that lets in until EXPIRY, which has at most
// COOKIE_EXPIRY_DIGITS digits. HOST_ONLY: with the name that browsers keep to one host and to TLS
// (RFC 6265bis section 4.1.3.2), for an origin of the tunnel's own. Returns its length.
size_t cookie_make(char text[COOKIE_TEXT_SIZE], const char *id, const struct secret_hash *secret,
	int64_t expiry, bool host_only);

enum cookie_verdict {
	COOKIE_ABSENT = 0,
	COOKIE_WRONG, // there is one for this tunnel, and it is malformed, expired or forged
	COOKIE_RIGHT,
};

// The last MAC of a tunnel that was shown and right. All its visitors have the same, as long as the
// settings that the expiry follows from stay the same: it need not be computed for each request.
// All zero at first.
struct cookie_known {
	int64_t expiry;
	struct secret_hash mac;
};

// Looks for the cookie of tunnel ID in the value of one Cookie field. Of several, one that is right
// is enough: pages of other tunnels can set cookies of the same name beside it. NOW is wall time.
// Takes the same time for every wrong MAC. KNOWN is of this tunnel and secret.
enum cookie_verdict cookie_check(struct span value, const char *id,
	const struct secret_hash *secret, int64_t now, struct cookie_known *known);

// Begins the name of the cookie that says that a browser has been shown the notice of a tunnel,
// whose id follows; its value is 1. It is for the visitor's convenience and proves nothing.
#define COOKIE_SEEN "tunneld_seen_"

// Whether VALUE of a Cookie field has that cookie of tunnel ID.
bool cookie_seen(struct span value, const char *id);

// Takes the next piece that is not blank off a Cookie field's value: what stands before the next
// ';' or the end, blanks around it included. Returns false when there is none left.
bool cookie_next(struct span *rest, struct span *piece);

// Whether a piece of a Cookie field, or the value of a Set-Cookie field, is about a name of ours.
// Browsers keep cookies without a name, and send `=x` as `x`: blanks and '=' ahead of a name of
// ours do not hide it.
bool cookie_is_ours(struct span piece);

// Whether VALUE may hold a cookie of ours: false needs no closer look.
bool cookie_maybe_ours(struct span value);
