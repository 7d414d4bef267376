// SPDX-License-Identifier: ISC
// SPDX-FileCopyrightText: 2026 the tunneld authors

#include "pass.h"

#include "hex.h"
#include "hmac.h"
#include "tunnel_config.h"

#include <assert.h>
#include <stdio.h>

static_assert(PASS_DIGITS == 2 * HMAC_SHA256_SIZE, "hexadecimal");
static_assert((int)HMAC_SHA256_SIZE == (int)SECRET_HASH_SIZE, "both are compared alike");

void pass_make(struct pass *pass, const char *id, const struct secret_hash *secret)
{
	uint8_t mac[HMAC_SHA256_SIZE];
	char text[sizeof "tunneld-pass:" + TUNNEL_ID_MAX];
	int n = snprintf(text, sizeof text, "tunneld-pass:%s", id);
	assert(n > 0 && (size_t)n < sizeof text);
	hmac_sha256(mac, (struct span){(const char *)secret->bytes, SECRET_HASH_SIZE},
		(struct span){text, (size_t)n});
	hex_encode(pass->digits, mac, sizeof mac);
	explicit_bzero(mac, sizeof mac);
}

bool pass_equal(const struct pass *pass, struct span shown)
{
	struct secret_hash ours, theirs;
	bool equal = shown.n == PASS_DIGITS &&
		     hex_decode(theirs.bytes, sizeof theirs.bytes, shown) >= 0 &&
		     hex_decode(ours.bytes, sizeof ours.bytes, span_of(pass->digits)) >= 0 &&
		     secret_hash_equal(&ours, &theirs);
	explicit_bzero(&ours, sizeof ours);
	explicit_bzero(&theirs, sizeof theirs);
	return equal;
}
