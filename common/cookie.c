// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "cookie.h"

#include "hex.h"
#include "hmac.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

static_assert((int)HMAC_SHA256_SIZE == (int)SECRET_HASH_SIZE, "both are compared alike");

#define PREFIX      "tunneld_"
#define HOST_PREFIX "__Host-" PREFIX

// EXPIRY is the digits, as they stand in the cookie.
static void make_mac(struct secret_hash *mac, const char *id, const struct secret_hash *secret,
	struct span expiry)
{
	char text[sizeof "tunneld-cookie:" + TUNNEL_ID_MAX + 1 + COOKIE_EXPIRY_DIGITS];
	int n = snprintf(text, sizeof text, "tunneld-cookie:%s:%.*s", id, (int)expiry.n, expiry.p);
	assert(n > 0 && (size_t)n < sizeof text);
	hmac_sha256(mac->bytes, (struct span){(const char *)secret->bytes, SECRET_HASH_SIZE},
		(struct span){text, (size_t)n});
}

size_t cookie_make(char text[COOKIE_TEXT_SIZE], const char *id, const struct secret_hash *secret,
	int64_t expiry, bool host_only)
{
	struct secret_hash mac;
	char digits[COOKIE_EXPIRY_DIGITS + 1], hex[COOKIE_MAC_DIGITS + 1];
	int n = snprintf(digits, sizeof digits, "%" PRId64, expiry);
	assert(expiry > 0 && (size_t)n < sizeof digits);
	make_mac(&mac, id, secret, (struct span){digits, (size_t)n});
	hex_encode(hex, mac.bytes, sizeof mac.bytes);
	n = snprintf(text, COOKIE_TEXT_SIZE, "%s%s=%s.%s", host_only ? HOST_PREFIX : PREFIX, id,
		digits, hex);
	assert(n > 0 && n < COOKIE_TEXT_SIZE);
	explicit_bzero(hex, sizeof hex);
	explicit_bzero(&mac, sizeof mac);
	return (size_t)n;
}

// ---- taking fields apart

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

bool cookie_next(struct span *rest, struct span *piece)
{
	while (rest->n > 0) {
		const char *mark = memchr(rest->p, ';', rest->n);
		size_t n = mark != NULL ? (size_t)(mark - rest->p) : rest->n;
		size_t gone = mark != NULL ? n + 1 : n;
		*piece = (struct span){rest->p, n};
		*rest = (struct span){rest->p + gone, rest->n - gone};
		if (span_trim(*piece, " \t").n > 0)
			return true;
	}
	return false;
}

bool cookie_is_ours(struct span piece)
{
	while (piece.n > 0 && (is_blank(piece.p[0]) || piece.p[0] == '='))
		piece = (struct span){piece.p + 1, piece.n - 1};
	return span_starts(piece, SPAN(PREFIX)) || span_starts(piece, SPAN(HOST_PREFIX));
}

bool cookie_maybe_ours(struct span value)
{
	return memmem(value.p, value.n, PREFIX, sizeof PREFIX - 1) != NULL;
}

// The value of the cookie of tunnel ID, if PIECE is that, by either name.
static struct span value_for(struct span piece, struct span id)
{
	struct span prefix = SPAN(HOST_PREFIX);
	piece = span_trim(piece, " \t");
	if (!span_starts(piece, prefix))
		prefix = SPAN(PREFIX);
	size_t n = prefix.n + id.n + 1;
	if (piece.n < n || !span_starts(piece, prefix) || piece.p[n - 1] != '=' ||
		memcmp(piece.p + prefix.n, id.p, id.n) != 0)
		return (struct span){NULL, 0};
	return (struct span){piece.p + n, piece.n - n};
}

// ---- verifying one

// The number that DIGITS are, -1 when there is another way to write it or it has too many of them.
static int64_t expiry_parse(struct span digits)
{
	int64_t expiry = 0;
	if (digits.n == 0 || digits.n > COOKIE_EXPIRY_DIGITS || digits.p[0] == '0')
		return -1;
	for (size_t i = 0; i < digits.n; i++) {
		if (digits.p[i] < '0' || digits.p[i] > '9')
			return -1;
		expiry = expiry * 10 + (digits.p[i] - '0');
	}
	return expiry;
}

static bool is_lower(struct span text)
{
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] != ascii_lower(text.p[i]))
			return false;
	return true;
}

static bool value_ok(struct span value, const char *id, const struct secret_hash *secret,
	int64_t now, struct cookie_known *known)
{
	struct cookie_known found;
	struct secret_hash shown;
	if (value.n <= COOKIE_MAC_DIGITS || value.p[value.n - COOKIE_MAC_DIGITS - 1] != '.')
		return false;
	struct span digits = {value.p, value.n - COOKIE_MAC_DIGITS - 1};
	struct span mac = {value.p + digits.n + 1, COOKIE_MAC_DIGITS};
	found.expiry = expiry_parse(digits);
	if (found.expiry <= now || !is_lower(mac) ||
		hex_decode(shown.bytes, sizeof shown.bytes, mac) < 0)
		return false;
	if (found.expiry == known->expiry)
		return secret_hash_equal(&shown, &known->mac);
	make_mac(&found.mac, id, secret, digits);
	bool ok = secret_hash_equal(&shown, &found.mac);
	if (ok)
		*known = found;
	explicit_bzero(&found, sizeof found);
	return ok;
}

enum cookie_verdict cookie_check(struct span value, const char *id,
	const struct secret_hash *secret, int64_t now, struct cookie_known *known)
{
	enum cookie_verdict verdict = COOKIE_ABSENT;
	struct span piece, name = span_of(id);
	while (cookie_next(&value, &piece)) {
		struct span shown = value_for(piece, name);
		if (shown.p == NULL)
			continue;
		if (value_ok(shown, id, secret, now, known))
			return COOKIE_RIGHT;
		verdict = COOKIE_WRONG;
	}
	return verdict;
}

bool cookie_seen(struct span value, const char *id)
{
	char wanted[sizeof COOKIE_SEEN "=1" + TUNNEL_ID_MAX];
	struct span piece;
	snprintf(wanted, sizeof wanted, COOKIE_SEEN "%s=1", id);
	while (cookie_next(&value, &piece))
		if (span_eq(span_trim(piece, " \t"), span_of(wanted)))
			return true;
	return false;
}
